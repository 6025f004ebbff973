"""Positions: the three layouts in use, offsets, small dtypes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention.layers import LearnedPositions, PositionalEncoding, sinusoid

DIM, LENGTH = 6, 5


def angles(steps):
    return np.arange(LENGTH)[:, None] * 10_000.0 ** -(np.arange(DIM // 2) / steps)


def test_interleaved_is_the_papers_formula():
    expected = np.zeros((LENGTH, DIM))
    for position in range(LENGTH):
        for i in range(DIM // 2):
            angle = position / 10_000 ** (2 * i / DIM)
            expected[position, 2 * i], expected[position, 2 * i + 1] = np.sin(angle), np.cos(angle)
    assert_allclose(sinusoid(np.arange(LENGTH), DIM), expected, atol=1e-6)


def test_concatenated_puts_all_sines_first():
    expected = np.concatenate([np.sin(angles(DIM / 2)), np.cos(angles(DIM / 2))], -1)
    assert_allclose(sinusoid(np.arange(LENGTH), DIM, layout="concatenated"), expected, atol=1e-6)


def test_timescales_of_tensor2tensor_reach_the_longest_wavelength():
    expected = np.concatenate([np.sin(angles(DIM / 2 - 1)), np.cos(angles(DIM / 2 - 1))], -1)
    received = sinusoid(np.arange(LENGTH), DIM, layout="concatenated", timescales="tensor2tensor")
    assert_allclose(received, expected, atol=1e-6)


def test_bfloat16_tells_position_256_from_257():
    near, far = sinusoid(np.array([256, 257]), DIM, dtype="bfloat16").numpy().astype("float32")
    assert np.abs(near - far).max() > 0.1
    exact = sinusoid(np.array([256, 257]), DIM).numpy()
    assert_allclose(np.stack([near, far]), exact, atol=0.01)


@pytest.mark.parametrize("make", [PositionalEncoding, lambda: LearnedPositions(20)])
@settings(max_examples=10)
@given(cut=st.integers(1, LENGTH - 1), offset=st.integers(0, 9))
def test_sequence_cut_in_two_gets_the_positions_of_the_whole(make, cut, offset):
    layer, inputs = make(), np.zeros((2, LENGTH, DIM), "float32")
    whole = layer(inputs, offset=offset)
    parts = layer(inputs[:, :cut], offset=offset), layer(inputs[:, cut:], offset=tf.constant(offset + cut))
    assert_allclose(np.concatenate(parts, 1), whole, atol=1e-6)


@pytest.mark.parametrize("make", [PositionalEncoding, lambda: LearnedPositions(20)])
def test_each_row_may_have_its_own_offset(make):
    layer, inputs = make(), np.zeros((2, LENGTH, DIM), "float32")
    received = layer(inputs, offset=np.array([0, 7]))
    assert_allclose(received[0], layer(inputs)[0])
    assert_allclose(received[1], layer(inputs, offset=7)[1])


@pytest.mark.parametrize("make", [PositionalEncoding, lambda: LearnedPositions(20)])
def test_mask_passes_through_and_a_keras_file_keeps_the_layer(make, tmp_path):
    model = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, DIM, mask_zero=True), make()])
    outputs = model(np.array([[5, 0]]))
    assert_array_equal(outputs._keras_mask, [[True, False]])
    model.save(tmp_path / "model.keras")
    assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(np.array([[5, 0]])), outputs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinusoid(np.arange(3), 5), "dim must be even.*Received dim=5"),
        (lambda: sinusoid(np.arange(3), 4, layout="mixed"), "layout must be one of 'interleaved', 'concatenated'"),
        (lambda: PositionalEncoding(timescales="x"), "timescales must be one of 'vaswani', 'tensor2tensor'"),
        (lambda: PositionalEncoding()(np.ones((2, 3, 5))), r"even dim.*Received shape \(2, 3, 5\)"),
        (lambda: LearnedPositions(4)(np.ones((2, 3, 5)), offset=2), "max_length=4. Received length 3 at offset 2"),
        (lambda: LearnedPositions(4)(np.ones((2, 3))), r"must be \(batch, length, dim\). Received shape \(2, 3\)"),
    ],
)
def test_wrong_use_says_what_was_expected_and_received(call, message):
    with pytest.raises(ValueError, match=message):
        call()
