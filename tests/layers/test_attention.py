"""Attention layers: values, gradients of widths, and their complaints."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.layers.attention import BLOCKWISE_FROM


def ones(*shape):
    return np.ones(shape, "float32")


def test_equal_scores_give_the_mean_of_what_may_be_attended_to():
    value = np.array([[[1.0], [3.0], [100.0]]], "float32")
    context, weights = layers.Attention("dot")(np.zeros((1, 1, 1)), value, value_mask=np.array([[True, True, False]]))
    assert_allclose(context, [[[2.0]]])
    assert_allclose(weights, [[[0.5, 0.5, 0.0]]])


def test_weights_are_a_softmax():
    value = np.log([[[1.0], [3.0]]]).astype("float32")
    assert_allclose(layers.Attention("dot")(ones(1, 1, 1), value).weights, [[[0.25, 0.75]]], rtol=1e-6)


@pytest.mark.parametrize(("queries", "chunks"), [(1, False), (8, False), (9, True)])
def test_several_queries_of_a_long_source_go_in_chunks(queries, chunks):
    layer = layers.BahdanauAttention(4)
    layer.build((1, queries, 3), (1, BLOCKWISE_FROM, 3))
    specs = [tf.TensorSpec((1, length, 3)) for length in (queries, BLOCKWISE_FROM)]
    graph = tf.function(layer, input_signature=specs).get_concrete_function().graph
    assert any("While" in operation.type for operation in graph.get_operations()) == chunks


def test_query_key_and_value_may_differ_in_width():
    context, weights = layers.BahdanauAttention(11)(ones(2, 3, 5), ones(2, 7, 4), ones(2, 7, 6))
    assert context.shape == (2, 3, 4)
    assert weights.shape == (2, 3, 7)


def test_attention_mask_joins_padding():
    attention_mask = np.array([[[True, True, False], [False, True, True]]])
    weights = layers.Attention("dot")(
        ones(1, 2, 1), ones(1, 3, 1), value_mask=np.array([[False, True, True]]), attention_mask=attention_mask
    ).weights
    assert_allclose(weights, [[[0, 1, 0], [0, 0.5, 0.5]]])


def test_bahdanau_attention_equals_keras_additive_attention_on_projected_inputs():
    ours = layers.BahdanauAttention(5)
    query, value = (np.random.default_rng(seed).normal(size=(2, 4, 3)).astype("float32") for seed in (0, 1))
    ours.build(query.shape, value.shape)
    keras_layer = keras.layers.AdditiveAttention()
    projected = ours.score.query_projection(query), ours.score.key_projection(value)
    keras_layer.build([projected[0].shape, projected[1].shape, projected[1].shape])
    keras_layer.set_weights([ours.score.v.numpy()[:, 0]])
    _, weights = keras_layer([projected[0], projected[1], projected[1]], return_attention_scores=True)
    received = ours(query, value)
    assert_allclose(received.weights, weights, atol=1e-6)
    assert_allclose(received.context, weights @ value, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layers.BahdanauAttention(4)(ones(2, 3, 5), ones(2, 5, 8), ones(2, 7, 8)),
            r"BahdanauAttention: key and value must have one length. Received key \(2, 7, 8\) and value \(2, 5, 8\)",
        ),
        (
            lambda: layers.Attention()(ones(2, 5), ones(2, 7, 5)),
            r"query must have 3 dimensions, .* Received shape \(2, 5\). Write `query\[:, None, :\]`",
        ),
        (
            lambda: layers.Attention()(ones(2, 3, 5), ones(2, 7, 5), value_mask=ones(2, 7)),
            r"value_mask must be bool, True = may be attended. Received dtype float32. Write `mask != 0`",
        ),
        (
            lambda: layers.Attention()(ones(2, 3, 5), ones(2, 7, 5), value_mask=ones(2, 3, 7) > 0),
            r"value_mask must have 2 dimensions, \(batch, source\). Received shape \(2, 3, 7\)",
        ),
        (
            lambda: layers.Attention()(ones(2, 3, 5), ones(2, 7, 5), attention_mask=ones(2, 7) > 0),
            r"attention_mask must have 3 dimensions, \(batch, target, source\).*Write `mask\[:, None, :\]`",
        ),
        (
            lambda: layers.Attention()(ones(2, 3, 5), ones(2, 7, 5), value_mask=ones(2, 3) > 0),
            r"value_mask must be \(batch, source\), here \(2, 7\). Received shape \(2, 3\)",
        ),
        (
            lambda: layers.Attention()(ones(2, 3, 5), ones(2, 7, 5), attention_mask=ones(2, 7, 3) > 0),
            r"attention_mask must be \(batch, target, source\), here \(2, 3, 7\). Received shape \(2, 7, 3\)",
        ),
        (lambda: layers.Attention("general").prepare(ones(2, 7, 5)), r"prepare\(\) was called before .* layer.build"),
        (lambda: layers.LuongAttention("cosine"), "score must be a Score, a function .* Received 'cosine'"),
        (lambda: layers.LuongAttention("dot", units=4), "units is the width of the 'concat' score"),
        (lambda: layers.LuongAttention("concat", learned_scale=True), "learned_scale belongs to the scores 'dot'"),
    ],
)
def test_wrong_call_says_what_was_expected_received_and_how_to_fix_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()
