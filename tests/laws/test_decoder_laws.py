"""The laws of decoders and models: cuts, padding, the future, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention import layers
from keras_attention.testing import assert_no_future_leak, assert_padding_invariant
from tests.laws.cases import CELLS, MODELS, SOURCE_IDS, TARGET_IDS

BATCH, TARGET, SOURCE, DIM, UNITS = 2, 5, 7, 3, 6
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def ids(*shape, high, seed=0):
    return np.random.default_rng(seed).integers(2, high, size=shape).astype("int32")


def model_inputs(seed=0):
    return {
        "source": ids(BATCH, SOURCE, high=SOURCE_IDS, seed=seed) * (np.arange(SOURCE) < np.array([[4], [7]])),
        "target": ids(BATCH, TARGET, high=TARGET_IDS, seed=seed + 1),
    }


@EVERY_CELL
@settings(max_examples=6)
@given(cut=st.integers(1, TARGET - 1), seed=st.integers(0, 9))
def test_any_cut_of_the_target_gives_the_same_output(name, cut, seed):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value = normal(BATCH, TARGET, DIM, seed=seed), normal(BATCH, SOURCE, UNITS, seed=seed + 1)
    mask = np.arange(SOURCE) < np.array([[4], [7]])
    whole = rnn(inputs, value, value_mask=mask)
    first = rnn(inputs[:, :cut], value, value_mask=mask)
    second = rnn(inputs[:, cut:], value, value_mask=mask, initial_state=first.state)
    assert_allclose(np.concatenate([first.output, second.output], 1), whole.output, atol=1e-5)
    assert_allclose(np.concatenate([first.weights, second.weights], 1), whole.weights, atol=1e-5)
    for received, expected in zip(second.state, whole.state, strict=True):
        assert_allclose(received, expected, atol=1e-5)


@EVERY_CELL
def test_one_step_of_the_cell_is_one_step_of_the_layer(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value = normal(BATCH, 1, DIM), normal(BATCH, SOURCE, UNITS)
    whole = rnn(inputs, value)
    output, state, weights = rnn.cell(inputs[:, 0], rnn.cell.initial_state(BATCH), rnn.prepare(value))
    assert_allclose(output, whole.output[:, 0], atol=1e-6)
    assert_allclose(weights, whole.weights[:, 0], atol=1e-6)
    assert_allclose(state[0], whole.state[0], atol=1e-6)
    assert output.shape == (BATCH, rnn.cell.output_dim)


@EVERY_CELL
def test_loop_in_graph_equals_python_loop(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, UNITS)
    eager = rnn(inputs, value)
    specs = [tf.TensorSpec([None, None, size]) for size in (DIM, UNITS)]
    graph = tf.function(lambda inputs, value: tuple(rnn(inputs, value)), input_signature=specs)
    output, _, weights = graph(inputs, value)
    assert_allclose(output, eager.output, atol=1e-5)
    assert_allclose(weights, eager.weights, atol=1e-5)


@EVERY_CELL
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_recurrent_decoder_computes_in_the_policys_dtype(name, policy):
    rnn = layers.AttentionRNN(CELLS[name](dtype=policy), dtype=policy)
    mask = np.array([[True] * 4 + [False] * 3, [False] * SOURCE])
    output, state, weights = rnn(normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, UNITS), value_mask=mask)
    for tensor in (output, weights, *state):
        assert keras.backend.standardize_dtype(tensor.dtype) == rnn.compute_dtype
        assert np.isfinite(tensor.numpy().astype("float32")).all()
    assert_array_equal(weights[1], 0)


@EVERY_CELL
def test_recurrent_decoder_survives_a_keras_file(name, tmp_path):
    inputs = [keras.Input((None, DIM)), keras.Input((None, UNITS))]
    output, _, weights = layers.AttentionRNN(CELLS[name]())(*inputs)
    model = keras.Model(inputs, [output, weights])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    data = [normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, UNITS)]
    for expected, received in zip(model(data), again(data), strict=True):
        assert_array_equal(received, expected)


@EVERY_CELL
def test_config_of_a_cell_makes_the_same_cell(name):
    cell = CELLS[name]()
    before = cell.get_config()
    cell.build((None, None, DIM), (None, None, UNITS))
    assert cell.get_config() == before
    again = type(cell).from_config(before)
    again.build((None, None, DIM), (None, None, UNITS))
    assert [tuple(weight.shape) for weight in again.weights] == [tuple(weight.shape) for weight in cell.weights]


@EVERY_CELL
def test_gradient_reaches_every_weight(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    with tf.GradientTape() as tape:
        output = rnn(normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, UNITS)).output
        loss = tf.reduce_sum(output**2)
    for variable, gradient in zip(rnn.trainable_variables, tape.gradient(loss, rnn.trainable_variables), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient.numpy()).max() > 0, variable.path


@EVERY_MODEL
def test_padding_of_the_source_changes_nothing(name):
    assert_padding_invariant(MODELS[name](), model_inputs(), padded="source")


@EVERY_MODEL
def test_no_logit_reads_a_later_target(name):
    assert_no_future_leak(MODELS[name](), model_inputs(), causal="target")


@EVERY_MODEL
def test_item_alone_equals_the_item_in_a_padded_batch(name):
    model, inputs = MODELS[name](), model_inputs()
    alone = model({"source": inputs["source"][:1, :4], "target": inputs["target"][:1]})
    assert_allclose(model(inputs)[:1], alone, atol=1e-5)


@EVERY_MODEL
@settings(max_examples=4)
@given(cut=st.integers(1, TARGET - 1))
def test_any_cut_of_the_target_gives_the_same_logits(name, cut):
    model, inputs = MODELS[name](), model_inputs()
    memory, state = model.encode(inputs["source"])
    first = model.decode(inputs["target"][:, :cut], memory, state)
    second = model.decode(inputs["target"][:, cut:], memory, first.state)
    assert_allclose(np.concatenate([first.logits, second.logits], 1), model(inputs), atol=1e-5)


@EVERY_MODEL
def test_model_survives_a_keras_file(name, tmp_path):
    model, inputs = MODELS[name](), model_inputs()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_array_equal(again(inputs), model(inputs))


@EVERY_MODEL
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_model_trains_in_mixed_precision(name, policy):
    model, inputs = MODELS[name](dtype=policy), model_inputs()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(inputs, inputs["target"], epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert keras.backend.standardize_dtype(model(inputs).dtype) == model.compute_dtype


@EVERY_CELL
def test_gradient_through_the_loop_in_graph_equals_that_through_the_python_loop(name):
    rnn = layers.AttentionRNN(CELLS[name]())
    inputs, value = normal(BATCH, TARGET, DIM), normal(BATCH, SOURCE, UNITS)
    rnn(inputs, value)

    def gradients(inputs, value):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(rnn(inputs, value).output ** 2)
        return tape.gradient(loss, rnn.trainable_variables)

    specs = [tf.TensorSpec([None, None, size]) for size in (DIM, UNITS)]
    graph = tf.function(gradients, input_signature=specs)
    for expected, received in zip(gradients(inputs, value), graph(inputs, value), strict=True):
        assert_allclose(received, expected, atol=1e-4)


@EVERY_MODEL
def test_model_for_decoding_computes_the_same(name):
    model, inputs = MODELS[name](), model_inputs()
    for weight in model.trainable_variables:  # none at the zeros and ones that it began with
        weight.assign_add(0.3 * normal(*weight.shape))
    expected = np.array(model(inputs))
    assert_allclose(model.for_decoding()(inputs), expected, atol=1e-4 * np.abs(expected).max())
    assert_array_equal(model(inputs), expected)
