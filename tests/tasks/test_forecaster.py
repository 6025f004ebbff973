"""Forecasts: learnt, called with one series or several, saved, exported, refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_attention import Forecaster, RecurrentForecaster, TransformerForecaster, load
from keras_attention.data import make_windows, seasonal_naive

PAST, HORIZON, SEASON = 16, 4, 8
SERIES = np.tile([3.0, 1, 4, 1, 5, 9, 2, 6], 12) + np.arange(96) / 4  # a season, and a trend


@pytest.fixture(scope="module")
def forecaster():
    keras.utils.set_random_seed(0)
    model = RecurrentForecaster(HORIZON, units=24, attention="luong")
    model.compile(keras.optimizers.Adam(1e-2), "mae")
    inputs, labels = make_windows(SERIES[:80], PAST, HORIZON)
    model.fit(inputs, labels, batch_size=16, epochs=60, verbose=0)
    return Forecaster(model)


def test_it_beats_the_season_before_on_what_it_did_not_see(forecaster):
    inputs, labels = make_windows(SERIES[60:], PAST, HORIZON)
    naive = np.abs(seasonal_naive(inputs["past"], HORIZON, SEASON) - labels).mean()
    error = np.abs(forecaster(inputs["past"]).values - labels).mean()
    assert naive == pytest.approx(2.0)  # what the trend adds in a season
    assert error < 0.6 * naive


def test_one_series_and_several_are_forecast_alike(forecaster):
    several = forecaster(np.stack([SERIES[:PAST], SERIES[5 : 5 + PAST]])[..., None])
    assert several.values.shape == (2, HORIZON, 1)
    assert several.weights.shape == (2, HORIZON, PAST)
    np.testing.assert_allclose(several.weights.sum(-1), 1.0, atol=1e-5)
    for one in (forecaster(SERIES[5 : 5 + PAST]), forecaster(SERIES[5 : 5 + PAST, None].tolist())):
        assert one.values.shape == (HORIZON, 1)
        np.testing.assert_allclose(one.values, several.values[1], rtol=1e-5)
        np.testing.assert_allclose(one.weights, several.weights[1], atol=1e-5)


def test_it_is_saved_and_exported_with_a_typed_signature(forecaster, tmp_path):
    forecaster.save(tmp_path / "run")
    version = forecaster.export(tmp_path / "model")
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    shapes = {name: spec.shape.as_list() for name, spec in signature.structured_input_signature[1].items()}
    assert shapes == {"past": [None, None, 1]}
    expected = forecaster(SERIES[:PAST])
    for again in (load(tmp_path / "run"), load(tmp_path / "model")):
        received = again(SERIES[:PAST])
        np.testing.assert_allclose(received.values, expected.values, rtol=1e-4)
        np.testing.assert_allclose(received.weights, expected.weights, atol=1e-4)
    with pytest.raises(TypeError, match=r"SavedForecaster: past must hold numbers"):
        load(tmp_path / "model")(["a", "b"])


def test_what_is_known_and_what_does_not_change_are_in_the_signature(tmp_path, unchecked):
    calendar = np.arange(40)[:, None] % [7, 12]
    inputs, labels = make_windows(SERIES[:40], 9, 3, future=calendar, static=[1.0, 2.0])
    assert {name: array.shape[1:] for name, array in inputs.items()} == {
        "past": (9, 3),
        "future": (3, 2),
        "static": (2,),
    }
    model = TransformerForecaster(3, units=8, num_heads=2, feed_forward_units=8)
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(inputs | {"target": labels}, labels, verbose=0)
    forecaster = Forecaster(model)
    forecaster.export(tmp_path)
    one = {name: array[0] for name, array in inputs.items()}
    np.testing.assert_allclose(load(tmp_path)(**one).values, forecaster(**one).values, rtol=1e-4)
    assert forecaster(**one).weights.shape == (3, 9)
    with pytest.raises(ValueError, match=r"built for a horizon of 3 steps; what is known must cover them all"):
        forecaster(**one | {"future": one["future"][:2]})
    with pytest.raises(ValueError, match=r"the model was built for future, past, static. Received past"):
        forecaster(one["past"])


@pytest.mark.parametrize(
    ("past", "error", "message"),
    [
        (["3 May", "4 May"], TypeError, r"past must hold numbers. Received values of type <U5"),
        (
            np.ones((2, 3, 4, 1)),
            ValueError,
            r"past must be of shape \(any, any, 1\), a batch first. Received \(2, 3, 4, 1\)",
        ),
        (np.ones((5, 2)), ValueError, r"Received \(1, 5, 2\)"),
    ],
)
def test_what_is_no_series_is_refused(forecaster, past, error, message):
    with pytest.raises(error, match=message):
        forecaster(past)


def test_model_that_was_not_built_is_refused():
    with pytest.raises(ValueError, match=r"must be built, so that it is known what it reads"):
        Forecaster(RecurrentForecaster(3))


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"past \+ horizon = 12 steps. Received 5"):
        make_windows(np.ones(5), 9, 3)
    with pytest.raises(ValueError, match="Received 3 rows for 20 steps"):
        make_windows(np.ones(20), 9, 3, future=np.ones(3))
    with pytest.raises(TypeError, match="must hold numbers"):
        make_windows(["a"] * 20, 9, 3)
    with pytest.raises(ValueError, match=r"must hold a season of 8 steps. Received 3"):
        seasonal_naive(np.ones((1, 3, 1)), 2, 8)
