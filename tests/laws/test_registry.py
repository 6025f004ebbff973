"""Nothing public escapes the laws, and no room knows one that it must not know."""

import ast
import pathlib

import keras
import numpy as np
import pytest

import keras_attention
from keras_attention import layers, models
from keras_attention.decoding.strategies import STRATEGIES
from keras_attention.layers.pooling import QUERIES
from keras_attention.layers.scores import _NAMED_FORMS, SCORES
from tests.laws import cases

PACKAGE = pathlib.Path(keras_attention.__file__).parent

# Who may import whom, beside itself. the command line and the recipes may import anything.
MAY_IMPORT = {
    "layers": set(),
    "text": set(),
    "models": {"layers"},
    "decoding": set(),
    "training": {"bleu"},
    "data": {"text", "date_reading"},
    "conversion": set(),
    "forecast": set(),
    "answer": set(),
    "recommend": set(),
    "date_reading": {"conversion"},
    "export": {"answer", "conversion", "date_reading", "forecast", "recommend"},
    "tasks": {
        "models",
        "decoding",
        "text",
        "answer",
        "conversion",
        "data",
        "date_reading",
        "forecast",
        "recommend",
        "export",
        "importers",
        "pretrained",
        "settings",
    },
    "visualization": {"conversion"},
    "serving": {"export", "conversion", "recommend", "visualization"},
    "engines": {"models", "decoding", "settings", "text"},
    "importers": {"models", "layers", "decoding", "text"},
    "testing": set(),
    "bleu": set(),
    "settings": set(),
    "pretrained": set(),
    "dates": {"date_reading", "tasks"},
    "__init__": set(),
    "__main__": {"cli"},
}
FREE = {"cli", "recipes"}

SOURCES = sorted(PACKAGE.rglob("*.py"))

# Whose arguments are those of Keras' MultiHeadAttention, and ours after them.
AS_KERAS_HAS_IT = {"HeadsLayer"}


def public_subclasses(module, base):
    values = (getattr(module, name) for name in module.__all__)
    return {value for value in values if isinstance(value, type) and issubclass(value, base)}


def test_every_score_is_under_the_laws():
    made = {type(make().score) for make in cases.ATTENTIONS.values()}
    assert set(SCORES.values()) <= made
    assert {*SCORES, *_NAMED_FORMS} <= set(cases.ATTENTIONS)


def test_every_attention_layer_is_under_the_laws():
    made = {type(make()) for make in cases.ATTENTIONS.values()} | cases.HEADED | {layers.AttentionLayer}
    assert public_subclasses(layers, layers.AttentionLayer) <= made


def test_every_pooling_and_every_query_of_it_is_under_the_laws():
    made = [make() for make in cases.POOLINGS.values()]
    assert public_subclasses(layers, layers.AttentionPooling) <= set(map(type, made))
    assert set(QUERIES) <= {layer.query for layer in made}


def test_every_decoder_cell_is_under_the_laws():
    made = {type(make()) for make in cases.CELLS.values()} | {layers.DecoderCell}
    assert public_subclasses(layers, layers.DecoderCell) <= made


def test_every_model_is_under_the_laws():
    tables = (
        cases.MODELS,
        cases.LANGUAGE_MODELS,
        cases.FORECASTERS,
        cases.MEMORY_NETWORKS,
        cases.RECOMMENDATION_MODELS,
    )
    made = {type(make()) for table in tables for make in table.values()} | {models.RecommendationModel}
    assert public_subclasses(models, keras.Model) <= made


def test_forms_that_are_left_out_are_forms():
    parts = ("CELLS_AROUND", "IN_CELLS")  # whose names are those of what they make
    tables = [
        value for name, value in vars(cases).items() if isinstance(value, dict) and name not in (*parts, "__builtins__")
    ]
    places = {name: sum(name in table for table in tables) for name in cases.REPEATED_ON_JAX}
    # Twice: the cell around it and the attention or model of the same name, of which both repeat others.
    assert {name for name, count in places.items() if count != 1} <= {"GNMT, previous context, GRU", "local-m"}


def test_every_strategy_is_under_the_laws():
    assert set(STRATEGIES.values()) <= {type(strategy) for strategy in cases.STRATEGIES.values()}


def imports_of(path):
    """First parts, below the package, of all that a file imports from it."""
    for node in ast.walk(parsed(path)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "keras_attention" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_room_imports_one_that_it_must_not_know(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in FREE:
        return
    assert room in MAY_IMPORT, f"{room} is a new room: say in MAY_IMPORT what it may know"
    assert set(imports_of(path)) <= MAY_IMPORT[room] | {room}


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def lines_without_docstring(function):
    first = function.body[0]
    of_docstring = 0 if ast.get_docstring(function) is None else first.end_lineno - first.lineno + 1
    return function.end_lineno - function.lineno + 1 - of_docstring


def test_of_twenty_functions_nineteen_are_shorter_than_thirty_lines():
    nodes = (node for path in SOURCES for node in ast.walk(parsed(path)))
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert np.percentile([lines_without_docstring(function) for function in functions], 95) < 30


def test_no_file_has_more_than_350_lines():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_bytes().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def constructors(path):
    """The classes of a file that have a constructor, each with the arguments that it names."""
    for owner in ast.walk(parsed(path)):
        if isinstance(owner, ast.ClassDef):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    yield owner.name, [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs][1:]


def test_no_constructor_has_more_than_twelve_arguments_but_that_of_keras():
    found = [constructor for path in SOURCES for constructor in constructors(path)]
    assert {owner for owner, arguments in found if len(arguments) > 12} == AS_KERAS_HAS_IT
