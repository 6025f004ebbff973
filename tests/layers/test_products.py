"""Few positions take other operations of TensorFlow's than many, and give the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_attention import TransformerTranslator
from keras_attention.layers.core import attend
from keras_attention.layers.products import FEW, product, softmax

POSITIONS = [1, FEW, FEW + 1]


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 1e-2), ("bfloat16", 1e-1)])
def test_product_and_softmax_are_those_of_the_formulas(positions, dtype, tolerance):
    generator = np.random.default_rng(0)
    query, key = generator.normal(size=(2, 3, positions, 4)), generator.normal(size=(2, 3, 7, 4))
    scores = product(*(tf.cast(tensor, dtype) for tensor in (query, key)), transpose=True)
    expected = query @ np.swapaxes(key, -1, -2)
    assert_allclose(tf.cast(scores, "float64"), expected, atol=tolerance * 4)
    weights = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    assert_allclose(softmax(tf.constant(expected)), weights, atol=1e-12)
    context = product(*(tf.cast(tensor, dtype) for tensor in (weights, key)))
    assert_allclose(tf.cast(context, "float64"), weights @ key, atol=tolerance)


@pytest.mark.parametrize("positions", POSITIONS)
def test_gradients_do_not_depend_on_the_operation(positions):
    query, key = tf.random.normal([2, positions, 4]), tf.random.normal([2, 7, 4])

    def loss(product, softmax):
        with tf.GradientTape() as tape:
            tape.watch([query, key])
            weights = softmax(product(query, key, True))
            value = tf.reduce_sum(product(weights, key) ** 2)
        return tape.gradient(value, [query, key])

    expected = loss(lambda left, right, transpose=False: tf.matmul(left, right, transpose_b=transpose), tf.nn.softmax)
    for received, gradient in zip(loss(product, softmax), expected, strict=True):
        assert_allclose(received, gradient, atol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
def test_functional_model_may_attend(positions):
    scores, value = keras.Input((positions, 7)), keras.Input((7, 3))
    model = keras.Model([scores, value], attend(scores, value).context)
    given = tf.random.normal([2, positions, 7]), tf.random.normal([2, 7, 3])
    assert_allclose(model(given), tf.nn.softmax(given[0]) @ given[1], atol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
def test_product_compiles(positions):
    left, right = tf.random.normal([2, positions, 4]), tf.random.normal([2, 4, 3])
    assert_allclose(tf.function(product, jit_compile=True)(left, right), left @ right, atol=1e-5)


@pytest.mark.parametrize("sharers", [1, 4])
def test_step_of_a_decoder_holds_no_operation_that_is_slow_to_start(sharers):
    model = TransformerTranslator(20, 20, layers=2, units=8, num_heads=2, feed_forward_units=16)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)])
    def step(source, ids):
        memory, state = model.encode(source)
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        model.decode(ids[:, None], memory, state, sharers=sharers)
        kinds.extend(operation.type for operation in operations()[before:])

    kinds = []
    step.get_concrete_function()
    assert not {"BatchMatMulV2", "Softmax"} & set(kinds)
    assert kinds.count("BatchMatMulV3") == 2 * 2 * 2  # query by key and weights by value, twice a layer
