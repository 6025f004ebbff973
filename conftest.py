"""What every doctest of the package may use without importing it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import datetime

import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true", help="every form under every law, and what takes long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--thorough"):
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason="takes long: --thorough"))


@pytest.fixture(autouse=True)
def _names_of_the_library(request):
    """Puts the public names of the package into the examples of its docstrings."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    import keras
    import tensorflow as tf
    from keras import ops

    from keras_attention import conversion, data, decoding, layers, models, tasks, testing, text, training

    names = {"keras": keras, "np": np, "tf": tf, "ops": ops, "datetime": datetime}
    for module in (conversion, data, decoding, layers, models, tasks, testing, text, training):
        names |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
    for name, value in names.items():
        request.node.dtest.globs.setdefault(name, value)
