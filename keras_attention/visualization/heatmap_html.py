"""A heatmap of attention as a piece of HTML, for a page or a notebook.

    source across, its header stays in sight
    target down, its header stays in sight, each cell says `target ← source: 0.42`

Each cell holds its weight as text, for screen readers; it can be seen while the
heatmap has the focus of the keyboard. It needs no script and no file. It follows
the colour scheme around it, scrolls sideways by itself, and shows every script
as the browser's fonts do.
"""

import html
import re
import unicodedata
from collections.abc import Sequence

from keras_attention.conversion import Conversion

SPACE = "\N{OPEN BOX}"

_STYLE = """\
.attention-map { position: relative; width: fit-content; min-width: min(100%, 26rem); max-width: 100%;
  color: var(--attention-ink, CanvasText);
  background: var(--attention-paper, Canvas); color-scheme: light dark; font: 0.9rem/1.3 system-ui, sans-serif;
  --attention-colour: light-dark(#1d4ed8, #60a5fa);
  --attention-line: color-mix(in srgb, currentColor 18%, transparent); }
.attention-map-scroll { overflow-x: auto; max-width: 100%; }
.attention-map table { border-collapse: separate; border-spacing: 1px; width: auto; margin: 0; }
.attention-map th, .attention-map td { border: 0; padding: 0; font-weight: 400; }
.attention-map th { padding: 0.1rem 0.3rem; background: var(--attention-paper, Canvas); white-space: pre; }
.attention-map thead th { vertical-align: bottom; text-align: center; }
.attention-map tbody th { text-align: end; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
.attention-map tbody th, .attention-map thead td { position: sticky; inset-inline-start: 0; z-index: 1;
  background: var(--attention-paper, Canvas); box-shadow: 0 0 0 1px var(--attention-paper, Canvas); }
.attention-map .attention-map-long { writing-mode: vertical-rl; max-height: 12rem; overflow: hidden;
  text-overflow: ellipsis; display: inline-block; }
.attention-map td[title] { min-width: 1.5rem; height: 1.5rem; box-shadow: inset 0 0 0 1px var(--attention-line);
  background: color-mix(in srgb, var(--attention-colour) calc(var(--weight) * 100%), transparent); }
.attention-map td[title] { text-align: center; }
.attention-map td span { color: transparent; font-size: 0.6rem; font-variant-numeric: tabular-nums; user-select: none; }
.attention-map-scroll:focus { outline: 2px solid currentColor; outline-offset: 2px; }
.attention-map-scroll:focus td span { color: var(--attention-ink, CanvasText);
  background: var(--attention-paper, Canvas); user-select: auto; }
.attention-map-story tbody th { max-width: 40rem; text-align: start; white-space: normal; }
.attention-map td:hover { outline: 2px solid currentColor; outline-offset: -1px; }
.attention-map td:hover::after { content: attr(title); position: absolute; inset-inline-end: 0; bottom: 0;
  padding: 0.1rem 0.3rem; background: var(--attention-paper, Canvas); font-variant-numeric: tabular-nums; }
.attention-map-scale { display: flex; align-items: center; gap: 0.4rem; margin-top: 0.5rem; min-height: 1.6rem; }
.attention-map-scale i { width: 6rem; height: 0.8rem; box-shadow: inset 0 0 0 1px var(--attention-line);
  background: linear-gradient(to right, transparent, var(--attention-colour)); }
"""


def attention_html(conversion: Conversion) -> str:
    """Shows which tokens of the source each token of the result read.

    A space is shown as an open box, a character that cannot be seen by its
    code point.

    Args:
        conversion: a `Conversion`.

    Returns:
        A `<div>` with its style, as a string; all that the conversion says is
        escaped.

    Raises:
        ValueError: if there is nothing to show, because the source or the
            result is empty.

    Example:

    >>> conversion = Conversion("5", -0.1, ["5"], ["M", "ay"], np.array([[0.25, 0.75]]), [])
    >>> picture = attention_html(conversion)
    >>> 'title="5 ← ay: 0.75"' in picture
    True
    """
    source, target, weights = conversion.source_tokens, conversion.tokens, conversion.weights
    if not source or not target:
        raise ValueError(
            f"attention_html: source and result must hold at least one token each. Received source tokens {source} "
            f"and tokens {target}."
        )
    head = "".join(f'<th scope="col">{_label(token)}</th>' for token in source)
    rows = "".join(_row(token, source, row) for token, row in zip(target, weights, strict=True))
    return _table("attention-map", "attention, target by source", head, rows)


def story_html(sentences: Sequence[str], weights) -> str:
    """Shows how much each hop of a memory network attended to each sentence of a story.

    Args:
        sentences: list of strings.
        weights: `(hops, sentences)`.

    Returns:
        A `<div>` with its style, as a string: a row for each sentence, which
        is shaded for each hop; all that the sentences say is escaped.

    Raises:
        ValueError: for weights of another number of sentences.

    Example:

    >>> picture = story_html(["Mary left."], np.array([[0.25], [1.0]]))
    >>> 'title="hop 1: 0.25"' in picture, 'title="hop 2: 1.00"' in picture
    (True, True)
    """
    if weights.shape[1] != len(sentences):
        raise ValueError(
            f"story_html: there must be a weight for each sentence. Received {weights.shape[1]} of each hop and "
            f"{len(sentences)} sentences."
        )
    head = "".join(f'<th scope="col">hop {hop}</th>' for hop in range(1, len(weights) + 1))
    rows = "".join(
        f'<tr><th scope="row"><bdi dir="auto">{escaped(sentence)}</bdi></th>'
        + "".join(_cell(f"hop {hop}", weight) for hop, weight in enumerate(column, start=1))
        + "</tr>"
        for sentence, column in zip(sentences, weights.T, strict=True)
    )
    return _table("attention-map attention-map-story", "attention, sentences by hop", head, rows)


def _table(classes, label, head, rows):
    return (
        f'<div class="{classes}"><style>{_STYLE}</style>'
        f'<div class="attention-map-scroll" role="region" tabindex="0" aria-label="{label}">'
        f'<table dir="ltr"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<div class="attention-map-scale">0 <i></i> 1 attention weight</div></div>'
    )


def visible(token: str) -> str:
    """A token as it can be seen: spaces, marks without a letter and characters without a shape get one."""
    return "".join(_visible(character, first=index == 0) for index, character in enumerate(spaces_marked(token)))


def spaces_marked(token: str) -> str:
    """A token with its spaces as a sign, but for those between the words of one that is a sentence."""
    return re.sub("(?<![^ ]) | (?![^ ])", SPACE, token)


def escaped(text: str) -> str:
    """Text as HTML, also where what shows it would read `${...}` and `{{...}}` as templates."""
    return html.escape(text).translate({ord(character): f"&#{ord(character)};" for character in "${}`"})


def _row(token, source, weights):
    shown = escaped(_isolated(visible(token)))
    cells = "".join(
        _cell(f"{shown} ← {escaped(_isolated(visible(other)))}", weight)
        for other, weight in zip(source, weights, strict=True)
    )
    return f'<tr><th scope="row" title="{escaped(visible(token))}">{_label(token, down=False)}</th>{cells}</tr>'


def _label(token, down=True):
    shown = visible(token)
    long = ' class="attention-map-long"' if down and len(shown) > 2 else ""
    return f'<bdi dir="auto"{long}>{escaped(shown)}</bdi>'


def _cell(title, weight):
    return f'<td style="--weight:{weight:.3f}" title="{title}: {weight:.2f}"><span>{weight:.2f}</span></td>'


def _isolated(token):
    """A token that is written from the right, kept from turning what stands beside it."""
    is_from_right = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in token)
    return f"\N{FIRST STRONG ISOLATE}{token}\N{POP DIRECTIONAL ISOLATE}" if is_from_right else token


def _visible(character, first):
    kind = unicodedata.category(character)
    if kind[0] in "CZ" and character != " ":
        return f"U+{ord(character):04X}"
    return f"\N{DOTTED CIRCLE}{character}" if kind[0] == "M" and first else character
