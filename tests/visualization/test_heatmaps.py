"""Heatmaps: axes, labels, scripts without a font."""

import pathlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import ops

from keras_attention import plot_attention
from keras_attention.conversion import Conversion
from keras_attention.visualization import heatmaps
from keras_attention.visualization.heatmap_html import SPACE


def conversion(source, target):
    weights = np.full((len(target), len(source)), 1.0 / max(len(source), 1), "float32")
    return Conversion("".join(target), -0.1, list(target), list(source), weights, [])


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_source_stands_across_and_target_down():
    figure = plot_attention(conversion("3 May", "05"))
    axes = figure.axes[0]
    assert labels(axes.xaxis) == ["3", SPACE, "M", "a", "y"]
    assert labels(axes.yaxis) == ["0", "5"]
    assert axes.images[0].get_array().shape == (2, 5)
    assert axes.yaxis_inverted()  # the first target token is on top
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("source", "target")


def test_character_without_a_font_is_shown_by_its_code_point(monkeypatch):
    known = heatmaps._family_with
    monkeypatch.setattr(heatmaps, "_family_with", lambda character: None if character == "한" else known(character))
    assert heatmaps.drawable(["한", "a", " ", "step -1 ", "\u200d"]) == [
        "U+D55C",
        "a",
        SPACE,
        f"step -1{SPACE}",
        "U+200D",
    ]


@pytest.fixture
def new_font(monkeypatch):
    """A font that was installed after matplotlib made its list, and a character that it alone has: its path."""
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts/ttf")
    monkeypatch.setattr(heatmaps.font_manager.fontManager, "ttflist", [
        entry for entry in heatmaps.font_manager.fontManager.ttflist if "DejaVu" in entry.name
    ])  # fmt: skip
    file = str(fonts / "STIXNonUni.ttf")
    monkeypatch.setattr(heatmaps.font_manager, "findSystemFonts", lambda: [file, str(fonts / "no font.ttf")])
    for cache in (heatmaps._family_with, heatmaps._add_new_fonts):
        cache.cache_clear()
    yield file
    for cache in (heatmaps._family_with, heatmaps._add_new_fonts):
        cache.cache_clear()


def test_font_that_is_newer_than_the_list_of_fonts_is_found(new_font, recwarn):
    others = set(heatmaps._characters(str(pathlib.Path(new_font).with_name("DejaVuSans.ttf"))))
    character = chr(min(code for code in heatmaps._characters(new_font) if code not in others))
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:  # its characters are of private use, which are not shown otherwise
        patch.setattr(heatmaps, "_is_printable", lambda character: True)
        assert not heatmaps._can_draw(character)
        figure = plot_attention(np.ones((1, 1)), source=[character], target=["a"])
        assert labels(figure.axes[0].xaxis) == [character]
    assert [str(warning.message) for warning in recwarn if "no installed font" in str(warning.message)] == []


@pytest.mark.parametrize(
    ("text", "font"),
    [("가", "Noto Sans CJK"), ("日", "Noto Sans CJK"), ("ក", "Noto Sans Khmer"), ("ส", "Noto Sans Thai")],
)
def test_missing_font_is_named_and_the_code_point_shown(new_font, text, font):
    with pytest.warns(UserWarning, match=rf"no installed font can draw '{text}' \(U\+.*\)\. Install {font}\."):
        figure = plot_attention(np.ones((1, 1)), source=[text], target=["a"])
    assert labels(figure.axes[0].xaxis) == [f"U+{ord(text):04X}"]


def test_font_that_has_a_character_is_found_where_there_is_one():
    assert heatmaps.fonts_for("abc") == ["DejaVu Sans"]
    assert heatmaps.fonts_for("\U0001d7d8")[0] == "DejaVu Sans"


def test_dollar_signs_are_no_formula():
    figure = plot_attention(conversion("$x^2$", "$1"))
    figure.canvas.draw()
    assert figure.axes[0].get_title() == "$x^2$ → $1"
    assert not figure.axes[0].title.get_parse_math()


@pytest.mark.parametrize(("pieces", "begins"), [("_the _do g _bark s .", "the dog barks. the dog"), ("안 녕", "안녕")])
def test_long_title_is_the_text_and_stays_within_the_figure(pieces, begins):
    source = pieces.replace("_", heatmaps.SUBWORD_SPACE).split(" ") * 8
    figure = plot_attention(conversion(source, ["Donaudampfschiff "] * 20))
    figure.canvas.draw()
    title = figure.axes[0].title
    assert title.get_text().replace("\n", " ").startswith(heatmaps._without_undrawable(begins))
    box = title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1


@pytest.mark.filterwarnings("error:Glyph")
def test_every_script_is_drawn_without_a_missing_glyph(tmp_path):
    plot_attention(conversion("3年 ع 한 🗓 ä", "1979")).savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5_000


def test_it_draws_on_given_axes():
    _, axes = plt.subplots()
    assert plot_attention(conversion("ab", "c"), axes=axes, title="mine") is axes.figure
    assert axes.get_title() == "mine"


@pytest.mark.parametrize(("source", "target"), [("", "a"), ("a", "")])
def test_nothing_to_draw_is_refused(source, target):
    with pytest.raises(ValueError, match="source and result must hold at least one token each"):
        plot_attention(conversion(source, target))


WEIGHTS = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
WORDS = {"source": ["the", "dog", "barks"], "target": ["der", "Hund"]}


@pytest.mark.parametrize(
    "weights",
    [WEIGHTS, WEIGHTS.tolist(), WEIGHTS[None], np.stack([WEIGHTS * 2, WEIGHTS * 0]), WEIGHTS[None, None]],
    ids=["array", "list", "batch of one", "mean of two heads", "one head of one"],
)
def test_weights_of_any_attention_are_drawn_with_their_labels(weights):
    axes = plot_attention(weights, **WORDS).axes[0]
    assert (labels(axes.xaxis), labels(axes.yaxis)) == (WORDS["source"], WORDS["target"])
    np.testing.assert_allclose(axes.images[0].get_array(), WEIGHTS)
    assert axes.get_title() == ""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tensor_is_drawn(dtype):
    axes = plot_attention(ops.cast(WEIGHTS, dtype), **WORDS).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), WEIGHTS)


def test_positions_are_numbered_where_there_are_no_labels():
    axes = plot_attention(WEIGHTS, target="ab").axes[0]
    assert (labels(axes.xaxis), labels(axes.yaxis)) == (["0", "1", "2"], ["a", "b"])


def test_labels_of_another_number_are_refused():
    with pytest.raises(
        ValueError, match=r"2 labels of the target and 3 of the source. Received 2 and 2.*weights\[:2, :2\]"
    ):
        plot_attention(WEIGHTS, source=["the", "dog"], target=["der", "Hund"])


@pytest.mark.parametrize("shape", [(3,), (2, 4, 2, 3)])
def test_weights_that_are_no_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(target, source\) or \(heads, target, source\)"):
        plot_attention(np.ones(shape), **WORDS)


def test_labels_as_long_as_sentences_stand_within_the_figure_and_leave_room_for_the_weights():
    story = ["Mary moved to the bathroom, John to the garden."] * 2
    figure = plot_attention(np.ones((2, 2)) / 2, source=story, target=story)
    figure.canvas.draw()
    place, labelled = figure.axes[0].get_window_extent(), figure.axes[0].get_tightbbox()
    assert min(place.width, place.height) > 0.5 * figure.dpi
    assert min(labelled.x0, labelled.y0) > 0
