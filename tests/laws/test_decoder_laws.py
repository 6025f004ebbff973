"""The laws of decoders and models: cuts, padding, the future, files, training."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_attention import layers
from keras_attention.testing import assert_no_future_leak
from keras_attention.training import ExactMatch, MaskedCrossentropy
from tests.laws.cases import ATTENTIONS, CELLS, CELLS_AROUND, IN_CELLS, MODELS, SOURCE_IDS, TARGET_IDS
from tests.laws.tools import (
    BACKEND,
    array,
    assert_close,
    assert_same,
    dtype_of,
    fewer_on_jax,
    gradients,
    ids,
    jitted_on_jax,
    lengths_mask,
    normal,
    once,
    only_tensorflow,
    tensor,
)

BATCH, TARGET, SOURCE, DIM, UNITS = 2, 5, 7, 3, 6
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)
# Each operation alone: a graph that is built for a few steps takes ten times as long. JAX compiles each operation, too.
EAGER = BACKEND != "jax"
POLICIES = pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
not_jax = pytest.mark.skipif(
    BACKEND == "jax", reason="compiles as long again; the forward pass is held to both policies"
)
# Both make parts of one and of four: what is compiled for one is compiled for the other.
CUTS = (1, TARGET - 1)


def built_rnn(name, **arguments):
    rnn = layers.AttentionRNN(CELLS[name](**arguments), **arguments)
    rnn.build((BATCH, TARGET, DIM), (BATCH, SOURCE, UNITS))
    return rnn


@pytest.fixture(scope="session")
def rnn_of():
    """A function of a name in `CELLS`: an `AttentionRNN` of it, for laws that only call it."""
    return once(built_rnn)


@pytest.fixture(scope="session")
def run_of(rnn_of):
    """A function of a name in `CELLS`: a function of inputs, value, mask and perhaps a state, as fast as it gets."""

    def make(name):
        rnn = rnn_of(name)
        return jitted_on_jax(
            lambda inputs, value, mask=None, state=None: rnn(inputs, value, value_mask=mask, initial_state=state)
        )

    return once(make)


@pytest.fixture(scope="session")
def model_of():
    """A function of a name in `MODELS`: that model, for laws that only call it."""
    return once(lambda name: MODELS[name]())


@pytest.fixture(scope="session")
def call_of(model_of):
    """A function of a name in `MODELS`: the call of that model, as fast as it gets."""
    return once(lambda name: jitted_on_jax(model_of(name)))


@pytest.fixture
def data():
    """Inputs of an `AttentionRNN`, and what it attends to."""
    return tensor(normal(BATCH, TARGET, DIM)), tensor(normal(BATCH, SOURCE, UNITS, seed=1))


def model_inputs(seed=0):
    return {
        "source": ids(BATCH, SOURCE, high=SOURCE_IDS, seed=seed) * lengths_mask(4, 7, length=SOURCE),
        "target": ids(BATCH, TARGET, high=TARGET_IDS, seed=seed + 1),
    }


@pytest.mark.every_form
@EVERY_CELL
def test_any_cut_of_the_target_gives_the_same_output(run_of, name, data):
    run, (inputs, value) = run_of(name), data
    mask = tensor(lengths_mask(4, 7, length=SOURCE))
    whole = run(inputs, value, mask)
    for cut in CUTS:
        first = run(inputs[:, :cut], value, mask)
        second = run(inputs[:, cut:], value, mask, first.state)
        assert_close(ops.concatenate([first.output, second.output], 1), whole.output)
        assert_close(ops.concatenate([first.weights, second.weights], 1), whole.weights)
        for received, expected in zip(second.state, whole.state, strict=True):
            assert_close(received, expected)


@pytest.mark.parametrize("cell", fewer_on_jax(CELLS_AROUND, ["Luong input feeding LSTM"]))
@pytest.mark.parametrize("name", ATTENTIONS | IN_CELLS)
def test_every_attention_in_every_cell_may_be_cut_anywhere(cell, name, data):
    if BACKEND == "jax" and name not in IN_CELLS:
        pytest.skip("has no state, and each pair is compiled")
    attention = (IN_CELLS | ATTENTIONS)[name]()
    inputs, value = data
    rnn = layers.AttentionRNN(CELLS_AROUND[cell](attention))
    mask, live = (tensor(lengths_mask(*lengths, length=size)) for lengths, size in (((4, 7), SOURCE), ((5, 3), TARGET)))
    run = jitted_on_jax(
        lambda inputs, live, state=None: rnn(inputs, value, value_mask=mask, mask=live, initial_state=state)
    )
    rnn.build(inputs.shape, value.shape)
    whole, cut = run(inputs, live), 2
    first = run(inputs[:, :cut], live[:, :cut])
    second = run(inputs[:, cut:], live[:, cut:], first.state)
    received = ops.where(live[..., None], ops.concatenate([first.output, second.output], 1), 0.0)
    assert_close(received, ops.where(live[..., None], whole.output, 0.0))
    assert_close(ops.concatenate([first.weights, second.weights], 1), whole.weights)


@EVERY_CELL
def test_one_step_of_the_cell_is_one_step_of_the_layer(rnn_of, run_of, name, data):
    rnn, mask = rnn_of(name), tensor(lengths_mask(4, 7, length=SOURCE))
    inputs, value = data
    whole = run_of(name)(inputs[:, :1], value, mask)
    memory = rnn.prepare(value, value_mask=mask)
    output, state, weights = rnn.cell(inputs[:, 0], rnn.cell.initial_state(BATCH, memory), memory)
    assert_close(output, whole.output[:, 0], atol=1e-6)
    assert_close(weights, whole.weights[:, 0], atol=1e-6)
    assert_close(state[0], whole.state[0], atol=1e-6)
    assert tuple(output.shape) == (BATCH, rnn.cell.output_dim)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Attention("general", dropout=0.5, seed=1),
        lambda: layers.MonotonicAttention("general", noise=3.0, seed=1),
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1),
    ],
    ids=["dropout", "noise", "heads"],
)
def test_every_step_and_every_call_draws_anew_in_training(make):
    rnn = layers.AttentionRNN(layers.BahdanauCell(6, attention=make()))
    # Keys that are all alike are weighted alike in each step, so that contexts differ by what is drawn alone.
    inputs, value = tensor(normal(BATCH, 8, DIM)), tensor(np.ones((BATCH, SOURCE, UNITS), "float32"))
    still = array(rnn(inputs, value).output)
    first, second = (array(rnn(inputs, value, training=True).output)[..., 6:] for _ in "ab")
    assert np.abs(second - first).max() > 1e-3
    assert np.abs(np.diff(first, axis=1)).max() > 1e-3
    assert_same(rnn(inputs, value).output, still)


@EVERY_CELL
@POLICIES
def test_recurrent_decoder_computes_in_the_policys_dtype(name, policy, data):
    rnn = built_rnn(name, dtype=policy)
    output, state, weights = jitted_on_jax(rnn)(*data, value_mask=tensor(lengths_mask(4, 0, length=SOURCE)))
    for values in (output, weights, *rnn.cell.split_state(state)[0]):
        assert dtype_of(values) == rnn.compute_dtype
        assert np.isfinite(array(values)).all()
    assert_same(weights[1], 0)


@EVERY_CELL
def test_recurrent_decoder_survives_a_keras_file(run_of, name, data, tmp_path):
    inputs = [keras.Input((None, DIM)), keras.Input((None, UNITS))]
    output, _, weights = layers.AttentionRNN(CELLS[name]())(*inputs)
    model = keras.Model(inputs, [output, weights])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for expected, received in zip(*(jitted_on_jax(one)(list(data)) for one in (model, again)), strict=True):
        assert_same(received, expected)


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
def test_gradient_reaches_every_weight(rnn_of, name, data):
    rnn = rnn_of(name)
    found = gradients(lambda: ops.sum(rnn(*data).output ** 2), variables=rnn.trainable_variables)
    for variable, gradient in zip(rnn.trainable_variables, found, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


@only_tensorflow
@pytest.mark.compiles
@EVERY_CELL
def test_loop_in_graph_gives_the_values_and_gradients_of_the_python_loop(rnn_of, name, data):
    import tensorflow as tf

    rnn = rnn_of(name)

    def run(inputs, value):
        with tf.GradientTape() as tape:
            output, _, weights = rnn(inputs, value)
            loss = tf.reduce_sum(output**2)
        return output, weights, tape.gradient(loss, rnn.trainable_variables)

    specs = [tf.TensorSpec([None, None, size]) for size in (DIM, UNITS)]
    expected, received = (tf.nest.flatten(way(*data)) for way in (run, tf.function(run, input_signature=specs)))
    for one, other in zip(expected, received, strict=True):
        assert_close(other, one, atol=1e-4)


@EVERY_MODEL
def test_no_logit_reads_a_later_target(call_of, name):
    assert_no_future_leak(call_of(name), model_inputs(), causal="target")


@EVERY_MODEL
def test_item_alone_equals_the_item_in_a_padded_batch(call_of, name):
    call, inputs = call_of(name), model_inputs()
    alone = call({"source": inputs["source"][:1, :4], "target": inputs["target"][:1]})
    assert_close(call(inputs)[:1], alone)


@EVERY_MODEL
def test_any_cut_of_the_target_gives_the_same_logits(model_of, call_of, name):
    model, inputs = model_of(name), model_inputs()
    decode = jitted_on_jax(model.decode)
    memory, state = jitted_on_jax(model.encode)(inputs["source"])
    for cut in CUTS:
        first = decode(inputs["target"][:, :cut], memory, state)
        second = decode(inputs["target"][:, cut:], memory, first.state)
        assert_close(ops.concatenate([first.logits, second.logits], 1), call_of(name)(inputs))


@EVERY_MODEL
def test_model_survives_a_keras_file(name, tmp_path):
    model, inputs = MODELS[name](), model_inputs()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_same(jitted_on_jax(again)(inputs), jitted_on_jax(model)(inputs))


@pytest.mark.compiles  # or takes as long
@EVERY_MODEL
@pytest.mark.parametrize("policy", [pytest.param("mixed_float16", marks=not_jax), "mixed_bfloat16"])
def test_model_trains_in_mixed_precision(name, policy):
    model, inputs = MODELS[name](dtype=policy), model_inputs()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=EAGER)
    history = model.fit(inputs, inputs["target"], epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    for variable in model.trainable_variables:
        assert np.isfinite(array(variable)).all(), variable.path
    assert dtype_of(model(inputs)) == model.compute_dtype


@pytest.mark.parametrize("name", ["bahdanau", "transformer"])
def test_model_learns_and_comes_back_from_a_file(name, tmp_path):
    model = MODELS[name]()
    model.compile(keras.optimizers.Adam(1e-2), MaskedCrossentropy(), metrics=[ExactMatch()], run_eagerly=EAGER)
    inputs = {"source": ids(8, SOURCE, high=SOURCE_IDS), "target": ids(8, TARGET, high=TARGET_IDS, seed=1)}
    losses = model.fit(inputs, inputs["target"], batch_size=8, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again(inputs), model(inputs), atol=1e-6)


@pytest.mark.compiles  # or takes as long
@EVERY_MODEL
def test_model_for_decoding_computes_the_same(name):
    model, inputs = MODELS[name](), model_inputs()
    for weight in model.trainable_variables:  # none at the zeros and ones that it began with
        weight.assign_add(0.3 * normal(*weight.shape))
    expected = array(jitted_on_jax(model)(inputs))
    decoding = model.for_decoding()
    assert_close(jitted_on_jax(decoding)(inputs), expected, atol=1e-4 * np.abs(expected).max())
    assert_same(jitted_on_jax(model)(inputs), expected)
