"""The laws of attention, over every attention layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from tests.laws.cases import ATTENTIONS, SUMS_BELOW_ONE, steps_of

BATCH, TARGET, SOURCE, DIM, VALUE_DIM = 2, 3, 7, 5, 5
ALL = pytest.mark.parametrize("name", ATTENTIONS)
EPSILON = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def assert_rows_sum_to_one(name, weights, atol=1e-5):
    sums = np.asarray(weights, "float32").sum(-1)
    if name in SUMS_BELOW_ONE:
        assert (sums <= 1.0 + atol).all()
        assert (sums > 0.0).all()
    else:
        assert_allclose(sums, 1.0, atol=atol)


def source_mask(*lengths, source=SOURCE):
    return np.arange(source) < np.array(lengths)[:, None]


@pytest.fixture
def query():
    return normal(BATCH, TARGET, DIM, seed=1)


@pytest.fixture
def value():
    return normal(BATCH, SOURCE, VALUE_DIM, seed=2)


@ALL
@settings(max_examples=10)
@given(lengths=st.tuples(st.integers(1, SOURCE), st.integers(1, SOURCE)), seed=st.integers(0, 9))
def test_what_stands_at_padding_changes_nothing(name, lengths, seed):
    layer = ATTENTIONS[name]()
    mask = source_mask(*lengths)
    query, value = normal(BATCH, TARGET, DIM, seed=seed), normal(BATCH, SOURCE, VALUE_DIM, seed=seed + 1)
    noisy = np.where(mask[:, :, None], value, 1e3)
    expected, received = (layer(query, values, value_mask=mask) for values in (value, noisy))
    assert_allclose(received.context, expected.context, atol=1e-4)
    assert_allclose(received.weights, expected.weights, atol=1e-5)
    assert_rows_sum_to_one(name, received.weights)
    assert (received.weights.numpy()[np.broadcast_to(~mask[:, None], received.weights.shape)] == 0).all()


@ALL
def test_item_alone_equals_the_item_in_a_padded_batch(name, query, value):
    layer = ATTENTIONS[name]()
    batched = layer(query, value, value_mask=source_mask(4, 7))
    alone = layer(query[:1], value[:1, :4])
    assert_allclose(batched.context[:1], alone.context, atol=1e-5)
    assert_allclose(batched.weights[:1, :, :4], alone.weights, atol=1e-5)


@ALL
@pytest.mark.parametrize("policy", EPSILON)
def test_row_with_nothing_to_attend_to_gets_zeros_forward_and_backward(name, policy, query, value):
    layer = ATTENTIONS[name](dtype=policy)
    query, value = tf.constant(query * 30), tf.constant(value * 30)  # large scores are where float16 breaks
    mask = source_mask(0, 5)
    with tf.GradientTape() as tape:
        tape.watch([query, value])
        context, weights = layer(query, value, value_mask=mask)
        loss = tf.reduce_sum(tf.cast(context, "float32"))
    gradients = tape.gradient(loss, [query, value, *layer.trainable_variables])
    dead, live = weights.numpy().astype("float32")
    assert_array_equal(dead, 0)
    assert_array_equal(context[0], 0)
    if name not in SUMS_BELOW_ONE:  # with large scores those may have moved on beyond the source
        assert_rows_sum_to_one(name, live, atol=EPSILON[policy])
    for gradient in gradients:
        assert gradient is None or np.isfinite(gradient.numpy()).all()
    assert_array_equal(gradients[0][0], 0)
    assert_array_equal(gradients[1][0], 0)
    assert keras.backend.standardize_dtype(context.dtype) == layer.compute_dtype


@ALL
def test_causal_mask_hides_the_future(name, query):
    layer = ATTENTIONS[name]()
    weights = layer(query, query, use_causal_mask=True).weights.numpy()
    assert_array_equal(weights[:, np.triu_indices(TARGET, 1)[0], np.triu_indices(TARGET, 1)[1]], 0)
    assert_rows_sum_to_one(name, weights)


@ALL
def test_causal_mask_and_left_padding_leave_dead_rows_at_zero(name, query):
    layer = ATTENTIONS[name]()
    mask = np.array([[False, True, True], [False, False, True]])
    context, weights = layer(query, query, value_mask=mask, use_causal_mask=True)
    assert_array_equal(weights[0, 0], 0)
    assert_array_equal(weights[1, :2], 0)
    assert_array_equal(context[1, :2], 0)
    if name != "monotonic":  # it starts on position 0, which is padding here, and moves on from a dead row never
        assert_rows_sum_to_one(name, weights[0, 1:])


@ALL
def test_reading_a_prepared_memory_equals_the_call(name, query, value):
    layer = ATTENTIONS[name]()
    mask = source_mask(4, 7)
    called = layer(query, value, value_mask=mask)
    memory = layer.prepare(value, value_mask=mask)
    for position, (context, weights) in enumerate(steps_of(layer, query, memory)):
        assert_allclose(context[:, 0], called.context[:, position], atol=1e-5)
        assert_allclose(weights[:, 0], called.weights[:, position], atol=1e-5)


@ALL
def test_key_of_its_own_decides_the_weights_and_value_the_context(name, query, value):
    layer = ATTENTIONS[name]()
    key = normal(BATCH, SOURCE, VALUE_DIM, seed=5)
    with_key = layer(query, value, key)
    assert_allclose(with_key.weights, layer(query, key).weights, atol=1e-6)
    assert_allclose(with_key.context, with_key.weights @ value, atol=1e-5)


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
        assert_allclose(again(query, value).weights, expected.weights, atol=1e-6)


@ALL
def test_functional_model_survives_a_keras_file(name, query, value, tmp_path):
    inputs = [keras.Input((None, DIM)), keras.Input((None, VALUE_DIM))]
    outputs = ATTENTIONS[name]()(*inputs)
    model = keras.Model(inputs, list(outputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for expected, received in zip(model([query, value]), again([query, value]), strict=True):
        assert_array_equal(received, expected)


@ALL
def test_symbolic_shape_is_the_eager_shape(name, query, value):
    symbolic = ATTENTIONS[name]()(keras.Input((TARGET, DIM), BATCH), keras.Input((SOURCE, VALUE_DIM), BATCH))
    eager = ATTENTIONS[name]()(query, value)
    assert tuple(tensor.shape for tensor in symbolic) == tuple(tuple(tensor.shape) for tensor in eager)


@ALL
def test_graph_with_unknown_lengths_equals_eager(name, query, value):
    layer = ATTENTIONS[name]()
    expected = layer(query, value, value_mask=source_mask(4, 7))
    specs = [tf.TensorSpec([None, None, size]) for size in (DIM, VALUE_DIM)] + [tf.TensorSpec([None, None], tf.bool)]
    graph = tf.function(lambda query, value, mask: layer(query, value, value_mask=mask), input_signature=specs)
    received = graph(query, value, source_mask(4, 7))
    assert_allclose(received.context, expected.context, atol=1e-5)
    assert_allclose(received.weights, expected.weights, atol=1e-5)


@ALL
def test_implicit_masks_arrive_and_the_callers_stay(name):
    embedding = keras.layers.Embedding(9, DIM, mask_zero=True)
    source, target = embedding(np.array([[5, 6, 0, 0]])), embedding(np.array([[7, 8, 0]]))
    context, weights = ATTENTIONS[name]()(target, source)
    assert_array_equal(weights[..., 2:], 0)  # padding is not attended to
    assert_array_equal(weights[:, 2], 0)  # and does not attend
    assert_rows_sum_to_one(name, weights[:, :2])
    assert_array_equal(source._keras_mask, [[True, True, False, False]])
    assert_array_equal(target._keras_mask, [[True, True, False]])
    assert_array_equal(context._keras_mask, [[True, True, False]])


@ALL
def test_dropout_leaves_inference_and_the_returned_weights_alone(name, query, value):
    layer = ATTENTIONS[name]()
    expected = layer(query, value)
    trained = layer(query, value, training=True)
    assert_allclose(trained.weights, expected.weights, atol=1e-6)
    changes = not np.allclose(trained.context, expected.context, atol=1e-6)
    assert changes == bool(layer.dropout)


def test_core_gives_zeros_and_zero_gradients_for_dead_rows_of_any_rank():
    scores = tf.constant(normal(2, 3, 5, 7))
    mask = np.zeros((2, 1, 5, 7), bool)
    mask[0, :, 2, :3] = True
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = tf.reduce_sum(layers.masked_softmax(scores, mask) ** 2)
    weights = layers.masked_softmax(scores, mask)
    assert_allclose(np.sum(weights, -1), np.broadcast_to(mask.any(-1), (2, 3, 5)), atol=1e-6)
    gradient = tape.gradient(loss, scores).numpy()
    assert_array_equal(gradient[np.broadcast_to(~mask, gradient.shape)], 0)
    assert np.abs(gradient[0, :, 2, :3]).max() > 0


def test_subclassed_model_trains_through_every_score():
    for make in ATTENTIONS.values():

        class Reader(keras.Model):
            def __init__(self, attention):
                super().__init__()
                self.attention = attention
                self.output_layer = keras.layers.Dense(1)

            def call(self, inputs):
                return self.output_layer(self.attention(inputs["query"], inputs["value"]).context)

        model = Reader(make())
        model.compile("sgd", "mse")
        inputs = {"query": normal(4, TARGET, DIM), "value": normal(4, SOURCE, VALUE_DIM)}
        history = model.fit(inputs, np.ones((4, TARGET, 1)), epochs=1, verbose=0)
        assert np.isfinite(history.history["loss"][0])
        assert ops.shape(model.predict(inputs, verbose=0)) == (4, TARGET, 1)
