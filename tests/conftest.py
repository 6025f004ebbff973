"""What all tests share: weights that are the same in every run, and a converter whose answers are right."""

import keras
import pytest

from keras_attention.data import generate_dates
from keras_attention.recipes import train_converter

FORMATS = ("d MMMM y",)


@pytest.fixture(autouse=True)
def _same_weights():
    """A test that fails does so again."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a converter of dates such as `3 May 1979`, right nearly always after a few seconds of training."""
    folder = tmp_path_factory.mktemp("run")
    pairs = generate_dates(9_000, seed=1, formats=FORMATS)
    train_converter(
        pairs[:8_500], pairs[8_500:], epochs=3, units=32, batch_size=64, learning_rate=1e-2, folder=folder, verbose=0
    )
    return folder
