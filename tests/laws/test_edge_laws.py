"""The edges: no target at all, float64, a policy that is not the global one."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from tests.laws.cases import ATTENTIONS, CELLS, MULTI_HEADS
from tests.laws.tools import BACKEND, array, begin_anew, normal, tensor

BATCH, TARGET, SOURCE, DIM, UNITS = 2, 4, 6, 5, 6
EVERY_ATTENTION = pytest.mark.parametrize("name", ATTENTIONS)
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
no_float64 = pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras computes it in float32 on JAX and torch")


def dtype_of(values):
    return keras.backend.standardize_dtype(values.dtype)


@EVERY_ATTENTION
def test_no_query_gets_no_context(name):
    context, weights = ATTENTIONS[name]()(tensor(normal(BATCH, 0, DIM)), tensor(normal(BATCH, SOURCE, DIM)))
    assert tuple(context.shape) == (BATCH, 0, DIM)
    assert tuple(weights.shape) == (BATCH, 0, SOURCE)


@EVERY_CELL
def test_no_target_leaves_the_state_where_it_was(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    value = tensor(normal(BATCH, SOURCE, UNITS))
    before = rnn(tensor(normal(BATCH, 2, DIM)), value)
    after = rnn(tensor(normal(BATCH, 0, DIM)), value, initial_state=before.state)
    assert tuple(after.output.shape) == (BATCH, 0, rnn.cell.output_dim)
    assert tuple(after.weights.shape) == (BATCH, 0, *before.weights.shape[2:])
    for one, other in zip(before.state, after.state, strict=True):
        assert_allclose(array(other), array(one))


def wide_and_narrow(make, call, *shapes):
    """What two layers of the same weights give: of float64, and of float32."""
    results = []
    for dtype in ("float64", "float32"):
        begin_anew()
        layer = make(dtype=dtype)
        inputs = [ops.cast(tensor(normal(*shape, seed=seed)), dtype) for seed, shape in enumerate(shapes)]
        call(layer, *inputs)
        layer.set_weights([normal(*weight.shape, seed=7) for weight in layer.weights])
        results.append(keras.tree.flatten(call(layer, *inputs)))
    return results


def assert_computed_in_float64(wide, narrow):
    for one, other in zip(wide, narrow, strict=True):
        assert dtype_of(one) == "float64"
        assert_allclose(array(other), array(one), atol=1e-3)
        # Numbers that went through float32 on their way would be float32's to the last digit, or nearly.
        assert not np.array_equal(array(one), array(one).astype("float32")) or not array(one).any()


def exact(make, call, *shapes):
    """How far a float64 layer is from itself with its inputs and weights moved by the last digits of float32."""
    begin_anew()
    layer = make(dtype="float64")
    inputs = [ops.cast(tensor(normal(*shape, seed=seed)), "float64") for seed, shape in enumerate(shapes)]
    first = [array(x) for x in keras.tree.flatten(call(layer, *inputs))]
    moved = [x + 1e-11 for x in inputs]
    second = [array(x) for x in keras.tree.flatten(call(layer, *moved))]
    return max(np.abs(one - other).max() for one, other in zip(first, second, strict=True))


@no_float64
@EVERY_ATTENTION
def test_float64_is_computed_in_float64(name):
    shapes = (BATCH, TARGET, DIM), (BATCH, SOURCE, DIM)
    assert_computed_in_float64(*wide_and_narrow(ATTENTIONS[name], lambda layer, *inputs: layer(*inputs), *shapes))
    # A step of float32 on the way would hide so small a difference, or make it a thousand times as large.
    if name not in ("local-m", "location", "location, longer source than rows"):
        assert 0 < exact(ATTENTIONS[name], lambda layer, *inputs: layer(*inputs), *shapes) < 1e-9


@no_float64
@EVERY_CELL
def test_float64_decoder_is_computed_in_float64(name):
    def make(**arguments):
        return layers.AttentionRNN(CELLS[name](**arguments), **arguments)

    shapes = (BATCH, TARGET, DIM), (BATCH, SOURCE, UNITS)

    def call(layer, *inputs):
        output, state, _ = layer(*inputs)
        return output, layer.cell.split_state(state)[0]

    assert_computed_in_float64(*wide_and_narrow(make, call, *shapes))
    assert 0 < exact(make, call, *shapes) < 1e-9


@no_float64
@pytest.mark.parametrize("blockwise", [False, True])
@pytest.mark.parametrize("name", MULTI_HEADS)
def test_float64_heads_are_computed_in_float64(name, blockwise):
    def make(**arguments):
        return layers.MultiHeadSelfAttention(4, 6, blockwise=blockwise, **MULTI_HEADS[name], **arguments)

    call = lambda layer, inputs: layer(inputs, use_causal_mask=True)  # noqa: E731
    assert_computed_in_float64(*wide_and_narrow(make, call, (BATCH, TARGET, DIM)))
    assert 0 < exact(make, call, (BATCH, TARGET, DIM)) < 1e-8


@pytest.mark.parametrize("name", ["with dropout", "normed in chunks, with dropout"])
def test_policy_of_the_layer_is_that_of_its_dropout(name):
    layer = ATTENTIONS[name](dtype="mixed_bfloat16")
    query, value = tensor(normal(BATCH, TARGET, DIM)), tensor(normal(BATCH, SOURCE, DIM))
    context, weights = layer(query, value, training=True)
    assert dtype_of(context) == dtype_of(weights) == "bfloat16"


@EVERY_CELL
def test_policy_of_the_cell_is_that_of_its_parts(name):
    rnn = layers.AttentionRNN(CELLS[name](dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    output, state, weights = rnn(tensor(normal(BATCH, TARGET, DIM)), tensor(normal(BATCH, SOURCE, UNITS)))
    of_recurrence, fed, _ = rnn.cell.split_state(state)
    assert {dtype_of(values) for values in (output, *of_recurrence, *fed, weights)} == {"bfloat16"}
