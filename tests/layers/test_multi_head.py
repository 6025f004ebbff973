"""Multi-head attention beside Keras', its positions by hand, and its complaints."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers

BATCH, TARGET, SOURCE, DIM = 2, 3, 7, 8


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


QUERY, VALUE, KEY = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, 5, seed=1), normal(BATCH, SOURCE, 6, seed=2)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"value_dim": 3}, {"use_bias": False}, {"output_shape": 9}, {"sliding_window": 2}],
    ids=str,
)
def test_keras_weights_fit_and_give_keras_numbers(arguments):
    theirs, ours = (module.MultiHeadAttention(2, 4, **arguments) for module in (keras.layers, layers))
    mask = np.random.default_rng(0).random((BATCH, TARGET, SOURCE)) > 0.3
    mask[..., 0] = True
    call = {"key": KEY, "attention_mask": mask, "return_attention_scores": True}
    expected, expected_weights = theirs(QUERY, VALUE, **call)
    ours.build(QUERY.shape, VALUE.shape, KEY.shape)
    ours.set_weights([weight + 0.1 for weight in theirs.get_weights()])
    theirs.set_weights(ours.get_weights())
    expected, expected_weights = theirs(QUERY, VALUE, **call)
    received, weights = ours(QUERY, VALUE, **call)
    assert_allclose(received, expected, atol=1e-5)
    assert_allclose(weights, expected_weights, atol=1e-5)


def test_replacing_the_class_in_a_model_is_the_whole_migration():
    def model(module):
        source, target = keras.Input((None, 5)), keras.Input((None, DIM))
        x = module.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1)(target, source)
        return keras.Model([source, target], keras.layers.Dense(3)(x))

    old, new = model(keras.layers), model(layers)
    new.set_weights(old.get_weights())
    assert_allclose(new([VALUE, QUERY]), old([VALUE, QUERY]), atol=1e-5)


def test_grouped_heads_with_repeated_weights_are_ordinary_heads():
    grouped, ordinary = (layers.MultiHeadAttention(4, 6, kv_heads=kv_heads) for kv_heads in (2, None))
    grouped(QUERY, VALUE)
    ordinary(QUERY, VALUE)
    weights = grouped.get_weights()
    for index in (2, 3, 4, 5):  # key and value, kernel and bias
        weights[index] = np.repeat(weights[index], 2, axis=-2)
    ordinary.set_weights(weights)
    assert_allclose(grouped(QUERY, VALUE), ordinary(QUERY, VALUE), atol=1e-5)


def test_rotary_products_depend_on_the_distance_alone():
    query, key = normal(1, 1, 1, 6), normal(1, 1, 1, 6, seed=1)

    def product(p, q):
        return float(ops.sum(layers.rotary(query, np.array([p])) * layers.rotary(key, np.array([q]))))

    assert product(5, 3) == pytest.approx(product(105, 103), abs=1e-3)
    assert product(5, 3) != pytest.approx(product(5, 4), abs=1e-3)


def test_rotary_turns_each_pair_by_position_times_frequency():
    turned = layers.rotary(np.array([[[[1.0, 1.0, 0.0, 0.0]]]], "float32"), np.array([2])).numpy()[0, 0, 0]
    assert_allclose(turned, [np.cos(2), np.cos(0.02), np.sin(2), np.sin(0.02)], atol=1e-6)


def test_rotary_in_bfloat16_tells_late_positions_apart():
    ones = ops.cast(np.ones((1, 1, 2, 4)), "bfloat16")
    near, far = layers.rotary(ones, np.array([1000, 1001])).numpy().astype("float32")[0, 0]
    assert np.abs(near - far).max() > 0.1


def test_alibi_takes_a_slope_for_each_step_of_distance():
    pattern = layers.Pattern(slopes=layers.alibi_slopes(2), offset=1)
    bias = pattern.bias(ops.arange(2), ops.arange(3)).numpy()[0]
    assert_allclose(bias[0], [[-1 / 16, 0, -1 / 16], [-2 / 16, -1 / 16, 0]])
    assert_allclose(bias[1], bias[0] / 16)


def test_alibi_slopes_for_heads_that_are_no_power_of_two_are_the_authors():
    assert_allclose(layers.alibi_slopes(8), 2.0 ** -np.arange(1, 9))
    assert_allclose(layers.alibi_slopes(6), [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


def test_window_is_keras_sliding_window():
    weights = layers.MultiHeadSelfAttention(1, 4, sliding_window=2)(
        normal(1, 4, 3), return_attention_scores=True, use_causal_mask=True
    )[1]
    assert_allclose(weights.numpy()[0, 0] > 0, [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])


def test_positions_before_the_layer_work_like_any_layer():
    for positions in (layers.PositionalEncoding(), layers.LearnedPositions(9)):
        model = keras.Sequential([positions, layers.MultiHeadSelfAttention(2, 4)])
        assert model(normal(BATCH, TARGET, DIM)).shape == (BATCH, TARGET, DIM)


def test_query_mask_is_honoured():
    mask = np.array([[True, True, False], [False, True, True]])
    _, weights = layers.MultiHeadAttention(2, 4)(QUERY, VALUE, query_mask=mask, return_attention_scores=True)
    assert_allclose(np.sum(weights, -1), np.broadcast_to(mask[:, None], (BATCH, 2, TARGET)), atol=1e-5)


def built():
    layer = layers.MultiHeadAttention(2, 4)
    layer.build(QUERY.shape, VALUE.shape, KEY.shape)
    return layer


def call(*arguments, **keywords):
    return layers.MultiHeadAttention(2, 4)(*arguments, **keywords)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.MultiHeadAttention(4, 6, kv_heads=3),
            "kv_heads must divide num_heads.*kv_heads=3",
        ),
        (lambda: layers.MultiHeadAttention(0, 6), "`num_heads` must be a positive integer. Received num_heads=0"),
        (lambda: layers.MultiHeadAttention(2, 4.5), "`key_dim` must be a positive integer. Received key_dim=4.5"),
        (lambda: layers.MultiHeadAttention(2, 5, positions="rotary"), "key_dim must be even with positions='rotary'"),
        (lambda: layers.MultiHeadAttention(2, 4, positions="sine"), "positions must be one of None, 'rotary', 'alibi'"),
        (lambda: layers.MultiHeadAttention(2, 4, blockwise="yes"), "blockwise must be 'auto', True or False"),
        (lambda: layers.MultiHeadAttention(2, 4, sliding_window=0), "`sliding_window` must be a positive integer"),
        (lambda: layers.rotary(normal(1, 1, 1, 5), np.array([0])), "the width of a head must be even.*Received 5"),
        (lambda: call(QUERY[0], VALUE), r"query must have 3 dimensions, .*Received shape \(3, 8\)"),
        (
            lambda: call(QUERY, VALUE, KEY[:, :4]),
            r"one length: .* must be equal. Received key \(2, 4, 6\) and value \(2, 7, 5\)",
        ),
        (
            lambda: call(QUERY, VALUE, value_mask=np.ones((2, 3))),
            r"value_mask must be \(batch, source\), here \(2, 7\)",
        ),
        (
            lambda: call(QUERY, VALUE, attention_mask=np.ones((2, 7), bool)),
            r"must be \(target, source\) \(a padding mask .* value_mask\), here \(3, 7\). Received shape \(2, 7\)",
        ),
        (
            lambda: call(QUERY, VALUE, attention_mask=np.ones((2, 7, 3), bool)),
            r"here \(2, 3, 7\). Received shape \(2, 7, 3\): .*its axes are in another order",
        ),
        (
            lambda: call(QUERY, VALUE, attention_mask=np.ones(7)),
            r"must have 2 to 4 dimensions, .*Received shape \(7,\)",
        ),
        (lambda: built()(QUERY[..., :7], VALUE, KEY), r"query must have width 8, .*Received shape \(2, 3, 7\)"),
        (lambda: built()(QUERY, VALUE, VALUE), r"key must have width 6, .*Received shape \(2, 7, 5\)"),
        (lambda: layers.MultiHeadAttention(2, 4).prepare(VALUE), r"prepare\(\) was called before .*layer.build"),
        (
            lambda: layers.EncoderBlock(3, 9)(QUERY),
            "num_heads must divide the width.*num_heads=3.*width 8",
        ),
        (lambda: layers.EncoderBlock(2, 9, norm="both"), "norm must be 'pre' or 'post'. Received 'both'"),
        (
            lambda: layers.FeedForward(9, "tahn"),
            "activation must be 'swiglu', or the name of a Keras activation.*Received 'tahn'",
        ),
        (
            lambda: layers.EncoderBlock(2, 9)(QUERY[0]),
            r"must be \(batch, length, dim\). Received shape \(3, 8\)",
        ),
        (lambda: layers.LocalAttention(alignment="x"), "alignment must be 'predictive' or 'monotonic'. Received 'x'"),
        (lambda: layers.LocalAttention(half_width=0), "half_width must be at least 1. Received half_width=0"),
        (lambda: layers.LocationAttention(0), "max_length must be at least 1. Received max_length=0"),
    ],
)
def test_wrong_use_says_what_was_expected_received_and_how_to_fix_it(make, message):
    with pytest.raises(ValueError, match=message):
        make()
