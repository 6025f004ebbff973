"""The laws that need nothing but Keras, on whatever backend Keras runs.

`make test` runs them on TensorFlow, `make test-backends` on TensorFlow, JAX and
torch.
"""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from keras_attention.testing import assert_no_future_leak, assert_padding_invariant
from tests.laws.cases import ATTENTIONS, CELLS, MODELS, MULTI_HEADS, SOURCE_IDS, SUMS_BELOW_ONE, TARGET_IDS, steps_of

BATCH, TARGET, SOURCE, DIM = 2, 11, 7, 5
EVERY_ATTENTION = pytest.mark.parametrize("name", ATTENTIONS)
EVERY_MULTI_HEAD = pytest.mark.parametrize("name", MULTI_HEADS)
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tensor(array):
    return ops.convert_to_tensor(array)


def array(thing):
    return ops.convert_to_numpy(ops.cast(thing, "float32"))


def lengths_mask(*lengths, length=SOURCE):
    return np.arange(length) < np.array(lengths)[:, None]


def gradients(function, *inputs):
    """Gradients of a scalar function of tensors, by the backend's own means."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        inputs = [tf.constant(value) for value in inputs]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = function(*inputs)
        return [value.numpy() for value in tape.gradient(result, inputs)]
    if backend == "jax":
        import jax

        return [np.asarray(value) for value in jax.grad(function, argnums=tuple(range(len(inputs))))(*inputs)]
    import torch

    inputs = [torch.tensor(value, requires_grad=True) for value in inputs]
    function(*inputs).backward()
    return [value.grad.numpy() for value in inputs]


@EVERY_ATTENTION
def test_padding_gets_nothing_and_changes_nothing(name):
    layer = ATTENTIONS[name]()
    query, value, mask = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, DIM, seed=1), lengths_mask(4, 7)
    noisy = np.where(mask[..., None], value, 1e3).astype("float32")
    expected = layer(tensor(query), tensor(value), value_mask=tensor(mask))
    received = layer(tensor(query), tensor(noisy), value_mask=tensor(mask))
    assert_allclose(array(received.context), array(expected.context), atol=1e-4)
    assert (array(expected.weights)[0, :, 4:] == 0).all()
    if name not in SUMS_BELOW_ONE and not name.startswith("local"):  # a window may lie beyond a short source
        assert_allclose(array(expected.weights).sum(-1), 1.0, atol=1e-5)


@EVERY_ATTENTION
def test_dead_row_is_zero_forward_and_backward(name):
    layer = ATTENTIONS[name]()
    query, value = normal(BATCH, TARGET, DIM) * 30, normal(BATCH, SOURCE, DIM, seed=1) * 30
    mask = tensor(lengths_mask(0, 5))
    layer.build(query.shape, value.shape)
    context, weights = layer(tensor(query), tensor(value), value_mask=mask)
    assert_array_equal(array(context)[0], 0)
    assert_array_equal(array(weights)[0], 0)
    for gradient in gradients(lambda q, v: ops.sum(layer(q, v, value_mask=mask).context), query, value):
        assert np.isfinite(gradient).all()
        assert_array_equal(gradient[0], 0)


@EVERY_ATTENTION
def test_reading_step_by_step_equals_the_call(name):
    layer = ATTENTIONS[name]()
    query, value = tensor(normal(BATCH, TARGET, DIM)), tensor(normal(BATCH, SOURCE, DIM, seed=1))
    whole = layer(query, value)
    for position, output in enumerate(steps_of(layer, query, layer.prepare(value))):
        assert_allclose(array(output.context)[:, 0], array(whole.context)[:, position], atol=1e-5)


@pytest.mark.parametrize("name", ["general", "additive", "normed_bahdanau"])
def test_chunks_give_the_values_and_gradients_of_the_whole(name, monkeypatch):
    from keras_attention.layers import chunked

    monkeypatch.setattr(chunked, "CHUNK_SIZE", 2 * SOURCE * DIM * BATCH)
    query, value, mask = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, DIM, seed=1), tensor(lengths_mask(4, 7))
    rows = tensor(np.random.default_rng(0).random((1, TARGET, SOURCE)) > 0.3)
    results = []
    weights = None
    for blockwise in (False, True):
        layer = layers.Attention(name, blockwise=blockwise)
        layer.build(query.shape, value.shape)
        weights = weights or layer.get_weights()
        layer.set_weights(weights)

        def loss(query, value, layer=layer):
            context, weights = layer(query, value, value_mask=mask, attention_mask=rows)
            return ops.sum(context * ops.cos(context)) + ops.sum(weights**2)

        output = layer(tensor(query), tensor(value), value_mask=mask, attention_mask=rows)
        results.append([array(output.context), array(output.weights)])
        results[-1] += gradients(loss, query, value)
    for one, other in zip(*results, strict=True):
        assert_allclose(other, one, atol=1e-4)


@EVERY_MULTI_HEAD
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_give_the_values_and_gradients_of_the_whole(name, causal, masked, monkeypatch):
    from keras_attention.layers import blockwise as blockwise_module
    from keras_attention.layers import multi_head

    original = blockwise_module.blockwise_attention
    monkeypatch.setattr(multi_head, "blockwise_attention", lambda *arguments: original(*arguments, block=4))
    inputs = normal(BATCH, TARGET, 8)
    mask = tensor(lengths_mask(0, 8, length=TARGET)) if masked else None
    attention_mask = tensor(np.random.default_rng(0).random((BATCH, TARGET, TARGET)) > 0.3) if masked else None
    results, weights = [], None
    for blockwise in (False, True):
        layer = layers.MultiHeadSelfAttention(4, 6, blockwise=blockwise, **MULTI_HEADS[name])
        layer.build(inputs.shape)
        weights = weights or layer.get_weights()
        layer.set_weights(weights)

        def call(inputs, layer=layer):
            return layer(inputs, mask=mask, attention_mask=attention_mask, use_causal_mask=causal)

        def loss(inputs, call=call):
            return ops.sum(call(inputs) * ops.cos(call(inputs)))

        results.append([array(call(tensor(inputs))), *gradients(loss, inputs)])
    for one, other in zip(*results, strict=True):
        assert_allclose(other, one, atol=2e-4)


@EVERY_MULTI_HEAD
def test_any_cut_through_a_cache_gives_what_one_call_gives(name):
    layer = layers.MultiHeadSelfAttention(4, 6, **MULTI_HEADS[name])
    inputs = tensor(normal(BATCH, TARGET, 8))
    whole = layer(inputs, use_causal_mask=True)
    cache, contexts = layer.allocate(BATCH, TARGET), []
    for begin, end in ((0, 4), (4, 5), (5, TARGET)):
        output, cache = layer.extend(inputs[:, begin:end], cache)
        contexts.append(array(output.context))
    assert_allclose(np.concatenate(contexts, 1), array(whole), atol=1e-5)


@EVERY_CELL
def test_any_cut_of_the_target_gives_the_same_output(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value, mask = tensor(normal(BATCH, 5, 3)), tensor(normal(BATCH, SOURCE, 6)), tensor(lengths_mask(4, 7))
    whole = rnn(inputs, value, value_mask=mask)
    first = rnn(inputs[:, :2], value, value_mask=mask)
    second = rnn(inputs[:, 2:], value, value_mask=mask, initial_state=first.state)
    parts = np.concatenate([array(first.output), array(second.output)], 1)
    assert_allclose(parts, array(whole.output), atol=1e-5)


@EVERY_MODEL
def test_models_keep_padding_out_and_the_future_hidden(name):
    model = MODELS[name]()
    generator = np.random.default_rng(0)
    inputs = {
        "source": (generator.integers(2, SOURCE_IDS, (BATCH, SOURCE)) * lengths_mask(4, 7)).astype("int32"),
        "target": generator.integers(2, TARGET_IDS, (BATCH, 4)).astype("int32"),
    }
    assert_padding_invariant(model, inputs, padded="source")
    assert_no_future_leak(model, inputs, causal="target")


def test_model_trains_and_comes_back_from_a_file(tmp_path):
    from keras_attention.training import ExactMatch, MaskedCrossentropy

    model = MODELS["bahdanau"]()
    model.compile("adam", MaskedCrossentropy(), metrics=[ExactMatch()])
    generator = np.random.default_rng(0)
    inputs = {
        "source": generator.integers(2, SOURCE_IDS, (8, SOURCE)).astype("int32"),
        "target": generator.integers(2, TARGET_IDS, (8, 4)).astype("int32"),
    }
    losses = model.fit(inputs, inputs["target"], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_allclose(array(again(inputs)), array(model(inputs)), atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
def test_transformer_blocks_keep_padding_out_and_any_cut_gives_the_same(norm, activation):
    encoder = layers.EncoderBlock(2, 9, norm=norm, activation=activation)
    decoder = layers.DecoderBlock(2, 9, norm=norm, activation=activation, attention_options={"positions": "rotary"})
    source, target = tensor(normal(BATCH, SOURCE, 4)), tensor(normal(BATCH, 5, 4, seed=1))
    mask = tensor(lengths_mask(4, 7))
    encoded = encoder(source, mask=mask)
    assert_allclose(array(encoded)[:1, :4], array(encoder(source[:1, :4])), atol=1e-5)
    whole = decoder(target, encoded, value_mask=mask)
    memory, cache, parts = decoder.prepare(encoded, mask), decoder.allocate(BATCH, 6), []
    for begin, end in ((0, 2), (2, 5)):
        outputs, weights, cache = decoder.extend(target[:, begin:end], memory, cache)
        assert tuple(weights.shape) == (BATCH, 2, end - begin, SOURCE)
        parts.append(array(outputs))
    assert_allclose(np.concatenate(parts, 1), array(whole), atol=1e-5)
