"""Bridges from encoder to decoder."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention.layers import Bridge

FORWARD, BACKWARD = (np.full((2, 3), 1.0, "float32"),), (np.full((2, 3), 2.0, "float32"),)


def test_copy_joins_the_directions():
    (state,) = Bridge(6, kind="copy")((FORWARD, BACKWARD))
    assert_allclose(state, np.concatenate([FORWARD[0], BACKWARD[0]], -1))


def test_dense_is_a_tanh_of_all_directions():
    bridge = Bridge(4)
    (state,) = bridge((FORWARD, BACKWARD))
    kernel = bridge.projections[0].kernel.numpy()
    assert_allclose(state, np.tanh(np.concatenate([FORWARD[0], BACKWARD[0]], -1) @ kernel), atol=1e-6)


def test_backward_is_bahdanaus_tanh_of_the_backward_state():
    bridge = Bridge(4, kind="backward")
    (state,) = bridge((FORWARD, BACKWARD))
    (kernel,) = bridge.get_weights()
    assert_allclose(state, np.tanh(BACKWARD[0] @ kernel), atol=1e-6)


def test_zeros_know_nothing():
    assert_allclose(Bridge(4, state_count=2, kind="zeros")((FORWARD,)), np.zeros((2, 2, 4)))


def test_lstm_decoder_after_a_gru_encoder_gets_both_states_from_one():
    states = Bridge(4, state_count=2)((FORWARD,))
    assert [tuple(state.shape) for state in states] == [(2, 4), (2, 4)]


def test_copy_between_widths_that_differ_is_refused():
    with pytest.raises(ValueError, match=r"Received 6 units from the encoder for a decoder of 4. Use kind='dense'"):
        Bridge(4, kind="copy")((FORWARD, BACKWARD))


def test_unknown_kind_is_refused():
    with pytest.raises(
        ValueError, match=r"kind must be one of 'dense', 'backward', 'copy', 'zeros'. Received 'linear'"
    ):
        Bridge(4, kind="linear")
