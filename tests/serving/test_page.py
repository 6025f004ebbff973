"""The page, in a browser as a person uses it."""

import logging
import sys
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from keras_attention.conversion import Conversion
from keras_attention.serving.errors import RequestError
from keras_attention.serving.page_tasks import FIELDS
from keras_attention.serving.predictor import Limits
from keras_attention.serving.signatures import TensorSpec

from ..accessibility import colour_scheme, serious_faults
from .browsing import add_model, exploring, opened, serving, wait_for_page
from .conftest import wait_until

RESULTS = {  # tokens of source and result
    "3 May 1979": (list("3 May 1979"), list("1979-05-03")),
    "the third of May 1979": (list("the third of May 1979"), list("1979-05-03")),
    "Das ist schön": (["▁Das", "▁ist", "▁schön"], ["▁That", "▁is", "▁beautiful"]),
    "${1+1} {{name}} <b>": (["${1+1}", " ", "{{name}}", " ", "<b>"], ["<i>", "${name}"]),
    "3/4/2021": (list("3/4/2021"), list("2021-04-03")),
    "tomorrow": (list("tomorrow"), ["?"]),
    "٣ مايو": (["▁٣", "▁مايو"], ["▁", "5월", "▁", "3일"]),
}


class Signature(NamedTuple):
    """What the page asks about a signature."""

    inputs: dict
    outputs: tuple
    is_text: bool


class Fixed:
    """A servable that knows a few texts, and attends from the first token to the first and so on."""

    def __init__(self, name, version, folder):
        self.name, self.version = name, version
        specs = {"text": TensorSpec("string", (None,))}
        if name == "stories":
            specs = {"story": TensorSpec("string", (None, None)), "question": TensorSpec("string", (None,))}
        if name == "world":
            specs |= dict.fromkeys(("locale", "day_first", "two_digit_from"))
        outputs = ("answer", "log_prob", "weights") if name == "stories" else ()  # of texts it is told by `is_text`
        is_text = name in ("dates", "heads", "later", "world")
        self.signatures = {"serving_default": Signature(specs, outputs, is_text)}
        self.task = {}

    def prepare(self, signature_name, inputs):
        outputs = self.answers(**inputs) if self.name == "stories" else self.outputs(*inputs["text"])
        attributes = {"model": self.name, "is_long": False, "is_joined": False, "seconds": 0.0, "batches": []}
        return SimpleNamespace(
            **attributes, start=lambda threads: threads.submit(lambda: None), outputs=lambda: outputs
        )

    def answers(self, story, question):
        assert story.shape[0] == question.shape[0] == 1
        weights = np.zeros((1, 2, story.shape[1]), "float32")
        weights[0, 0, 0], weights[0, 1, -1] = 0.75, 1.0
        return {"answer": np.array([b"<garden>"], object), "log_prob": np.log([0.5]), "weights": weights}

    def outputs(self, text):
        if text.decode() not in RESULTS:
            raise RequestError(400, f"{self.name} refused the inputs: it does not know <{text.decode()}>")
        source, target = RESULTS[text.decode()]
        weights = np.full((1, len(target), len(source)), 0.2 / len(source), "float32")
        weights[0, np.arange(len(target)), np.arange(len(target)) % len(source)] += 0.8
        of_heads = np.repeat(weights[:, :, None, None], 2, axis=3)
        of_heads[:, :, 0, 1] = np.eye(len(source))[-1]  # the second head reads the last token alone
        best = "".join(target).replace("▁", " ").replace("?", "").strip().encode()
        return {
            "text": np.array([best], object),
            "log_prob": np.log([0.75]),
            "tokens": np.array([[token.encode() for token in target]], object),
            "source_tokens": np.array([[token.encode() for token in source]], object),
            "source_length": np.array([len(source)]),
            "weights": weights,
            "n_best_text": np.array([[best, b"<1979>"]], object),
            "n_best_log_prob": np.log([[0.75, 0.125]]),
        } | ({"head_weights": of_heads} if self.name == "heads" else {})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in ("dates", "heads", "stories", "sums", "world"):
        add_model(folder, name)
    with serving(folder, Fixed, Limits(body=20_000, text_length=100)) as server:
        wait_for_page(server)
        yield server


@pytest.fixture
def page(browser, server):
    with opened(browser, server.port) as page:
        yield page


def test_button_shows_result_probability_and_other_results(page):
    page.type("3 May 1979")
    page.find("#convert").click()
    assert page.text("#conversion .answer") == "1979-05-03"
    assert page.texts("#conversion .about") == ["probability 75 % · dates, version 1"]
    assert page.texts("#conversion .results td") == ["1979-05-03", "75 %", "<1979>", "12.5 %"]


def test_enter_shows_attention(page):
    page.type("Das ist schön\n")
    assert page.text("#conversion .answer") == "That is beautiful"
    assert page.texts(".attention-map thead th") == ["▁Das", "▁ist", "▁schön"]
    assert page.texts(".attention-map tbody th") == ["▁That", "▁is", "▁beautiful"]
    assert page.titles()[:3] == ["▁That ← ▁Das: 0.87", "▁That ← ▁ist: 0.07", "▁That ← ▁schön: 0.07"]
    colours = page.run(
        "return [...document.querySelectorAll('td[title]')].map(cell => getComputedStyle(cell).backgroundColor)"
    )
    assert len(colours) == 9 and len(set(colours)) == 2 and colours[0] == colours[4] == colours[8]


def test_attention_is_explored_in_both_directions(page):
    page.type("Das ist schön\n")
    with exploring(page) as said:
        assert page.texts("#sources button") == ["▁Das", "▁ist", "▁schön"]
        assert not page.find("#controls").is_displayed()  # one layer of one head
        page.find("#targets button").click()
        assert said() == "▁That reads ▁Das 0.87, ▁ist 0.07, ▁schön 0.07"
        page.find("#sources li:last-child button").click()
        assert said() == "▁schön is read by ▁beautiful 0.87, ▁That 0.07, ▁is 0.07"
    assert page.run("const one = document.querySelector('#conversion iframe'); return one.sandbox.value + one.src") == (
        "allow-scripts"
    )


def test_head_is_chosen(page):
    page.choose("heads")
    page.type("Das ist schön\n")
    with exploring(page) as said:
        assert page.find("#head").is_displayed() and not page.find("#layer").is_displayed()
        page.find("#targets button").click()
        assert said() == "▁That reads ▁schön 0.53, ▁Das 0.43, ▁ist 0.03"
        page.find("#head option:last-child").click()
        assert said() == "▁That reads ▁schön 1.00, ▁Das 0.00, ▁ist 0.00"


def test_frame_of_the_explorer_is_as_high_as_what_it_shows_and_as_dark_as_the_page(page):
    with colour_scheme(page.browser, "dark"):
        page.browser.refresh()
        wait_until(lambda: page.run("return document.querySelector('#model input')?.value"))
        page.type("Das ist schön\n")
        with exploring(page):
            assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
            high = page.run("return document.body.scrollHeight")
        frame = "document.querySelector('#conversion iframe')"
        page.run(f"{frame}.scrollIntoView()")
        wait_until(lambda: page.run(f"return {frame}.clientHeight") == high)


def test_weights_of_too_many_heads_are_shown_as_their_mean(monkeypatch):
    from keras_attention.serving import page_answers

    conversion = Conversion("b", -0.1, ["b"], ["a"], np.ones((1, 1)), [], False, np.ones((1, 2, 1, 1)))
    assert "&quot;weights&quot;: [[[[1.0]], [[1.0]]]]" in page_answers.conversion_html(conversion, "")
    monkeypatch.setattr(page_answers, "MOST_WEIGHTS", 1)
    assert "&quot;weights&quot;: [[[[1.0]]]]" in page_answers.conversion_html(conversion, "")


def test_weights_can_be_read_without_a_mouse(page):
    page.type("Das ist schön\n")
    wait_until(lambda: page.texts(".attention-map"))
    cells = page.accessible("cell")
    assert cells[:4] == ["0.87", "0.07", "0.07", "0.07"]  # behind the empty one over the rows' names
    assert page.accessible("rowheader")[:1] == ["▁That"] and "▁Das" in page.accessible("columnheader")
    shown = "return getComputedStyle(document.querySelector('.attention-map td span')).color"
    hidden = page.run(shown)
    assert hidden == "rgba(0, 0, 0, 0)"
    page.tab_to(".attention-map-scroll")
    assert page.run(shown) != hidden
    value, cell = page.run(
        "const value = document.querySelector('.attention-map td span').getBoundingClientRect();"
        "const cell = document.querySelector('.attention-map td[title]').getBoundingClientRect();"
        "return [value.width, cell.width]"
    )
    assert value <= cell  # no number runs into the next


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_fault_for_people_who_see_or_move_otherwise(page, scheme):
    with colour_scheme(page.browser, scheme):
        page.browser.refresh()
        wait_until(lambda: page.run("return document.querySelector('#model input')?.value"))
        page.choose("world")
        page.type("3/4/2021\n")
        with exploring(page):
            assert serious_faults(page.browser) == []
        assert serious_faults(page.browser) == []


def test_list_of_models_closes_when_the_keyboard_leaves_it(page):
    page.find("#model input").click()
    wait_until(lambda: page.texts("[role=option]"))
    page.press("\ue004")  # Tab
    wait_until(lambda: not page.texts("[role=option]"))
    assert page.run("return document.querySelector('#model input').value") == "dates"
    page.find("#model input").click()
    wait_until(lambda: page.texts("[role=option]"))
    page.press("\ue00c")  # Escape
    wait_until(lambda: not page.texts("[role=option]"))


def test_markup_and_templates_in_a_text_are_text(page):
    page.type("${1+1} {{name}} <b>\n")
    assert page.text("#conversion .answer") == "<i>${name}"
    assert page.texts(".attention-map thead th") == ["${1+1}", "␣", "{{name}}", "␣", "<b>"]
    with exploring(page):
        assert page.texts("#sources button") == ["${1+1}", "␣", "{{name}}", "␣", "<b>"]


@pytest.mark.parametrize("text", ["unknown <b>text</b>", "9" * 101])
def test_wrong_input_is_told_as_the_protocol_tells_it(page, server, text):
    page.type(f"{text}\n")
    assert page.text("#conversion .error") == server.error({"instances": [text]})[1]


def test_second_result_takes_the_place_of_the_first(page):
    page.type("3 May 1979\n")
    assert page.text("#conversion .answer") == "1979-05-03"
    page.clear()
    page.type("Das ist schön\n")
    wait_until(lambda: page.text("#conversion .answer") == "That is beautiful")
    assert page.titles()[:2] == ["▁That ← ▁Das: 0.87", "▁That ← ▁ist: 0.07"] and len(page.titles()) == 9
    page.clear()
    page.type("what\n")
    assert "it does not know <what>" in page.text("#conversion .error")
    assert page.titles() == []


def test_reader_of_dates_has_examples_marks_what_is_unsure_and_names_its_readings(page):
    assert not page.texts("#examples button, #examples td, #examples .gallery-item")
    page.choose("world")
    wait_until(lambda: page.texts("#examples .gallery-item"))
    assert "2024년 3월 5일" in [text.strip() for text in page.texts("#examples .gallery-item")]
    examples = "[...document.querySelectorAll('#examples .gallery-item')]"
    page.run(f"{examples}.find(one => one.innerText.trim() == '3/4/2021').click()")
    assert page.text("#conversion .answer") == "2021-04-03"
    assert page.text("#conversion .unsure").startswith("Not sure")
    assert page.texts("#conversion h2")[0] == "Readings"
    assert page.run("return document.querySelector('#text textarea, #text input').value") == "3/4/2021"
    page.clear()
    page.type("tomorrow\n")
    wait_until(lambda: page.text("#conversion .answer") == "no date")


def test_a_page_of_another_origin_is_not_answered(server):
    body = {"data": ["dates", "3 May 1979", *[None] * (len(FIELDS) - 1)]}
    for origin, status in ((f"http://127.0.0.1:{server.port}", 200), ("https://evil.example", 404)):
        received, _ = server.ask(
            "POST", "/gradio_api/run/convert", body, {"Origin": origin, "Content-Type": "application/json"}
        )
        assert received == status
        assert not [name for name in server.headers if name.startswith("access-control-")]


def test_nothing_typed_is_told(page):
    page.find("#convert").click()
    assert page.text("#conversion .error") == "There is nothing to convert yet. Type a text."


def test_model_of_another_kind_is_told(page):
    page.choose("sums")
    page.type("3 May 1979\n")
    assert page.text("#conversion .error").startswith("sums is no model of this package")


def test_story_is_shown_with_its_sentences_shaded_by_hop(page):
    page.choose("stories")
    wait_until(lambda: page.texts("#story textarea"))
    page.type("Where is Mary?\n")
    assert page.text("#conversion .error") == "There is no story yet. Type a sentence in a line."
    page.find("#story textarea").send_keys("Mary went <home>.\n\nJohn left.")
    page.find("#convert").click()
    assert page.text("#conversion .answer") == "<garden>"
    assert page.texts("#conversion .about") == ["probability 50 % · stories, version 1"]
    assert page.texts(".attention-map tbody th") == ["Mary went <home>.", "John left."]
    assert page.texts(".attention-map thead th") == ["hop 1", "hop 2"]
    assert page.titles() == ["hop 1: 0.75", "hop 2: 0.00", "hop 1: 0.00", "hop 2: 1.00"]
    with exploring(page) as said:
        page.find("#sources button").click()
        assert said() == "Mary went <home>. is read by hop 1 0.75, hop 2 0.00"
    page.choose("dates")
    wait_until(lambda: not page.texts("#story textarea"))


@pytest.fixture
def later(server):
    """A model that the page did not know when it was made."""
    add_model(server.store.source.folder, "later")
    wait_until(lambda: "later" in server.store.names)
    return "later"


def test_model_that_came_later_can_be_chosen(later, page):
    page.choose(later)
    page.type("3 May 1979\n")
    assert page.text("#conversion .about") == "probability 75 % · later, version 1"


def test_phone_scrolls_the_heatmap_and_not_the_page(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.type("the third of May 1979\n")
    assert page.text("#conversion .answer") == "1979-05-03"
    page.run("document.querySelector('.attention-map-scroll').scrollLeft = 100")
    inner, outer, left = page.run(
        "const scroller = document.querySelector('.attention-map-scroll');"
        "return [scroller.scrollWidth, scroller.clientWidth, scroller.getBoundingClientRect().left]"
    )
    assert inner > outer
    assert page.run("return document.documentElement.scrollWidth") == 390
    assert page.run("return document.querySelector('tbody th').getBoundingClientRect().left") == pytest.approx(left)
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_routes_of_the_server_are_as_without_a_page(server):
    assert server.ask("GET", "/healthz") == (200, "ok\n")
    assert server.ask("POST", "/healthz")[0] == 405
    assert server.ask("GET", "/v1/models/dates")[0] == 200
    assert server.ask("GET", "/nothing") == (404, {"error": "Malformed request: GET /nothing"})


def test_page_takes_no_files_and_no_large_bodies(server):
    assert server.ask("POST", "/gradio_api/upload", b"file")[0] == 404
    assert server.ask("POST", "/gradio_api/run/convert", b"9" * 20_001)[0] == 413


def test_page_comes_with_the_first_model(tmp_path):
    with serving(tmp_path, Fixed) as server:
        status, text = server.ask("GET", "/")
        assert status == 200 and "The page appears in some seconds" in text
        add_model(tmp_path, "dates")
        wait_for_page(server)
        assert server.headers["content-security-policy"].startswith("default-src 'self'")


def test_first_visitor_waits_for_the_page_and_sees_no_error(browser, tmp_path):
    add_model(tmp_path, "dates")
    with serving(tmp_path, Fixed) as server, opened(browser, server.port) as page:
        page.type("3 May 1979\n")
        assert page.text("#conversion .answer") == "1979-05-03"


def test_page_that_cannot_be_made_harms_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_attention.serving.gradio_page", None)
    add_model(tmp_path, "dates")
    logging.getLogger("keras_attention.serving").setLevel(logging.CRITICAL + 1)
    with serving(tmp_path, Fixed) as server:
        wait_until(lambda: server.ask("GET", "/")[0] == 500)
        assert server.ask("GET", "/v1/models/dates")[0] == 200


def test_page_asks_for_the_token(tmp_path):
    with serving(tmp_path, Fixed, token="secret") as server:
        assert server.ask("GET", "/")[0] == 401
        assert server.ask("GET", "/", headers={"Authorization": "Bearer secret"})[0] == 200
