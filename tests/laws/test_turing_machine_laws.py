"""The laws of Turing machines: the paper's formulas, cuts, padding, Keras' own loop, files, training, compilation."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from keras_attention.layers import RNN, FeedForwardCell, TuringMachine, TuringMachineCell
from tests.laws.cases import TURING_MACHINES, turing_machine
from tests.laws.tools import (
    array,
    assert_close,
    assert_same,
    compiled,
    dtype_of,
    gradients,
    jitted_on_jax,
    lengths_mask,
    normal,
    once,
    tensor,
    with_gradients,
)

BATCH, TIME, DIM, UNITS = 2, 5, 3, 6
EVERY = pytest.mark.parametrize("name", TURING_MACHINES)


def with_weights_that_matter(layer, scale=1.0):
    """The layer with larger weights, so that heads prefer something."""
    generator = np.random.default_rng(0)
    layer.set_weights([scale * generator.normal(size=weight.shape).astype("float32") for weight in layer.get_weights()])
    return layer


@once
def machine_of(name):
    machine = TuringMachine(turing_machine(name))
    machine.build((BATCH, TIME, DIM))
    return with_weights_that_matter(machine)


@once
def run_of(name):
    machine = machine_of(name)
    return jitted_on_jax(lambda inputs, state=None, mask=None: machine(inputs, initial_state=state, mask=mask))


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def focus_of(told, memory, before, shifts):
    """A head's weights, by the paper's equations 5 to 9."""
    width, slots = memory.shape[1], len(memory)
    told = np.clip(told, -20, 20)
    key, strength, gate = np.tanh(told[:width]), np.log1p(np.exp(told[width])), sigmoid(told[width + 1])
    shift = softmax(told[width + 2 : width + 3 + 2 * shifts])
    sharpness = 1 + np.log1p(np.exp(told[width + 3 + 2 * shifts]))
    alike = memory @ key / (np.linalg.norm(memory, axis=1) * np.linalg.norm(key) + 1e-8)
    gated = gate * softmax(strength * alike) + (1 - gate) * before
    shifted = np.zeros(slots)
    for i in range(slots):
        for j in range(slots):
            for offset in range(-shifts, shifts + 1):
                if (i - j - offset) % slots == 0:
                    shifted[i] += gated[j] * shift[offset + shifts]
    return shifted**sharpness / (shifted**sharpness).sum()


def by_the_formulas(cell, inputs):
    """Output and weights of one sequence `(time, dim)`, step by step, head by head."""
    control = cell.control
    first, width, slots = [tensor(x) for x in control.initial_state(1)], cell.width, cell.slots
    read, focus = np.tanh(array(cell.first_read)), softmax(array(cell.first_focus))
    memory = np.full((slots, width), 1e-6) if cell.memory == "constant" else np.tanh(array(cell.first_memory))
    state, outputs, all_focus = tuple(first), [], []
    of_head = width + 4 + 2 * cell.shifts
    for x in inputs:
        projected = control.project(tensor(x[None])) + cell.read_projection(tensor(read[None].astype("float32")))
        control_output, state = control.step(projected, state)
        told = array(cell.head_projection(control_output))[0]
        heads, new_memory, new_focus = cell.read_heads + cell.write_heads, memory.copy(), []
        begin, reads = 0, []
        for head in range(heads):
            writes = head >= cell.read_heads
            weights = focus_of(told[begin : begin + of_head], memory, focus[head], cell.shifts)
            begin += of_head
            new_focus.append(weights)
            if writes:
                erase = sigmoid(np.clip(told[begin : begin + width], -20, 20))
                new_memory *= 1 - np.outer(weights, erase)
                begin += 2 * width
            else:
                reads.append(weights @ memory)
        begin = cell.read_heads * of_head
        for head in range(cell.write_heads):
            begin += of_head + width
            add = np.tanh(np.clip(told[begin : begin + width], -20, 20))
            new_memory += np.outer(new_focus[cell.read_heads + head], add)
            begin += width
        memory, focus, read = new_memory, new_focus, np.concatenate(reads)
        outputs.append(np.concatenate([array(control_output)[0], read]) @ array(cell.output_projection.kernel))
        all_focus.append(new_focus)
    return np.array(outputs) + array(cell.output_projection.bias), np.array(all_focus)


@EVERY
def test_a_step_is_the_papers_formulas(name):
    cell, inputs = machine_of(name).cell, normal(BATCH, TIME, DIM)
    output, _, read_weights, write_weights = run_of(name)(tensor(inputs))
    for row in range(BATCH):
        expected_output, expected_focus = by_the_formulas(cell, inputs[row])
        assert_allclose(array(read_weights)[row], expected_focus[:, : cell.read_heads], atol=1e-4)
        assert_allclose(array(write_weights)[row], expected_focus[:, cell.read_heads :], atol=1e-4)
        assert_allclose(array(output)[row], expected_output, atol=2e-3)


@EVERY
def test_any_cut_gives_the_same(name):
    run, inputs = run_of(name), tensor(normal(BATCH, TIME, DIM))
    whole = run(inputs)
    first = run(inputs[:, :2])
    second = run(inputs[:, 2:], first.state)
    for part in ("output", "read_weights", "write_weights"):
        assert_close(ops.concatenate([getattr(first, part), getattr(second, part)], 1), getattr(whole, part))
    for received, expected in zip(second.state, whole.state, strict=True):
        assert_close(received, expected)


@EVERY
def test_padding_changes_nothing_wherever_it_stands(name):
    run, inputs = run_of(name), normal(BATCH, TIME, DIM)
    whole = run(tensor(inputs))
    padded = np.full((BATCH, TIME + 3, DIM), np.nan, "float32")
    kept = [1, 2, 4, 5, 7]
    padded[:, kept] = inputs
    mask = np.isin(np.arange(TIME + 3), kept)[None].repeat(BATCH, 0)
    received = run(tensor(padded), None, tensor(mask))
    for part in ("output", "read_weights", "write_weights"):
        assert_close(array(getattr(received, part))[:, kept], getattr(whole, part))
    assert_same(array(received.write_weights)[:, [0, 3, 6]], 0)
    assert_close(received.state[-1], whole.state[-1])


@EVERY
@pytest.mark.parametrize("layer", [keras.layers.RNN, RNN], ids=["Keras' RNN", "ours"])
def test_keras_loop_gives_the_same(name, layer):
    machine, inputs = machine_of(name), tensor(normal(BATCH, TIME, DIM))
    mask = tensor(lengths_mask(3, 5, length=TIME))
    expected = machine(inputs, mask=mask)
    output, *state = layer(machine.cell, return_sequences=True, return_state=True)(inputs, mask=mask)
    live = mask[..., None]
    assert_close(ops.where(live, output, 0.0), ops.where(live, expected.output, 0.0))
    for received, one in zip(state, expected.state, strict=True):
        assert_close(received, one)


@EVERY
def test_weights_sum_to_one_and_the_memory_is_bounded_for_long(name):
    machine = TuringMachine(turing_machine(name))
    machine.build((1, 60, DIM))
    with_weights_that_matter(machine, 3.0)
    output, state, *weights = jitted_on_jax(machine)(tensor(5 * normal(1, 60, DIM)))
    for one in weights:
        assert_allclose(array(one).sum(-1), 1, atol=1e-5)
    assert np.isfinite(array(output)).all()
    assert all(np.isfinite(array(one)).all() for one in state)


@EVERY
def test_gradients_are_finite_where_a_head_looks_at_one_slot_alone(name):
    machine, inputs = machine_of(name), normal(1, 4, DIM)
    given = [normal(1, UNITS) for _ in range(machine.cell.given_count)]
    *first, memory = machine.cell.start(map(tensor, given))
    one = [np.eye(1, machine.cell.slots, dtype="float32")] * (machine.cell.read_heads + machine.cell.write_heads)
    focus = [tensor(np.concatenate(one[: size // machine.cell.slots], 1)) for size in machine.cell.state_size[-3:-1]]
    state = (*first[:-2], *focus, memory)
    found = gradients(
        lambda x: ops.sum(ops.square(machine(x, initial_state=state).output)),
        inputs,
        variables=machine.trainable_variables,
    )
    assert all(np.isfinite(one).all() for one in found)


@EVERY
def test_it_comes_back_from_a_file(name, tmp_path):
    inputs = keras.Input((None, DIM))
    machine = TuringMachine(turing_machine(name))
    result = machine(inputs)
    model = keras.Model(inputs, [result.output, result.read_weights, result.write_weights])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for received, expected in zip(again(normal(BATCH, 4, DIM)), model(normal(BATCH, 4, DIM)), strict=True):
        assert_same(received, expected)


@EVERY
def test_compiled_is_not_compiled(name, monkeypatch):
    unrolling = importlib.import_module("keras_attention.layers.unroll")
    monkeypatch.setattr(unrolling, "PYTHON_UNROLL_LIMIT", 4)  # so that a loop is compiled, instead of every step
    machine = machine_of(name)
    inputs = tensor(normal(BATCH, TIME, DIM))

    def run(inputs):
        output, _, *weights = machine(inputs)
        return [output, *weights]

    expected = with_gradients(run)(inputs) if keras.backend.backend() != "torch" else None
    received = compiled(with_gradients(run) if expected else run, (BATCH, TIME, DIM))(inputs)
    for one, other in zip(keras.tree.flatten(received), keras.tree.flatten(expected), strict=True):
        assert_close(one, other, atol=2e-3)


@EVERY
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_finite(name, policy):
    machine = TuringMachine(turing_machine(name, dtype=policy), dtype=policy)
    output, _, *weights = jitted_on_jax(machine)(tensor(normal(BATCH, 20, DIM)))
    assert dtype_of(output) == machine.compute_dtype
    assert np.isfinite(array(output)).all()
    for one in weights:
        assert_allclose(array(one).sum(-1), 1, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slots": 0}, "slots must be at least 1. Received slots=0"),
        ({"read_heads": 0}, "read_heads must be at least 1"),
        ({"shifts": 3, "slots": 6}, "less than the slots. Received shifts=3 with slots=6"),
        ({"memory": "random"}, "memory must be one of 'constant', 'learned'. Received 'random'"),
        ({"controller": "rnn"}, "cell must be one of"),
        ({"controller": FeedForwardCell(5)}, "a FeedForwardCell of 5 units for 4"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TuringMachineCell(4, **arguments)


def test_another_cell_is_refused():
    with pytest.raises(TypeError, match=r"must be a TuringMachineCell\. Received .* of type LSTMCell"):
        TuringMachine(keras.layers.LSTMCell(4))
