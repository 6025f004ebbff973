"""The layer between an encoder of Keras and a decoder cell: states in any form, outputs with names, messages."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers

INPUTS, VALUE = np.ones((2, 3, 5), "float32"), np.ones((2, 7, 4), "float32")
H, C = (np.random.default_rng(seed).normal(size=(2, 6)).astype("float32") for seed in range(2))


@pytest.mark.parametrize("make", [layers.BahdanauCell, layers.LuongCell, layers.PlainCell])
@pytest.mark.parametrize("state", [H, (H,), [H]], ids=["tensor", "tuple", "list"])
def test_state_of_a_gru_starts_any_cell(make, state):
    rnn = layers.AttentionRNN(make(6))
    rnn(INPUTS, VALUE)
    started = rnn.read(INPUTS, rnn.prepare(VALUE), rnn.cell.start((H,), rnn.prepare(VALUE)))
    assert_array_equal(rnn(INPUTS, VALUE, initial_state=state).output, started.output)


@pytest.mark.parametrize("make", [layers.BahdanauCell, layers.LuongCell, layers.PlainCell])
def test_state_of_an_lstm_starts_any_cell_of_an_lstm(make):
    rnn = layers.AttentionRNN(make(6, cell="lstm"))
    rnn(INPUTS, VALUE)
    started = rnn.read(INPUTS, rnn.prepare(VALUE), rnn.cell.start((H, C), rnn.prepare(VALUE)))
    assert_array_equal(rnn(INPUTS, VALUE, initial_state=(H, C)).output, started.output)


@pytest.mark.parametrize(
    ("cell", "state", "message"),
    [
        (
            layers.LuongCell(6, cell="lstm"),
            H,
            r"must be h and c, each of shape \(batch, 6\).* Received 1 of shapes \(2",
        ),
        (layers.PlainCell(6), (H, C), r"must be h, of shape \(batch, 6\).*Received 2 of shapes .*Bridge\(units=6"),
        (layers.BahdanauCell(4), H, r"must be h, of shape \(batch, 4\).*Received 1 of shapes \(2, 6\)"),
    ],
)
def test_wrong_state_says_what_was_expected_received_and_how_to_fix_it(cell, state, message):
    with pytest.raises(ValueError, match=message):
        layers.AttentionRNN(cell)(INPUTS, VALUE, initial_state=state)


def test_encoder_of_keras_starts_a_decoder_in_a_functional_model_whose_outputs_have_names(tmp_path):
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(source)
    outputs, *state = keras.layers.LSTM(6, return_sequences=True, return_state=True)(embedded)
    rnn = layers.AttentionRNN(layers.LuongCell(6, cell="lstm"), name="decoder")
    decoded = rnn(keras.layers.Embedding(9, 5, mask_zero=True)(target), outputs, initial_state=state)
    model = keras.Model([source, target], [decoded.output, *decoded.state, decoded.weights])
    assert model.output_names == [f"decoder_{part}" for part in ("output", "state_0", "state_1", "state_2", "weights")]
    model.compile("sgd", {"decoder_output": "mse", "decoder_weights": "mae"})
    ids = np.array([[0, 0, 5, 6], [7, 5, 8, 6]]), np.array([[0, 4, 5], [6, 7, 8]])
    expected = model.predict(ids, verbose=0)
    assert_array_equal(expected[-1][0, :, :2], 0)
    assert_array_equal(expected[-1][0, 0], 0)
    model.save(tmp_path / "model.keras")
    for one, other in zip(expected, keras.saving.load_model(tmp_path / "model.keras").predict(ids), strict=True):
        assert_allclose(other, one, atol=1e-6)


@pytest.mark.parametrize("summary", [H, (H,), ((H,),)], ids=["tensor", "tuple", "directions"])
def test_bridge_takes_what_a_gru_returns(summary):
    bridge = layers.Bridge(5)
    (state,) = bridge(summary)
    assert_allclose(state, np.tanh(H @ bridge.projections[0].kernel + bridge.projections[0].bias), atol=1e-5)


def test_bridge_takes_what_an_lstm_and_a_bidirectional_one_return():
    first, second = layers.Bridge(5, state_count=2)((H, C))
    assert first.shape == second.shape == (2, 5)
    bridge = layers.Bridge(12, state_count=2, kind="copy")
    for state, parts in zip(bridge(((H, C), (C, H))), ((H, C), (C, H)), strict=True):
        assert_array_equal(state, np.concatenate(parts, axis=-1))


def test_mask_of_the_target_is_checked():
    with pytest.raises(ValueError, match=r"AttentionRNN: mask must be \(batch, target\), here \(2, 3\)"):
        layers.AttentionRNN(layers.PlainCell(6))(INPUTS, VALUE, mask=np.ones((2, 4), bool))


def test_other_batches_are_named_as_such():
    with pytest.raises(
        ValueError, match=r"the batch of the queries must be the batch of the memory, 3. Received a bat"
    ):
        layers.AttentionRNN(layers.LuongCell(6))(INPUTS, np.ones((3, 7, 4)))
    with pytest.raises(
        ValueError, match=r"LuongAttention: the batch of the queries must be .* 3. Received a batch of 2"
    ):
        layers.LuongAttention("general")(INPUTS, np.ones((3, 7, 4)))
