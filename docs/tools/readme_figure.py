"""Draws the figure at the top of the README: what the reader of dates that ships attends to.

    python docs/tools/readme_figure.py

Every line is an attention weight of the packaged model: its opacity is the
weight, its colour the part of the date that it was read for. An SVG, so that
each script is drawn by the fonts of whoever looks, in light and in dark.
"""

import pathlib
from xml.sax.saxutils import escape

from keras_attention import load

TEXTS = ("Freitag, 13. Juni 1997", "2024년 3월 5일")
FIGURE = pathlib.Path(__file__).parents[1] / "images/attention.svg"

CELL, SOURCE_Y, TARGET_Y, PANEL, WIDTH, MARGIN = 26, 62, 180, 190, 640, 34
NOTES = (
    "what a person wrote",
    "attention: which characters each digit was read from",
    "the date that the model answers",
)
FAINTEST = 0.05  # a weight below this is not drawn
PARTS = ["year"] * 4 + ["mark"] + ["month"] * 2 + ["mark"] + ["day"] * 2

STYLE = """
rect { fill: #ffffff; }
text { font: 20px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; text-anchor: middle; fill: #1f2328; }
.note { font: 13px system-ui, sans-serif; fill: #59636e; }
.year { --part: #1d4ed8; } .month { --part: #b45309; } .day { --part: #15803d; } .mark { --part: #8b949e; }
path { fill: none; stroke: var(--part); stroke-width: 2.5; stroke-linecap: round; }
text.year, text.month, text.day, text.mark { fill: var(--part); }
.target { font-weight: 700; }
@media (prefers-color-scheme: dark) {
  rect { fill: #0d1117; } text { fill: #e6edf3; } .note { fill: #9198a1; }
  .year { --part: #79b8ff; } .month { --part: #ffb454; } .day { --part: #56d364; } .mark { --part: #768390; }
}
"""


def main():
    reader = load()
    panels = [panel(text, reader(text), top=number * (PANEL + 10)) for number, text in enumerate(TEXTS)]
    height = len(TEXTS) * PANEL + 44
    notes = [note(NOTES[0], 26), note(NOTES[1], PANEL + 20), note(NOTES[2], height - 14)]
    FIGURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{alt()}">'
        f'<style>{STYLE}</style>\n<rect width="{WIDTH}" height="{height}" rx="8"/>\n'
        + "\n".join([*panels, *notes])
        + "\n</svg>\n",
        encoding="utf-8",
    )
    print(FIGURE)


def alt():
    return "Dates as people write them, the ISO dates that the model reads, and the characters each digit was read from"


def panel(text, reading, top):
    """One text, its reading, and the weights between them."""
    columns, rows = positions(len(reading.source_tokens)), positions(len(reading.tokens))
    parts = []
    for row, part, weights in zip(rows, PARTS, reading.weights, strict=True):
        parts += [line(x, row, top, part, weight) for x, weight in zip(columns, weights, strict=True)]
    parts += [letter(x, top + SOURCE_Y, character, colour_of(reading, column)) for column, (x, character) in enumerate(
        zip(columns, text, strict=True)
    )]  # fmt: skip
    parts += [
        letter(x, top + TARGET_Y, token, f"{part} target")
        for x, token, part in zip(rows, reading.tokens, PARTS, strict=True)
    ]
    return "\n".join(filter(None, parts))


def note(text, y):
    return f'<text class="note" x="{WIDTH / 2:.0f}" y="{y}">{text}</text>'


def positions(count):
    """The middle of each of `count` cells, the row in the middle of the figure."""
    cell = min(CELL, (WIDTH - 2 * MARGIN) / count)
    return [WIDTH / 2 + (index - (count - 1) / 2) * cell for index in range(count)]


def colour_of(reading, column):
    """The part of the date that reads a character most; none if it is hardly read."""
    weight, row = max((weights[column], row) for row, weights in enumerate(reading.weights) if PARTS[row] != "mark")
    return PARTS[row] if weight > 0.2 else ""


def line(x, row, top, part, weight):
    if weight < FAINTEST or part == "mark":
        return None
    upper, lower, middle = top + SOURCE_Y + 10, top + TARGET_Y - 22, top + (SOURCE_Y + TARGET_Y) / 2
    return (
        f'<path class="{part}" stroke-opacity="{weight:.2f}" '
        f'd="M{x:.0f} {upper} C{x:.0f} {middle:.0f} {row:.0f} {middle:.0f} {row:.0f} {lower}"/>'
    )


def letter(x, y, character, colour):
    return "" if character == " " else f'<text class="{colour}" x="{x:.0f}" y="{y}">{escape(character)}</text>'


if __name__ == "__main__":
    main()
