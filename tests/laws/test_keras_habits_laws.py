"""What Keras does to its own layers works on ours: shapes without a call, clones, configs and files of Keras' layers,
quantisation, LoRA, lists of tensors."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from tests.laws.cases import ATTENTIONS, CELLS, MULTI_HEADS
from tests.laws.tools import array, fewer_on_jax, lengths_mask, normal, tensor

BATCH, TARGET, SOURCE, DIM, UNITS = 2, 4, 6, 5, 6
EVERY_ATTENTION = pytest.mark.parametrize("name", ATTENTIONS)
EVERY_MULTI_HEAD = pytest.mark.parametrize("name", MULTI_HEADS)
QUERY, VALUE, KEY = (normal(BATCH, *shape, seed=seed) for seed, shape in enumerate([(4, 5), (6, 5), (6, 5)]))
KERAS_ARGUMENTS = {"num_heads": 2, "key_dim": 4, "value_dim": 4, "output_shape": 7}  # on JAX Keras' layer has one width


def assert_same(received, expected, **tolerance):
    for one, other in zip(keras.tree.flatten(received), keras.tree.flatten(expected), strict=True):
        assert_allclose(array(one), array(other), **(tolerance or {"atol": 1e-6}))


@EVERY_ATTENTION
def test_list_of_query_value_and_key_is_taken_as_keras_takes_it(name):
    layer = ATTENTIONS[name]()
    query, value, key = (tensor(x) for x in (QUERY, VALUE, KEY))
    masks = [tensor(lengths_mask(3, 4, length=TARGET)), tensor(lengths_mask(4, 6, length=SOURCE))]
    assert_same(layer([query, value]), layer(query, value))
    assert_same(layer([query, value, key]), layer(query, value, key))
    expected = layer(query, value, query_mask=masks[0], value_mask=masks[1])
    assert_same(layer([query, value], mask=masks), expected)
    assert_same(layer((query, value), masks, return_attention_scores=True), expected)


@EVERY_ATTENTION
def test_shape_is_known_without_a_call(name):
    layer = ATTENTIONS[name]()
    context, weights = layer.compute_output_shape((BATCH, None, DIM), (BATCH, SOURCE, DIM))
    assert (tuple(context), tuple(weights)) == ((BATCH, None, DIM), (BATCH, None, SOURCE))
    assert layer.compute_output_shape([(BATCH, None, DIM), (BATCH, SOURCE, DIM)]) == (context, weights)


def test_masks_of_embeddings_arrive_from_a_list():
    inputs = [keras.Input((length,), dtype="int32") for length in (TARGET, SOURCE)]
    embedded = [keras.layers.Embedding(9, DIM, mask_zero=True)(ids) for ids in inputs]
    model = keras.Model(inputs, list(layers.BahdanauAttention(4)(embedded)))
    weights = array(model([np.array([[5, 6, 7, 0]]), np.array([[1, 2, 3, 4, 0, 0]])])[1])
    assert_array_equal(weights[0, :, 4:], 0)
    assert_allclose(weights.sum(-1), [[1, 1, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"must be \[query, value\] or \[query, value, key\]. Received a list of 1"),
        (
            {"mask": np.ones((2, 6), bool)},
            r"mask must be a list .*\[query_mask, value_mask\].*Received a mask of shape",
        ),
        ({"mask": [None] * 3}, "Received 3 masks for 2 inputs"),
        ({"return_attention_scores": False}, "the weights are always returned.*read `.context`"),
    ],
)
def test_list_that_is_not_understood_says_so(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.Attention()([tensor(QUERY), tensor(VALUE)][: 2 if arguments else 1], **arguments)


@pytest.mark.parametrize("name", CELLS)
def test_shapes_of_a_decoder_are_known_without_a_call(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    shapes = rnn.compute_output_shape((BATCH, TARGET, DIM), (BATCH, SOURCE, UNITS))
    received = rnn(tensor(QUERY), tensor(normal(BATCH, SOURCE, UNITS)))
    assert keras.tree.flatten(list(shapes)) == [size for x in keras.tree.flatten(received) for size in x.shape]


@pytest.mark.parametrize("blockwise", [False, True])
@EVERY_MULTI_HEAD
def test_symbolic_call_of_heads_knows_shapes_and_clones_compute_the_same(name, blockwise):
    inputs = keras.Input((TARGET, DIM), BATCH), keras.Input((SOURCE, DIM), BATCH)
    layer = layers.MultiHeadAttention(4, 6, blockwise=blockwise, **MULTI_HEADS[name])
    model = keras.Model(inputs, layer(*inputs))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    data = [tensor(QUERY), tensor(VALUE)]
    assert tuple(model.outputs[0].shape) == tuple(model(data).shape)
    assert_same(clone(data), model(data))


@pytest.mark.parametrize("arguments", [{}, {"use_gate": True}, {"use_bias": False, "sliding_window": 2}])
def test_config_and_weights_of_keras_layer_make_ours(arguments):
    theirs = keras.layers.MultiHeadAttention(**KERAS_ARGUMENTS, **arguments)
    expected = theirs(tensor(QUERY), tensor(VALUE), return_attention_scores=True)
    ours = layers.MultiHeadAttention.from_config(theirs.get_config())
    ours.build(QUERY.shape, VALUE.shape)
    ours.set_weights(theirs.get_weights())
    assert_same(ours(tensor(QUERY), tensor(VALUE), return_attention_scores=True), expected, atol=1e-5)


def functional(attention_class):
    inputs = keras.Input((None, DIM)), keras.Input((None, DIM))
    return keras.Model(inputs, attention_class(**KERAS_ARGUMENTS, name="attention")(*inputs))


def test_weight_file_and_model_file_of_keras_load_into_ours(tmp_path):
    theirs = functional(keras.layers.MultiHeadAttention)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    theirs.save(tmp_path / "theirs.keras")
    expected = theirs([tensor(QUERY), tensor(VALUE)])
    ours = functional(layers.MultiHeadAttention)
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert_same(ours([tensor(QUERY), tensor(VALUE)]), expected, atol=1e-5)
    again = functional(layers.MultiHeadAttention)
    again.load_weights(tmp_path / "theirs.keras")
    assert_same(again([tensor(QUERY), tensor(VALUE)]), expected, atol=1e-5)


def test_model_of_keras_layers_is_cloned_with_ours():
    def replace(layer):
        ours = layers.MultiHeadAttention if isinstance(layer, keras.layers.MultiHeadAttention) else type(layer)
        return ours.from_config(layer.get_config())

    theirs = functional(keras.layers.MultiHeadAttention)
    ours = keras.models.clone_model(theirs, clone_function=replace)
    ours.set_weights(theirs.get_weights())
    assert isinstance(ours.get_layer("attention"), layers.MultiHeadAttention)
    assert_same(ours([tensor(QUERY), tensor(VALUE)]), theirs([tensor(QUERY), tensor(VALUE)]), atol=1e-5)


@pytest.mark.parametrize("attention_axes", [2, (2,)])
def test_heads_over_some_axes_are_keras(attention_axes):
    theirs = keras.layers.MultiHeadAttention(2, 4, attention_axes=attention_axes)
    x, y = tensor(normal(2, 3, 4, 5)), tensor(normal(2, 3, 6, 5, seed=1))
    mask = tensor(
        np.random.default_rng(0).integers(0, 2, (2, 3, 1, 4, 6)).astype("int32") | np.eye(4, 6, dtype="int32")
    )
    expected = theirs(x, y, attention_mask=mask, return_attention_scores=True)
    ours = layers.MultiHeadAttention(2, 4, attention_axes=attention_axes)
    ours.build(x.shape, y.shape)
    ours.set_weights(theirs.get_weights())
    assert_same(ours(x, y, attention_mask=mask, return_attention_scores=True), expected, atol=1e-5)


# Of all heads quantisation sees their projections alone: as wide as Keras', without a bias, and with the rest.
@pytest.mark.parametrize("name", fewer_on_jax(["plain", "wide values, no bias", "everything"], ["everything"]))
def test_model_of_heads_and_blocks_is_quantised(name):
    inputs = keras.Input((None, 8))
    outputs = layers.MultiHeadSelfAttention(4, 6, **MULTI_HEADS[name])(inputs)
    if name == "plain":
        outputs = layers.EncoderBlock(2, 16)(outputs)
    model = keras.Model(inputs, outputs)
    data = tensor(normal(BATCH, TARGET, 8))
    expected = array(model(data))
    model.quantize("int8")
    kernels = {keras.backend.standardize_dtype(weight.dtype) for weight in model.weights if "kernel" in weight.path}
    assert "int8" in kernels
    assert_allclose(array(model(data)), expected, atol=0.1 * np.abs(expected).max())


def test_lora_of_a_projection_changes_nothing_at_first_and_trains_alone():
    layer = layers.MultiHeadAttention(2, 4)
    expected = array(layer(tensor(QUERY), tensor(VALUE)))
    layer.query_dense.enable_lora(2)
    assert_allclose(array(layer(tensor(QUERY), tensor(VALUE))), expected, atol=1e-6)
    layer.query_dense.lora_kernel_b.assign(normal(*layer.query_dense.lora_kernel_b.shape))
    assert np.abs(array(layer(tensor(QUERY), tensor(VALUE))) - expected).max() > 1e-4


def test_distribution_over_time_is_attention_of_each_step():
    layer = keras.layers.TimeDistributed(layers.MultiHeadSelfAttention(2, 4))
    x = tensor(normal(2, 3, 4, 5))
    for step in range(3):
        assert_allclose(array(layer(x))[:, step], array(layer.layer(x[:, step])), atol=1e-5)


def test_overridden_attention_of_keras_signature_is_called():
    class Uniform(layers.MultiHeadAttention):
        def _compute_attention(
            self, query, key, value, attention_mask=None, training=None, return_attention_scores=False
        ):
            weights = ops.ones((query.shape[0], query.shape[2], query.shape[1], key.shape[1])) / key.shape[1]
            return ops.einsum("bnts,bsnh->btnh", weights, value), weights

    layer = Uniform(2, 4)
    output, weights = layer(tensor(QUERY), tensor(VALUE), return_attention_scores=True)
    assert_allclose(array(weights), 1 / SOURCE)
    assert_allclose(array(output)[:, 0], array(output)[:, 1], atol=1e-6)


def test_activity_regularizer_adds_a_loss():
    layer = layers.MultiHeadAttention(2, 4, activity_regularizer="l2")
    layer(tensor(QUERY), tensor(VALUE))
    assert layer.losses


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_mask_of_two_dimensions_and_any_dtype_means_what_keras_means(dtype):
    theirs = keras.layers.MultiHeadAttention(2, 4)
    mask = tensor((np.tri(TARGET, SOURCE) > 0).astype(dtype))
    expected = theirs(tensor(QUERY), tensor(VALUE), attention_mask=mask)
    ours = layers.MultiHeadAttention(2, 4)
    ours.build(QUERY.shape, VALUE.shape)
    ours.set_weights(theirs.get_weights())
    assert_same(ours(tensor(QUERY), tensor(VALUE), attention_mask=mask), expected, atol=1e-5)


def test_order_of_constructor_arguments_is_keras():
    import inspect

    theirs, ours = (
        inspect.signature(layer.__init__).parameters.values()
        for layer in (keras.layers.MultiHeadAttention, layers.MultiHeadAttention)
    )
    own = {"kv_heads", "qk_norm", "positions", "blockwise"}
    assert [(p.name, p.default) for p in theirs] == [(p.name, p.default) for p in ours if p.name not in own]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours if p.name in own)


def test_masks_of_the_callers_tensors_stay():
    embedded = keras.layers.Embedding(9, DIM, mask_zero=True)(np.array([[5, 6, 0]]))
    layers.MultiHeadAttention(2, 4)(embedded, embedded)
    assert_array_equal(array(embedded._keras_mask), [[True, True, False]])
