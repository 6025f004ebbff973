"""`keras-attention plot` of models that take no text: their runs, their exports, and what is wrong with inputs."""

import json
import re
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_attention import (
    Forecaster,
    LanguageModel,
    MemoryNetwork,
    QuestionAnswerer,
    Recommender,
    RecurrentForecaster,
    SASRec,
    TextGenerator,
    cli,
    load,
)
from keras_attention.export.warmup import PLACE
from keras_attention.models import DeepInterestNetwork, TransformerDecoder
from keras_attention.tasks import Task
from keras_attention.text import CharacterTokenizer, WordTokenizer
from keras_attention.text.vocabulary import Vocabulary
from tests.unchecked import unchecked_exports

ITEMS = ["tea", "coffee", "milk", "Käse <b>"]
HORIZON = 3
SENTENCES = ["Mary moved to the bathroom.", "John left."]
INPUTS = {
    "qa": {"story": SENTENCES, "question": "Where is Mary?"},
    "sales": {"past": [[1, 5], [2, 6], [3, 7], [4, 8]], "future": [[0], [1], [0]]},
    "shop": {"history": ["Käse <b>", "tea"]},
    "interest": {"history": ["Käse <b>", "tea"]},
}
LABELS = {
    "qa": (SENTENCES, ["hop 1", "hop 2"]),
    "sales": (["step -4", "step -3", "step -2", "step -1"], ["step +1", "step +2", "step +3"]),
    "shop": (["Käse <b>", "tea"], ["next item"]),
    "interest": (["Käse <b>", "tea"], ["coffee", "milk"]),
}


def forecaster(**arguments):
    model = RecurrentForecaster(HORIZON, units=4, **arguments)
    model({"past": np.ones((1, 5, 2)), "future": np.ones((1, HORIZON, 1))})
    return Forecaster(model)


def generator():
    tokenizer = CharacterTokenizer.train(["Tuesday, September 25, 1984"])
    embedding = keras.layers.ReversibleEmbedding(len(tokenizer.vocabulary), 8)
    return TextGenerator(LanguageModel(TransformerDecoder(embedding, 1, 2, 16, cross_attention=False)), tokenizer)


def answerer():
    tokenizer = WordTokenizer.train([*SENTENCES, "Where is Mary?"])
    return QuestionAnswerer(MemoryNetwork(len(tokenizer.vocabulary), units=4, hops=2), tokenizer)


def recommender(kind):
    return Recommender(kind(len(ITEMS) + 4, units=4), Vocabulary(ITEMS), best=2)


TASKS = {
    "qa": answerer,
    "sales": forecaster,
    "shop": lambda: recommender(SASRec),
    "interest": lambda: recommender(DeepInterestNetwork),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with `NAME-run` and `NAME-export` of each task."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    with unchecked_exports():
        for name, make in TASKS.items():
            task = make()
            task(**INPUTS[name])  # builds its model
            task.save(folder / f"{name}-run")
            task.export(folder / f"{name}-export")
    return folder


def plot(model, *arguments):
    return cli.main(["plot", "--model", str(model), *map(str, arguments)])


def data_of(file):
    page = file.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def refused(capsys, model, *arguments):
    """The one line that says what is wrong."""
    assert plot(model, *arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def example_in(error):
    return json.loads(re.search(r"such as '(.*?)'", error)[1])


@pytest.mark.parametrize("form", ["run", "export"])
@pytest.mark.parametrize("name", TASKS)
def test_page_has_the_weights_that_the_task_gives_with_their_names(models, name, form, tmp_path, capsys):
    model, file = models / f"{name}-{form}", tmp_path / "page.html"
    assert plot(model, json.dumps(INPUTS[name]), "--html", file) == 0
    data = data_of(file)
    weights = np.array(data["weights"])
    assert data["source"] == LABELS[name][0]
    assert sorted(data["target"]) == sorted(LABELS[name][1])
    expected = load(model)(**INPUTS[name]).weights
    np.testing.assert_allclose(weights.reshape(expected.shape), expected, atol=1e-4)
    asked, found = re.fullmatch(rf"{re.escape(str(file))}: (.*) -> (.*)\n", capsys.readouterr().out).groups()
    assert data["title"] == f"{asked} → {found}"


@pytest.mark.parametrize("form", ["run", "export"])
def test_without_a_text_the_example_of_the_export_is_plotted(models, form, tmp_path, capsys):
    file = tmp_path / "page.html"
    assert plot(models / f"sales-{form}", "--html", file) == 0
    assert len(data_of(file)["source"]) == 24
    assert plot(models / f"shop-{form}", "--html", file) == 0
    assert data_of(file)["source"] == ITEMS[:3]
    assert f"{file}: tea, coffee, milk -> " in capsys.readouterr().out


def test_text_task_asks_for_a_text(tmp_path, capsys):
    generator().save(tmp_path / "tale")
    assert "expected the string to convert, as TEXT" in refused(
        capsys, tmp_path / "tale", "--html", tmp_path / "a.html"
    )


def test_export_without_an_example_asks_for_inputs(tmp_path, capsys, unchecked):
    (forecaster().export(tmp_path / "sales") / PLACE).unlink()
    error = refused(capsys, tmp_path / "sales", "--html", tmp_path / "page.html")
    assert example_in(error) == {"past": [[0, 0]], "future": [[0], [0], [0]]}
    assert "as TEXT. Received none" in error


@pytest.mark.parametrize("name", TASKS)
def test_picture_is_drawn_of_every_task(models, name, tmp_path):
    file = tmp_path / "attention.png"
    assert plot(models / f"{name}-export", json.dumps(INPUTS[name]), "--output", file) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("sales", "1, 2", "Received what is not JSON: '1, 2'"),
        ("sales", "[1]", "Received [1]"),
        ("sales", '{"past": [[1, 2]]}', "Received 'past'"),
        ("sales", '{"past": [[1, 2]], "future": {steps}, "static": [1]}', "Received 'past', 'future', 'static'"),
        ("sales", '{"past": [[1], [2]], "future": {steps}}', "past must be float32 of shape (any, 2). Received"),
        (
            "sales",
            '{"past": [[1, 2]], "future": [[0]]}',
            "future must be float32 of shape (3, 1). Received shape (1, 1)",
        ),
        ("sales", '{"past": [[1, "two"]], "future": {steps}}', "Received [[1, 'two']] of type list"),
        ("sales", '{"past": [[1, NaN]], "future": {steps}}', "past must hold finite numbers"),
        ("sales", '{"past": [], "future": {steps}}', "past must be float32 of shape (any, 2). Received shape (0,)"),
        ("qa", '{"story": "Mary left.", "question": "Who?"}', "story must be string of shape (any). Received shape ()"),
        ("qa", '{"story": ["", ""], "question": "Who?"}', "story must hold at least one text. Received ['', '']"),
        ("shop", '{"history": []}', "history must hold at least one text. Received []"),
        ("shop", '{"history": ["tea", 3]}', "Received ['tea', 3] of type list"),
    ],
)
@pytest.mark.parametrize("form", ["run", "export"])
def test_wrong_inputs_are_told_with_what_is_expected(models, form, name, text, told, tmp_path, capsys):
    text = text.replace("{steps}", "[[0], [1], [0]]")
    error = refused(capsys, models / f"{name}-{form}", text, "--html", tmp_path / "page.html")
    assert told in error
    assert (
        example_in(error)
        == {
            "sales": {"past": [[0, 0]], "future": [[0], [0], [0]]},
            "qa": {"story": ["..."], "question": "..."},
            "shop": {"history": ["..."]},
        }[name]
    )
    assert not (tmp_path / "page.html").exists()


def test_model_without_attention_and_history_of_unknown_items_have_nothing_to_plot(models, tmp_path, capsys):
    forecaster(attention=None).save(tmp_path / "flat")
    assert "no weights but zeros" in refused(capsys, tmp_path / "flat", "--html", tmp_path / "page.html")
    unknown = '{"history": ["gin"]}'
    assert "no weights but zeros" in refused(capsys, models / "shop-run", unknown, "--html", tmp_path / "page.html")


class Doubling(Task):
    """A task of one's own, which cannot be exported."""

    input_specs: ClassVar = {"number": tf.TensorSpec([None, 1])}

    def compute(self, number):
        return {"double": 2 * number}


def test_task_of_ones_own_is_told_how_its_weights_are_plotted(tmp_path, capsys):
    Doubling(keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])).save(tmp_path / "double")
    error = refused(capsys, tmp_path / "double", '{"number": [3]}', "--html", tmp_path / "page.html")
    assert "Received a Doubling that gives double. Plot its weights with `attention_page`" in error
    error = refused(capsys, tmp_path / "double", "--html", tmp_path / "page.html")
    assert "such as '{\"number\": [0.0]}', as TEXT. Received none" in error
