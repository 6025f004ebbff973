"""Decoder cells against the papers' equations, written out in numpy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention import layers

BATCH, TARGET, SOURCE, DIM, VALUE_DIM, UNITS = 2, 3, 4, 5, 6, 7


def normal(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


INPUTS, VALUE = normal(BATCH, TARGET, DIM, seed=0), normal(BATCH, SOURCE, VALUE_DIM, seed=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exp = np.exp(x - x.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def randomised(rnn):
    """The layer with every weight, biases too, drawn at random, so that none can hide."""
    rnn(INPUTS, VALUE)
    rnn.set_weights([normal(*weight.shape, seed=index) * 0.5 for index, weight in enumerate(rnn.get_weights())])
    return rnn


@pytest.mark.parametrize("output_state", ["current", "previous"])
def test_bahdanau_cell_is_the_papers_appendix(output_state):
    rnn = randomised(layers.AttentionRNN(layers.BahdanauCell(UNITS, 4, deep_output=3, output_state=output_state)))
    cell = rnn.cell
    score = cell.attention.score
    W_a, U_a, v_a = (weight.numpy() for weight in (score.query_projection.kernel, score.key_projection.kernel, score.v))
    W, U, b = (
        weight.numpy() for weight in (cell.recurrent.kernel, cell.recurrent.recurrent_kernel, cell.recurrent.bias)
    )
    C = cell.context_projection.kernel.numpy()
    output_kernel = cell.output_projection.kernel.numpy()
    received = rnn(INPUTS, VALUE)

    s = np.zeros((BATCH, UNITS), "float32")
    for t in range(TARGET):
        e = np.tanh((s @ W_a)[:, None] + VALUE @ U_a) @ v_a  # the previous state asks
        a = softmax(e[..., 0])
        c = np.einsum("bs,bsd->bd", a, VALUE)
        z, r, new = np.split(INPUTS[:, t] @ W + c @ C + b, 3, axis=-1)  # the context enters every gate
        U_z, U_r, U_new = np.split(U, 3, axis=-1)
        z, r = sigmoid(z + s @ U_z), sigmoid(r + s @ U_r)
        candidate = np.tanh(new + (r * s) @ U_new)
        before, s = s, z * s + (1 - z) * candidate  # Keras' z is 1 - z of the paper
        t_tilde = np.concatenate([s if output_state == "current" else before, INPUTS[:, t], c], -1) @ output_kernel
        assert_allclose(received.weights[:, t], a, atol=1e-5)
        assert_allclose(received.output[:, t], np.maximum(t_tilde[:, 0::2], t_tilde[:, 1::2]), atol=1e-4)
    assert_allclose(received.state[0], s, atol=1e-5)


@pytest.mark.parametrize("input_feeding", [True, False])
def test_luong_cell_is_the_paper(input_feeding):
    rnn = randomised(
        layers.AttentionRNN(layers.LuongCell(UNITS, score="general", cell="lstm", input_feeding=input_feeding))
    )
    cell = rnn.cell
    W_a, W_c = cell.attention.score.key_projection.kernel.numpy(), cell.attentional_projection.kernel.numpy()
    W, U, b = (
        weight.numpy() for weight in (cell.recurrent.kernel, cell.recurrent.recurrent_kernel, cell.recurrent.bias)
    )
    received = rnn(INPUTS, VALUE)

    h, c, attentional = (np.zeros((BATCH, UNITS), "float32") for _ in range(3))
    for t in range(TARGET):
        gates = INPUTS[:, t] @ W + h @ U + b
        if input_feeding:
            gates = gates + attentional @ cell.feed_projection.kernel.numpy()
        i, f, new, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        h = sigmoid(o) * np.tanh(c)
        a = softmax(np.einsum("bu,bsu->bs", h, VALUE @ W_a))  # the current state asks
        context = np.einsum("bs,bsd->bd", a, VALUE)
        attentional = np.tanh(np.concatenate([context, h], -1) @ W_c)
        assert_allclose(received.weights[:, t], a, atol=1e-5)
        assert_allclose(received.output[:, t], attentional, atol=1e-5)


def test_the_books_variant_puts_context_and_state_out_as_they_are():
    value = normal(BATCH, SOURCE, UNITS, seed=3)
    cell = layers.LuongCell(UNITS, score="dot", cell="lstm", input_feeding=False, attentional_vector=False)
    output, (h, _), weights = layers.AttentionRNN(cell)(INPUTS, value)
    assert output.shape == (BATCH, TARGET, 2 * UNITS)
    assert_allclose(output[:, -1, UNITS:], h, atol=1e-6)
    assert_allclose(output[..., :UNITS], weights @ value, atol=1e-5)


def test_plain_cell_is_a_recurrence_that_sees_no_source():
    rnn = layers.AttentionRNN(layers.PlainCell(UNITS))
    first, second = rnn(INPUTS, VALUE), rnn(INPUTS, VALUE * 100)
    assert_allclose(first.output, second.output)
    assert not first.weights.numpy().any()


def test_key_of_its_own_reaches_the_cells_attention():
    rnn = layers.AttentionRNN(layers.BahdanauCell(UNITS))
    key = normal(BATCH, SOURCE, 2, seed=5)
    assert rnn(INPUTS, VALUE, key).output.shape == (BATCH, TARGET, UNITS + VALUE_DIM)
    assert rnn.cell.attention.score.key_projection.kernel.shape[0] == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.AttentionRNN("luong"), TypeError, r"cell must be a DecoderCell such as BahdanauCell\(64\)"),
        (lambda: layers.BahdanauCell(0), ValueError, "units must be at least 1. Received units=0"),
        (lambda: layers.BahdanauCell(4, output_state="next"), ValueError, "'current' or 'previous'. Received 'next'"),
        (lambda: layers.get_decoder_cell("none", 4), ValueError, "'bahdanau', 'luong', None. Received 'none'"),
        (
            lambda: layers.AttentionRNN(layers.LuongCell(5, score="dot"))(INPUTS, VALUE),
            ValueError,
            "query and key must have one width",
        ),
    ],
)
def test_wrong_cell_says_what_was_expected_and_received(make, error, message):
    with pytest.raises(error, match=message):
        make()
