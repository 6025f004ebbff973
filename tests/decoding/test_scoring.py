"""The largest logits, found in a few groups, are those that a sort of all gives."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention.decoding.scoring import best, log_sum_exp


@pytest.mark.parametrize("vocabulary", [6, 999, 1_000, 1_009, 10_000])
@settings(max_examples=20)
@given(
    seed=st.integers(0, 999),
    count=st.integers(1, 5),
    values=st.integers(2, 2_000),
    forbidden=st.sets(st.integers(0, 2) | st.sampled_from([5, 998])),
)
def test_best_are_those_of_a_sort_also_where_logits_are_equal(vocabulary, seed, count, values, forbidden):
    forbidden = [index for index in forbidden if index < vocabulary]
    logits = np.random.default_rng(seed).integers(values, size=(3, vocabulary)).astype("float32")
    received = best(tf.constant(logits), count, forbidden)
    logits[:, forbidden] = -np.inf
    assert_array_equal(received, np.argsort(-logits, axis=1, kind="stable")[:, :count])  # of equal ones the lower id


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("vocabulary", [6, 1_009])
def test_log_sum_exp_is_exact_where_probabilities_underflow(vocabulary, scale):
    logits = scale * np.random.default_rng(0).normal(size=(3, vocabulary)).astype("float32")
    assert_allclose(log_sum_exp(tf.constant(logits))[:, 0], tf.reduce_logsumexp(logits, axis=-1), rtol=1e-6)
