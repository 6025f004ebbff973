"""The laws of attention pooling: one vector a sequence, which padding does not change."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.testing import assert_padding_invariant
from tests.laws.cases import POOLINGS
from tests.laws.tools import (
    BACKEND,
    array,
    assert_close,
    assert_same,
    begin_anew,
    compiled,
    dtype_of,
    gradients,
    lengths_mask,
    normal,
    tensor,
    with_gradients,
)

BATCH, LENGTH, DIM = 2, 6, 5
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
ALL = pytest.mark.parametrize("name", POOLINGS)
SEQUENCE, MASK = normal(BATCH, LENGTH, DIM), np.array([[False, True, True, False, True, False], [True] * LENGTH])


def sum_of(layer, mask):
    """A scalar function of a sequence, of which no symmetry hides a mistake."""

    def loss(sequence):
        context, weights = layer(sequence, mask=tensor(mask), return_attention_scores=True)
        context, weights = ops.cast(context, "float32"), ops.cast(weights, "float32")
        return ops.sum(context * ops.cos(context)) + ops.sum(weights**2)

    return loss


@ALL
def test_padding_changes_nothing_wherever_it_stands(pooling_of, name):
    def call(inputs):
        sequence, mask = map(tensor, inputs)
        return list(pooling_of(name)(sequence, mask=mask, return_attention_scores=True))

    assert_padding_invariant(call, [SEQUENCE, np.ones((BATCH, LENGTH), bool)])


@ALL
def test_nan_at_padding_reaches_neither_context_nor_gradient(name):
    layer, sequence = POOLINGS[name](), SEQUENCE.copy()
    layer.build(sequence.shape)
    expected = gradients(sum_of(layer, MASK), sequence, variables=layer.trainable_variables)
    sequence[~MASK] = np.nan
    received = gradients(sum_of(layer, MASK), sequence, variables=layer.trainable_variables)
    for one, other in zip(expected, received, strict=True):
        assert_allclose(other, one, atol=1e-5)


@ALL
@pytest.mark.parametrize("policy", POLICIES)
def test_sequence_without_a_token_gets_zeros_forward_and_backward(name, policy):
    layer, mask = POOLINGS[name](dtype=policy), lengths_mask(0, 4, length=LENGTH)
    sequence = SEQUENCE * 30  # large scores are where float16 breaks
    context, weights = layer(tensor(sequence), mask=tensor(mask), return_attention_scores=True)
    assert dtype_of(context) == dtype_of(weights) == layer.compute_dtype
    assert {part.compute_dtype for part in layer._flatten_layers()} == {layer.compute_dtype}
    assert_same(context[0], 0)
    assert_same(weights[0], 0)
    assert_same(weights[1, 4:], 0)
    assert_close(ops.sum(ops.cast(weights[1], "float32")), np.float32(1), atol=2e-2)
    of_sequence, *of_weights = gradients(sum_of(layer, mask), sequence, variables=layer.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in (of_sequence, *of_weights))
    assert_same(of_sequence[0], 0)


@ALL
def test_gradient_reaches_the_sequence_and_every_weight(name):
    layer = POOLINGS[name]()
    layer.build(SEQUENCE.shape)
    found = gradients(sum_of(layer, MASK), SEQUENCE, variables=layer.trainable_variables)
    for gradient, variable in zip(found, ["the sequence", *layer.trainable_variables], strict=True):
        assert np.abs(gradient).max() > 1e-6, variable


@pytest.mark.every_form
@ALL
def test_config_makes_the_same_layer_before_and_after_build(name):
    layer = POOLINGS[name](name="it")
    before = layer.get_config()
    expected = layer(SEQUENCE)
    assert layer.get_config() == before
    again = type(layer).from_config(before)
    assert again.get_config() == before
    again.build(SEQUENCE.shape)
    again.set_weights(layer.get_weights())
    assert_close(again(SEQUENCE), expected, atol=1e-6)


def model_of(pooling):
    """A functional model of ids, whose mask arrives by itself, that gives context and weights."""
    ids = keras.Input((None,), dtype="int32")
    words = keras.layers.Embedding(9, DIM, mask_zero=True)(ids)
    return keras.Model(ids, pooling(words, return_attention_scores=True))


@ALL
def test_model_comes_back_from_a_file_and_its_implicit_mask_is_the_explicit_one(name, tmp_path):
    layer, ids = POOLINGS[name](), np.array([[3, 4, 0, 5, 0], [0, 0, 0, 0, 0]])
    model = model_of(layer)
    expected = layer(model.layers[1](ids) + 0.0, mask=tensor(ids != 0), return_attention_scores=True)
    model.save(tmp_path / "model.keras")
    for made in (model, keras.saving.load_model(tmp_path / "model.keras")):
        for one, other in zip(made(ids), expected, strict=True):
            assert_close(one, other, atol=1e-6)
    assert_same(array(expected[1])[0, [2, 4]], 0)


def test_given_mask_wins_and_the_implicit_one_arrives_beside_a_tensor_too():
    layer, words = layers.AttentionPooling(4), keras.layers.Masking()(SEQUENCE * MASK[..., None])
    expected = array(layer(SEQUENCE, mask=tensor(MASK)))
    assert_close(layer(words), expected)
    assert_close(layer(words, training=tensor(False)), expected)
    other = lengths_mask(3, 3, length=LENGTH)
    assert_close(layer(words, mask=tensor(other)), layer(words + 0.0, mask=tensor(other)))


@ALL
def test_context_carries_no_mask(pooling_of, name):
    words = keras.layers.Masking()(SEQUENCE)
    for outputs in (pooling_of(name)(words), pooling_of(name)(words, return_attention_scores=True)):
        assert all(keras.src.backend.get_keras_mask(output) is None for output in keras.tree.flatten(outputs))
    sentences = layers.TimeDistributed(pooling_of(name))(keras.layers.Masking()(SEQUENCE[None] * MASK[None, ..., None]))
    assert_same(keras.src.backend.get_keras_mask(sentences), np.array([[True, True]]))


@ALL
def test_symbolic_shape_is_the_eager_one(pooling_of, name):
    layer = pooling_of(name)
    received = layer(SEQUENCE, return_attention_scores=True)
    symbolic = layer(keras.KerasTensor((BATCH, LENGTH, DIM)), return_attention_scores=True)
    for one, other in zip(symbolic, received, strict=True):
        assert (tuple(one.shape), one.dtype) == (tuple(other.shape), dtype_of(other))
    assert layer(keras.KerasTensor((None, None, DIM))).shape == layer.compute_output_shape((None, None, DIM))
    assert tuple(layer(SEQUENCE).shape) == layer.compute_output_shape(SEQUENCE.shape)


@pytest.mark.compiles
@ALL
@pytest.mark.skipif(BACKEND == "torch", reason="torch compiles nothing that Keras runs")
def test_compiled_is_not_compiled(name):
    layer = POOLINGS[name]()
    layer.build((BATCH, None, DIM))

    def call(sequence):
        mask = tensor(MASK)[:, : ops.shape(sequence)[1]]
        return layer(sequence, mask=mask, return_attention_scores=True)

    run = with_gradients(call, layer.trainable_variables)
    expected = keras.tree.flatten(run(tensor(SEQUENCE)))
    for shapes in ([], [(None, None, DIM)]):
        received = keras.tree.flatten(compiled(run, *shapes)(tensor(SEQUENCE)))
        for one, other in zip(expected, received, strict=True):
            assert_close(other, one, atol=1e-4)


@ALL
def test_sequence_of_no_positions_gets_zeros(pooling_of, name):
    context, weights = pooling_of(name)(tensor(normal(BATCH, 0, DIM)), return_attention_scores=True)
    assert_same(context, np.zeros((BATCH, DIM)))
    assert tuple(weights.shape) == (BATCH, 0)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras computes it in float32 on JAX and torch")
@ALL
def test_float64_is_computed_in_float64(name):
    layer = POOLINGS[name](dtype="float64")
    sequence = tensor(SEQUENCE.astype("float64"))
    moved = array(layer(sequence + 1e-11)) - array(layer(sequence))  # by the last digits of float32
    assert 0 < np.abs(moved).max() < 1e-9


def test_last_token_asks_wherever_padding_stands():
    context, weights = layers.AttentionPooling(query="last", score="dot")(
        tensor(SEQUENCE), mask=tensor(MASK), return_attention_scores=True
    )
    expected = layers.Attention("dot")(
        np.stack([SEQUENCE[0, 4], SEQUENCE[1, 5]])[:, None], tensor(SEQUENCE), value_mask=tensor(MASK)
    )
    assert_close(context, expected.context[:, 0])
    assert_close(weights, expected.weights[:, 0])


def test_dropout_follows_its_seed_acts_in_training_only_and_leaves_the_returned_weights():
    def calls(seed):
        begin_anew()
        layer = layers.AttentionPooling(4, dropout=0.5, seed=seed)
        begin_anew(np.random.randint(100))  # torch's own generator is nobody's seed
        return [layer(SEQUENCE, training=training, return_attention_scores=True) for training in (False, True, True)]

    (plain, weights), (first, first_weights), (second, _) = calls(1)
    assert_same(first_weights, array(weights))
    assert_same(first, array(calls(1)[1][0]))
    assert all(np.abs(array(one) - array(other)).max() > 0 for one, other in ((plain, first), (first, second)))
    assert np.abs(array(first) - array(calls(2)[1][0])).max() > 0


@pytest.mark.parametrize("name", ["learned, with dropout", "last"])
def test_recomputed_in_the_backward_pass_it_is_the_same(name):
    results = []
    for mode in (None, "full"):
        begin_anew()
        with keras.RematScope(mode=mode):
            layer = POOLINGS[name]()
        layer.build(SEQUENCE.shape)

        def loss(sequence, layer=layer):
            return ops.sum(ops.cos(layer(sequence, mask=tensor(MASK), training=True)))

        results.append(gradients(loss, SEQUENCE, variables=layer.trainable_variables))
    for one, other in zip(*results, strict=True):
        assert_allclose(other, one, atol=1e-5)


def hierarchy(sentences):
    """Yang et al.'s network over ids `(batch, sentences, words)`: context and the weights of the sentences."""
    ids = keras.Input((sentences, None), dtype="int32")
    words = keras.layers.Embedding(9, 4, mask_zero=True)(ids)
    encoder = keras.Sequential([layers.GRU(3, return_sequences=True), layers.AttentionPooling(4)])
    encoded = layers.GRU(3, return_sequences=True)(layers.TimeDistributed(encoder)(words))
    return keras.Model(ids, layers.AttentionPooling(4)(encoded, return_attention_scores=True))


def test_hierarchy_of_words_and_sentences_sees_neither_empty_sentences_nor_padded_words(tmp_path):
    model = hierarchy(3)
    context, weights = model(np.array([[[3, 4, 0], [0, 0, 0], [5, 0, 0]], [[0, 0, 0]] * 3]))
    assert_same(weights[0, 1], 0)
    assert_close(ops.sum(weights[0]), np.float32(1))
    assert_same(context[1], 0)
    assert_close(model(np.array([[[3, 4], [5, 0], [0, 0]]]))[0], context[:1])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again(np.array([[[3, 4], [5, 0], [0, 0]]]))[0], context[:1])
