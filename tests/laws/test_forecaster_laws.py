"""Models of series: what they are fed, in which units, and what they refuse."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_attention.layers import LuongCell
from keras_attention.models import RecurrentDecoder, RecurrentEncoder, RecurrentForecaster, SeriesToSeries
from tests.laws.cases import FORECASTERS, HORIZON
from tests.laws.tools import array, normal, once, only_tensorflow, tensor

BATCH, PAST = 3, 9
INPUTS = {
    "past": normal(BATCH, PAST, 4),
    "future": normal(BATCH, HORIZON, 2, seed=1),
    "static": normal(BATCH, 3, seed=2),
}
TARGET = normal(BATCH, HORIZON, 2, seed=3)


EVERY = pytest.mark.parametrize("name", FORECASTERS)


@pytest.fixture(scope="module")
def model_of():
    return once(lambda name: FORECASTERS[name]())


def forecast_of(model, **changed):
    """The forecast of the inputs, of which some are changed, as an array."""
    return array(model({name: tensor(values) for name, values in (INPUTS | changed).items()}))


@EVERY
def test_own_predictions_are_fed_back(model_of, name):
    model = model_of(name)
    forecast = forecast_of(model)
    assert forecast.shape == (BATCH, HORIZON, 2)
    # Fed what it said, in one call, it says the same again; fed something else, not.
    assert_allclose(forecast_of(model, target=forecast), forecast, atol=1e-4)
    other = forecast_of(model, target=forecast + 1.0)
    assert_allclose(other[:, 0], forecast[:, 0], atol=1e-4)
    assert np.abs(other[:, 1:] - forecast[:, 1:]).max() > 1e-4


@EVERY
def test_step_does_not_see_what_is_known_of_a_later_one(model_of, name):
    model = model_of(name)
    later = INPUTS["future"] + np.array([0, 0, 0, 5], "float32")[:, None]
    expected, received = forecast_of(model), forecast_of(model, future=later)
    assert_allclose(received[:, :3], expected[:, :3], atol=1e-5)
    assert np.abs(received[:, 3] - expected[:, 3]).max() > 1e-5


@EVERY
def test_forecast_moves_and_grows_with_the_series(model_of, name):
    model = model_of(name)
    expected = forecast_of(model)
    past = INPUTS["past"].copy()
    past[..., :2] = 100 + 7 * past[..., :2]
    received = forecast_of(model, past=past)
    if model.normalize:
        assert_allclose(received, 100 + 7 * expected, rtol=1e-4)
    else:
        assert np.abs(received - (100 + 7 * expected)).max() > 1


@EVERY
def test_what_was_not_observed_is_not_seen(model_of, name):
    if name == "a convolution":
        pytest.skip("sees what stands beside it, whatever it is")
    model = model_of(name)
    places = [place for place in range(PAST + 3) if place not in (0, 5, PAST + 2)]
    past = np.full((BATCH, PAST + 3, 4), np.nan, "float32")
    past[:, places] = INPUTS["past"]
    mask = np.zeros((BATCH, PAST + 3), bool)
    mask[:, places] = True
    assert_allclose(forecast_of(model, past=past, past_mask=mask), forecast_of(model), atol=1e-5)


@EVERY
def test_it_trains_both_ways_and_comes_back_from_a_file(name, tmp_path):
    model = FORECASTERS[name]()
    forecast_of(model)  # makes the weights
    model.compile("sgd", "mse", run_eagerly=True)
    for inputs in (INPUTS, INPUTS | {"target": TARGET}):
        before = [array(weight) for weight in model.trainable_variables]
        assert np.isfinite(model.fit(inputs, TARGET, verbose=0).history["loss"][0])
        moved = [np.any(array(weight) != old) for weight, old in zip(model.trainable_variables, before, strict=True)]
        assert np.mean(moved) > 0.8
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.widths == model.widths == {"past": 4, "future": 2, "static": 3}
    assert_allclose(forecast_of(again), forecast_of(model), atol=1e-6)


@only_tensorflow
@pytest.mark.parametrize("name", ["forecaster, Bahdanau", "transformer forecaster"])
def test_compiled_is_not_compiled(name):
    import tensorflow as tf

    model = FORECASTERS[name]()
    expected = model(INPUTS)
    for jit in (False, True):
        assert_allclose(tf.function(model, jit_compile=jit, autograph=False)(INPUTS), expected, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["Luong LSTM, both directions", "transformer forecaster"])
def test_mixed_precision_gives_finite_forecasts(name, policy):
    model = FORECASTERS[name](dtype=policy)
    past = INPUTS["past"].copy()
    past[..., :2] += 1e6  # more than float16 can hold, and than bfloat16 can tell apart
    assert_allclose(forecast_of(model, past=past) - 1e6, forecast_of(model), atol=0.2)


def test_series_that_does_not_move_is_no_division_by_zero():
    past = np.full((1, PAST, 1), 5.0, "float32")
    assert np.isfinite(array(RecurrentForecaster(HORIZON, units=4)({"past": tensor(past)}))).all()


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
    model = FORECASTERS["forecaster, Bahdanau"]()
    model(INPUTS)
    with pytest.raises(ValueError, match=message):
        model(inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecurrentForecaster(0), "horizon must be at least 1"),
        (
            lambda: SeriesToSeries(RecurrentEncoder(9, 4), RecurrentDecoder(None, LuongCell(4), output_dim=1), 3),
            "the encoder must read vectors, vocabulary_size=None",
        ),
        (
            lambda: SeriesToSeries(RecurrentEncoder(None, 4), RecurrentDecoder(9, LuongCell(4)), 3),
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
