"""The largest logits, found in a few groups, are those that a sort of all gives."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from keras_attention.decoding.scoring import best


@pytest.mark.parametrize("vocabulary", [6, 999, 1_000, 1_009, 10_000])
@settings(max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(1, 5), values=st.integers(2, 2_000))
def test_best_are_those_of_a_sort_also_where_logits_are_equal(vocabulary, seed, count, values):
    logits = np.random.default_rng(seed).integers(values, size=(3, vocabulary)).astype("float32")
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :count]  # of equal ones the lower id first
    assert_array_equal(best(tf.constant(logits), count), expected)
