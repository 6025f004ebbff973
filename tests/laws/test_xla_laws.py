"""Compiled by XLA equals not compiled: values and gradients, at lengths on both sides of every change of path.

Keras compiles without being asked where TensorFlow sees a GPU, and always on JAX, where the other laws compile too.
The lengths at which a path changes are made small here; the last test has the real ones.
"""

import importlib

import keras
import numpy as np
import pytest
from keras import tree
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.layers import attending_heads, attention_layer, chunked
from keras_attention.layers import attention as attention_module
from keras_attention.layers import blockwise as blockwise_module
from tests.laws.cases import ATTENTIONS, CELLS, MODELS, MULTI_HEADS, SOURCE_IDS, TARGET_IDS
from tests.laws.tools import (
    BACKEND,
    array,
    compiled,
    fewer_on_jax,
    ids,
    lengths_mask,
    normal,
    only_tensorflow,
    tensor,
    with_gradients,
)

pytestmark = pytest.mark.compiles

BATCH, DIM, UNITS = 2, 5, 6
SHORT, LONG = 4, 7  # below the change of path, and above it
# Those in which a length, or that it is known, changes the path; the others only repeat what one of these does.
CHANGES_PATH = {
    "additive",
    "general in chunks",
    "normed in chunks, with dropout",
    "monotonic",
    "location, longer source than rows",
}
CHANGES_PATH_OF_HEADS = {"plain", "everything"}
CHANGES_PATH_OF_CELLS = {"Bahdanau LSTM", "Luong parallel"}


@pytest.fixture(autouse=True)
def _paths_change_early(monkeypatch):
    if BACKEND == "torch":
        pytest.skip("torch compiles nothing that Keras runs")
    blockwise = blockwise_module.blockwise_attention
    monkeypatch.setattr(attending_heads, "blockwise_attention", lambda *arguments: blockwise(*arguments, block=4))
    monkeypatch.setattr(attention_layer, "FEW", 1)
    for module in (attending_heads, attention_module):
        monkeypatch.setattr(module, "BLOCKWISE_FROM", 6)
    monkeypatch.setattr(chunked, "CHUNK_SIZE", 2 * BATCH * 7 * 11)  # two queries of seven sources
    monkeypatch.setattr(importlib.import_module("keras_attention.layers.unroll"), "PYTHON_UNROLL_LIMIT", 4)


def assert_compiled_is_not_compiled(function, variables, shapes, everywhere, atol=1e-4):
    """At a length that the compiler does not know; `everywhere` also at a short one, and at one that it knows."""
    run = with_gradients(function, variables)
    unknown = compiled(run, *(tuple(None if size == LONG else size for size in shape(LONG)) for shape in shapes))
    forms = [(LONG, unknown)] + everywhere * [(SHORT, unknown), (LONG, compiled(run))]
    for length, form in forms:
        inputs = [tensor(normal(*shape(length), seed=seed)) for seed, shape in enumerate(shapes)]
        for one, other in zip(tree.flatten(run(*inputs)), tree.flatten(form(*inputs)), strict=True):
            assert_allclose(array(other), array(one), atol=atol, err_msg=f"length {length}")


@pytest.mark.parametrize("name", fewer_on_jax(ATTENTIONS, ["monotonic", "Bahdanau in chunks"]))
def test_attention_compiled_is_attention(name):
    layer = ATTENTIONS[name]()
    layer.build((BATCH, None, DIM), (BATCH, None, DIM))

    def call(query, value):
        mask = tensor(lengths_mask(4, 7, length=7))[:, : value.shape[1] or keras.ops.shape(value)[1]]
        return layer(query, value, value_mask=mask)

    shapes = [lambda _: (BATCH, 3, DIM), lambda length: (BATCH, length, DIM)]
    assert_compiled_is_not_compiled(call, layer.trainable_variables, shapes, name in CHANGES_PATH)


@pytest.mark.parametrize("name", fewer_on_jax(MULTI_HEADS, ["everything"]))
def test_self_attention_compiled_is_self_attention(name):
    layer = layers.MultiHeadSelfAttention(4, 6, **MULTI_HEADS[name])
    layer.build((BATCH, None, 8))

    def call(inputs):
        return (layer(inputs, use_causal_mask=True),)

    shapes = [lambda length: (BATCH, length, 8)]
    assert_compiled_is_not_compiled(call, layer.trainable_variables, shapes, name in CHANGES_PATH_OF_HEADS)


def test_every_mask_and_the_dropout_of_self_attention_can_be_compiled():
    layer = layers.MultiHeadSelfAttention(4, 6, dropout=0.5, seed=1, blockwise=True)
    layer.build((BATCH, None, 8))
    mask, attention_mask = tensor(lengths_mask(4, 7, length=7)), tensor(normal(BATCH, 7, 7) > -0.5)

    def call(inputs, training=False):
        return (layer(inputs, mask=mask, attention_mask=attention_mask, training=training),)

    inputs = tensor(normal(BATCH, 7, 8))
    expected, received = with_gradients(call)(inputs), compiled(with_gradients(call))(inputs)
    for one, other in zip(tree.flatten(expected), tree.flatten(received), strict=True):
        assert_allclose(array(other), array(one), atol=1e-4)
    trained = compiled(with_gradients(lambda inputs: call(inputs, training=True)))(inputs)
    assert all(np.isfinite(array(values)).all() for values in tree.flatten(trained))


@pytest.mark.parametrize("name", fewer_on_jax(CELLS, ["Luong input feeding"]))
def test_decoder_cell_compiled_is_the_cell(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    rnn.build((BATCH, None, 3), (BATCH, 7, UNITS))

    def call(inputs, value):
        output, state, weights = rnn(inputs, value)
        return output, *state, weights

    shapes = [lambda length: (BATCH, length, 3), lambda _: (BATCH, 8, UNITS)]
    assert_compiled_is_not_compiled(call, rnn.trainable_variables, shapes, name in CHANGES_PATH_OF_CELLS)


@pytest.mark.parametrize("name", fewer_on_jax(MODELS, ["transformer, rotary"]))
def test_model_compiled_is_the_model(name):
    model = MODELS[name]()
    source = ids(BATCH, 3, high=SOURCE_IDS) * lengths_mask(2, 3, length=3).astype("int32")
    target = ids(BATCH, LONG, high=TARGET_IDS, seed=1)
    inputs = {"source": tensor(source), "target": tensor(target)}

    def call(factor):  # of one, for a gradient with respect to something
        return (model(inputs) * factor,)

    run = with_gradients(call, model.trainable_variables)
    one = tensor(np.ones((), "float32"))
    for expected, received in zip(tree.flatten(run(one)), tree.flatten(compiled(run)(one)), strict=True):
        assert_allclose(array(received), array(expected), atol=1e-4)


def attend(layer, *shapes):
    """A functional model of a layer."""
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = layer(*inputs)
    return keras.Model(inputs, outputs[0] if isinstance(outputs, tuple) else outputs)


@only_tensorflow
@pytest.mark.parametrize(
    "make",
    [
        lambda: attend(layers.MultiHeadSelfAttention(1, 4), (1100, 8)),
        lambda: attend(layers.BahdanauAttention(4), (3, 8), (600, 8)),
        lambda: attend(layers.AttentionRNN(layers.BahdanauCell(4)), (17, 8), (5, 8)),
    ],
    ids=["self-attention of 1,100", "Bahdanau over 600", "decoder of 17 steps"],
)
def test_what_keras_compiles_where_it_sees_a_gpu_trains_and_predicts_alike(make, monkeypatch):
    import tensorflow as tf

    monkeypatch.undo()  # the lengths at which paths really change
    results = []
    devices = [tf.config.PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in ("CPU", "GPU")]
    for seen in (devices[:1], devices):
        keras.utils.set_random_seed(0)
        model = make()
        with monkeypatch.context() as patch:
            patch.setattr(tf.config, "list_physical_devices", lambda *_, seen=seen: seen)
            model.compile("sgd", "mse")
            assert model.jit_compile == (seen == devices)
        data = [normal(1, *shape[1:], seed=seed) for seed, shape in enumerate(tensor.shape for tensor in model.inputs)]
        outputs = model.predict(data, verbose=0)
        model.fit(data, outputs + 1, verbose=0)
        results.append([outputs, *model.get_weights()])
    for one, other in zip(*results, strict=True):
        assert_allclose(other, one, atol=1e-4)
