"""Local, location and monotonic attention against their formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers

BATCH, TARGET, SOURCE, DIM = 2, 3, 9, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


QUERY, VALUE = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, DIM, seed=1)


def softmax_where(scores, mask):
    exp = np.where(mask, np.exp(scores), 0.0)
    return exp / exp.sum(-1, keepdims=True)


def test_local_p_is_a_softmax_in_the_window_times_a_gaussian():
    layer = layers.LocalAttention("dot", "predictive", half_width=2)
    layer.build(QUERY.shape, VALUE.shape)
    layer.set_weights([weight * 3 for weight in layer.get_weights()])
    mask = np.arange(SOURCE) < np.array([[6], [9]])
    weights = layer(QUERY, VALUE, value_mask=mask).weights
    W, v = layer.hidden.kernel.numpy(), layer.position.kernel.numpy()
    length = mask.sum(1)[:, None, None]
    center = length / (1 + np.exp(-np.tanh(QUERY @ W) @ v))  # p_t, real
    distance = np.arange(SOURCE)[None, None] - center
    window = (np.abs(distance) <= 2) & mask[:, None]
    expected = softmax_where(QUERY @ VALUE.swapaxes(1, 2), window) * np.exp(-(distance**2) / (2 * 1.0**2))
    assert_allclose(weights, expected, atol=1e-5)


def test_local_m_looks_around_its_own_position():
    layer = layers.LocalAttention("dot", "monotonic", half_width=1)
    whole = layer(QUERY, VALUE).weights.numpy()
    for position in range(TARGET):
        near = np.abs(np.arange(SOURCE) - position) <= 1
        assert_array_equal(whole[:, position] > 0, np.broadcast_to(near, (BATCH, SOURCE)))


def test_location_scores_come_from_the_query_alone():
    layer = layers.LocationAttention(max_length=12)
    weights = layer(QUERY, VALUE).weights
    assert_allclose(weights, layer(QUERY, VALUE * 5).weights)
    expected = (QUERY @ layer.location.kernel.numpy())[..., :SOURCE]
    assert_allclose(weights, softmax_where(expected, True), atol=1e-6)


def test_location_gives_nothing_beyond_its_rows():
    weights = layers.LocationAttention(max_length=5)(QUERY, VALUE).weights.numpy()
    assert_array_equal(weights[..., 5:], 0)
    assert_allclose(weights.sum(-1), 1.0, atol=1e-6)


def expected_alignments(stops, previous):
    """Raffel et al. 2017, eq. 8-10, as a recursion over the source."""
    alignments = []
    for stop in stops:
        alignment, carried = np.zeros_like(previous), 0.0
        for j in range(len(previous)):
            carried = (1 - stop[j - 1]) * carried + previous[j] if j else previous[0]
            alignment[j] = stop[j] * carried
        alignments.append(alignment)
        previous = alignment
    return np.array(alignments)


def test_monotonic_expectation_is_the_papers_recursion():
    layer = layers.MonotonicAttention("dot", score_bias=-0.5)
    weights = layer(QUERY, VALUE).weights.numpy()
    stops = 1 / (1 + np.exp(-(QUERY @ VALUE.swapaxes(1, 2) - 0.5)))
    first = np.eye(SOURCE)[0]
    for item in range(BATCH):
        assert_allclose(weights[item], expected_alignments(stops[item], first), atol=1e-4)
    assert (weights.sum(-1) <= 1 + 1e-5).all()


def test_weight_behind_likely_stops_does_not_vanish():
    keys = np.array([[[-9, 9], [-9, 9], [-9, 9], [9, 1]]], "float32")
    weights = layers.MonotonicAttention("dot")(np.array([[[2, 0], [0, 1]]], "float32"), keys).weights.numpy()[0]
    assert_allclose(weights[1], [0, 0, 0, 1 / (1 + np.exp(-1))], atol=1e-6)  # behind three stops of p = 0.9999


@pytest.mark.parametrize("in_graph", [False, True], ids=["known length", "unknown length"])
@pytest.mark.parametrize("source", [1, 2, 7, 8, 40])
def test_monotonic_expectation_is_the_recursion_at_every_length_and_likelihood(source, in_graph):
    import tensorflow as tf

    query, key = normal(1, 18, DIM, seed=2) * 3, normal(1, source, DIM, seed=3) * 3
    layer = layers.MonotonicAttention("dot")
    layer.build(query.shape, key.shape)
    specs = [tf.TensorSpec([1, None, DIM])] * 2
    call = tf.function(lambda *inputs: layer(*inputs).weights, input_signature=specs) if in_graph else layer
    weights = call(query, key) if in_graph else call(query, key).weights
    stops = 1 / (1 + np.exp(-(query.astype("float64") @ key.swapaxes(1, 2))[0]))
    assert_allclose(weights[0], expected_alignments(stops, np.eye(source)[0]), atol=2e-6)


def test_hard_monotonic_attention_stops_at_the_first_position_over_one_half_and_never_goes_back():
    scores = np.array([[[-1, 2, -1, 3], [-1, -1, -1, 1], [5, 5, -1, -1]]], "float32")
    layer = layers.MonotonicAttention("dot", hard=True)
    weights = layer(scores, np.eye(4, dtype="float32")[None]).weights.numpy()[0]
    assert_array_equal(weights, [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])  # the last has nowhere to go


def test_noise_comes_in_training_only():
    layer = layers.MonotonicAttention("dot", noise=2.0, seed=1)
    quiet = layer(QUERY, VALUE).weights
    assert_allclose(quiet, layer(QUERY, VALUE).weights)
    assert not np.allclose(quiet, layer(QUERY, VALUE, training=True).weights)


@pytest.mark.parametrize("length", [30, 300])
def test_long_monotonic_source_stays_finite_forward_and_backward(length):
    import tensorflow as tf

    value = tf.constant(normal(1, length, DIM) * 4)
    layer = layers.MonotonicAttention("dot")
    with tf.GradientTape() as tape:
        tape.watch(value)
        weights = layer(QUERY[:1] * 4, value).weights
    assert np.isfinite(weights.numpy()).all()
    assert np.isfinite(tape.gradient(weights, value).numpy()).all()
