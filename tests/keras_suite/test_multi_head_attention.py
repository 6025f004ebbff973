"""Keras' own tests of MultiHeadAttention, from the installed package, run on ours.

Nothing is copied: Keras' wheel carries its tests. In the module of tests the
name `layers` is bound to Keras' layers with our class among them.
"""

import types

import keras
import pytest
from keras.src.layers.attention import multi_head_attention_test as suite

from keras_attention import layers

# Tests that ours does not pass: {name of the test: why}. docs/migration.md names them too.
DOCUMENTED_FAILURES = {}

KERAS_LAYERS_WITH_OURS = types.SimpleNamespace(
    **{**vars(suite.layers), "MultiHeadAttention": layers.MultiHeadAttention}
)


class TestKerasSuite(suite.MultiHeadAttentionTest):
    """The tests of Keras' class, inherited."""

    @pytest.fixture(autouse=True)
    def _our_class_in_place_of_keras(self, monkeypatch):
        monkeypatch.setattr(suite, "layers", KERAS_LAYERS_WITH_OURS)


for name, reason in DOCUMENTED_FAILURES.items():
    setattr(TestKerasSuite, name, pytest.mark.xfail(reason=reason, strict=True)(getattr(TestKerasSuite, name)))


def test_the_suite_is_on_our_class_and_whole(request):
    assert KERAS_LAYERS_WITH_OURS.MultiHeadAttention is not keras.layers.MultiHeadAttention
    tests = [name for name in dir(TestKerasSuite) if name.startswith("test_") and name != "test_session"]
    assert len(tests) >= 48
