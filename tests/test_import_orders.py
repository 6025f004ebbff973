"""Keras loads files that hold our classes, whichever of the two packages a process imports first."""

import importlib.util
import os
import subprocess
import sys

import keras
import pytest

from keras_attention import layers
from keras_attention.training import MaskedCrossentropy
from tests.laws.cases import MODELS

LOAD = "import sys, keras; [keras.saving.load_model(path) for path in sys.argv[1:]]"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A functional model with a layer and a loss of ours, and a model of ours."""
    folder = tmp_path_factory.mktemp("models")
    inputs = keras.Input((5, 4))
    functional = keras.Model(inputs, layers.EncoderBlock(2, 8)(inputs))
    functional.compile("sgd", MaskedCrossentropy())
    functional.save(folder / "functional.keras")
    MODELS["luong"]().save(folder / "converter.keras")
    return [folder / "functional.keras", folder / "converter.keras"]


@pytest.mark.parametrize(
    "first",
    [
        "import keras, keras_attention",
        "import keras_attention",
        "from keras_attention.layers.cells import LuongCell",
    ],
)
def test_files_are_loaded_in_every_order_of_imports(files, first):
    # NumPy is imported soonest, but Keras' backend of that name needs JAX, which `make install` brings.
    backend = "numpy" if importlib.util.find_spec("jax") else keras.backend.backend()
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", f"{first}; {LOAD}", *map(str, files)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_finder_is_gone_once_keras_is_there():
    assert not [finder for finder in sys.meta_path if type(finder).__module__ == "keras_attention"]
