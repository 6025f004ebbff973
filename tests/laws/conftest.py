"""What the laws share: layers that are made once."""

import pytest

from tests.laws.cases import ATTENTIONS, POOLINGS
from tests.laws.tools import once


@pytest.fixture(scope="session")
def attention_of():
    """A function of a name in `ATTENTIONS`: that layer, for laws that only call it."""
    return once(lambda name: ATTENTIONS[name]())


@pytest.fixture(scope="session")
def pooling_of():
    """A function of a name in `POOLINGS`: that layer, for laws that only call it."""
    return once(lambda name: POOLINGS[name]())
