"""Our dense layers and layer normalisation are Keras', with Keras' weights."""

import keras
import numpy as np
import pytest

from keras_attention.layers.dense import HeadsDense, PositionsDense
from keras_attention.layers.normalization import LayerNormalization

TOLERANCES = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 5e-2}
INPUTS = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
HEADS = np.random.default_rng(1).normal(size=(3, 5, 2, 4)).astype("float32")

PAIRS = {
    "dense": (PositionsDense(6), keras.layers.Dense(6), INPUTS),
    "dense, activation": (PositionsDense(6, "relu"), keras.layers.Dense(6, "relu"), INPUTS),
    "dense, no bias": (PositionsDense(6, use_bias=False), keras.layers.Dense(6, use_bias=False), INPUTS),
    "dense, two axes": (PositionsDense(6), keras.layers.Dense(6), INPUTS[:, 0]),
    "dense, no row": (PositionsDense(6), keras.layers.Dense(6), INPUTS[:0]),
    "to heads": (
        HeadsDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de"),
        keras.layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 4), bias_axes="de"),
        INPUTS,
    ),
    "from heads": (
        HeadsDense("abde,dec->abc", output_shape=(None, 8), bias_axes="c"),
        keras.layers.EinsumDense("abde,dec->abc", output_shape=(None, 8), bias_axes="c"),
        HEADS,
    ),
    "normalisation": (LayerNormalization(epsilon=1e-5), keras.layers.LayerNormalization(epsilon=1e-5), INPUTS),
}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_layer_is_that_of_keras_with_its_weights(name, dtype):
    ours, theirs, inputs = (part if isinstance(part, np.ndarray) else again(part, dtype) for part in PAIRS[name])
    for layer in (ours, theirs):
        layer.build(inputs.shape)
    generator = np.random.default_rng(2)
    theirs.set_weights([generator.normal(size=weight.shape) for weight in theirs.weights])
    ours.set_weights(theirs.get_weights())
    expected, received = theirs(inputs), ours(inputs)
    assert keras.backend.standardize_dtype(received.dtype) == keras.backend.standardize_dtype(expected.dtype)
    expected, received = (keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")) for x in (expected, received))
    np.testing.assert_allclose(received, expected, rtol=TOLERANCES[dtype], atol=4 * TOLERANCES[dtype])


def again(layer, dtype):
    """A new layer of the same configuration, which computes in `dtype`."""
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    return type(layer).from_config(layer.get_config() | {"dtype": policy})


def test_unknown_sizes_are_found_out_when_the_graph_runs():
    layer = PositionsDense(6)
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, layer(inputs))
    for rows, length in ((3, 5), (1, 2)):
        x = INPUTS[:rows, :length]
        np.testing.assert_allclose(model.predict(x, verbose=0), x @ layer.kernel.numpy() + layer.bias, atol=1e-5)


def test_a_kernel_of_heads_starts_as_the_matrix_that_it_is():
    layer = HeadsDense("abc,cde->abde", output_shape=(None, 4, 16))
    layer.build((None, None, 64))
    kernel = layer.kernel
    limit = (6.0 / (64 + 64)) ** 0.5
    assert kernel.shape == (64, 4, 16)
    assert 0.95 * limit < float(keras.ops.max(keras.ops.abs(kernel))) <= limit
