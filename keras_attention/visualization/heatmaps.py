"""Heatmaps of attention: source across, target down, in any script."""

import functools
import textwrap
import unicodedata

from matplotlib import font_manager, pyplot
from matplotlib.ft2font import FT2Font

SPACE = "\N{OPEN BOX}"
UNDRAWABLE = "\N{WHITE SQUARE}"
SUBWORD_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece writes at the beginning of a word
CHARACTERS_AN_INCH = 8  # of a title, over its axes, in any script; a longer one goes on in the next line


def plot_attention(conversion, axes=None, title=None):
    """Draws which characters of the source each token of the result read.

    A character that no installed font can draw is shown by its code point,
    such as `U+AC00`; a space is shown as an open box.

    Args:
        conversion: a `Conversion`.
        axes: matplotlib axes to draw on; by default a new figure.
        title: of the plot. Defaults to source and result.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there is nothing to draw, because the source or the
            result is empty.
    """
    source, target, weights = conversion.source_tokens, conversion.tokens, conversion.weights
    if not source or not target:
        raise ValueError(
            f"plot_attention: source and result must hold at least one token each. Received source tokens {source} "
            f"and tokens {target}."
        )
    if axes is None:
        size = (max(4.0, 1.6 + 0.32 * len(source)), max(2.6, 1.4 + 0.32 * len(target)))
        _, axes = pyplot.subplots(figsize=size, layout="constrained")
    image = axes.imshow(weights, cmap="viridis", vmin=0.0, vmax=1.0, aspect="auto")
    source_labels, target_labels = drawable(source), drawable(target)
    fonts = fonts_for("".join(source_labels + target_labels))
    axes.set_xticks(range(len(source)), source_labels, fontfamily=fonts, parse_math=False)
    axes.set_yticks(range(len(target)), target_labels, fontfamily=fonts, parse_math=False)
    for label in axes.get_xticklabels():
        label.set_rotation(90 if len(label.get_text()) > 2 else 0)
    axes.set_xlabel("source")
    axes.set_ylabel("target")
    if title is None:
        title = f"{''.join(source).replace(SUBWORD_SPACE, ' ').strip()} → {conversion.text}"
    width = axes.get_position().width * axes.figure.get_figwidth()
    shown = textwrap.fill(_without_undrawable(title), max(1, int(CHARACTERS_AN_INCH * width)))
    axes.set_title(shown, fontfamily=fonts_for(title), fontsize="medium", parse_math=False)
    axes.figure.colorbar(image, ax=axes, label="attention weight", fraction=0.05, pad=0.02)
    return axes.figure


def drawable(tokens):
    """Labels for tokens: each as it is if a font can draw it, else by code points."""
    return ["".join(SPACE if character == " " else _shown(character) for character in token) for token in tokens]


def fonts_for(text):
    """Families, the default first, that together can draw what can be drawn of `text`."""
    families = ["DejaVu Sans"]
    for character in sorted(set(text)):
        family = _family_with(character)
        if family is not None and family not in families:
            families.append(family)
    return families


def _shown(character):
    return character if _can_draw(character) else f"U+{ord(character):04X}"


def _without_undrawable(text):
    """The text with a box for what no font can draw: code points would drown a whole line."""
    return "".join(character if _can_draw(character) else UNDRAWABLE for character in text)


def _can_draw(character):
    return unicodedata.category(character)[0] != "C" and _family_with(character) is not None


@functools.cache
def _family_with(character):
    """The first family that has a glyph for a character: the default, or any installed."""
    entries = sorted(font_manager.fontManager.ttflist, key=lambda entry: (entry.name != "DejaVu Sans", entry.name))
    for entry in entries:
        if entry.style == "normal" and ord(character) in _characters(entry.fname):
            return entry.name
    return None


@functools.cache
def _characters(file):
    """Code points that a font file has glyphs for; none of "Last Resort" fonts, which draw boxes."""
    font = FT2Font(file)
    return frozenset() if "LastResort" in font.postscript_name else frozenset(font.get_charmap())
