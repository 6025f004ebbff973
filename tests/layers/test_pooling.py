"""Numbers, weights and errors of attention pooling; its laws are in tests/laws/test_pooling_laws.py."""

import math

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention import AttentionPooling, layers
from tests.laws.tools import array, normal, tensor

SEQUENCE = normal(2, 7, 5)


def test_the_default_is_the_formula_of_the_paper():
    layer = AttentionPooling(3)
    layer.build(SEQUENCE.shape)
    u_w, kernel, bias = (normal(*weight.shape, seed=seed) for seed, weight in enumerate(layer.weights))
    layer.set_weights([u_w, kernel, bias])
    context, weights = layer(SEQUENCE, return_attention_scores=True)
    u = np.tanh(SEQUENCE @ kernel + bias)  # eq. 5
    expected = np.exp(u @ u_w) / np.exp(u @ u_w).sum(-1, keepdims=True)  # eq. 6
    assert_allclose(array(weights), expected, atol=1e-5)
    assert_allclose(array(context), np.einsum("bt,btd->bd", expected, SEQUENCE), atol=1e-5)  # eq. 7


def test_the_default_is_additive_attention_with_one_query_for_all():
    layer, attention = AttentionPooling(3), layers.BahdanauAttention(3)
    layer.build(SEQUENCE.shape)
    u_w, kernel, bias = (normal(*weight.shape, seed=seed) for seed, weight in enumerate(layer.weights))
    layer.set_weights([u_w, kernel, bias])
    attention.build((2, 1, 3), SEQUENCE.shape)
    attention.score.v.assign(u_w[:, None])
    attention.score.query_projection.kernel.assign(np.eye(3))  # W q is the bias
    attention.score.key_projection.kernel.assign(kernel)
    query = np.broadcast_to(bias, (2, 1, 3))
    assert_allclose(array(layer(SEQUENCE)), array(attention(query, SEQUENCE).context[:, 0]), atol=1e-5)


def test_weights_of_numbers_that_can_be_checked_by_hand():
    layer = AttentionPooling(score="dot")
    layer.build((1, 2, 1))
    layer.set_weights([np.ones(1)])
    context, weights = layer(np.array([[[math.log(3.0)], [0.0]]]), return_attention_scores=True)
    assert_allclose(array(weights), [[0.75, 0.25]], atol=1e-6)
    assert_allclose(array(context), [[0.75 * math.log(3.0)]], atol=1e-6)


def test_it_has_the_weights_of_the_paper_and_no_more():
    layer = AttentionPooling(3)
    layer.build((None, None, 5))
    assert [tuple(weight.shape) for weight in layer.weights] == [(3,), (5, 3), (3,)]
    assert AttentionPooling(query="last", score="dot")(SEQUENCE).shape == (2, 5)


def test_sequential_model_with_it_trains_and_reads_no_padding():
    embedding, encoder, pooling = (
        keras.layers.Embedding(9, 4, mask_zero=True),
        layers.LSTM(5, return_sequences=True),
        AttentionPooling(3),
    )
    model = keras.Sequential([embedding, encoder, pooling, keras.layers.Dense(1, "sigmoid")])
    ids = np.array([[5, 6, 0], [7, 0, 0]])
    model.compile("adam", "binary_crossentropy")
    model.fit(ids, np.array([0, 1]), verbose=0)
    _, weights = pooling(encoder(embedding(ids)), return_attention_scores=True)
    assert_allclose(array(weights)[:, 1:] > 0, [[True, False], [False, False]])


def test_score_that_is_an_object_comes_back_from_a_config():
    layer = AttentionPooling(score=layers.ReducedRankScore(rank=2), dropout=0.1, seed=3)
    again = AttentionPooling.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.attention.score.rank == 2
    assert again.attention.dropout == 0.1


def test_quantized_model_computes_nearly_the_same():
    model = keras.Sequential([keras.Input((7, 5)), AttentionPooling(3)])
    expected = array(model(tensor(SEQUENCE)))
    model.quantize("int8")
    assert_allclose(array(model(tensor(SEQUENCE))), expected, atol=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "AttentionPooling: units must be at least 1. Received units=0"),
        ({"query": "first"}, "query must be 'learned' or 'last'. Received 'first'.*Attention"),
        ({"query": None}, "query must be 'learned' or 'last'. Received None"),
        ({"units": 3, "score": "dot"}, "units is the width of .*'additive'.*Received units=3 with score 'dot'. Drop"),
        ({"units": 3, "score": layers.DotScore()}, "Received units=3 with score <DotScore"),
        ({"score": "unknown"}, "score must be a Score.*Received 'unknown'"),
    ],
)
def test_wrong_arguments_say_what_is_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionPooling(**arguments)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5), r"3 dimensions, \(batch, length, dim\). Received shape \(2, 5\).*return_sequences=True"),
        ((2, 3, 7, 5), r"Received shape \(2, 3, 7, 5\).*TimeDistributed\(AttentionPooling"),
    ],
)
def test_inputs_that_are_no_sequence_are_refused(shape, message):
    built = AttentionPooling(3)
    built.build(SEQUENCE.shape)
    for layer in (AttentionPooling(3), built):
        with pytest.raises(ValueError, match=message):
            layer(normal(*shape))
        with pytest.raises(ValueError, match=message):
            layer.compute_output_shape(shape)


def test_another_width_is_refused_and_an_unknown_one():
    layer = AttentionPooling(3)
    layer.build(SEQUENCE.shape)
    with pytest.raises(ValueError, match=r"must be \(batch, length, 5\).*Received shape \(2, 7, 4\).*for width 5"):
        layer(normal(2, 7, 4))
    with pytest.raises(ValueError, match=r"of a known width. Received shape \(None, None, None\)"):
        AttentionPooling(3).build((None, None, None))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 7)), "AttentionPooling: mask must be bool"),
        (np.ones((2, 7, 5), bool), r"mask must have 2 dimensions, \(batch, length\)"),
        (np.ones((2, 6), bool), r"mask must be \(batch, length\), here \(2, 7\). Received shape \(2, 6\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        AttentionPooling(3)(SEQUENCE, mask=mask)


def test_ragged_inputs_are_refused():
    tensorflow = pytest.importorskip("tensorflow")
    with pytest.raises(TypeError, match="AttentionPooling: inputs must be dense tensors"):
        AttentionPooling(3)(tensorflow.ragged.constant([[[1.0]], [[1.0], [2.0]]]))
