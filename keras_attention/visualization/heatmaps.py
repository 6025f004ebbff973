"""Heatmaps of attention: source across, target down, in any script."""

import contextlib
import functools
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib import font_manager, pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from keras_attention.conversion import Conversion
from keras_attention.visualization.heatmap_html import spaces_marked

UNDRAWABLE = "\N{WHITE SQUARE}"
SUBWORD_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece writes at the beginning of a word
CHARACTERS_AN_INCH = 8  # of a title, over its axes, in any script; a longer one goes on in the next line


def plot_attention(
    weights,
    axes: Axes | None = None,
    title: str | None = None,
    source: Sequence[str] | None = None,
    target: Sequence[str] | None = None,
) -> Figure:
    """Draws which tokens of the source each token of the target read.

    A character that no installed font can draw is shown by its code point,
    such as `U+AC00`, with a warning that says which font is missing; a space is
    shown as an open box.

    Args:
        weights: a `Conversion`; or weights of any attention, an array or a
            tensor `(target, source)`, or `(heads, target, source)`, of which
            the mean over the heads is drawn (`weights[head]` draws one). Axes
            of size 1 before these, such as a batch of one, are dropped.
        axes: matplotlib axes to draw on; by default a new figure.
        title: title of the plot. Defaults to source and result of a
            conversion; an array has none.
        source: labels of the columns, a list of tokens or a string of
            characters. Defaults to the tokens of a conversion, or to positions.
        target: labels of the rows, in the same way.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there is nothing to draw, because the source or the
            target is empty; for labels of another number than there are
            weights; for weights of more axes.

    Example:

    >>> context, weights = BahdanauAttention(4)(np.ones((1, 2, 5)), np.ones((1, 3, 5)))
    >>> figure = plot_attention(weights, source=["the", "dog", "barks"], target=["der", "Hund"])
    >>> figure.axes[0].images[0].get_array().shape
    (2, 3)
    """
    if isinstance(weights, Conversion):
        source = weights.source_tokens if source is None else source
        target = weights.tokens if target is None else target
        title = _title(weights) if title is None else title
        weights = weights.weights
    weights, source, target = _matrix(weights), _labels(source), _labels(target)
    rows, columns = weights.shape
    source = _numbered(columns) if source is None else source
    target = _numbered(rows) if target is None else target
    _check_labels(weights, source, target)
    if axes is None:
        _, axes = pyplot.subplots(figsize=_size(source, target), layout="constrained")
    image = axes.imshow(weights, cmap="viridis", vmin=0.0, vmax=1.0, aspect="auto")
    _find_fonts("".join([*source, *target, title or ""]))
    source_labels, target_labels = drawable(source), drawable(target)
    fonts = fonts_for("".join(source_labels + target_labels))
    axes.set_xticks(range(len(source)), source_labels, fontfamily=fonts, parse_math=False)
    axes.set_yticks(range(len(target)), target_labels, fontfamily=fonts, parse_math=False)
    for label in axes.get_xticklabels():
        label.set_rotation(90 if len(label.get_text()) > 2 else 0)
    axes.set_xlabel("source")
    axes.set_ylabel("target")
    if title is not None:
        width = axes.get_position().width * axes.figure.get_figwidth()
        shown = textwrap.fill(_without_undrawable(title), max(1, int(CHARACTERS_AN_INCH * width)))
        axes.set_title(shown, fontfamily=fonts_for(title), fontsize="medium", parse_math=False)
    axes.figure.colorbar(image, ax=axes, label="attention weight", fraction=0.05, pad=0.02)
    return axes.figure


def _size(source, target):
    """Width and height of a figure, in inches: a square for each weight, and room for labels as long as sentences."""
    beside, below = (max(0.0, 0.09 * (max(map(len, labels)) - 12)) for labels in (target, source))
    return max(4.0, 1.6 + 0.32 * len(source)) + beside, max(2.6, 1.4 + 0.32 * len(target)) + below


def _title(conversion):
    source = "".join(conversion.source_tokens).replace(SUBWORD_SPACE, " ").strip()
    return f"{source} → {conversion.text}"


def _matrix(weights):
    """Weights of any attention as an array `(target, source)`."""
    if not isinstance(weights, np.ndarray | list | tuple):
        from keras import ops  # knows every backend's tensors, those with gradients too

        weights = ops.convert_to_numpy(weights)
    weights = np.asarray(weights).astype("float32")
    while weights.ndim > 2 and weights.shape[0] == 1:
        weights = weights[0]
    if weights.ndim not in (2, 3):
        raise ValueError(
            "plot_attention: weights must be (target, source) or (heads, target, source). Received shape "
            f"{weights.shape}. Of a batch, give one row, `weights[0]`; of layers, one of them."
        )
    return weights.mean(axis=0) if weights.ndim == 3 else weights


def _labels(tokens):
    return None if tokens is None else [str(token) for token in tokens]


def _numbered(count):
    return [str(position) for position in range(count)]


def _check_labels(weights, source, target):
    if not source or not target:
        raise ValueError(
            f"plot_attention: source and result must hold at least one token each. Received source tokens {source} "
            f"and tokens {target}."
        )
    if weights.shape != (len(target), len(source)):
        raise ValueError(
            f"plot_attention: weights of shape {weights.shape} are for {weights.shape[0]} labels of the target and "
            f"{weights.shape[1]} of the source. Received {len(target)} and {len(source)}. Padding can be cut off: "
            f"`weights[:{len(target)}, :{len(source)}]`."
        )


def _find_fonts(text):
    """Looks once for fonts that are newer than matplotlib's list of them, and warns of those that are missing."""
    missing = sorted({character for character in text if _is_printable(character) and not _can_draw(character)})
    if missing and _add_new_fonts():
        missing = [character for character in missing if not _can_draw(character)]
    if missing:
        fonts = ", ".join(dict.fromkeys(map(_font_for, missing)))
        shown = ", ".join(f"{character!r} (U+{ord(character):04X})" for character in missing[:5])
        warnings.warn(
            f"plot_attention: no installed font can draw {shown}{' and others' if len(missing) > 5 else ''}. Install "
            f"{fonts}.",
            stacklevel=3,
        )


@functools.cache
def _add_new_fonts():
    """Adds the fonts that are installed and not in matplotlib's list, which it keeps between processes."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for file in sorted({*font_manager.findSystemFonts()} - known):
        with contextlib.suppress(RuntimeError, OSError):  # no font after all
            font_manager.fontManager.addfont(file)
    _family_with.cache_clear()
    return True


def _font_for(character):
    """What to install to draw a character."""
    script = unicodedata.name(character, "").split(" ")[0]
    if script in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL"):
        return "Noto Sans CJK"
    return f"Noto Sans {script.title()}" if character.isalpha() and script else "Noto Sans Symbols or GNU Unifont"


def drawable(tokens):
    """Labels for tokens: each as it is if a font can draw it, else by code points."""
    return ["".join(map(_shown, spaces_marked(token))) for token in tokens]


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


def _is_printable(character):
    return unicodedata.category(character)[0] != "C"


def _can_draw(character):
    return _is_printable(character) and _family_with(character) is not None


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
