"""What the laws share: layers that are made once, and over which forms they run."""

import pytest

from tests.laws.cases import ATTENTIONS, FORECASTERS, MODELS, POOLINGS, REPEATED, REPEATED_ON_JAX
from tests.laws.tools import BACKEND, once


def pytest_collection_modifyitems(config, items):
    """Leaves out forms that repeat others' code, where they cost; with `--thorough` nothing."""
    if config.getoption("--thorough"):
        return
    left = [item for item in items if _repeats(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _repeats(item):
    if "/laws/" not in str(item.path) or not hasattr(item, "callspec"):
        return False
    name = item.callspec.params.get("name")
    if BACKEND == "jax":
        return name in REPEATED_ON_JAX
    # TensorFlow runs single layers at once: of them, there, all forms are under all laws that do not compile.
    costs = BACKEND != "tensorflow" or name in (MODELS | FORECASTERS) or item.get_closest_marker("compiles") is not None
    return costs and name in REPEATED


@pytest.fixture(scope="session")
def attention_of():
    """A function of a name in `ATTENTIONS`: that layer, for laws that only call it."""
    return once(lambda name: ATTENTIONS[name]())


@pytest.fixture(scope="session")
def pooling_of():
    """A function of a name in `POOLINGS`: that layer, for laws that only call it."""
    return once(lambda name: POOLINGS[name]())
