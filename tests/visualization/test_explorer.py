"""The explorer of attention: one file, layer and head chosen, both directions, on a desk and on a phone."""

import json
import re

import numpy as np
import pytest

from keras_attention.conversion import Conversion
from keras_attention.visualization.explorer import attention_page

from ..accessibility import colour_scheme, serious_faults

SOURCE, TARGET = ["the", "dog", "</script><b>"], ["der", "Hund"]
# (layers, heads, target, source): each row is one position.
WEIGHTS = np.eye(3)[[[[[0, 1], [1, 1]], [[2, 2], [0, 2]]]]][0]


def data_of(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_page_holds_the_weights_of_each_layer_and_head():
    data = data_of(attention_page(WEIGHTS, SOURCE, TARGET, title="mine"))
    np.testing.assert_array_equal(data["weights"], WEIGHTS)
    assert (data["source"], data["target"], data["title"]) == (SOURCE, TARGET, "mine")


def test_conversion_gives_tokens_title_and_weights_of_its_heads():
    conversion = Conversion("der Hund", -0.1, TARGET, ["the", "▁dog", "s"], np.ones((2, 3)) / 3, [], False, WEIGHTS)
    data = data_of(attention_page(conversion))
    assert (np.shape(data["weights"]), data["title"]) == ((2, 2, 2, 3), "the dogs → der Hund")
    without = data_of(attention_page(conversion._replace(head_weights=None)))
    assert np.shape(without["weights"]) == (1, 1, 2, 3)


def test_space_is_shown():
    assert data_of(attention_page(np.ones((1, 2)) / 2, ["a", " "], ["b"]))["source"] == ["a", "␣"]
    assert data_of(attention_page(np.ones((1, 2)) / 2, [" a", "Mary left."], ["b"]))["source"] == ["␣a", "Mary left."]


@pytest.mark.parametrize(
    ("weights", "source", "target", "message"),
    [
        (np.ones((0, 3)), SOURCE, [], "must hold at least one token each"),
        (WEIGHTS, SOURCE[:2], TARGET, r"2 tokens of the target and 3 of the source. Received 2 and 2.*weights\[\.\.\."),
        (np.ones(3), SOURCE, TARGET, r"Received shape \(3,\). Of a batch, give one row"),
    ],
)
def test_what_cannot_be_shown_is_refused(weights, source, target, message):
    with pytest.raises(ValueError, match=message):
        attention_page(weights, source, target)


@pytest.fixture
def page(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(attention_page(WEIGHTS, SOURCE, TARGET), encoding="utf-8")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(file.as_uri())
    yield Page(browser)
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {message["params"]["request"]["url"] for message in messages if "request" in message["params"]}
    assert {url for url in asked if not url.startswith(("file:", "chrome", "data:"))} == set()


class Page:
    """What a person sees and does."""

    def __init__(self, browser):
        self.browser = browser

    def run(self, script):
        return self.browser.execute_script(script)

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def choose(self, name, label):
        self.find(f"#{name} option:nth-child({label + 1})").click()

    def point_at(self, side, index):
        self.run(f"document.querySelectorAll('#{side} button')[{index}].dispatchEvent(new Event('mouseenter'))")
        return self.said()

    def said(self):
        return re.sub("[\u2068\u2069]", "", self.find("#said").text)

    def lines(self):
        return len(self.browser.find_elements("css selector", "#lines path"))


def test_tokens_with_markup_are_text(page):
    assert page.run("return [...document.querySelectorAll('#sources button')].map(one => one.textContent)") == SOURCE


def test_both_directions_are_told(page):
    assert page.point_at("targets", 0) == "der reads the 0.50, dog 0.25, </script><b> 0.25"
    assert page.lines() == 3
    assert page.point_at("sources", 1) == "dog is read by Hund 0.50, der 0.25"


def test_layer_and_head_are_chosen(page):
    page.choose("layer", 1)
    page.choose("head", 2)
    assert page.point_at("targets", 0) == "der reads dog 1.00, the 0.00, </script><b> 0.00"
    page.choose("layer", 2)
    assert page.point_at("targets", 0) == "der reads the 1.00, dog 0.00, </script><b> 0.00"


def test_token_that_is_chosen_stays(page):
    page.choose("layer", 1)
    page.choose("head", 1)
    page.find("#targets button").click()
    page.point_at("sources", 2)
    page.run("document.querySelectorAll('#sources button')[2].dispatchEvent(new Event('mouseleave'))")
    assert page.said().startswith("der reads the 1.00")
    assert page.find("#targets button").get_attribute("aria-pressed") == "true"


def test_phone_needs_no_scrolling_to_the_side(page):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.run("return document.documentElement.scrollWidth") == 360
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper(page, scheme):
    with colour_scheme(page.browser, scheme):
        ink, quiet, paper = (
            luminance(page.run(f"return getComputedStyle(document.querySelector('{where}')).{what}"))
            for where, what in (("h1", "color"), ("h2", "color"), ("body", "backgroundColor"))
        )
    assert contrast(ink, paper) > 12
    assert contrast(quiet, paper) > 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_fault_for_people_who_see_or_move_otherwise(page, scheme):
    with colour_scheme(page.browser, scheme):
        page.find("#targets button").click()
        assert serious_faults(page.browser) == []


def luminance(colour):
    """Relative luminance, by WCAG 2.2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
