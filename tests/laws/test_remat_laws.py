"""A layer made under `keras.RematScope` gives what it gives without: outputs, losses and weights after training."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from tests.laws.tools import BACKEND, array, begin_anew, lengths_mask, normal, only_tensorflow, tensor

INPUTS, VALUE = normal(2, 5, 8), normal(2, 7, 6, seed=1)
MASK = lengths_mask(5, 3, length=5)
DROPOUTS = {"dropout": 0.5, "attention_dropout": 0.3, "activation_dropout": 0.2, "seed": 1}

SCOPES = {
    "full": {"mode": "full"},
    "activations": {"mode": "activations"},
    "larger_than": {"mode": "larger_than", "output_size_threshold": 50},
    "list_of_layers": {"mode": "list_of_layers", "layer_names": ["layer", "feed_forward", "self_attention"]},
}

# Name: a function that makes a layer, and one that calls it.
FORMS = {
    "residual of a function": (
        lambda: layers.Residual(dropout=0.5, seed=1, name="layer"),
        lambda layer, training: layer(INPUTS, sublayer=lambda x: 2 * x, training=training),
    ),
    "feed-forward": (
        lambda: layers.FeedForward(12, dropout=0.5, seed=1, name="layer"),
        lambda layer, training: layer(INPUTS, training=training),
    ),
    "feed-forward, swiglu": (
        lambda: layers.FeedForward(12, "swiglu", name="layer"),
        lambda layer, training: layer(INPUTS, training=training),
    ),
    "learned positions": (
        lambda: layers.LearnedPositions(9, name="layer"),
        lambda layer, training: layer(INPUTS, mask=tensor(MASK)),
    ),
    "encoder": (
        lambda: layers.EncoderBlock(2, 12, **DROPOUTS),
        lambda layer, training: layer(INPUTS, mask=tensor(MASK), training=training),
    ),
    "encoder, causal, post-norm": (
        lambda: layers.EncoderBlock(2, 12, norm="post", name="layer", dtype="mixed_bfloat16", **DROPOUTS),
        lambda layer, training: layer(INPUTS, use_causal_mask=True, training=training),
    ),
    "decoder, value by keyword, weights": (
        lambda: layers.DecoderBlock(2, 12, name="layer", **DROPOUTS),
        lambda layer, training: layer(INPUTS, value=VALUE, training=training, return_attention_scores=True)[0],
    ),
}


class OneLayer(keras.Model):
    """A model that is one call of a layer."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer = layer
        self._call = call

    def call(self, inputs, training=False):
        return ops.cast(self._call(self.layer, training), "float32") + 0 * ops.sum(inputs)


CASES = [
    ("residual of a function", "full"),
    ("feed-forward", "full"),
    ("feed-forward", "activations"),
    ("feed-forward", "list_of_layers"),
    ("feed-forward, swiglu", "activations"),
    ("learned positions", "larger_than"),
    ("encoder", "larger_than"),
]
if BACKEND != "jax":  # which takes half a minute to compile what is rematerialised at three depths
    CASES += [
        ("encoder", "list_of_layers"),
        ("encoder, causal, post-norm", "list_of_layers"),
        ("decoder, value by keyword, weights", "full"),
        ("decoder, value by keyword, weights", "list_of_layers"),
    ]


@functools.cache
def trained(name, scope=None, eager=BACKEND != "jax"):
    """Outputs of a form, its losses in two steps of training, and its weights after them."""
    begin_anew()
    make, call = FORMS[name]
    with keras.RematScope(**(SCOPES[scope] if scope else {"mode": None})):
        layer = make()
        outputs = array(call(layer, False))
    model = OneLayer(layer, call)
    model.compile("sgd", "mse", run_eagerly=eager, jit_compile=False)
    history = model.fit(np.ones((2, 1)), np.ones(INPUTS.shape), epochs=2, verbose=0)
    return [outputs, history.history["loss"], *map(array, layer.trainable_variables)]


@pytest.mark.parametrize(("name", "scope"), CASES)
def test_scope_changes_neither_outputs_nor_training(name, scope):
    for expected, received in zip(trained(name), trained(name, scope), strict=True):
        assert_allclose(received, expected, atol=1e-3 if "post-norm" in name else 1e-5)


@only_tensorflow
@pytest.mark.parametrize("name", ["feed-forward", "encoder"])
def test_scope_changes_nothing_in_a_graph(name):
    for expected, received in zip(trained(name), trained(name, "full", eager=False), strict=True):
        assert_allclose(received, expected, atol=1e-5)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX differentiates whatever a function uses")
def test_value_given_by_keyword_is_trained_too():
    with keras.RematScope(mode="full"):
        source, block = keras.layers.Dense(6), layers.DecoderBlock(2, 12)
        block(INPUTS, value=source(VALUE))
    model = OneLayer(block, lambda layer, training: layer(INPUTS, value=source(VALUE)))
    model.source = source
    model.compile("sgd", "mse", run_eagerly=True)
    before = array(source.kernel)
    model.train_on_batch(np.ones((2, 1)), np.ones(INPUTS.shape))
    assert np.abs(array(source.kernel) - before).max() > 1e-6
