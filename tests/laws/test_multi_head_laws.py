"""The laws of multi-head attention, over every form of it, as a whole and in blocks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from keras_attention.layers import blockwise as blockwise_module
from keras_attention.layers import multi_head
from tests.laws.cases import MULTI_HEADS

BATCH, TARGET, SOURCE, DIM, HEADS, KEY_DIM = 2, 11, 13, 8, 4, 6
EVERY = pytest.mark.parametrize("name", MULTI_HEADS)
BOTH_PATHS = pytest.mark.parametrize("blockwise", [False, True], ids=["whole", "blocks"])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of four, so that short sequences have several, whole ones and cut ones."""
    whole = blockwise_module.blockwise_attention
    monkeypatch.setattr(multi_head, "blockwise_attention", lambda *arguments: whole(*arguments, block=4))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def lengths_mask(*lengths, length=TARGET):
    return np.arange(length) < np.array(lengths)[:, None]


def self_attention(name, **arguments):
    return layers.MultiHeadSelfAttention(HEADS, KEY_DIM, **MULTI_HEADS[name], **arguments)


def cross_attention(name, **arguments):
    return layers.MultiHeadAttention(HEADS, KEY_DIM, **MULTI_HEADS[name], **arguments)


def values_and_gradients(layer, inputs, in_graph, **arguments):
    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **arguments)
            loss = tf.reduce_sum(tf.cast(outputs, "float32") * tf.cos(tf.cast(outputs, "float32")))
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])

    if in_graph:
        run = tf.function(run, input_signature=[tf.TensorSpec([None, None, inputs.shape[-1]])], autograph=False)
    return run(tf.constant(inputs))


@EVERY
@settings(max_examples=6)
@given(
    causal=st.booleans(),
    masked=st.sampled_from(["nothing", "right padding", "left padding", "everything"]),
    in_graph=st.booleans(),
    seed=st.integers(0, 99),
)
def test_blocks_give_the_values_and_gradients_of_the_whole(name, causal, masked, in_graph, seed):
    generator = np.random.default_rng(seed)
    inputs = normal(BATCH, TARGET, DIM, seed=seed)
    mask = attention_mask = None
    if masked != "nothing":
        mask = lengths_mask(*generator.integers(0, TARGET + 1, size=BATCH))
        mask = mask[:, ::-1] if masked == "left padding" else mask
    if masked == "everything":
        attention_mask = generator.random((BATCH, TARGET, TARGET)) > 0.4
    whole, blocks = (self_attention(name, blockwise=blockwise) for blockwise in (False, True))
    for layer in (whole, blocks):
        layer.build(inputs.shape)
    blocks.set_weights(whole.get_weights())
    arguments = {"mask": mask, "attention_mask": attention_mask, "use_causal_mask": causal}
    expected = values_and_gradients(whole, inputs, False, **arguments)
    received = values_and_gradients(blocks, inputs, in_graph, **arguments)
    for one, other in zip(tf.nest.flatten(expected), tf.nest.flatten(received), strict=True):
        assert_allclose(other, one, atol=2e-4)


OPTIONS = st.fixed_dictionaries(
    {
        "kv_heads": st.sampled_from([1, 2, 4]),
        "value_dim": st.sampled_from([3, 6]),
        "use_bias": st.booleans(),
        "sliding_window": st.sampled_from([None, 1, 3, 9]),
        "qk_norm": st.booleans(),
        "positions": st.sampled_from([None, "rotary", "alibi"]),
    }
)


@settings(max_examples=25)
@given(
    options=OPTIONS,
    causal=st.booleans(),
    lengths=st.tuples(st.integers(0, TARGET), st.integers(0, TARGET)),
    left=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_combination_of_options_agrees_in_blocks_and_through_a_cache(options, causal, lengths, left, seed):
    inputs, mask = normal(BATCH, TARGET, DIM, seed=seed), lengths_mask(*lengths)
    mask = mask[:, ::-1].copy() if left else mask
    whole, blocks = (layers.MultiHeadSelfAttention(HEADS, KEY_DIM, blockwise=way, **options) for way in (False, True))
    for layer in (whole, blocks):
        layer.build(inputs.shape)
    blocks.set_weights(whole.get_weights())
    expected, weights = whole(inputs, mask=mask, use_causal_mask=causal, return_attention_scores=True)
    assert_allclose(blocks(inputs, mask=mask, use_causal_mask=causal), expected, atol=1e-4)
    alive = np.sum(weights, -1)
    assert_allclose(alive, np.round(alive), atol=1e-5)  # one, or zero where nothing may be attended to
    if causal:
        cache, parts = whole.allocate(BATCH, TARGET), []
        for begin, end in ((0, 5), (5, 6), (6, TARGET)):
            output, cache = whole.extend(inputs[:, begin:end], cache, mask=mask[:, begin:end])
            parts.append(output.context)
        assert_allclose(np.concatenate(parts, 1), expected, atol=1e-4)


@EVERY
@BOTH_PATHS
def test_padding_changes_nothing_and_gets_nothing(name, blockwise):
    layer = cross_attention(name, blockwise=blockwise)
    query, value = normal(BATCH, TARGET, DIM, seed=1), normal(BATCH, SOURCE, DIM, seed=2)
    mask = lengths_mask(4, 13, length=SOURCE)
    expected = layer(query, value, value_mask=mask)
    assert_allclose(layer(query, np.where(mask[..., None], value, 1e3), value_mask=mask), expected, atol=1e-4)
    assert_allclose(layer(query[:1], value[:1, :4]), expected[:1], atol=1e-4)


@EVERY
@BOTH_PATHS
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_row_with_nothing_to_attend_to_gets_zeros_forward_and_backward(name, blockwise, policy):
    layer = cross_attention(name, blockwise=blockwise, dtype=policy)
    query, value = (tf.constant(normal(BATCH, length, DIM) * 30) for length in (TARGET, SOURCE))
    mask = lengths_mask(0, 9, length=SOURCE)
    with tf.GradientTape() as tape:
        tape.watch([query, value])
        context = layer(query, value, value_mask=mask, use_causal_mask=True)
        loss = tf.reduce_mean(tf.cast(context, "float32"))  # the gradients of a sum come close to the end of float16
    gradients = tape.gradient(loss, [query, value, *layer.trainable_variables])
    for gradient in gradients:
        assert gradient is None or np.isfinite(gradient.numpy().astype("float32")).all()
    assert_array_equal(gradients[0][0], 0)
    assert_array_equal(gradients[1][0], 0)
    assert_array_equal(context[0], 0)  # the output's bias is zero at first
    assert keras.backend.standardize_dtype(context.dtype) == layer.compute_dtype


@EVERY
@BOTH_PATHS
def test_causal_and_left_padding_leave_dead_rows_at_zero(name, blockwise):
    layer = self_attention(name, blockwise=blockwise, bias_initializer="zeros")
    inputs = normal(BATCH, TARGET, DIM)
    mask = ~lengths_mask(3, 10)
    output = layer(inputs, mask=mask, use_causal_mask=True)
    assert_array_equal(output.numpy()[~mask], 0)
    alone = layer(inputs[:1, 3:], use_causal_mask=True)
    assert_allclose(output[:1, 3:], alone, atol=1e-4)


@EVERY
@BOTH_PATHS
def test_no_position_sees_a_later_one(name, blockwise):
    from keras_attention.testing import assert_no_future_leak

    layer = self_attention(name, blockwise=blockwise)
    assert_no_future_leak(lambda x: layer(x, use_causal_mask=True), normal(BATCH, 7, DIM))


@EVERY
@BOTH_PATHS
def test_asking_for_the_weights_changes_nothing_and_live_rows_sum_to_one(name, blockwise):
    layer = self_attention(name, blockwise=blockwise)
    inputs, mask = normal(BATCH, TARGET, DIM), lengths_mask(5, 11)
    context, weights = layer(inputs, mask=mask, use_causal_mask=True, return_attention_scores=True)
    assert_allclose(context, layer(inputs, mask=mask, use_causal_mask=True), atol=1e-5)
    assert weights.shape == (BATCH, HEADS, TARGET, TARGET)
    assert_allclose(np.sum(weights, -1), np.broadcast_to(mask[:, None, :], (BATCH, HEADS, TARGET)), atol=1e-5)


@EVERY
@settings(max_examples=6)
@given(cuts=st.sets(st.integers(1, TARGET - 1), max_size=4), seed=st.integers(0, 9))
def test_any_cut_through_a_cache_gives_what_one_call_gives(name, cuts, seed):
    layer = self_attention(name, blockwise=False)
    inputs, mask = normal(BATCH, TARGET, DIM, seed=seed), lengths_mask(7, 11)
    whole, weights = layer(inputs, mask=mask, use_causal_mask=True, return_attention_scores=True)
    cache, contexts, parts = layer.allocate(BATCH, TARGET + 2), [], []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), TARGET], strict=True):
        output, cache = layer.extend(inputs[:, begin:end], cache, mask=mask[:, begin:end])
        contexts.append(output.context)
        parts.append(output.weights[..., :TARGET])
    assert int(cache.length) == TARGET
    assert_allclose(np.concatenate(contexts, 1), whole, atol=1e-5)
    assert_allclose(np.concatenate(parts, 2), weights, atol=1e-5)


@EVERY
@settings(max_examples=6)
@given(cuts=st.sets(st.integers(1, TARGET - 1), max_size=4), seed=st.integers(0, 9))
def test_any_cut_through_a_cache_that_grows_gives_what_one_call_gives(name, cuts, seed):
    layer = self_attention(name, blockwise=False)
    inputs = normal(BATCH, TARGET, DIM, seed=seed)
    whole, weights = layer(inputs, use_causal_mask=True, return_attention_scores=True)
    cache, contexts = layer.allocate(BATCH), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), TARGET], strict=True):
        output, cache = layer.extend(inputs[:, begin:end], cache)
        contexts.append(output.context)
        assert_allclose(output.weights, weights[:, :, begin:end, :end], atol=1e-5)
    assert int(cache.length) == TARGET
    assert_allclose(np.concatenate(contexts, 1), whole, atol=1e-5)


@EVERY
def test_rows_that_share_a_memory_read_what_each_would_read_alone(name):
    layer = cross_attention(name)
    query, value = normal(BATCH * 3, TARGET, DIM, seed=1), normal(BATCH, SOURCE, DIM, seed=2)
    layer.build(query.shape, value.shape)
    if layer.positions or layer.sliding_window:
        with pytest.raises(ValueError, match="a query's place is lost"):
            layer.read_shared(query, layer.prepare(value), 3)
        return
    live = np.arange(TARGET) < np.arange(BATCH * 3)[:, None] + 2
    mask = lengths_mask(4, 13, length=SOURCE)
    context, weights = layer.read_shared(query, layer.prepare(value, value_mask=mask), 3, query_mask=live)
    repeated = layer.prepare(np.repeat(value, 3, axis=0), value_mask=np.repeat(mask, 3, axis=0))
    expected = layer.read(query, repeated, query_mask=live)
    assert_allclose(context, expected.context, atol=1e-5)
    assert_allclose(weights, expected.weights, atol=1e-5)
    with pytest.raises(ValueError, match=f"must be 2 times the batch of the memory, {BATCH * 2}"):
        layer.read_shared(query, layer.prepare(value), 2)


@EVERY
def test_reading_a_prepared_memory_equals_the_call(name):
    layer = cross_attention(name)
    query, value = normal(BATCH, TARGET, DIM, seed=1), normal(BATCH, SOURCE, DIM, seed=2)
    context, weights = layer(query, value, return_attention_scores=True)
    memory = layer.prepare(value)
    for begin, end in ((0, 4), (4, TARGET)):
        output = layer.read(query[:, begin:end], memory, offset=begin)
        assert_allclose(output.context, context[:, begin:end], atol=1e-5)
        assert_allclose(output.weights, weights[:, :, begin:end], atol=1e-5)


@EVERY
@BOTH_PATHS
def test_layer_survives_a_keras_file_and_its_config(name, blockwise, tmp_path):
    inputs = keras.Input((None, DIM))
    model = keras.Model(inputs, self_attention(name, blockwise=blockwise)(inputs, use_causal_mask=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    data = normal(BATCH, TARGET, DIM)
    assert_array_equal(again(data), model(data))
    before = self_attention(name).get_config()
    layer = layers.MultiHeadSelfAttention.from_config(before)
    layer.build(data.shape)
    assert {**layer.get_config(), "name": ""} == {**before, "name": ""}


@EVERY
def test_symbolic_shape_is_the_eager_shape(name):
    inputs = keras.Input((TARGET, DIM), BATCH), keras.Input((SOURCE, 5), BATCH)
    symbolic = cross_attention(name)(*inputs, return_attention_scores=True)
    eager = cross_attention(name)(normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, 5), return_attention_scores=True)
    assert [tensor.shape for tensor in symbolic] == [tuple(tensor.shape) for tensor in eager]


@EVERY
@pytest.mark.filterwarnings("error")
def test_implicit_masks_arrive_stack_and_stay_without_a_warning(name):
    model = keras.Sequential([keras.layers.Embedding(9, DIM, mask_zero=True), *(self_attention(name) for _ in "ab")])
    short, padded = model(np.array([[5, 6]])), model(np.array([[5, 6, 0, 0]]))
    assert_allclose(padded[:, :2], short, atol=1e-5)
    assert_array_equal(padded._keras_mask, [[True, True, False, False]])


@BOTH_PATHS
def test_dropout_drops_the_right_share_and_keeps_the_mean(blockwise):
    layer = layers.MultiHeadSelfAttention(1, 8, dropout=0.25, seed=3, blockwise=blockwise, use_bias=False)
    inputs = np.ones((1, 40, 8), "float32")
    expected = layer(inputs).numpy()
    trained = np.stack([layer(inputs, training=True).numpy() for _ in range(60)])
    assert_allclose(trained.mean(0), expected, atol=0.15 * np.abs(expected).max())
    shares = trained[:, 0, :, 0] / expected[0, :, 0]  # kept weights, each worth 1 / (40 * 0.75)
    assert_allclose(shares * 40 * 0.75, np.round(shares * 40 * 0.75), atol=1e-2)
    assert trained.std(0).max() > 0


def test_dropout_in_blocks_is_the_same_forward_and_backward():
    """What is linear in the value is its own gradient times the value, if both dropped the same."""
    query, key, value = (tf.constant(normal(1, 2, 9, 4, seed=seed)) for seed in range(3))
    seed = tf.constant([7, 1])
    with tf.GradientTape() as tape:
        tape.watch(value)
        context = blockwise_module.blockwise_attention(query, key, value, dropout=0.5, seed=seed, block=4)
    upstream = tf.ones_like(context)
    gradient = tape.gradient(context, value, upstream)
    assert_allclose(tf.reduce_sum(gradient * value), tf.reduce_sum(context * upstream), rtol=1e-4)


def test_long_sources_go_in_blocks_and_short_ones_do_not(monkeypatch):
    ways = []
    monkeypatch.setattr(multi_head, "BLOCKWISE_FROM", 6)
    for name in ("_in_blocks", "_as_a_whole"):
        original = getattr(layers.MultiHeadAttention, name)
        monkeypatch.setattr(
            layers.MultiHeadAttention,
            name,
            lambda self, *arguments, name=name, original=original: (ways.append(name), original(self, *arguments))[1],
        )
    layer = layers.MultiHeadSelfAttention(2, 4)
    layer(normal(1, 5, 8))
    layer(normal(1, 6, 8))
    layer(normal(1, 6, 8), return_attention_scores=True)
    assert ways == ["_as_a_whole", "_in_blocks", "_as_a_whole"]
    for length in (5, 6, 9):
        expected = values_and_gradients(layer, normal(1, length, 8), in_graph=False)
        received = values_and_gradients(layer, normal(1, length, 8), in_graph=True)
        for one, other in zip(tf.nest.flatten(expected), tf.nest.flatten(received), strict=True):
            assert_allclose(other, one, atol=1e-4)


def test_long_model_trains_and_is_exported_with_unknown_lengths(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(inputs)
    x = layers.MultiHeadSelfAttention(2, 4, blockwise=True)(x, use_causal_mask=True)
    model = keras.Model(inputs, keras.layers.Dense(20)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = np.random.default_rng(0).integers(1, 20, size=(4, 9))
    assert np.isfinite(model.fit(ids, ids, verbose=0).history["loss"][0])
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for length in (3, 9):
        assert_allclose(loaded.serve(tf.constant(ids[:, :length], tf.int32)), model(ids[:, :length]), atol=1e-5)
