"""The same tokens give the same results wherever padding stands: in front, behind, in between, of source and target.

`keras.utils.pad_sequences` pads in front. What stands at padding, even NaN, reaches nothing.
"""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.testing import PLACES, assert_padding_invariant
from tests.laws.cases import ATTENTIONS, CELLS, MODELS, SOURCE_IDS, TARGET_IDS
from tests.laws.tools import array, gradients, ids, jitted_on_jax, lengths_mask, normal, once, tensor

BATCH, TARGET, SOURCE, DIM, UNITS = 2, 4, 6, 5, 6
EVERY_ATTENTION = pytest.mark.parametrize("name", ATTENTIONS)
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def call_of():
    """A function of a name in `MODELS`: the call of that model, as fast as it gets."""
    return once(lambda name: jitted_on_jax(MODELS[name]()))


def padded_inputs(dim):
    """A target and a source of which every position is a token, with their masks."""
    return {
        "target": normal(BATCH, TARGET, dim),
        "target_mask": np.ones((BATCH, TARGET), bool),
        "source": normal(BATCH, SOURCE, dim, seed=1),
        "source_mask": np.ones((BATCH, SOURCE), bool),
    }


@EVERY_ATTENTION
def test_attention_does_not_see_padding_wherever_it_stands(name):
    layer = ATTENTIONS[name]()

    def call(inputs):
        target, target_mask, source, source_mask = (tensor(inputs[name]) for name in inputs)
        return list(layer(target, source, query_mask=target_mask, value_mask=source_mask))

    assert_padding_invariant(call, padded_inputs(DIM))


@EVERY_CELL
def test_decoder_cell_does_not_see_padding_wherever_it_stands(name):
    rnn = layers.AttentionRNN(CELLS[name]())

    def call(inputs):
        target, target_mask, source, source_mask = (tensor(inputs[name]) for name in inputs)
        output, state, weights = rnn(target, source, value_mask=source_mask, mask=target_mask)
        return [output, *state, weights]

    assert_padding_invariant(call, padded_inputs(UNITS))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_plain_decoder_is_keras_recurrent_layer_with_any_mask(cell):
    rnn = layers.AttentionRNN(layers.PlainCell(UNITS, cell=cell))
    keras_class = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    reference = keras_class(UNITS, return_sequences=True, return_state=True, use_cudnn=False)
    inputs = tensor(normal(BATCH, SOURCE, DIM))
    mask = tensor(np.array([[False, True, True, False, True, False], [True] * 6]))
    rnn(inputs, inputs)
    reference.build(inputs.shape)
    reference.set_weights(rnn.get_weights())
    output, state, _ = rnn(inputs, inputs, mask=mask)
    expected, *expected_state = reference(inputs, mask=mask)
    assert_allclose(array(output), array(expected), atol=1e-5)
    for one, other in zip(state, expected_state, strict=True):
        assert_allclose(array(one), array(other), atol=1e-5)


@EVERY_MODEL
def test_model_does_not_see_padding_of_its_source_wherever_it_stands(call_of, name):
    inputs = {"source": ids(BATCH, SOURCE, high=SOURCE_IDS), "target": ids(BATCH, TARGET, high=TARGET_IDS)}
    assert_padding_invariant(call_of(name), inputs, padded="source")


@EVERY_MODEL
def test_model_does_not_see_padding_of_its_target_wherever_it_stands(call_of, name):
    inputs = {"source": ids(BATCH, SOURCE, high=SOURCE_IDS), "target": ids(BATCH, TARGET, high=TARGET_IDS)}
    assert_padding_invariant(call_of(name), inputs, padded="target")


@EVERY_ATTENTION
def test_nan_at_padding_reaches_neither_context_nor_gradient(name):
    layer = ATTENTIONS[name]()
    query, value = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, DIM, seed=1)
    masks = lengths_mask(2, 4, length=TARGET), lengths_mask(4, 5, length=SOURCE)
    layer.build(query.shape, value.shape)

    def loss(query, value):
        context, weights = layer(query, value, query_mask=tensor(masks[0]), value_mask=tensor(masks[1]))
        return ops.sum(context * ops.cos(context)) + ops.sum(weights**2)

    expected = gradients(loss, query, value)
    query[~masks[0]], value[~masks[1]] = np.nan, np.inf
    for one, other in zip(expected, gradients(loss, query, value), strict=True):
        assert_allclose(other, one, atol=1e-5)


@EVERY_ATTENTION
def test_nan_that_no_query_may_see_reaches_no_context(name):
    layer = ATTENTIONS[name]()
    query, value = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, DIM, seed=1)
    mask = tensor(np.broadcast_to(lengths_mask(4, 5, length=SOURCE)[:, None], (BATCH, TARGET, SOURCE)))
    expected = layer(tensor(query), tensor(value), attention_mask=mask)
    value[0, 4:], value[1, 5:] = np.nan, -np.inf
    received = layer(tensor(query), tensor(value), attention_mask=mask)
    for one, other in zip(expected, received, strict=True):
        assert_allclose(array(other), array(one), atol=1e-5)


@EVERY_CELL
def test_nan_at_padding_reaches_no_output_of_a_decoder(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value = normal(BATCH, TARGET, UNITS), normal(BATCH, SOURCE, UNITS, seed=1)
    masks = np.array([[False, True, True, False], [True] * 4]), lengths_mask(4, 5, length=SOURCE)

    def tokens():
        output, state, weights = rnn(tensor(inputs), tensor(value), value_mask=tensor(masks[1]), mask=tensor(masks[0]))
        return [array(output)[masks[0]], array(weights)[masks[0]], *map(array, state)]

    expected = tokens()
    inputs[~masks[0]], value[~masks[1]] = np.nan, np.inf
    for one, other in zip(expected, tokens(), strict=True):
        assert_allclose(other, one, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_check_of_padding_says_in_which_place_it_is_seen(place):
    def first_and_last_and_length(inputs):
        return ops.stack([inputs[:, 0], inputs[:, -1], ops.sum(ops.ones_like(inputs), axis=1)])

    with pytest.raises(AssertionError, match=f"pads {'in ' if place != 'behind' else ''}{place} change output 0"):
        assert_padding_invariant(first_and_last_and_length, np.array([[4.0, 5.0]]), places=place)
