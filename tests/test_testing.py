"""The public checks find what they are for, in Keras' own layers among others."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_attention import Attention
from keras_attention.testing import assert_no_future_leak, assert_padding_invariant

IDS = np.array([[5, 6, 7], [8, 3, 0]])


def keras_stack():
    """Two self-attention layers as the official tutorials stack them."""

    class Stack(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = keras.layers.Embedding(9, 4, mask_zero=True)
            self.layers_ = [keras.layers.MultiHeadAttention(2, 4) for _ in range(2)]

        def call(self, ids):
            x = self.embedding(ids)
            for layer in self.layers_:
                x = x + layer(x, x)
            return x

    keras.utils.set_random_seed(0)
    return Stack()


def test_keras_multi_head_attention_loses_the_mask_in_a_stack():
    with pytest.raises(
        AssertionError, match=r"3 more pads in front change output 0 by up to .* Somewhere a mask is lost"
    ):
        assert_padding_invariant(keras_stack(), IDS, atol=1e-3)


def stack(causal):
    embedding = keras.layers.Embedding(9, 4)
    layers = [Attention("general") for _ in range(2)]

    def model(ids):
        mask = ops.not_equal(ids, 0)
        x = embedding(ids)
        for layer in layers:
            x = x + layer(x, x, value_mask=mask, use_causal_mask=causal).context
        return x * ops.cast(mask[..., None], "float32")

    return model


def test_stack_with_explicit_masks_passes():
    assert_padding_invariant(stack(causal=False), IDS)
    assert_no_future_leak(stack(causal=True), IDS)


def test_missing_causal_mask_is_found():
    with pytest.raises(AssertionError, match="output 0 at position 0 or before depends on inputs after position 0"):
        assert_no_future_leak(stack(causal=False), IDS)


def test_leak_at_a_late_position_is_found():
    with pytest.raises(AssertionError, match="depends on inputs after position 1"):
        assert_no_future_leak(lambda x: ops.concatenate([x[:, :1], x[:, 2:], x[:, 2:]], axis=1), np.ones((1, 3)))


def test_only_the_chosen_inputs_are_touched():
    def model(inputs):
        return inputs["target"] + ops.sum(inputs["source"], axis=1, keepdims=True)

    inputs = {"source": np.ones((1, 3)), "target": np.ones((1, 4))}
    assert_no_future_leak(model, inputs, causal="target")
    assert_padding_invariant(model, inputs, padded="source")
    with pytest.raises(AssertionError):
        assert_no_future_leak(model, inputs)


def test_lists_of_inputs_and_several_outputs_work():
    def model(inputs):
        return {"first": inputs[0], "second": ops.sum(inputs[1])}

    assert_padding_invariant(model, [np.ones((1, 3)), np.ones((1, 2))])
    with pytest.raises(AssertionError, match="change output 1"):
        assert_padding_invariant(model, [np.ones((1, 3)), np.ones((1, 2))], padded=1, pad=7)


def test_unknown_input_is_named():
    with pytest.raises(ValueError, match=r"the inputs have \['source'\]. Received \['sauce'\]"):
        assert_padding_invariant(lambda x: x["source"], {"source": np.ones((1, 2))}, padded="sauce")
