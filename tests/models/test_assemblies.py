"""Models of any parts: sources and targets that are no ids, encoders of a user's own, files, errors."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.models import (
    EncoderDecoder,
    GNMTTranslator,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerDecoder,
    TransformerEncoder,
)
from keras_attention.testing import assert_no_future_leak

BATCH, SOURCE, TARGET = 2, 6, 4
RNG = np.random.default_rng(0)
SERIES = {
    "source": RNG.normal(size=(BATCH, SOURCE, 3)).astype("float32"),
    "target": RNG.normal(size=(BATCH, TARGET, 1)).astype("float32"),
}
IDS = RNG.integers(4, 9, size=(BATCH, TARGET))
BLOCKS = {"layers": 1, "num_heads": 2, "feed_forward_units": 12}


@keras.saving.register_keras_serializable(package="tests")
class OneGate(layers.RecurrentCell):
    """A recurrent cell of a user's own."""

    gate_count = 2

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2 * self.units))
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units))

    def project(self, inputs):
        return keras.ops.matmul(inputs, keras.ops.cast(self.kernel, self.compute_dtype))

    def step(self, projected, state):
        gate, new = keras.ops.split(projected, 2, axis=-1)
        gate = keras.ops.sigmoid(gate + keras.ops.matmul(state[0], self.recurrent_kernel))
        h = gate * state[0] + (1 - gate) * keras.ops.tanh(new)
        return h, (h,)


SERIES_MODELS = {
    "recurrent": lambda: EncoderDecoder(
        RecurrentEncoder(None, 5), RecurrentDecoder(None, layers.BahdanauCell(5), output_dim=1)
    ),
    "transformer": lambda: EncoderDecoder(
        TransformerEncoder(keras.layers.Dense(8), **BLOCKS),
        TransformerDecoder(keras.layers.Dense(8), output_dim=1, **BLOCKS),
    ),
    "a cell of one's own": lambda: EncoderDecoder(
        RecurrentEncoder(None, 5, cell=OneGate(5)),
        RecurrentDecoder(None, layers.LuongCell(6, cell=OneGate(6)), layers=2, output_dim=1),
    ),
}


@pytest.mark.parametrize("name", SERIES_MODELS)
def test_floats_are_read_and_given_and_saved(name, tmp_path):
    model = SERIES_MODELS[name]()
    expected = model(SERIES)
    assert tuple(expected.shape) == (BATCH, TARGET, 1)
    assert_no_future_leak(model, SERIES, causal="target")
    model.save(tmp_path / "model.keras")
    assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(SERIES), expected, atol=1e-6)
    model.compile("adam", "mse", run_eagerly=True)
    assert np.isfinite(model.fit(SERIES, SERIES["target"], verbose=0).history["loss"][0])


def test_residual_goes_where_widths_are_equal():
    cells = [layers.PlainCell(4), layers.PlainCell(4), layers.PlainCell(5), layers.LuongCell(4)]
    model = EncoderDecoder(RecurrentEncoder(9, 4), RecurrentDecoder(9, cells, residual=True))
    assert model({"source": IDS, "target": IDS}).shape == (BATCH, TARGET, 9)


@pytest.mark.parametrize("name", SERIES_MODELS)
def test_masks_say_where_there_is_something(name):
    model = SERIES_MODELS[name]()
    expected = model(SERIES)
    front = {side: np.pad(values, ((0, 0), (2, 0), (0, 0)), constant_values=9.0) for side, values in SERIES.items()}
    for side, length in (("source", SOURCE), ("target", TARGET)):
        front[f"{side}_mask"] = np.broadcast_to(np.arange(length + 2) >= 2, (BATCH, length + 2))
    assert_allclose(model(front)[:, 2:], expected, atol=1e-5)


def decoder():
    return RecurrentDecoder(9, layers.LuongCell(5))


ENCODERS = {
    "a grid": (lambda: keras.layers.Conv2D(5, 3, strides=2), RNG.normal(size=(BATCH, 7, 7, 1)).astype("float32")),
    "outputs and states": (
        lambda: keras.layers.LSTM(5, return_sequences=True, return_state=True),
        SERIES["source"],
    ),
    "a model": (
        lambda: keras.Sequential([keras.layers.Embedding(9, 5, mask_zero=True), layers.LSTM(5, return_sequences=True)]),
        np.pad(IDS, ((0, 0), (0, 2))),
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_any_layer_of_keras_that_gives_vectors_is_an_encoder(name, tmp_path):
    make, source = ENCODERS[name]
    model = EncoderDecoder(make(), decoder())
    inputs = {"source": source, "target": IDS}
    expected = model(inputs)
    assert tuple(expected.shape) == (BATCH, TARGET, 9)
    model.save(tmp_path / "model.keras")
    assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(inputs), expected, atol=1e-6)


def test_both_directions_of_an_encoder_of_keras_start_the_decoder():
    encoder = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, return_state=True))
    model = EncoderDecoder(encoder, RecurrentDecoder(9, layers.LuongCell(6, cell="lstm"), bridge="copy"))
    model({"source": SERIES["source"], "target": IDS})
    _, forward_h, forward_c, backward_h, backward_c = encoder(SERIES["source"])
    _, (state,) = model.encode(SERIES["source"])
    assert_allclose(state[0], np.concatenate([forward_h, backward_h], -1), atol=1e-6)
    assert_allclose(state[1], np.concatenate([forward_c, backward_c], -1), atol=1e-6)


def test_padding_of_an_encoder_of_keras_is_not_read():
    make, source = ENCODERS["a model"]
    model = EncoderDecoder(make(), decoder())
    expected = model({"source": source[:, :-2], "target": IDS})
    assert_allclose(model({"source": source, "target": IDS}), expected, atol=1e-5)


def test_encoder_that_gives_one_vector_is_refused():
    with pytest.raises(ValueError, match=r"one vector a position, \(batch, ..., dim\).*Write `return_sequences=True`"):
        EncoderDecoder(keras.layers.LSTM(5), decoder())({"source": SERIES["source"], "target": IDS})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RecurrentDecoder(9, "gru"), TypeError, "cell must be a DecoderCell such as LuongCell"),
        (
            lambda: RecurrentDecoder(None, layers.LuongCell(4)),
            ValueError,
            "give vocabulary_size for ids, or output_dim",
        ),
        (lambda: layers.LuongCell(4, attention="dot"), TypeError, "attention must be an attention layer such as"),
        (
            lambda: layers.BahdanauCell(4, normed=True, attention=layers.LocalAttention()),
            ValueError,
            "normed belongs to the attention that the cell makes itself",
        ),
        (
            lambda: RecurrentDecoder(9, [layers.LuongCell(4), layers.PlainCell(4)], context_above=True),
            ValueError,
            "context_above needs a bottom cell that gives its state and a context, GNMTCell or",
        ),
        (lambda: layers.PlainCell(4, attention=layers.LocalAttention()), ValueError, "PlainCell: it has no attention"),
        (lambda: layers.GNMTCell(4, context="next"), ValueError, "context must be 'current' or 'previous'"),
        (lambda: layers.LuongCell(4, cell=OneGate(5)), ValueError, "Received a OneGate of 5 units for 4"),
        (lambda: layers.LuongCell(4, cell=keras.layers.Dense(4)), TypeError, "cell must be 'gru', 'lstm' or a"),
    ],
)
def test_parts_that_do_not_fit_say_what_was_expected_and_received(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_gnmt_gives_the_context_of_the_bottom_layer_to_every_layer_above():
    model = GNMTTranslator(9, 9, units=4, layers=3)
    bottom, *above = model.decoder.cells
    widths = [cell.recurrent.kernel.shape[0] for cell in (bottom, *above)]
    assert widths == [4, 4 + 4, 4 + 4]  # embedding; state below and context
    memory, state = model.encode(np.array([[5, 6, 7]]))
    _, _, summary = model.encoder(np.array([[5, 6, 7]]))
    for layer_state, encoder_state in zip(state, summary, strict=True):  # of the first layer the backward one
        assert_allclose(layer_state[0], encoder_state[0])
        assert_allclose(layer_state[1], encoder_state[1])
    assert model.decode(np.array([[2, 5]]), memory, state).weights.shape == (1, 2, 3)


def test_gnmt_with_the_previous_context_reads_one_step_behind():
    inputs, value = np.ones((1, 3, 2), "float32"), RNG.normal(size=(1, 5, 4)).astype("float32")
    outputs = {}
    for context in ("current", "previous"):
        keras.utils.set_random_seed(0)
        outputs[context] = np.array(layers.AttentionRNN(layers.GNMTCell(6, context=context))(inputs, value).output)
    assert_allclose(outputs["previous"][..., :6], outputs["current"][..., :6], atol=1e-6)
    assert_allclose(outputs["previous"][:, 1:, 6:], outputs["current"][:, :-1, 6:], atol=1e-6)
    assert_allclose(outputs["previous"][:, 0, 6:], 0.0)
