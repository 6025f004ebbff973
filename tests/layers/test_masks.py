"""Masks, value by value."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from keras_attention.layers import causal_mask, combine_masks, padding_mask, window_mask


def test_padding_mask_is_true_at_tokens():
    assert_array_equal(padding_mask(np.array([[3, 0, 4], [0, 0, 0]])), [[True, False, True], [False, False, False]])
    assert_array_equal(padding_mask(np.array([[3, 9]]), pad=9), [[True, False]])


def test_causal_mask_is_a_lower_triangle():
    assert_array_equal(causal_mask(3), np.tri(3, dtype=bool))


@given(total=st.integers(1, 9), offset=st.integers(0, 8))
def test_causal_mask_with_an_offset_is_the_last_rows_of_the_full_one(total, offset):
    offset = min(offset, total - 1)
    assert_array_equal(causal_mask(total - offset, total, offset), causal_mask(total)[offset:])
    assert_array_equal(causal_mask(total - offset, offset=offset), causal_mask(total)[offset:])


@given(target=st.integers(1, 6), before=st.integers(0, 4), after=st.integers(0, 4), offset=st.integers(0, 3))
def test_window_mask_reaches_as_far_as_it_says(target, before, after, offset):
    mask = window_mask(target, 9, offset, before=before, after=after).numpy()
    for query in range(target):
        for key in range(9):
            assert mask[query, key] == (offset + query - before <= key <= offset + query + after)


def test_masks_take_tensors_for_lengths_and_offset():
    graph = tf.function(lambda target, offset: (causal_mask(target, offset=offset), window_mask(target, 5, offset)))
    causal, window = graph(tf.constant(2), tf.constant(1))
    assert_array_equal(causal, causal_mask(2, offset=1))
    assert_array_equal(window, window_mask(2, 5, 1))


def test_combined_mask_is_true_where_all_are_and_none_is_all_true():
    first, second = np.array([[[True, True, False]]]), np.array([[[True], [False]]])
    assert_array_equal(combine_masks(first, None, second), [[[True, True, False], [False, False, False]]])
    assert combine_masks(None, None) is None


def test_ranks_are_not_left_to_broadcasting():
    with pytest.raises(ValueError, match=r"mask 1 must have 2 dimensions.*Received shape \(1, 3, 3\)"):
        combine_masks(np.ones((3, 3), bool), np.ones((1, 3, 3), bool))


def test_float_mask_is_refused():
    with pytest.raises(ValueError, match=r"must be bool, True = may be attended. Received dtype float32"):
        combine_masks(np.ones((3, 3), "float32"))
