"""GRU and LSTM: Keras' own numbers, with masks and from both ends."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_attention.layers import GRUCell, LSTMCell, RecurrentCell, get_recurrent_cell, run_recurrence, unroll
from keras_attention.layers.recurrent import run_both_ways

BATCH, TIME, DIM, UNITS = 2, 7, 3, 5
PEERS = {
    "gru": (GRUCell, keras.layers.GRU, {}),
    "gru, reset before": (GRUCell, keras.layers.GRU, {"reset_after": False}),
    "gru, no bias": (GRUCell, keras.layers.GRU, {"use_bias": False}),
    "lstm": (LSTMCell, keras.layers.LSTM, {}),
    "lstm, no bias": (LSTMCell, keras.layers.LSTM, {"use_bias": False}),
}
INPUTS = np.random.default_rng(0).normal(size=(BATCH, TIME, DIM)).astype("float32")
MASK = np.arange(TIME) < np.array([[4], [7]])


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", PEERS)
def test_recurrence_is_that_of_keras(name, reverse, in_graph):
    ours, peer, arguments = PEERS[name]
    keras_layer = peer(UNITS, return_sequences=True, return_state=True, go_backwards=reverse, **arguments)
    expected, *expected_state = keras_layer(INPUTS, mask=MASK)
    expected = expected[:, ::-1] if reverse else expected
    cell = ours(UNITS, **arguments)
    cell.build((None, DIM))
    cell.set_weights(keras_layer.get_weights())

    def run(inputs, mask):
        return run_recurrence(cell, cell.project(inputs), cell.initial_state(BATCH), mask, reverse)

    if in_graph:
        specs = [tf.TensorSpec([None, None, DIM]), tf.TensorSpec([None, None], tf.bool)]
        run = tf.function(run, input_signature=specs)
    outputs, state = run(INPUTS, MASK)
    assert_allclose(outputs * MASK[..., None], expected * MASK[..., None], atol=1e-6)
    for received, wanted in zip(state, expected_state, strict=True):
        assert_allclose(received, wanted, atol=1e-6)


@pytest.mark.parametrize("name", PEERS)
def test_gradients_are_those_of_keras(name):
    ours, peer, arguments = PEERS[name]
    keras_layer = peer(UNITS, return_sequences=True, **arguments)
    keras_layer(INPUTS)
    cell = ours(UNITS, **arguments)
    cell.build((None, DIM))
    cell.set_weights(keras_layer.get_weights())

    @tf.function(input_signature=[tf.TensorSpec([None, None, DIM])])
    def gradients(inputs):
        with tf.GradientTape() as tape:
            outputs, _ = run_recurrence(cell, cell.project(inputs), cell.initial_state(BATCH))
            loss = tf.reduce_sum(outputs**2)
        return tape.gradient(loss, cell.trainable_variables)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(keras_layer(INPUTS) ** 2)
    for received, wanted in zip(gradients(INPUTS), tape.gradient(loss, keras_layer.trainable_variables), strict=True):
        assert_allclose(received, wanted, atol=1e-5)


@pytest.mark.parametrize("name", PEERS)
def test_cell_runs_in_keras_own_rnn(name):
    ours, peer, arguments = PEERS[name]
    keras_layer = peer(UNITS, return_sequences=True, **arguments)
    expected = keras_layer(INPUTS)
    rnn = keras.layers.RNN(ours(UNITS, **arguments), return_sequences=True)
    rnn.build(INPUTS.shape)
    rnn.set_weights(keras_layer.get_weights())
    assert_allclose(rnn(INPUTS), expected, atol=1e-6)


class Counting(RecurrentCell):
    """A cell whose output is none of its state."""

    state_count = 2

    def project(self, inputs):
        return inputs[..., :1] + keras.ops.zeros((self.units,))

    def step(self, projected, state):
        total, count = state
        return projected - count, (total + projected, count + 1)


def test_an_output_that_is_none_of_the_state_stays_what_it_is_under_a_mask():
    cell = Counting(UNITS)
    outputs, _ = run_recurrence(cell, cell.project(INPUTS), cell.initial_state(BATCH), MASK)
    expected = INPUTS[..., :1] - np.arange(TIME)[:, None]
    assert_allclose(outputs[MASK], np.repeat(expected, UNITS, -1)[MASK], atol=1e-6)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", [GRUCell, LSTMCell, Counting])
def test_both_ways_in_one_loop_are_those_of_two(kind, masked, in_graph):
    cells = [kind(UNITS), kind(UNITS)]
    for cell in cells:
        cell.build((None, DIM))
    mask = MASK if masked else None

    def run(inputs):
        apart = [
            run_recurrence(cell, cell.project(inputs), cell.initial_state(BATCH), mask, reverse=bool(index))
            for index, cell in enumerate(cells)
        ]
        return apart, run_both_ways(cells, inputs, mask)

    if in_graph:
        run = tf.function(run, input_signature=[tf.TensorSpec([None, None, DIM])])
    apart, together = run(INPUTS)
    assert not np.allclose(apart[0][0], apart[1][0])
    for received, wanted in zip(keras.tree.flatten(together), keras.tree.flatten(apart), strict=True):
        assert_allclose(received, wanted, atol=1e-6)


def test_dropout_in_the_cell_is_refused_and_not_ignored():
    with pytest.raises(ValueError, match=r"GRUCell: dropout inside the cell.*Received dropout=0.1.*Apply keras.layers"):
        GRUCell(4, dropout=0.1)


def test_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=r"cell must be one of 'gru', 'lstm', .*, or a RecurrentCell. Received 'rnn'"):
        get_recurrent_cell("rnn", 4)


@pytest.mark.parametrize("length", [1, 3, 40])
@pytest.mark.parametrize("reverse", [False, True])
def test_unroll_gives_running_sums_in_every_form_of_the_loop(length, reverse):
    inputs = {"x": np.arange(2 * length, dtype="float32").reshape(2, length), "y": np.ones((2, length, 3), "float32")}

    def step(inputs_t, state):
        total = state[0] + inputs_t["x"]
        return {"total": total, "y": inputs_t["y"] * total[:, None]}, (total,)

    def run(inputs):
        return unroll(step, inputs, (np.zeros(2, "float32"),), reverse)

    totals = np.cumsum(inputs["x"][:, ::-1], 1)[:, ::-1] if reverse else np.cumsum(inputs["x"], 1)
    unknown = {"x": tf.TensorSpec([None, None]), "y": tf.TensorSpec([None, None, 3])}
    known = {"x": tf.TensorSpec([2, length]), "y": tf.TensorSpec([2, length, 3])}
    forms = [run, *(tf.function(run, input_signature=[spec]) for spec in (unknown, known))]
    for form in forms:
        outputs, (last,) = form({name: tf.constant(array) for name, array in inputs.items()})
        assert_allclose(outputs["total"], totals)
        assert_allclose(outputs["y"], np.repeat(totals[..., None], 3, -1))
        assert_allclose(last, inputs["x"].sum(1))


def test_unroll_of_no_step_in_graph_keeps_the_state():
    graph = tf.function(
        lambda x: unroll(lambda x, s: (x, (s[0] + x,)), x, (tf.zeros([2]),))[1],
        input_signature=[tf.TensorSpec([2, None])],
    )
    assert_allclose(graph(np.zeros((2, 0), "float32"))[0], [0, 0])
