"""What the laws share: layers that are made once, and over which forms they run."""

import keras
import pytest

from tests.laws.cases import ATTENTIONS, POOLINGS, RANDOM, REPEATED, REPEATED_COMPILED, REPEATED_ON_JAX
from tests.laws.tools import BACKEND, begin_anew, once


def pytest_collection_modifyitems(config, items):
    """Leaves out forms that repeat others' code, and more of them where each is compiled; with `--thorough` none."""
    if config.getoption("--thorough"):
        return
    left = [item for item in items if _repeats(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _repeats(item):
    if "/laws/" not in str(item.path) or not hasattr(item, "callspec"):
        return False
    if item.get_closest_marker("every_form") and BACKEND == "tensorflow":
        return False
    repeated = REPEATED if item.get_closest_marker("compiles") is None else REPEATED_COMPILED
    return item.callspec.params.get("name") in (REPEATED_ON_JAX if BACKEND == "jax" else repeated)


@pytest.fixture(autouse=True)
def _same_weights(request):
    """Every test begins with the same random numbers, TensorFlow's own too where a search draws them."""
    callspec = getattr(request.node, "callspec", None)
    draws = callspec is not None and callspec.params.get("name") in RANDOM
    (keras.utils.set_random_seed if draws else begin_anew)(0)


@pytest.fixture(scope="session")
def attention_of():
    """A function of a name in `ATTENTIONS`: that layer, for laws that only call it."""
    return once(lambda name: ATTENTIONS[name]())


@pytest.fixture(scope="session")
def pooling_of():
    """A function of a name in `POOLINGS`: that layer, for laws that only call it."""
    return once(lambda name: POOLINGS[name]())
