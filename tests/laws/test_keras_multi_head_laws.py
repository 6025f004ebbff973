"""Keras' MultiHeadAttention beside ours: axes, masks of every rank, files, quantisation, subclasses made for Keras."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from tests.laws.cases import MULTI_HEADS
from tests.laws.tools import BACKEND, array, compiled, fewer_on_jax, gradients, lengths_mask, normal, tensor

BATCH, TARGET, SOURCE, DIM = 2, 4, 6, 8
EVERY = pytest.mark.parametrize("name", MULTI_HEADS)
QUERY, VALUE = normal(BATCH, TARGET, DIM, seed=1), normal(BATCH, SOURCE, DIM, seed=2)

# Name: arguments of Keras' MultiHeadAttention of 2 heads of 4, the shape of the query and of the value.
KERAS = {
    "plain": ({}, (2, 4, 8), (2, 6, 5)),
    "gate, window, dropout": ({"use_gate": True, "sliding_window": 3, "dropout": 0.1}, (2, 4, 8), (2, 6, 5)),
    "no bias, output": ({"use_bias": False, "output_shape": [3, 5]}, (2, 4, 8), (2, 6, 8)),
    "one axis of two, wide values": ({"attention_axes": 2, "value_dim": 3}, (2, 3, 4, 8), (2, 3, 6, 5)),
    "the other axis": ({"attention_axes": (-3,), "use_gate": True}, (2, 4, 3, 8), (2, 6, 3, 5)),
    "two axes": ({"output_shape": 7}, (2, 3, 4, 8), (2, 5, 1, 8)),
    "two axes of three, turned round": ({"attention_axes": (3, 1)}, (2, 3, 2, 4, 8), (2, 5, 2, 1, 8)),
}
EVERY_OF_KERAS = pytest.mark.parametrize("name", KERAS)


def attention(name, cls=layers.MultiHeadAttention, **arguments):
    return cls(4, 6, **MULTI_HEADS[name], **arguments)


def pair(name):
    """Keras' layer and ours with the same weights, none of them zero, and inputs for them."""
    arguments, query_shape, value_shape = KERAS[name]
    theirs = keras.layers.MultiHeadAttention(2, 4, **arguments)
    theirs.build(query_shape, value_shape)
    theirs.set_weights([normal(*weight.shape, seed=seed) for seed, weight in enumerate(theirs.weights)])
    ours = layers.MultiHeadAttention.from_config(theirs.get_config())
    ours.build(query_shape, value_shape)
    ours.set_weights(theirs.get_weights())
    return theirs, ours, tensor(normal(*query_shape, seed=8)), tensor(normal(*value_shape, seed=9))


def masks_of(layer, query, value):
    """Masks of every rank that the layer's weights have, each row of which allows something; bool, and numbers."""
    _, weights = layer(query, value, return_attention_scores=True)
    attended = len(layer.attention_axes) * 2
    for leading in range(len(weights.shape) - attended + 1):
        shape = tuple(weights.shape[:leading]) + tuple(weights.shape[-attended:])
        mask = np.random.default_rng(leading).random(shape) > 0.4
        mask[..., 0] = True
        yield mask if leading % 2 else mask.astype("float32" if leading else "int32") * 2


@EVERY_OF_KERAS
def test_values_weights_and_masks_of_any_rank_are_those_of_keras(name):
    theirs, ours, query, value = pair(name)
    for mask in (None, *masks_of(theirs, query, value)):
        expected = theirs(query, value, attention_mask=mask, return_attention_scores=True)
        received = ours(query, value, attention_mask=mask, return_attention_scores=True)
        for one, other in zip(expected, received, strict=True):
            assert_allclose(array(other), array(one), atol=2e-5)
        assert_allclose(array(ours(query, value, attention_mask=mask)), array(expected[0]), atol=2e-5)


@EVERY_OF_KERAS
def test_shapes_are_known_before_the_call(name):
    _, ours, query, value = pair(name)
    context, weights = ours(query, value, return_attention_scores=True)
    assert ours.compute_output_shape(list(query.shape), list(value.shape)) == tuple(context.shape)
    inputs = [keras.Input(batch_shape=tuple(x.shape)) for x in (query, value)]
    again = layers.MultiHeadAttention.from_config(ours.get_config())
    assert [x.shape for x in again(*inputs, return_attention_scores=True)] == [
        tuple(x.shape) for x in (context, weights)
    ]
    assert again(*inputs).shape == tuple(context.shape)


@EVERY_OF_KERAS
def test_config_is_that_of_keras_and_stays_what_was_given(name):
    arguments, query_shape, value_shape = KERAS[name]
    theirs, ours = (cls(2, 4, **arguments, name="same") for cls in (keras.layers.MultiHeadAttention,
                                                                    layers.MultiHeadAttention))  # fmt: skip
    assert {key: ours.get_config()[key] for key in theirs.get_config()} == theirs.get_config()
    before = ours.get_config()
    ours.build(query_shape, value_shape)
    assert ours.get_config() == before
    assert layers.MultiHeadAttention.from_config(before).get_config() == before
    theirs.build(query_shape, value_shape)
    assert ours.attention_axes == theirs.attention_axes
    for attribute in ("num_heads", "key_dim", "value_dim", "dropout", "use_bias"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)


def replaced(layer):
    """For `clone_model`: ours in place of Keras' multi-head attention, and other layers as they are."""
    ours = layers.MultiHeadAttention if isinstance(layer, keras.layers.MultiHeadAttention) else type(layer)
    return ours.from_config(layer.get_config())


@EVERY_OF_KERAS
def test_files_of_keras_load(name, tmp_path):
    theirs, ours, *data = pair(name)
    inputs = [keras.Input(x.shape[1:]) for x in data]
    old, new = (keras.Model(inputs, layer(*inputs)) for layer in (theirs, ours))
    expected = array(old(data))
    for file in ("old.keras", "old.weights.h5"):
        (old.save if file == "old.keras" else old.save_weights)(tmp_path / file)
        new.set_weights([np.zeros(weight.shape) for weight in new.get_weights()])
        new.load_weights(tmp_path / file)
        assert_allclose(array(new(data)), expected, atol=2e-5)
    loaded = keras.saving.load_model(tmp_path / "old.keras")
    clone = keras.models.clone_model(loaded, clone_function=replaced)
    clone.set_weights(loaded.get_weights())
    assert isinstance(clone.layers[-1], layers.MultiHeadAttention)
    assert_allclose(array(clone(data)), expected, atol=2e-5)
    new.save_weights(tmp_path / "new.weights.h5")
    loaded.load_weights(tmp_path / "new.weights.h5")
    assert_allclose(array(loaded(data)), expected, atol=2e-5)


def test_time_distributed_hands_each_step_its_mask():
    layer = attention("everything", layers.MultiHeadSelfAttention)
    inputs, mask = normal(BATCH, 3, TARGET, DIM), lengths_mask(2, 4, length=TARGET)
    wrapped = keras.layers.TimeDistributed(layer)
    mask = np.stack([mask, ~mask, mask], axis=1)
    outputs = array(wrapped(inputs, mask=mask))
    assert wrapped.compute_output_shape(inputs.shape) == inputs.shape
    for step in range(3):
        assert_allclose(outputs[:, step], array(layer(inputs[:, step], mask=mask[:, step])), atol=1e-5)


@pytest.mark.parametrize("mode", fewer_on_jax(["int8", "int4"], ["int4"]))
def test_a_layer_that_is_quantized_alone_answers_nearly_the_same(mode):
    layer = attention("everything", use_gate=True)
    expected = array(layer(QUERY, VALUE))
    layer.quantize(mode)
    if mode == "int8":
        assert keras.backend.standardize_dtype(layer.query_dense._kernel.dtype) == "int8"
    received = array(layer(QUERY, VALUE))
    assert not np.array_equal(received, expected)
    assert_allclose(received, expected, atol={"int8": 0.05, "int4": 0.5}[mode] * np.abs(expected).max())


@pytest.mark.skipif(BACKEND == "jax", reason="compiles for ten seconds what Keras reads alike on every backend")
def test_weights_of_a_quantized_model_load_into_another(tmp_path):
    inputs = keras.Input((TARGET, DIM))
    models = [keras.Sequential([inputs, layers.MultiHeadSelfAttention(4, 6)]) for _ in "ab"]
    expected = array(models[0](QUERY))
    for model in models:
        model.quantize("int8")
    received = array(models[0](QUERY))
    assert not np.array_equal(received, expected)
    assert_allclose(received, expected, atol=0.1 * np.abs(expected).max())
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in models[0].weights} == {"int8", "float32"}
    models[0].save_weights(tmp_path / "model.weights.h5")
    models[1].load_weights(tmp_path / "model.weights.h5")
    assert_allclose(array(models[1](QUERY)), received, atol=1e-6)


def test_activity_is_regularised_as_in_keras():
    arguments = {"use_gate": True, "activity_regularizer": "l2", "kernel_regularizer": "l1"}
    theirs, ours = (cls(2, 4, **arguments) for cls in (keras.layers.MultiHeadAttention, layers.MultiHeadAttention))
    theirs(QUERY, VALUE)
    ours.build(QUERY.shape, VALUE.shape)
    ours.set_weights(theirs.get_weights())
    ours(QUERY, VALUE)
    assert len(ours.losses) == len(theirs.losses) == 10
    assert_allclose(sorted(map(float, ours.losses)), sorted(map(float, theirs.losses)), rtol=1e-4)


class Doubled(layers.MultiHeadAttention):
    """Written for Keras' layer: the signature and the attributes of it."""

    def _compute_attention(self, query, key, value, attention_mask=None, training=None, return_attention_scores=False):
        query = ops.multiply(query, self._inverse_sqrt_key_dim)
        scores = self._masked_softmax(ops.einsum(self._dot_product_equation, key, query), attention_mask)
        dropped = self._dropout_layer(scores, training=training) if self._dropout >= 0 else scores
        return 2 * ops.einsum(self._combine_equation, dropped, value), scores


@EVERY
@pytest.mark.parametrize("masked", ["nothing", "a mask", "a mask for each head"])
def test_an_overridden_attention_between_heads_is_what_is_computed(name, masked):
    ours, theirs = attention(name), attention(name, Doubled)
    for layer in (ours, theirs):
        layer.build(QUERY.shape, VALUE.shape)
    theirs.set_weights([w * (0.5 if w.shape[:2] == (4, ours.value_dim) else 1) for w in ours.get_weights()])
    mask = {"nothing": None, "a mask": np.tri(TARGET, SOURCE, 1) > 0}.get(
        masked, np.random.default_rng(0).random((BATCH, 4, TARGET, SOURCE)) > 0.5
    )
    call = {"attention_mask": mask, "value_mask": lengths_mask(3, 6, length=SOURCE), "use_causal_mask": True}
    if name == "alibi":
        with pytest.raises(ValueError, match="an overridden _compute_attention"):
            theirs(QUERY, VALUE, **call)
        return
    expected = ours(QUERY, VALUE, **call, return_attention_scores=True)
    for one, other in zip(expected, theirs(QUERY, VALUE, **call, return_attention_scores=True), strict=True):
        assert_allclose(array(other), array(one), atol=1e-5)
    assert_allclose(array(theirs(QUERY, VALUE, **call)), array(expected[0]), atol=1e-5)


def test_flash_attention_goes_in_blocks_and_refuses_what_keras_refuses():
    flash, plain = layers.MultiHeadAttention(2, 4, flash_attention=True), layers.MultiHeadAttention(2, 4)
    for layer in (flash, plain):
        layer.build(QUERY.shape, VALUE.shape)
    flash.set_weights(plain.get_weights())
    assert_allclose(array(flash(QUERY, VALUE)), array(plain(QUERY, VALUE)), atol=1e-5)
    with pytest.raises(ValueError, match="Returning attention scores is not supported when flash"):
        flash(QUERY, VALUE, return_attention_scores=True)
    with pytest.raises(ValueError, match=r"Dropout is not supported when flash attention is enabled.*dropout=0.1"):
        layers.MultiHeadAttention(2, 4, dropout=0.1, flash_attention=True)
    with pytest.raises(ValueError, match="which blockwise=False forbids"):
        layers.MultiHeadAttention(2, 4, flash_attention=True, blockwise=False)


@pytest.mark.parametrize("blockwise", [False, True], ids=["whole", "blocks"])
@EVERY
def test_what_masks_bar_may_hold_anything_forward_and_backward(name, blockwise):
    layer = attention(name, blockwise=blockwise, use_gate=True)
    layer.build(QUERY.shape, VALUE.shape)
    live, seen = lengths_mask(3, 4, length=TARGET), lengths_mask(6, 2, length=SOURCE)
    dead_column, dead_row = np.arange(SOURCE) != 4, np.arange(TARGET) != 1
    call = {
        "query_mask": live,
        "value_mask": seen,
        "attention_mask": (dead_row[:, None] & dead_column[None, :])[None],
    }

    def loss(query, value):
        context = layer(query, value, **call)
        return ops.sum(context * ops.cos(context))

    bad = np.where(np.arange(DIM) % 2, np.nan, np.inf)
    dirty = (
        np.where((live & dead_row)[..., None], QUERY, bad).astype("float32"),
        np.where((seen & dead_column)[..., None], VALUE, bad).astype("float32"),
    )
    for expected, received in zip(gradients(loss, QUERY, VALUE), gradients(loss, *dirty), strict=True):
        assert np.isfinite(received).all()
        assert_allclose(received, expected, atol=1e-5)
    assert_allclose(array(layer(*map(tensor, dirty), **call)), array(layer(QUERY, VALUE, **call)), atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="torch compiles nothing that Keras runs")
@EVERY_OF_KERAS
def test_compiled_it_is_what_it_is(name):
    _, ours, query, value = pair(name)
    mask = next(iter(masks_of(ours, query, value)))

    def run(query, value):
        return ours(query, value, attention_mask=mask, return_attention_scores=True)

    shapes = [(None, *x.shape[1:-2], None, x.shape[-1]) for x in (query, value)]
    for fast in (compiled(run), compiled(run, *shapes)):
        for one, other in zip(run(query, value), fast(query, value), strict=True):
            assert_allclose(array(other), array(one), atol=1e-5)


def test_padding_of_several_axes_is_a_mask_of_the_leading_ones():
    layer = layers.MultiHeadAttention(2, 4, attention_axes=2)
    inputs = normal(BATCH, 3, TARGET, DIM)
    words = np.random.default_rng(0).random((BATCH, 3, TARGET)) > 0.4
    words[..., 0] = True
    outputs = array(layer(inputs, inputs, query_mask=words, value_mask=words))
    alone = layers.MultiHeadAttention(2, 4)
    alone.build((None, None, DIM), (None, None, DIM))
    alone.set_weights(layer.get_weights())
    for row in range(3):
        part, mask = inputs[:, row], words[:, row]
        assert_allclose(outputs[:, row], array(alone(part, part, query_mask=mask, value_mask=mask)), atol=1e-5)
    sentences = np.array([[True, True, False], [True, False, False]])
    outputs = array(layer(inputs, inputs, value_mask=sentences, query_mask=sentences))
    whole = array(layer(inputs, inputs))
    assert_allclose(outputs[sentences], whole[sentences], atol=1e-5)
    assert_array_equal(outputs[~sentences], 0)
