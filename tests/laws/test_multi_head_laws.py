"""The laws of multi-head attention, over every form of it, as a whole and in blocks."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.layers import attending_heads, attention_layer
from keras_attention.layers import blockwise as blockwise_module
from keras_attention.testing import assert_no_future_leak
from tests.laws.cases import MULTI_HEADS
from tests.laws.tools import (
    BACKEND,
    array,
    assert_close,
    assert_same,
    dtype_of,
    fewer_on_jax,
    gradients,
    jitted_on_jax,
    lengths_mask,
    normal,
    once,
    only_tensorflow,
    tensor,
)

BATCH, TARGET, SOURCE, DIM, HEADS, KEY_DIM = 2, 11, 13, 8, 4, 6
EVERY = pytest.mark.parametrize("name", MULTI_HEADS)
BOTH_PATHS = pytest.mark.parametrize("blockwise", [False, True], ids=["whole", "blocks"])
# Cuts that make parts of few different lengths, so that little is compiled.
CUTS = st.sets(st.sampled_from([1, 5, 6, 10]), max_size=4)
FEW_CUTS = settings(max_examples=3 if BACKEND == "jax" else 6)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of four, so that short sequences have several, whole ones and cut ones."""
    whole = blockwise_module.blockwise_attention
    monkeypatch.setattr(attending_heads, "blockwise_attention", lambda *arguments: whole(*arguments, block=4))


def self_attention(name, **arguments):
    return layers.MultiHeadSelfAttention(HEADS, KEY_DIM, **MULTI_HEADS[name], **arguments)


def cross_attention(name, **arguments):
    return layers.MultiHeadAttention(HEADS, KEY_DIM, **MULTI_HEADS[name], **arguments)


def built_self_attention(name, blockwise):
    layer = self_attention(name, blockwise=blockwise)
    layer.build((BATCH, TARGET, DIM))
    return layer


def built_cross_attention(name, blockwise):
    layer = cross_attention(name, blockwise=blockwise)
    layer.build((BATCH, TARGET, DIM), (BATCH, SOURCE, DIM))
    return layer


@pytest.fixture(scope="session")
def self_attention_of():
    """A function of a name and a path: that self-attention, for laws that only call it."""
    return once(built_self_attention)


@pytest.fixture(scope="session")
def cross_attention_of():
    """A function of a name and a path: that attention over another sequence, for laws that only call it."""
    return once(built_cross_attention)


def sum_of_x_cos_x(outputs):
    outputs = ops.cast(outputs, "float32")
    return ops.sum(outputs * ops.cos(outputs))


MASKED = {
    "nothing": (None, None, True),
    "right padding, causal": ((0, 8), None, True),
    "left padding": ((3, 11), None, False),
    "everything": ((4, 9), 0.4, True),
}


@EVERY
@pytest.mark.parametrize("masked", fewer_on_jax(MASKED, ["left padding", "everything"]))
def test_blocks_give_the_values_and_gradients_of_the_whole(self_attention_of, name, masked):
    lengths, share, causal = MASKED[masked]
    seed = len(name)
    inputs, mask, attention_mask = normal(BATCH, TARGET, DIM, seed=seed), None, None
    if lengths:
        mask = lengths_mask(*lengths, length=TARGET)
        mask = tensor(mask[:, ::-1].copy() if "left" in masked else mask)
    if share:
        attention_mask = tensor(np.random.default_rng(seed).random((BATCH, TARGET, TARGET)) > share)

    def results(layer):
        def call(inputs):
            return layer(inputs, mask=mask, attention_mask=attention_mask, use_causal_mask=causal)

        variables = layer.trainable_variables
        return [call(tensor(inputs)), *gradients(lambda x: sum_of_x_cos_x(call(x)), inputs, variables=variables)]

    whole, blocks = (results(self_attention_of(name, blockwise)) for blockwise in (False, True))
    for expected, received in zip(whole, blocks, strict=True):
        assert_close(received, expected, atol=2e-4)


@only_tensorflow
@EVERY
def test_blocks_of_an_unknown_length_in_graph_give_the_same(self_attention_of, name):
    import tensorflow as tf

    layer, inputs = self_attention_of(name, True), normal(BATCH, TARGET, DIM)
    mask = tensor(lengths_mask(4, 11, length=TARGET))

    def values_and_gradients(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, mask=mask, use_causal_mask=True)
            loss = sum_of_x_cos_x(outputs)
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])

    graph = tf.function(values_and_gradients, input_signature=[tf.TensorSpec([None, None, DIM])], autograph=False)
    expected, received = (tf.nest.flatten(run(tf.constant(inputs))) for run in (values_and_gradients, graph))
    for one, other in zip(expected, received, strict=True):
        assert_close(other, one, atol=2e-4)


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


@settings(max_examples=12)
@given(
    options=OPTIONS,
    causal=st.booleans(),
    lengths=st.tuples(st.integers(0, TARGET), st.integers(0, TARGET)),
    left=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_combination_of_options_agrees_in_blocks_and_through_a_cache(options, causal, lengths, left, seed):
    inputs, mask = normal(BATCH, TARGET, DIM, seed=seed), lengths_mask(*lengths, length=TARGET)
    inputs, mask = tensor(inputs), tensor(mask[:, ::-1].copy() if left else mask)
    whole, blocks = (layers.MultiHeadSelfAttention(HEADS, KEY_DIM, blockwise=way, **options) for way in (False, True))
    for layer in (whole, blocks):
        layer.build(inputs.shape)
    blocks.set_weights(whole.get_weights())
    expected, weights = whole(inputs, mask=mask, use_causal_mask=causal, return_attention_scores=True)
    assert_close(blocks(inputs, mask=mask, use_causal_mask=causal), expected, atol=1e-4)
    alive = array(weights).sum(-1)
    assert_allclose(alive, np.round(alive), atol=1e-5)  # one, or zero where nothing may be attended to
    if causal:
        cache, parts = whole.allocate(BATCH, TARGET), []
        for begin, end in ((0, 5), (5, 6), (6, TARGET)):
            output, cache = whole.extend(inputs[:, begin:end], cache, mask=mask[:, begin:end])
            parts.append(output.context)
        assert_close(ops.concatenate(parts, 1), expected, atol=1e-4)


@EVERY
@BOTH_PATHS
def test_padding_changes_nothing_and_gets_nothing(cross_attention_of, name, blockwise):
    layer = cross_attention_of(name, blockwise)
    query, value = normal(BATCH, TARGET, DIM, seed=1), normal(BATCH, SOURCE, DIM, seed=2)
    mask = lengths_mask(4, 13, length=SOURCE)
    expected = layer(query, value, value_mask=mask)
    noisy = np.where(mask[..., None], value, np.float32(1e3))
    assert_close(layer(query, noisy, value_mask=mask), expected, atol=1e-4)
    assert_close(layer(query[:1], value[:1, :4]), expected[:1], atol=1e-4)


@EVERY
@BOTH_PATHS
@pytest.mark.parametrize("policy", fewer_on_jax(["float32", "mixed_float16", "mixed_bfloat16"], ["mixed_float16"]))
def test_row_with_nothing_to_attend_to_gets_zeros_forward_and_backward(name, blockwise, policy):
    layer = cross_attention(name, blockwise=blockwise, dtype=policy)
    query, value = (normal(BATCH, length, DIM) * 30 for length in (TARGET, SOURCE))
    layer.build(query.shape, value.shape)
    mask = tensor(lengths_mask(0, 9, length=SOURCE))

    def call(query, value):
        return layer(query, value, value_mask=mask, use_causal_mask=True)

    def loss(query, value):  # the gradients of a sum come close to the end of float16
        return ops.mean(ops.cast(call(query, value), "float32"))

    context = call(tensor(query), tensor(value))
    assert_same(context[0], 0)  # the output's bias is zero at first
    assert dtype_of(context) == layer.compute_dtype
    of_query, of_value, *of_weights = gradients(loss, query, value, variables=layer.trainable_variables)
    for gradient in (of_query, of_value, *of_weights):
        assert np.isfinite(gradient).all()
    assert_same(of_query[0], 0)
    assert_same(of_value[0], 0)


@EVERY
@BOTH_PATHS
def test_causal_and_left_padding_leave_dead_rows_at_zero(self_attention_of, name, blockwise):
    layer, inputs = self_attention_of(name, blockwise), normal(BATCH, TARGET, DIM)
    mask = ~lengths_mask(3, 10, length=TARGET)
    output = array(layer(inputs, mask=mask, use_causal_mask=True))
    assert_same(output[~mask], 0)  # the output's bias is zero at first
    assert_close(output[:1, 3:], layer(inputs[:1, 3:], use_causal_mask=True), atol=1e-4)


@EVERY
@BOTH_PATHS
def test_no_position_sees_a_later_one(self_attention_of, name, blockwise):
    layer = self_attention_of(name, blockwise)
    call = jitted_on_jax(lambda inputs: layer(inputs, use_causal_mask=True))
    assert_no_future_leak(lambda inputs: call(tensor(inputs)), normal(BATCH, TARGET, DIM))


@EVERY
@BOTH_PATHS
def test_asking_for_the_weights_changes_nothing_and_live_rows_sum_to_one(self_attention_of, name, blockwise):
    layer = self_attention_of(name, blockwise)
    inputs, mask = normal(BATCH, TARGET, DIM), lengths_mask(5, 11, length=TARGET)
    context, weights = layer(inputs, mask=mask, use_causal_mask=True, return_attention_scores=True)
    assert_close(context, layer(inputs, mask=mask, use_causal_mask=True))
    assert tuple(weights.shape) == (BATCH, HEADS, TARGET, TARGET)
    assert_allclose(array(weights).sum(-1), np.broadcast_to(mask[:, None, :], (BATCH, HEADS, TARGET)), atol=1e-5)


def parts_of(inputs, cuts):
    """Slices of the inputs, from cut to cut."""
    return [slice(begin, end) for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), TARGET], strict=True)]


@EVERY
@FEW_CUTS
@given(cuts=CUTS, seed=st.integers(0, 9))
def test_any_cut_through_a_cache_gives_what_one_call_gives(self_attention_of, name, cuts, seed):
    layer = self_attention_of(name, False)
    inputs, mask = tensor(normal(BATCH, TARGET, DIM, seed=seed)), tensor(lengths_mask(7, 11, length=TARGET))
    whole, weights = layer(inputs, mask=mask, use_causal_mask=True, return_attention_scores=True)
    cache, contexts, parts = layer.allocate(BATCH, TARGET + 2), [], []
    for part in parts_of(inputs, cuts):
        output, cache = layer.extend(inputs[:, part], cache, mask=mask[:, part])
        contexts.append(array(output.context))
        parts.append(array(output.weights)[..., :TARGET])
    assert int(cache.length) == TARGET
    assert_close(np.concatenate(contexts, 1), whole)
    assert_close(np.concatenate(parts, 2), weights)


@EVERY
@FEW_CUTS
@given(cuts=CUTS, masked=st.booleans(), seed=st.integers(0, 9))
def test_any_cut_through_a_cache_that_grows_gives_what_one_call_gives(self_attention_of, name, cuts, masked, seed):
    layer, inputs = self_attention_of(name, False), tensor(normal(BATCH, TARGET, DIM, seed=seed))
    mask = tensor(lengths_mask(7, 11, length=TARGET)) if masked else None
    whole, weights = layer(inputs, mask=mask, use_causal_mask=True, return_attention_scores=True)
    cache, contexts = layer.allocate(BATCH), []
    for part in parts_of(inputs, cuts):
        output, cache = layer.extend(inputs[:, part], cache, mask=mask[:, part] if masked else None)
        contexts.append(array(output.context))
        assert_close(output.weights, array(weights)[:, :, part, : part.stop])
    assert int(cache.length) == TARGET
    assert_close(np.concatenate(contexts, 1), whole)


@EVERY
def test_rows_that_share_a_memory_read_what_each_would_read_alone(cross_attention_of, name):
    layer = cross_attention_of(name, False)
    query, value = tensor(normal(BATCH * 3, TARGET, DIM, seed=1)), normal(BATCH, SOURCE, DIM, seed=2)
    live = tensor(lengths_mask(*range(2, 2 + BATCH * 3), length=TARGET))
    mask = lengths_mask(4, 13, length=SOURCE)
    memory = layer.prepare(tensor(value), value_mask=tensor(mask))
    context, weights, _ = layer.read_shared(query, memory, 3, query_mask=live)
    repeated = (tensor(np.repeat(values, 3, axis=0)) for values in (value, mask))
    expected = layer.read(query, layer.prepare(next(repeated), value_mask=next(repeated)), query_mask=live)
    assert_close(context, expected.context)
    assert_close(weights, expected.weights)
    with pytest.raises(ValueError, match=f"must be 2 times the batch of the memory, {BATCH * 2}"):
        layer.read_shared(query, memory, 2)


@EVERY
def test_reading_a_prepared_memory_equals_the_call(cross_attention_of, name):
    layer = cross_attention_of(name, False)
    query, value = tensor(normal(BATCH, TARGET, DIM, seed=1)), tensor(normal(BATCH, SOURCE, DIM, seed=2))
    context, weights = layer(query, value, return_attention_scores=True)
    memory = layer.prepare(value)
    state = layer.start(memory)
    for begin, end in ((0, 5), (5, TARGET)):
        output = layer.read(query[:, begin:end], memory, state)
        state = output.state
        assert_close(output.context, context[:, begin:end])
        assert_close(output.weights, weights[:, :, begin:end])


@pytest.mark.every_form
@EVERY
@BOTH_PATHS
def test_layer_survives_a_keras_file_and_its_config(name, blockwise, tmp_path):
    inputs = keras.Input((None, DIM))
    model = keras.Model(inputs, self_attention(name, blockwise=blockwise)(inputs, use_causal_mask=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    data = tensor(normal(BATCH, TARGET, DIM))
    assert_same(again(data), model(data))
    before = self_attention(name).get_config()
    layer = layers.MultiHeadSelfAttention.from_config(before)
    layer.build(data.shape)
    assert {**layer.get_config(), "name": ""} == {**before, "name": ""}


@EVERY
def test_symbolic_shape_is_the_eager_shape(name):
    inputs = keras.Input((TARGET, DIM), BATCH), keras.Input((SOURCE, 5), BATCH)
    symbolic = cross_attention(name)(*inputs, return_attention_scores=True)
    eager = cross_attention(name)(normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, 5), return_attention_scores=True)
    assert [tuple(output.shape) for output in symbolic] == [tuple(output.shape) for output in eager]


@EVERY
@pytest.mark.filterwarnings("error::UserWarning")
def test_implicit_masks_arrive_stack_and_stay_without_a_warning(name):
    model = keras.Sequential([keras.layers.Embedding(9, DIM, mask_zero=True), *(self_attention(name) for _ in "ab")])
    short, padded = model(np.array([[5, 6]])), model(np.array([[5, 6, 0, 0]]))
    assert_close(padded[:, :2], short)
    assert_same(padded._keras_mask, [[True, True, False, False]])


@BOTH_PATHS
def test_dropout_drops_the_right_share_and_keeps_the_mean(blockwise):
    layer = layers.MultiHeadSelfAttention(1, 8, dropout=0.25, seed=3, blockwise=blockwise, use_bias=False)
    inputs = np.ones((60, 40, 8), "float32")  # sixty draws at once
    expected = array(layer(inputs))[:1]
    trained = array(layer(inputs, training=True))
    assert_allclose(trained.mean(0, keepdims=True), expected, atol=0.15 * np.abs(expected).max())
    shares = trained[..., 0] / expected[..., 0]  # kept weights, each worth 1 / (40 * 0.75)
    assert_allclose(shares * 40 * 0.75, np.round(shares * 40 * 0.75), atol=1e-2)
    assert trained.std(0).max() > 0
    assert not np.array_equal(array(layer(inputs, training=True)), trained)


def test_dropout_in_blocks_is_the_same_forward_and_backward():
    """What is linear in the value is its own gradient times the value, if both dropped the same."""
    query, key, value = (normal(1, 2, 9, 4, seed=seed) for seed in range(3))
    seed = tensor(np.array([7, 1], "uint32"))

    def total(value):
        query_and_key = map(tensor, (query, key))
        return ops.sum(blockwise_module.blockwise_attention(*query_and_key, value, dropout=0.5, seed=seed, block=4))

    (gradient,) = gradients(total, value)
    assert_allclose((gradient * value).sum(), array(total(tensor(value))), rtol=1e-4)


def test_long_sources_go_in_blocks_and_short_ones_do_not(monkeypatch):
    ways = []
    monkeypatch.setattr(attending_heads, "BLOCKWISE_FROM", 6)
    monkeypatch.setattr(attention_layer, "FEW", 1)
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


@only_tensorflow
def test_length_that_is_known_when_the_graph_runs_decides_then(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(attending_heads, "BLOCKWISE_FROM", 6)
    layer = layers.MultiHeadSelfAttention(2, 4)
    layer.build((1, 5, DIM))

    def values_and_gradients(inputs):
        with tf.GradientTape() as tape:
            outputs = layer(inputs)
            loss = sum_of_x_cos_x(outputs)
        return outputs, tape.gradient(loss, layer.trainable_variables)

    graph = tf.function(values_and_gradients, input_signature=[tf.TensorSpec([None, None, DIM])], autograph=False)
    for length in (5, 6, 9):
        inputs = tf.constant(normal(1, length, DIM))
        expected, received = (tf.nest.flatten(run(inputs)) for run in (values_and_gradients, graph))
        for one, other in zip(expected, received, strict=True):
            assert_close(other, one, atol=1e-4)


def long_model():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(inputs)
    x = layers.MultiHeadSelfAttention(2, 4, blockwise=True)(x, use_causal_mask=True)
    return keras.Model(inputs, keras.layers.Dense(20)(x))


def test_long_model_trains():
    model = long_model()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = np.random.default_rng(0).integers(1, 20, size=(4, 9))
    assert np.isfinite(model.fit(ids, ids, verbose=0).history["loss"][0])


@only_tensorflow
def test_long_model_is_exported_with_unknown_lengths(tmp_path):
    import tensorflow as tf

    model = long_model()
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    ids = np.random.default_rng(0).integers(1, 20, size=(4, 9)).astype("int32")
    for length in (3, 9):
        assert_close(loaded.serve(tf.constant(ids[:, :length])), model(ids[:, :length]))
