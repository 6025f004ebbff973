"""Laws of Transformer blocks and their parts: padding, weights, seeds, dtypes, and what Keras does to its layers."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.positions import token_positions
from tests.laws.tools import BACKEND, array, begin_anew, fewer_on_jax, gradients, normal, tensor

WIDTH, TARGET, SOURCE = 8, 5, 7

# Name: a function of keyword arguments that makes a block.
BLOCKS = {
    "encoder": lambda **kw: layers.EncoderBlock(2, 12, **kw),
    "encoder, post-norm": lambda **kw: layers.EncoderBlock(2, 12, norm="post", activation="gelu", **kw),
    "decoder": lambda **kw: layers.DecoderBlock(2, 12, activation="swiglu", **kw),
    "decoder, post-norm": lambda **kw: layers.DecoderBlock(2, 12, norm="post", **kw),
}
# Layers of `(batch, length, dim)` to the same shape, blocks among them.
PARTS = BLOCKS | {
    "feed-forward": lambda **kw: layers.FeedForward(12, **kw),
    "feed-forward, swiglu": lambda **kw: layers.FeedForward(12, "swiglu", **kw),
    "sinusoid": lambda **kw: layers.PositionalEncoding(**kw),
    "learned positions": lambda **kw: layers.LearnedPositions(9, **kw),
    "layer normalisation": lambda **kw: LayerNormalization(**kw),
}
# What a target and a source look like with padding in some place; the tokens are those of PLACES["behind"].
PLACES = {
    "behind": ([1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0]),
    "in front": ([0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]),
    "in between": ([1, 0, 1, 0, 1], [0, 1, 1, 0, 1, 0, 1]),
}
TOKENS, SOURCE_TOKENS = normal(2, 3, WIDTH), normal(2, 4, WIDTH, seed=1)
INPUTS, VALUE = normal(2, TARGET, WIDTH), normal(2, SOURCE, WIDTH, seed=1)


def padded(tokens, place, filler=0.0):
    """Tokens at some places of rows, and the mask that says where."""
    mask = np.array([place, place], bool)
    rows = np.full((2, len(place), WIDTH), filler, "float32")
    rows[mask] = tokens.reshape(-1, WIDTH)
    return rows, mask


def run(block, inputs, value=None, mask=None, value_mask=None, **arguments):
    """Calls any part; only a decoder block has a use for a value."""
    if mask is not None:
        arguments["mask"] = tensor(mask)
    if not isinstance(block, layers.DecoderBlock):
        return block(inputs, **arguments)
    if value_mask is not None:
        arguments["value_mask"] = tensor(value_mask)
    return block(inputs, VALUE if value is None else value, **arguments)


def built(make, **arguments):
    layer = make(**arguments)
    shapes = [(2, None, WIDTH)] * (2 if isinstance(layer, layers.DecoderBlock) else 1)
    layer.build(*shapes)
    return layer


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", BLOCKS)
def test_padding_changes_no_token_wherever_it_stands(name, place):
    block = built(BLOCKS[name])
    (inputs, mask), (value, value_mask) = (
        padded(tokens, where) for tokens, where in zip((TOKENS, SOURCE_TOKENS), PLACES[place], strict=True)
    )
    received = array(run(block, inputs, value, mask, value_mask))[mask].reshape(TOKENS.shape)
    assert_allclose(received, array(run(block, TOKENS, SOURCE_TOKENS)), atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("options", [{"positions": "rotary"}, {"positions": "alibi"}, {"sliding_window": 2}], ids=str)
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_distances_are_counted_among_the_tokens(name, options, place):
    block = built(BLOCKS[name], attention_options=options)
    inputs, mask = padded(TOKENS, PLACES[place][0])
    received = array(run(block, inputs, mask=mask))[mask].reshape(TOKENS.shape)
    assert_allclose(received, array(run(block, TOKENS)), atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", BLOCKS)
def test_nan_at_padding_reaches_no_token_and_no_gradient(name, bad):
    block = built(BLOCKS[name])

    def outputs_and_gradients(filler):
        inputs, mask = padded(TOKENS, PLACES["behind"][0], filler)

        def loss(inputs, *weights):
            with keras.StatelessScope(zip(block.trainable_variables, weights, strict=True)):
                return ops.sum(ops.where(tensor(mask)[..., None], run(block, inputs, mask=mask), 0.0) ** 2)

        weights = [array(variable) for variable in block.trainable_variables]
        return [array(run(block, inputs, mask=mask))[mask], *gradients(loss, inputs, *weights)]

    for expected, received in zip(outputs_and_gradients(0.0), outputs_and_gradients(bad), strict=True):
        assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["decoder", "decoder, post-norm"])
def test_nan_at_padding_of_the_source_reaches_no_token_and_no_gradient(name):
    block = built(BLOCKS[name])

    def outputs_and_gradients(filler):
        value, value_mask = padded(SOURCE_TOKENS, PLACES["in between"][1], filler)

        def loss(value):
            return ops.sum(run(block, INPUTS, value, value_mask=value_mask) ** 2)

        (gradient,) = gradients(loss, value)
        return [array(run(block, INPUTS, value, value_mask=value_mask)), gradient]

    for expected, received in zip(outputs_and_gradients(0.0), outputs_and_gradients(np.nan), strict=True):
        assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("make", [layers.PositionalEncoding, lambda: layers.LearnedPositions(20)])
def test_positions_are_counted_among_the_tokens(make, place):
    layer = make()
    inputs, mask = padded(TOKENS, PLACES[place][0])
    for offset in (0, np.array([0, 4])):
        received = array(layer(inputs, mask=tensor(mask), offset=offset))[mask].reshape(TOKENS.shape)
        assert_allclose(received, array(layer(TOKENS, offset=offset)), atol=1e-6)


def test_positions_without_a_mask_are_those_of_a_full_mask():
    assert_array_equal(array(token_positions(None, 3, 2)), [2, 3, 4])
    assert_array_equal(array(token_positions(tensor(np.ones((1, 3), bool)), 3, 2)), [[2, 3, 4]])


def test_implicit_mask_reaches_positions():
    embedding = keras.layers.Embedding(9, WIDTH, mask_zero=True)
    layer = layers.PositionalEncoding()
    in_front, alone = layer(embedding(np.array([[0, 0, 5, 6]]))), layer(embedding(np.array([[5, 6]])))
    assert_allclose(array(in_front)[:, 2:], array(alone), atol=1e-6)


@pytest.mark.parametrize("name", BLOCKS)
def test_weights_come_beside_the_same_outputs(name):
    block = built(BLOCKS[name])
    outputs, *weights = run(block, INPUTS, return_attention_scores=True)
    assert_allclose(array(outputs), array(run(block, INPUTS)), atol=1e-6)
    lengths = (TARGET, SOURCE) if isinstance(block, layers.DecoderBlock) else (TARGET,)
    assert [tuple(each.shape) for each in weights] == [(2, 2, TARGET, length) for length in lengths]
    for each in weights:
        assert_allclose(array(each).sum(-1), np.ones((2, 2, TARGET)), atol=1e-5)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_symbolic_shapes_are_those_of_a_call(name, asked):
    block = built(BLOCKS[name])
    symbolic = run(block, keras.Input((TARGET, WIDTH)), keras.Input((SOURCE, WIDTH)), return_attention_scores=asked)
    eager = run(block, INPUTS, return_attention_scores=asked)
    for expected, received in zip(keras.tree.flatten(eager), keras.tree.flatten(symbolic), strict=True):
        assert (2, *received.shape[1:]) == tuple(expected.shape)
        assert received.dtype == keras.backend.standardize_dtype(expected.dtype)


@pytest.mark.parametrize("name", PARTS)
def test_output_shape_is_known_without_a_call(name):
    layer = PARTS[name]()
    shapes = [INPUTS.shape, VALUE.shape] if isinstance(layer, layers.DecoderBlock) else [INPUTS.shape]
    assert tuple(layer.compute_output_shape(*shapes)) == tuple(run(layer, INPUTS).shape)


@pytest.mark.parametrize("name", PARTS)
def test_config_makes_the_same_layer_before_and_after_build(name):
    layer = PARTS[name]()
    before = layer.get_config()
    run(layer, INPUTS)
    again = built(lambda: type(layer).from_config(before))
    again.set_weights(layer.get_weights())
    assert_allclose(array(run(again, INPUTS)), array(run(layer, INPUTS)), atol=1e-6)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("activation", ["relu", "tanh", keras.activations.silu, "swiglu", None])
def test_any_activation_of_keras_survives_the_config(activation):
    block = built(lambda: layers.EncoderBlock(2, 12, activation=activation, epsilon=1e-3, seed=4))
    again = built(lambda: layers.EncoderBlock.from_config(block.get_config()))
    again.set_weights(block.get_weights())
    assert_allclose(array(again(INPUTS)), array(block(INPUTS)), atol=1e-6)


def test_initializers_reach_every_projection_and_no_two_are_alike():
    ones = {"kernel_initializer": "ones", "bias_initializer": keras.initializers.Constant(3.0)}
    block = built(BLOCKS["decoder, post-norm"], **ones)
    for weight in block.weights:
        if weight.name in ("kernel", "bias"):
            assert_array_equal(array(weight), np.full(weight.shape, 1.0 if weight.name == "kernel" else 3.0))
    swiglu = built(PARTS["feed-forward, swiglu"], kernel_initializer=keras.initializers.GlorotUniform())
    assert not np.allclose(array(swiglu.hidden.kernel), array(swiglu.gate.kernel))


@pytest.mark.parametrize("name", BLOCKS)
def test_seed_makes_dropout_repeatable_and_each_part_drops_otherwise(name):
    dropouts = {"dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5}

    def trained(seed):
        begin_anew()
        return array(run(built(BLOCKS[name], seed=seed, **dropouts), INPUTS, training=True))

    assert_array_equal(trained(1), trained(1))
    assert not np.allclose(trained(1), trained(2))
    block = built(BLOCKS[name], seed=1, **dropouts)
    seeds = {tuple(array(each)) for each in block.variables if each.name == "seed_generator_state"}
    assert len(seeds) == (6 if isinstance(block, layers.DecoderBlock) else 4)


@pytest.mark.parametrize("name", PARTS)
def test_layer_may_have_another_policy_than_the_global_one(name):
    exact = built(PARTS[name], dtype="float32")
    small = built(PARTS[name], dtype="mixed_bfloat16")
    small.set_weights(exact.get_weights())
    before = keras.config.dtype_policy()
    outputs = {}
    try:
        for policy in ("float32", "mixed_bfloat16"):
            keras.config.set_dtype_policy(policy)
            for layer in (built(PARTS[name], dtype="float32"), built(PARTS[name], dtype="mixed_bfloat16")):
                layer.set_weights(exact.get_weights())
                outputs[policy, layer.compute_dtype] = run(layer, INPUTS)
    finally:
        keras.config.set_dtype_policy(before)
    for (_, dtype), received in outputs.items():
        assert keras.backend.standardize_dtype(received.dtype) == dtype
        expected, tolerance = (exact, 1e-6) if dtype == "float32" else (small, 0.05)
        assert_allclose(array(received), array(run(expected, INPUTS)), atol=tolerance)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras' own products are of float32 on JAX and torch")
@pytest.mark.parametrize("name", PARTS)
def test_float64_is_computed_in_float64(name):
    layer = built(PARTS[name], dtype="float64")
    step = 1e-6 * normal(*INPUTS.shape, seed=3).astype("float64")
    values = [run(layer, tensor(INPUTS + by * step), tensor(VALUE.astype("float64"))) for by in (-1, 0, 1)]
    assert {keras.backend.standardize_dtype(value.dtype) for value in values} == {"float64"}
    before, there, after = (array(value) for value in values)
    assert np.abs(before - 2 * there + after).max() < 1e-9  # a smooth function; in float32 the rounding is 1e-7


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has no float64 unless it is told to before it starts")
def test_angles_of_float64_are_float64():
    positions, frequencies = np.arange(990, 1000), 10_000.0 ** -(np.arange(4) / 4)
    angles = positions[:, None] * frequencies
    expected = np.concatenate([np.sin(angles), np.cos(angles)], -1)
    received = layers.sinusoid(positions, 8, layout="concatenated", dtype="float64")
    assert_allclose(array(received), expected, atol=1e-12)
    ones = ops.ones((1, 1, 10, 8), "float64")
    turned = array(layers.rotary(ones, positions))[0, 0]
    assert_allclose(turned[:, :4], np.cos(angles) - np.sin(angles), atol=1e-12)


@pytest.mark.parametrize("name", ["encoder", "encoder, post-norm", "feed-forward", "sinusoid", "learned positions"])
def test_time_distributed_and_clone_model_take_the_layer(name):
    layer = built(PARTS[name])
    inputs = keras.Input((None, WIDTH))
    model = keras.Model(inputs, layer(inputs))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_allclose(array(clone(INPUTS)), array(layer(INPUTS)), atol=1e-6)
    several = keras.layers.TimeDistributed(layer)(np.stack([INPUTS, 2 * INPUTS], 1))
    for index in (0, 1):
        assert_allclose(array(several)[:, index], array(layer((1 + index) * INPUTS)), atol=1e-5)


@pytest.mark.parametrize("name", fewer_on_jax(["decoder", "feed-forward"], ["feed-forward"]))  # a decoder has it all
def test_quantized_block_holds_small_integers_and_answers_nearly_the_same(name):
    layer = built(PARTS[name])
    before = array(run(layer, INPUTS))
    layer.quantize("int8")
    kernels = [weight for weight in layer.weights if weight.name == "kernel"]
    assert kernels and all(weight.dtype == "int8" for weight in kernels)
    received = array(run(layer, INPUTS))
    assert 0 < np.abs(received - before).max() < 0.1


@pytest.mark.parametrize("name", BLOCKS)
def test_adapters_of_low_rank_change_a_block(name):
    block = built(BLOCKS[name])
    before = array(run(block, INPUTS))
    block.feed_forward.hidden.enable_lora(2)
    assert_allclose(array(run(block, INPUTS)), before, atol=1e-6)
    block.feed_forward.hidden.lora_kernel_b.assign(np.ones((2, 12)))
    assert not np.allclose(array(run(block, INPUTS)), before)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"axis": 1},
        {"axis": (1, 2)},
        {"axis": [-2]},
        {"center": False},
        {"scale": False},
        {"center": False, "scale": False},
        {"axis": (0, 2), "epsilon": 0.1},
        {"rms_scaling": True},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
def test_layer_normalization_is_that_of_keras(arguments):
    ours, theirs = LayerNormalization(**arguments), keras.layers.LayerNormalization(**arguments)
    for layer in (ours, theirs):
        layer.build(INPUTS.shape)
    weights = [normal(*weight.shape, seed=2) for weight in theirs.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    if BACKEND == "torch" and ours.axis not in ([-1], [1, 2]):
        pytest.skip("Keras itself cannot on torch")
    assert_allclose(array(ours(INPUTS)), array(theirs(INPUTS)), atol=1e-5)


def pieces(length):
    """A key and a value of a cache of one head."""
    return ops.ones((2, 1, length, 3)), ops.ones((2, 1, length, 3))


@pytest.mark.parametrize(("filled", "more"), [(3, 2), (4, 1), (0, 5)])
def test_full_cache_refuses_more(filled, more):
    cache = layers.KVCache.allocate(2, 1, 4, 3, 3, "float32")
    if filled:
        cache = cache.append(*pieces(filled))
    with pytest.raises(ValueError, match=f"{filled} positions are filled, of max_length=4. Received {more} more"):
        cache.append(*pieces(more))


def appended(length):
    """The keys of a cache of four positions, of which `length` were filled, after two more."""
    cache = layers.KVCache.allocate(2, 1, 4, 3, 3, "float32")
    cache = layers.KVCache(cache.key, cache.value, cache.mask, length).append(*pieces(2))
    return cache.key, cache.mask


def test_full_cache_is_seen_where_a_compiler_runs_it():
    if BACKEND == "torch":
        pytest.skip("torch compiles nothing that Keras runs")
    if BACKEND == "tensorflow":
        import tensorflow as tf

        run_it = tf.function(appended, jit_compile=True)
        fails = tf.function(lambda length: appended(length)[1])
        assert array(fails(tf.constant(2))).sum() == 4
        with pytest.raises(tf.errors.InvalidArgumentError, match="max_length=4"):
            fails(tf.constant(3))
    else:
        import jax

        run_it = jax.jit(appended)
    assert np.isfinite(array(run_it(tensor(np.int32(2)))[0])).all()
    keys, mask = run_it(tensor(np.int32(3)))
    assert np.isnan(array(keys)[:, :, 2:]).all() and array(mask)[:, 2:].all()
