"""Scores against numbers that a person can check, and their complaints."""

import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention import layers

QUERY = np.array([[[1.0, 2.0]]], "float32")
KEY = np.array([[[3.0, 4.0], [1.0, 0.0], [0.0, -1.0]]], "float32")


def test_dot_is_the_sum_of_products():
    assert_allclose(layers.DotScore()(QUERY, KEY), [[[11.0, 1.0, -2.0]]])


def test_scaled_dot_is_divided_by_the_root_of_the_width():
    assert_allclose(layers.DotScore(scaled=True)(QUERY, KEY), np.array([[[11.0, 1.0, -2.0]]]) / np.sqrt(2), rtol=1e-6)


def test_learned_scale_starts_at_one_and_multiplies():
    score = layers.DotScore(learned_scale=True)
    assert_allclose(score(QUERY, KEY), [[[11.0, 1.0, -2.0]]])
    score.g.assign(3.0)
    assert_allclose(score(QUERY, KEY), [[[33.0, 3.0, -6.0]]])


def test_general_is_a_bilinear_form():
    score = layers.GeneralScore()
    score.build((None, None, 2), (None, None, 3))
    kernel = np.array([[1, 0], [0, 2], [1, 1]], "float32")  # key width 3 to query width 2
    score.set_weights([kernel])
    key = np.array([[[1, 1, 1], [0, 1, 0]]], "float32")
    assert_allclose(score(QUERY, key), [[[1 * 2 + 2 * 3, 2 * 2]]])


def test_reduced_rank_compares_in_rank_dimensions():
    score = layers.ReducedRankScore(rank=1)
    score.build((None, None, 2), (None, None, 2))
    score.set_weights([np.array([[1], [1]], "float32"), np.array([[2], [0]], "float32")])
    assert_allclose(score(QUERY, KEY), [[[18.0, 6.0, 0.0]]])


def additive(normed=False):
    score = layers.AdditiveScore(units=2, normed=normed)
    score.build((None, None, 2), (None, None, 2))
    identity = np.eye(2, dtype="float32")
    score.query_projection.set_weights([identity])
    score.key_projection.set_weights([identity])
    score.v.assign([[3.0], [4.0]])
    return score


def test_additive_is_bahdanaus_formula():
    expected = np.tanh(QUERY[:, :, None] + KEY[:, None]) @ [3.0, 4.0]
    assert_allclose(additive()(QUERY, KEY), expected, rtol=1e-5)


def test_normed_additive_starts_with_a_length_of_the_root_of_one_over_units():
    score = additive(normed=True)
    assert_allclose(np.linalg.norm(score.direction()), np.sqrt(1 / 2), rtol=1e-6)
    score.g.assign(10.0)
    score.b.assign([0.5, -0.5])
    expected = np.tanh(QUERY[:, :, None] + KEY[:, None] + np.array([0.5, -0.5])) @ [6.0, 8.0]
    assert_allclose(score(QUERY, KEY), expected, rtol=1e-5)


def test_concat_is_the_additive_score_with_its_kernel_cut_in_two():
    score = layers.get_score("concat", units=3)
    score.build((None, None, 2), (None, None, 2))
    kernel = np.concatenate([score.query_projection.kernel, score.key_projection.kernel])
    pairs = np.concatenate(np.broadcast_arrays(QUERY[:, :, None], KEY[:, None]), axis=-1)
    assert_allclose(score(QUERY, KEY), (np.tanh(pairs @ kernel) @ score.v.numpy())[..., 0], rtol=1e-5)


def test_two_weights_of_one_score_do_not_start_alike():
    score = layers.AdditiveScore(units=4)
    score.build((None, None, 4), (None, None, 4))
    assert not np.allclose(score.query_projection.kernel, score.key_projection.kernel)


def test_score_of_ones_own_can_be_registered_and_used():
    from keras_attention.layers.scores import SCORES

    try:

        @layers.register_score("negative_distance")
        class NegativeDistance(layers.Score):
            @staticmethod
            def pair(query, prepared):
                return -ops.sum((query[:, :, None] - prepared[:, None]) ** 2, axis=-1)

        weights = layers.Attention("negative_distance")(KEY, KEY).weights
        assert (np.argmax(weights, -1) == [[0, 1, 2]]).all()
    finally:
        del SCORES["negative_distance"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.get_score("cosine"),
            r"score must be a Score, a function of a query and a key, or one of .*'dot'.* Received 'cosine'",
        ),
        (lambda: layers.get_score("reduced_rank"), r"'reduced_rank' does not fit.*rank.*ReducedRankScore\(\.\.\.\)"),
        (lambda: layers.ReducedRankScore(rank=0), "rank must be at least 1. Received rank=0"),
        (lambda: layers.AdditiveScore(units=0), "units must be at least 1. Received units=0"),
        (
            lambda: layers.DotScore()(np.ones((1, 2, 3)), np.ones((1, 2, 4))),
            r"one width. Received query \(1, 2, 3\) and key \(1, 2, 4\). Use score='general'",
        ),
    ],
)
def test_wrong_score_says_what_was_expected_received_and_how_to_fix_it(make, message):
    with pytest.raises(ValueError, match=message):
        make()
