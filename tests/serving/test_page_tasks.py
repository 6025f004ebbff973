"""The page with models of series, histories and prompts, which are exports of their tasks."""

import keras
import numpy as np
import pytest

from keras_attention import (
    CharacterTokenizer,
    Forecaster,
    LanguageModel,
    Recommender,
    RecurrentForecaster,
    TextGenerator,
)
from keras_attention.models import ProfileRecommender, TransformerDecoder
from keras_attention.recommend import Recommendation
from keras_attention.serving.page_answers import forecast_html, recommendation_html
from keras_attention.serving.servable import Servable
from keras_attention.text.vocabulary import Vocabulary

from ..accessibility import colour_scheme, serious_faults
from ..unchecked import unchecked_exports
from .browsing import exploring, opened, serving, wait_for_page
from .conftest import wait_until

ITEMS = ["tea", "coffee", "milk", "sugar", "Käse <b>"]
HORIZON = 3
PAST = "for each of 2 features a line of numbers, the oldest first"


def forecaster():
    """Of two features, what is known of the steps to come, and two numbers that do not change."""
    model = RecurrentForecaster(HORIZON, units=4)
    model({"past": np.ones((1, 5, 2)), "future": np.ones((1, HORIZON, 1)), "static": np.ones((1, 2))})
    return Forecaster(model)


def recommender():
    """Of which the items' popularity falls in their order."""
    model = ProfileRecommender(len(ITEMS) + 4, units=4, users=(6, 3), item_profile_dim=2)
    model.set_profiles(np.ones((6, 3)), np.ones((len(ITEMS) + 4, 2)))
    model.popularity.assign([0, 0, 0, 0, 5, 4, 3, 2, 1])
    return Recommender(model, Vocabulary(ITEMS), Vocabulary(["ada", "bob"]), best=3)


def generator():
    """Which never ends by itself: of two opposite logits one is higher than that of the end, 0."""
    tokenizer = CharacterTokenizer.train(["hello"])
    vocabulary = tokenizer.vocabulary
    embedding = keras.layers.ReversibleEmbedding(len(vocabulary), 8)
    model = LanguageModel(TransformerDecoder(embedding, 1, 2, 16, cross_attention=False))
    model(np.array([[vocabulary.start_id]]))
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 8))
    vectors[vocabulary.end_id] = 0
    vectors[vocabulary.tokens.index("o")] = -vectors[vocabulary.tokens.index("h")]
    embedding.embeddings.assign(vectors)
    return TextGenerator(model, tokenizer, max_length=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    with unchecked_exports():
        for name, make in {"sales": forecaster, "shop": recommender, "tale": generator}.items():
            make().export(folder / name)
    with serving(folder, Servable) as server:
        wait_for_page(server)
        yield server


@pytest.fixture
def page(browser, server):
    with opened(browser, server.port) as page:
        yield page


def value(page, field):
    return page.run(f"return document.querySelector('#{field} textarea, #{field} input')?.value")


def fill(page, field, text):
    """Types into a field instead of what stands there, once it is there."""
    wait_until(lambda: value(page, field) is not None)
    box = page.find(f"#{field} textarea, #{field} input")
    box.send_keys("\ue009a\ue009\ue003", text)  # Control and A, Backspace


def outputs(server, name, inputs):
    """What the protocol answers."""
    status, answer = server.predict({"instances": [inputs]}, name)
    assert status == 200
    return answer["predictions"][0]


def test_forecaster_has_a_field_for_each_input_and_an_example_in_it(page):
    page.choose("sales")
    wait_until(lambda: value(page, "static"))
    assert page.accessible("textbox") == [
        f"Past: {PAST}",
        "Future: 3 numbers",
        "Static: 2 numbers",
    ]
    past = value(page, "past").split("\n")
    assert [len(line.split(",")) for line in past] == [24, 24]
    assert len(value(page, "future").split(",")) == HORIZON
    assert page.text("#convert") == "Forecast"
    page.find("#convert").click()
    assert page.text("#conversion .answer") == "The next 3 steps"


def test_forecast_is_what_the_protocol_answers_and_its_attention_is_explored(page, server):
    page.choose("sales")
    fill(page, "past", "1, 2 3;4\n5 6 7 8")
    fill(page, "future", "0\n1\n0")
    fill(page, "static", "2, 3\n")
    assert page.text("#conversion .answer") == "The next 3 steps"
    inputs = {"past": [[1, 5], [2, 6], [3, 7], [4, 8]], "future": [[0], [1], [0]], "static": [2, 3]}
    expected = outputs(server, "sales", inputs)
    assert page.texts("#conversion .results thead th") == ["step", "value"]
    rows = [[f"step +{step}", f"{value:.4g}"] for step, (value,) in enumerate(expected["forecast"], start=1)]
    assert page.texts("#conversion .results td") == [text for row in rows for text in row]
    assert page.run("return document.querySelectorAll('#conversion polyline').length") == 2
    with exploring(page) as said:
        assert page.texts("#sources button") == ["step -4", "step -3", "step -2", "step -1"]
        page.find("#targets button").click()
        most = np.argmax(expected["weights"][0])
        assert said().startswith(f"step +1 reads step -{4 - most} {expected['weights'][0][most]:.2f}, ")


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("past", "1 2 3", f"Past: expected {PAST}. Received 3 numbers."),
        ("past", "1 2 3\n4 5", f"Past: expected {PAST}. Received lines of 3 and 2 numbers."),
        ("past", "", f"Past: expected {PAST}. Received nothing."),
        ("past", "1 two\n3 4", "Past: expected numbers. Received 'two'."),
        ("past", "1 nan\n3 4", "Past: expected numbers. Received 'nan'."),
        ("future", "1 2", "Future: expected 3 numbers. Received 2 numbers."),
        ("static", "", "Static: expected 2 numbers. Received nothing."),
    ],
)
def test_wrong_numbers_are_told(page, field, typed, told):
    page.choose("sales")
    wait_until(lambda: value(page, "past"))
    fill(page, field, typed)
    page.find("#convert").click()
    assert page.text("#conversion .error") == told


def test_recommender_shows_items_scores_and_attention(page, server):
    page.choose("shop")
    wait_until(lambda: value(page, "history") and value(page, "count"))
    assert value(page, "history").split("\n") == ITEMS[:3]
    assert (value(page, "user"), value(page, "count")) == ("ada", "3")
    assert page.text("#convert") == "Recommend"
    fill(page, "history", "Käse <b>\ntea")
    fill(page, "count", "2")
    page.find("#convert").click()
    expected = outputs(server, "shop", {"history": ["Käse <b>", "tea"], "user": "ada"})
    assert page.text("#conversion .answer") == expected["items"][0]
    rows = zip(expected["items"][:2], expected["scores"], strict=False)
    assert page.texts("#conversion .results td") == [text for item, score in rows for text in (item, f"{score:.3g}")]
    assert not page.texts("#conversion .unsure")
    with exploring(page) as said:
        page.find("#sources button").click()
        assert said() == f"Käse <b> is read by next item {expected['weights'][0]:.2f}"


def test_unknown_item_is_named_and_without_any_there_is_nothing_to_explore(page):
    page.choose("shop")
    fill(page, "history", "tea\n<i>gin")
    page.find("#convert").click()
    assert page.text("#conversion .unsure").startswith("Not read: <i>gin. An item that the model does not know")
    fill(page, "history", "")
    page.find("#convert").click()
    wait_until(lambda: not page.texts("#conversion .unsure"))
    assert page.text("#conversion .answer") == "tea"  # chosen most
    assert not page.texts("#conversion iframe")
    fill(page, "count", "0")
    page.find("#convert").click()
    assert page.text("#conversion .error") == "The number of items must be at least 1. Received 0."


def test_generator_continues_a_prompt_which_may_be_empty(page, server):
    page.choose("tale")
    wait_until(lambda: page.text("#convert") == "Continue")
    assert page.accessible("textbox") == ["Prompt"]
    page.type("hel\n")
    expected = outputs(server, "tale", "hel")
    assert page.text("#conversion .answer") == expected["text"]
    assert len(expected["text"]) == 3
    with exploring(page):
        assert page.texts("#sources button") == ["[START]", *"hel", *expected["text"]]
        assert page.texts("#targets button") == list(expected["text"])
    fill(page, "text", "")
    page.find("#convert").click()
    wait_until(lambda: len(page.texts(".attention-map thead th")) == 1 + 3)  # the start, and what is made of it


def test_fields_of_one_task_are_not_asked_for_by_another(page):
    page.choose("shop")
    wait_until(lambda: value(page, "history"))
    assert [value(page, field) for field in ("text", "past", "future", "static", "story")] == [None] * 5
    page.choose("tale")
    wait_until(lambda: value(page, "text") is not None)
    assert [value(page, field) for field in ("history", "user", "count")] == [None] * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["sales", "shop", "tale"])
def test_forms_and_answers_have_no_serious_fault_for_people_who_see_or_move_otherwise(page, name, scheme):
    with colour_scheme(page.browser, scheme):
        page.browser.refresh()
        wait_until(lambda: page.run("return document.querySelector('#model input')?.value"))
        page.choose(name)
        wait_until(
            lambda: page.text("#convert") == {"sales": "Forecast", "shop": "Recommend", "tale": "Continue"}[name]
        )
        page.tab_to("#convert")
        page.press("\ue007")  # Enter
        with exploring(page):
            assert serious_faults(page.browser) == []
        assert serious_faults(page.browser) == []


def test_model_without_attention_has_nothing_to_explore():
    shown = forecast_html(np.ones((4, 1)), np.ones((2, 1)), np.zeros((2, 4)), "")
    assert "polyline" in shown and "iframe" not in shown


@pytest.mark.parametrize(
    ("weights", "target"),
    [
        (np.ones((7, 2)), ["tea", "milk"]),  # each item attended anew; of seven, two are shown
        (np.ones((3, 5, 2)), ["next item"]),  # layers and heads
        (np.ones(2), ["next item"]),
    ],
)
def test_weights_of_every_kind_of_recommender_can_be_explored(weights, target):
    shown = recommendation_html(Recommendation(["tea", "milk"], np.ones(2), weights), ["jam", "bread"], "")
    names = ", ".join(f"&quot;{name}&quot;" for name in target)
    assert f"&quot;target&quot;: [{names}]" in shown
