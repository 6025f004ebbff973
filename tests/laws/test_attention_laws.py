"""The laws of attention, over every attention layer."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.layers import chunked
from tests.laws.cases import ATTENTIONS, REPEATED, REPEATED_ON_JAX, SUMS_BELOW_ONE, steps_of
from tests.laws.tools import (
    BACKEND,
    array,
    assert_close,
    assert_same,
    dtype_of,
    fewer_on_jax,
    gradients,
    lengths_mask,
    normal,
    only_tensorflow,
    tensor,
)

BATCH, TARGET, SOURCE, DIM, VALUE_DIM = 2, 3, 7, 5, 5
ALL = pytest.mark.parametrize("name", ATTENTIONS)
EPSILON = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}


def assert_rows_sum_to_one(name, weights, atol=1e-5):
    sums = array(weights).sum(-1)
    if name in SUMS_BELOW_ONE:
        assert (sums <= 1.0 + atol).all()
        assert (sums > 0.0).all()
    else:
        assert_allclose(sums, 1.0, atol=atol)


def source_mask(*lengths):
    return tensor(lengths_mask(*lengths, length=SOURCE))


@pytest.fixture
def query():
    return tensor(normal(BATCH, TARGET, DIM, seed=1))


@pytest.fixture
def value():
    return tensor(normal(BATCH, SOURCE, VALUE_DIM, seed=2))


@ALL
@settings(max_examples=10)
@given(lengths=st.tuples(st.integers(1, SOURCE), st.integers(1, SOURCE)), seed=st.integers(0, 9))
def test_what_stands_at_padding_changes_nothing_and_gets_nothing(attention_of, name, lengths, seed):
    layer, mask = attention_of(name), lengths_mask(*lengths, length=SOURCE)
    query, value = normal(BATCH, TARGET, DIM, seed=seed), normal(BATCH, SOURCE, VALUE_DIM, seed=seed + 1)
    noisy = np.where(mask[:, :, None], value, np.float32(1e3))
    expected, received = (layer(query, values, value_mask=mask) for values in (value, noisy))
    assert_close(received.context, expected.context, atol=1e-4)
    assert_close(received.weights, expected.weights)
    assert_rows_sum_to_one(name, received.weights)
    assert (array(received.weights)[np.broadcast_to(~mask[:, None], received.weights.shape)] == 0).all()


@ALL
def test_item_alone_equals_the_item_in_a_padded_batch(attention_of, name, query, value):
    layer = attention_of(name)
    batched = layer(query, value, value_mask=source_mask(4, 7))
    alone = layer(query[:1], value[:1, :4])
    assert_close(batched.context[:1], alone.context)
    assert_close(batched.weights[:1, :, :4], alone.weights)


@ALL
@pytest.mark.parametrize("policy", fewer_on_jax(EPSILON, ["mixed_float16"]))  # the smallest range
def test_row_with_nothing_to_attend_to_gets_zeros_forward_and_backward(name, policy, query, value):
    layer = ATTENTIONS[name](dtype=policy)
    query, value = query * 30, value * 30  # large scores are where float16 breaks
    mask = source_mask(0, 5)
    context, weights = layer(query, value, value_mask=mask)
    assert_same(weights[0], 0)
    assert_same(context[0], 0)
    assert dtype_of(context) == layer.compute_dtype
    if name not in SUMS_BELOW_ONE:  # with large scores those may have moved on beyond the source
        assert_rows_sum_to_one(name, weights[1], atol=EPSILON[policy])

    def loss(query, value):
        return ops.sum(ops.cast(layer(query, value, value_mask=mask).context, "float32"))

    of_query, of_value, *of_weights = gradients(loss, array(query), array(value), variables=layer.trainable_variables)
    for gradient in (of_query, of_value, *of_weights):
        assert np.isfinite(gradient).all()
    assert_same(of_query[0], 0)
    assert_same(of_value[0], 0)


@ALL
def test_causal_mask_hides_the_future(attention_of, name, query):
    weights = array(attention_of(name)(query, query, use_causal_mask=True).weights)
    assert_same(weights[:, np.triu_indices(TARGET, 1)[0], np.triu_indices(TARGET, 1)[1]], 0)
    assert_rows_sum_to_one(name, weights)


@ALL
def test_causal_mask_and_left_padding_leave_dead_rows_at_zero(attention_of, name, query):
    mask = np.array([[False, True, True], [False, False, True]])
    context, weights = attention_of(name)(query, query, value_mask=mask, use_causal_mask=True)
    assert_same(weights[0, 0], 0)
    assert_same(weights[1, :2], 0)
    assert_same(context[1, :2], 0)
    if name != "monotonic":  # it starts on position 0, which is padding here, and moves on from a dead row never
        assert_rows_sum_to_one(name, weights[0, 1:])


@pytest.mark.every_form
@ALL
def test_reading_a_prepared_memory_equals_the_call(attention_of, name, query, value):
    layer, mask = attention_of(name), source_mask(4, 7)
    called = layer(query, value, value_mask=mask)
    memory = layer.prepare(value, value_mask=mask)
    for position, (context, weights, _) in enumerate(steps_of(layer, query, memory)):
        assert_close(context[:, 0], called.context[:, position])
        assert_close(weights[:, 0], called.weights[:, position])


@ALL
def test_one_row_of_queries_may_read_many_sources_and_many_one(attention_of, name, query, value):
    if BACKEND == "jax" and name not in ("general", "Bahdanau", "Bahdanau in chunks", "local-p", "monotonic"):
        pytest.skip("the backward pass of each is compiled, and is that of one of those five")
    layer = attention_of(name)

    def loss(query, value):
        return ops.sum(layer(query, value).context ** 2)

    for side in (0, 1):
        one, several = [array(query), array(value)], [array(query), array(value)]
        one[side] = one[side][:1]
        several[side] = np.repeat(one[side], BATCH, axis=0)
        assert_close(layer(*map(tensor, one)).context, layer(*map(tensor, several)).context)
        received, expected = (gradients(loss, *rows, variables=layer.trainable_variables) for rows in (one, several))
        expected[side] = expected[side].sum(0, keepdims=True)
        for gradient, wanted in zip(received, expected, strict=True):
            assert_close(gradient, wanted, atol=1e-4)


@ALL
def test_key_of_its_own_decides_the_weights_and_value_the_context(attention_of, name, query, value):
    layer, key = attention_of(name), tensor(normal(BATCH, SOURCE, VALUE_DIM, seed=5))
    with_key = layer(query, value, key)
    assert_close(with_key.weights, layer(query, key).weights, atol=1e-6)
    assert_close(with_key.context, with_key.weights @ value)


@ALL
def test_config_makes_the_same_layer_before_and_after_build(name, query, value):
    layer = ATTENTIONS[name](name="it")
    before = layer.get_config()
    expected = layer(query, value)
    config = layer.get_config()
    score = [config.pop("score", None), before.pop("score", None)]
    assert before == config
    if isinstance(score[0], dict):
        assert score[0]["config"] == score[1]["config"]
    for saved in score:
        again = type(layer).from_config(config if saved is None else config | {"score": saved})
        again.build(query.shape, value.shape)
        again.set_weights(layer.get_weights())
        assert_close(again(query, value).weights, expected.weights, atol=1e-6)


@ALL
def test_functional_model_survives_a_keras_file(name, query, value, tmp_path):
    inputs = [keras.Input((None, DIM)), keras.Input((None, VALUE_DIM))]
    outputs = ATTENTIONS[name]()(*inputs)
    model = keras.Model(inputs, list(outputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for expected, received in zip(model([query, value]), again([query, value]), strict=True):
        assert_same(received, expected)


@ALL
def test_symbolic_shape_is_the_eager_shape(attention_of, name, query, value):
    symbolic = ATTENTIONS[name]()(keras.Input((TARGET, DIM), BATCH), keras.Input((SOURCE, VALUE_DIM), BATCH))
    eager = attention_of(name)(query, value)
    assert [tuple(output.shape) for output in symbolic] == [tuple(output.shape) for output in eager]


@only_tensorflow
@ALL
def test_graph_with_unknown_lengths_equals_eager(attention_of, name, query, value):
    import tensorflow as tf

    layer, mask = attention_of(name), source_mask(4, 7)
    expected = layer(query, value, value_mask=mask)
    specs = [tf.TensorSpec([None, None, size]) for size in (DIM, VALUE_DIM)] + [tf.TensorSpec([None, None], tf.bool)]
    graph = tf.function(lambda query, value, mask: layer(query, value, value_mask=mask), input_signature=specs)
    received = graph(query, value, mask)
    assert_close(received.context, expected.context)
    assert_close(received.weights, expected.weights)


@ALL
def test_implicit_masks_arrive_and_the_callers_stay(attention_of, name):
    embedding = keras.layers.Embedding(9, DIM, mask_zero=True)
    source, target = embedding(np.array([[5, 6, 0, 0]])), embedding(np.array([[7, 8, 0]]))
    context, weights = attention_of(name)(target, source)
    assert_same(weights[..., 2:], 0)  # padding is not attended to
    assert_same(weights[:, 2], 0)  # and does not attend
    assert_rows_sum_to_one(name, weights[:, :2])
    assert_same(source._keras_mask, [[True, True, False, False]])
    assert_same(target._keras_mask, [[True, True, False]])
    assert_same(context._keras_mask, [[True, True, False]])


@ALL
def test_dropout_leaves_inference_and_the_returned_weights_alone(attention_of, name, query, value):
    layer = attention_of(name)
    expected = layer(query, value)
    trained = layer(query, value, training=True)
    assert_close(trained.weights, expected.weights, atol=1e-6)
    changes = not np.allclose(array(trained.context), array(expected.context), atol=1e-6)
    assert changes == bool(layer.dropout)


def test_core_gives_zeros_and_zero_gradients_for_dead_rows_of_any_rank():
    scores = normal(2, 3, 5, 7)
    mask = np.zeros((2, 1, 5, 7), bool)
    mask[0, :, 2, :3] = True
    weights = layers.masked_softmax(tensor(scores), tensor(mask))
    assert_close(ops.sum(weights, -1), np.broadcast_to(mask.any(-1), (2, 3, 5)).astype("float32"), atol=1e-6)
    (gradient,) = gradients(lambda scores: ops.sum(layers.masked_softmax(scores, tensor(mask)) ** 2), scores)
    assert_same(gradient[np.broadcast_to(~mask, gradient.shape)], 0)
    assert np.abs(gradient[0, :, 2, :3]).max() > 0


@pytest.mark.parametrize("score", ["general", "additive", "normed_bahdanau"])
def test_chunks_give_the_values_and_gradients_of_the_whole(score, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK_SIZE", 2 * SOURCE * DIM * BATCH)  # two of the three queries
    query, value = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, VALUE_DIM, seed=1)
    masks = {"value_mask": source_mask(4, 7), "attention_mask": tensor(normal(1, TARGET, SOURCE) > -0.5)}
    whole, chunks = (layers.Attention(score, blockwise=blockwise) for blockwise in (False, True))
    for layer in (whole, chunks):
        layer.build(query.shape, value.shape)
    chunks.set_weights(whole.get_weights())

    def results(layer):
        def loss(query, value):
            context, weights = layer(query, value, **masks)
            return ops.sum(context * ops.cos(context)) + ops.sum(weights**2)

        return [*layer(query, value, **masks), *gradients(loss, query, value, variables=layer.trainable_variables)]

    for one, other in zip(results(whole), results(chunks), strict=True):
        assert_close(other, one, atol=1e-4)


class Reader(keras.Model):
    """A subclassed model that reads through every attention at once, those aside that repeat others' code."""

    def __init__(self):
        super().__init__()
        repeated = REPEATED_ON_JAX if BACKEND == "jax" else REPEATED
        self.attentions = [make() for name, make in ATTENTIONS.items() if name not in repeated]
        self.output_layer = keras.layers.Dense(1)

    def call(self, inputs):
        contexts = [attention(inputs["query"], inputs["value"]).context for attention in self.attentions]
        return self.output_layer(ops.concatenate(contexts, -1))


def test_subclassed_model_trains_through_every_attention():
    model = Reader()
    model.compile("sgd", "mse")
    inputs = {"query": normal(4, TARGET, DIM), "value": normal(4, SOURCE, VALUE_DIM, seed=1)}
    model(inputs)
    before = [array(variable) for variable in model.trainable_variables]
    history = model.fit(inputs, np.ones((4, TARGET, 1)), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    unchanged = [
        variable.path
        for variable, values in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(array(variable), values)
    ]
    assert not unchanged
    assert model.predict(inputs, verbose=0).shape == (4, TARGET, 1)
