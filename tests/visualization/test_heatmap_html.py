"""The heatmap as HTML: sizes, words on hover, nothing of a text read as markup."""

import html.parser

import numpy as np
import pytest

from keras_attention.conversion import Conversion
from keras_attention.visualization.heatmap_html import attention_html, escaped, visible


class Table(html.parser.HTMLParser):
    """What a browser finds: texts of the headers, attributes of the cells, names of all elements."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.columns, self.cells, self.values, self.names = [], [], [], [], set()
        self._header, self._in_value = None, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.add(tag)
        if tag == "th":
            self._header = self.columns if attributes["scope"] == "col" else self.rows
            self._header.append("")
        elif tag == "td" and "title" in attributes:
            self.cells.append(attributes)
        elif tag == "bdi":
            assert attributes["dir"] == "auto"
        self._in_value = tag == "span"

    def handle_endtag(self, tag):
        self._in_value = False
        if tag == "th":
            self._header = None

    def handle_data(self, data):
        if self._header is not None:
            self._header[-1] += data
        elif self._in_value:
            self.values.append(data)


def table(target, source, weights=None):
    if weights is None:
        weights = np.full((len(target), len(source)), 1.0 / len(source), "float32")
    return Table(attention_html(Conversion("".join(target), -0.1, list(target), list(source), np.array(weights), [])))


def test_target_stands_down_and_source_across():
    found = table("05", "3 May")
    assert found.rows == ["0", "5"]
    assert found.columns == ["3", "␣", "M", "a", "y"]
    assert len(found.cells) == 2 * 5


def test_cell_says_and_shows_its_weight():
    found = table("05", ["3", "May"], [[0.0, 1.0], [0.25, 0.75]])
    assert [cell["title"] for cell in found.cells] == ["0 ← 3: 0.00", "0 ← May: 1.00", "5 ← 3: 0.25", "5 ← May: 0.75"]
    assert [cell["style"] for cell in found.cells[2:]] == ["--weight:0.250", "--weight:0.750"]


def test_cell_holds_its_weight_as_text():
    found = table("05", ["3", "May"], [[0.0, 1.0], [0.25, 0.75]])
    assert found.values == ["0.00", "1.00", "0.25", "0.75"]


def test_markup_in_a_token_is_text():
    tokens = ["<script>", '"', "'>", "&amp;", "</td>"]
    found = table(tokens, tokens)
    assert found.rows == found.columns == tokens
    assert found.cells[0]["title"] == "<script> ← <script>: 0.20"
    assert "script" not in found.names


def test_template_in_a_token_is_text():
    tokens = ["${1+1}", "{{value}}", "`"]
    assert table(tokens, tokens).rows == tokens
    assert not set("${}`") & set(escaped("".join(tokens)))


def test_token_from_the_right_keeps_to_its_side():
    may = "مايو"
    assert table(["1"], [may], [[1.0]]).cells[0]["title"] == f"1 ← \u2068{may}\u2069: 1.00"
    assert table(["Mai"], ["5월"], [[1.0]]).cells[0]["title"] == "Mai ← 5월: 1.00"


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" ", "␣"), ("▁Mai", "▁Mai"), ("\u200d", "U+200D"), ("\u064b", "◌\u064b"), ("ن\u064b", "ن\u064b"), ("", "")],
)
def test_what_cannot_be_seen_is_made_visible(token, shown):
    assert visible(token) == shown


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match=r"at least one token each. Received source tokens \[\]"):
        attention_html(Conversion("5", -0.1, ["5"], [], np.zeros((1, 0)), []))
