"""The public checks find what they are for, in Keras' own layers among others."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_attention import Attention, layers
from keras_attention.testing import (
    assert_no_future_leak,
    assert_padding_invariant,
    check_attention,
    check_cell,
)

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


class Forgetful(layers.LocalAttention):
    """It begins anew with each read."""

    def read(self, query, memory, state=(), **arguments):
        return super().read(query, memory, (), **arguments)


class ReadsPadding(layers.Attention):
    def prepare(self, value, key=None, value_mask=None):
        return super().prepare(value, key)


class MovesAtPadding(layers.LuongCell):
    def read(self, inputs, memory, state, mask=None, **arguments):
        return super().read(inputs, memory, state, **arguments)


@pytest.mark.parametrize(
    ("check", "make", "law"),
    [
        (check_attention, lambda: Forgetful("dot", "monotonic", half_width=1), "cut after 1 queries"),
        (check_attention, lambda: ReadsPadding("dot"), "padding in front"),
        (check_cell, lambda: MovesAtPadding(4), "padding of the target"),
        (check_cell, lambda: layers.BahdanauCell(4, attention=ReadsPadding("general")), "padding of the source"),
    ],
)
def test_part_that_breaks_a_law_is_told_which(check, make, law):
    with pytest.raises(AssertionError, match=f"{law}: differs by"):
        check(make)


@pytest.mark.parametrize("make", [lambda: layers.MultiHeadAttention(2, 3), lambda: layers.Attention("general")])
def test_attention_that_keeps_the_laws_passes(make):
    check_attention(make)
