"""What the laws share: layers that are made once, and over which forms those run that compile each of them."""

import pytest

from tests.laws.cases import ATTENTIONS, POOLINGS, REPEATED, REPEATED_ON_JAX
from tests.laws.tools import BACKEND, once


def pytest_collection_modifyitems(config, items):
    """Leaves out, where each form is compiled, those that repeat others' code; on JAX that is everywhere."""
    left = [item for item in items if _repeats(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _repeats(item):
    if "/laws/" not in str(item.path) or not hasattr(item, "callspec"):
        return False
    if BACKEND == "jax":
        return item.callspec.params.get("name") in REPEATED_ON_JAX
    return item.get_closest_marker("compiles") is not None and item.callspec.params.get("name") in REPEATED


@pytest.fixture(scope="session")
def attention_of():
    """A function of a name in `ATTENTIONS`: that layer, for laws that only call it."""
    return once(lambda name: ATTENTIONS[name]())


@pytest.fixture(scope="session")
def pooling_of():
    """A function of a name in `POOLINGS`: that layer, for laws that only call it."""
    return once(lambda name: POOLINGS[name]())
