"""Models of series: what they are fed, in which units, and what they refuse."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention import layers
from keras_attention.models import (
    RecurrentDecoder,
    RecurrentEncoder,
    RecurrentForecaster,
    SeriesToSeries,
    TransformerForecaster,
)

RNG = np.random.default_rng(0)
BATCH, PAST, HORIZON = 3, 9, 4
INPUTS = {
    "past": RNG.normal(size=(BATCH, PAST, 4)).astype("float32"),
    "future": RNG.normal(size=(BATCH, HORIZON, 2)).astype("float32"),
    "static": RNG.normal(size=(BATCH, 3)).astype("float32"),
}
TARGET = RNG.normal(size=(BATCH, HORIZON, 2)).astype("float32")


def local():
    return layers.LuongCell(6, attention=layers.LocalAttention("general", "monotonic", half_width=2))


MODELS = {
    "Bahdanau": lambda **kw: RecurrentForecaster(HORIZON, 2, units=6, dropout=0.1, **kw),
    "Luong LSTM, both directions": lambda **kw: RecurrentForecaster(
        HORIZON, 2, units=6, attention="luong", cell="lstm", bidirectional=True, layers=2, **kw
    ),
    "none": lambda **kw: RecurrentForecaster(HORIZON, 2, units=6, attention=None, normalize=False, **kw),
    "a cell": lambda **kw: RecurrentForecaster(HORIZON, 2, units=6, attention=local(), **kw),
    "transformer": lambda **kw: TransformerForecaster(
        HORIZON, 2, units=8, num_heads=2, feed_forward_units=12, positions="rotary", **kw
    ),
    "a grid of Keras": lambda **kw: SeriesToSeries(
        keras.layers.Conv1D(6, 3, padding="same"), RecurrentDecoder(None, layers.LuongCell(6), output_dim=2), HORIZON
    ),
}
EVERY = pytest.mark.parametrize("name", MODELS)


@EVERY
def test_own_predictions_are_fed_back(name):
    model = MODELS[name]()
    forecast = model(INPUTS)
    assert tuple(forecast.shape) == (BATCH, HORIZON, 2)
    # Fed what it said, in one call, it says the same again; fed something else, not.
    assert_allclose(model(INPUTS | {"target": forecast}), forecast, atol=1e-4)
    other = model(INPUTS | {"target": np.array(forecast) + 1.0})
    assert_allclose(other[:, 0], forecast[:, 0], atol=1e-4)
    assert np.abs(np.array(other)[:, 1:] - np.array(forecast)[:, 1:]).max() > 1e-4


@EVERY
def test_step_does_not_see_what_is_known_of_a_later_one(name):
    model = MODELS[name]()
    changed = INPUTS["future"] + np.array([0, 0, 0, 5], "float32")[:, None]
    assert_allclose(model(INPUTS | {"future": changed})[:, :3], model(INPUTS)[:, :3], atol=1e-5)
    assert np.abs(np.array(model(INPUTS | {"future": changed}) - model(INPUTS))[:, 3]).max() > 1e-5


@EVERY
def test_forecast_moves_and_grows_with_the_series(name):
    model = MODELS[name]()
    expected = np.array(model(INPUTS))
    past = INPUTS["past"].copy()
    past[..., :2] = 100 + 7 * past[..., :2]
    if model.normalize:
        assert_allclose(model(INPUTS | {"past": past}), 100 + 7 * expected, rtol=1e-4)
    else:
        assert np.abs(np.array(model(INPUTS | {"past": past})) - (100 + 7 * expected)).max() > 1


@pytest.mark.parametrize("name", [name for name in MODELS if name != "a grid of Keras"])
def test_what_was_not_observed_is_not_seen(name):
    model = MODELS[name]()
    expected = model(INPUTS)
    places = [place for place in range(PAST + 3) if place not in (0, 5, PAST + 2)]
    past = np.full((BATCH, PAST + 3, 4), np.nan, "float32")
    past[:, places] = INPUTS["past"]
    mask = np.zeros((BATCH, PAST + 3), bool)
    mask[:, places] = True
    if name == "a cell":  # its window is around a place among all, observed or not
        assert np.isfinite(model(INPUTS | {"past": past, "past_mask": mask})).all()
        return
    assert_allclose(model(INPUTS | {"past": past, "past_mask": mask}), expected, atol=1e-5)


@EVERY
def test_it_trains_both_ways_and_comes_back_from_a_file(name, tmp_path):
    model = MODELS[name]()
    model.compile("sgd", "mse", run_eagerly=True)
    for inputs in (INPUTS, INPUTS | {"target": TARGET}):
        before = [np.array(weight) for weight in model.trainable_variables]
        assert np.isfinite(model.fit(inputs, TARGET, verbose=0).history["loss"][0])
        if before:
            moved = [np.abs(np.array(weight) - old).max() for weight, old in zip(model.trainable_variables, before)]  # noqa: B905
            assert np.mean(np.array(moved) > 0) > 0.8
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.widths == model.widths == {"past": 4, "future": 2, "static": 3}
    assert_allclose(again(INPUTS), model(INPUTS), atol=1e-6)


@pytest.mark.parametrize("name", ["Bahdanau", "transformer"])
def test_compiled_is_not_compiled(name):
    import tensorflow as tf

    model = MODELS[name]()
    expected = model(INPUTS)
    for jit in (False, True):
        assert_allclose(tf.function(model, jit_compile=jit, autograph=False)(INPUTS), expected, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["Luong LSTM, both directions", "transformer"])
def test_mixed_precision_gives_finite_forecasts(name, policy):
    assert np.isfinite(np.array(keras.ops.cast(MODELS[name](dtype=policy)(INPUTS), "float32"))).all()


def test_series_that_does_not_move_is_no_division_by_zero():
    past = np.full((1, PAST, 1), 5.0, "float32")
    assert np.isfinite(np.array(RecurrentForecaster(HORIZON, units=4)({"past": past}))).all()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (INPUTS | {"future": INPUTS["future"][:, :3]}, r"built for a horizon of 4 steps. Received 3 of future"),
        (INPUTS | {"target": TARGET[:, :2]}, r"built for a horizon of 4 steps. Received 2 of target"),
        ({"past": INPUTS["past"]}, r"inputs must be past, future, static, and may be .* Received past\."),
        (INPUTS | {"futur": INPUTS["future"]}, "Received futur, future, past, static"),
    ],
)
def test_other_inputs_than_it_was_built_for_are_refused(inputs, message):
    model = MODELS["Bahdanau"]()
    model(INPUTS)
    with pytest.raises(ValueError, match=message):
        model(inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecurrentForecaster(0), "horizon must be at least 1"),
        (
            lambda: SeriesToSeries(RecurrentEncoder(9, 4), RecurrentDecoder(None, local(), output_dim=1), 3),
            "the encoder must read vectors, vocabulary_size=None",
        ),
        (
            lambda: SeriesToSeries(RecurrentEncoder(None, 4), RecurrentDecoder(9, local()), 3),
            "the decoder must read vectors, vocabulary_size=None",
        ),
        (
            lambda: RecurrentForecaster(3, target_dim=2)({"past": np.ones((1, 5, 1))}),
            r"the first columns of past must be the 2 targets. Received 1",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
