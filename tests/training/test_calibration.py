"""How far probabilities are from how often answers are right, and the temperature that brings them there."""

import numpy as np
import pytest

from keras_attention.training.calibration import expected_calibration_error, fitted_temperature


def test_error_is_the_mean_difference_over_bins():
    # Bins of a half: 0.2 on average and 0.5 right, 0.9 and 1.0 right.
    error = expected_calibration_error([0.1, 0.3, 0.9, 0.9], [True, False, True, True], bins=2)
    assert error == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0.0


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"Received shapes \(2,\) and \(1,\)"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(ValueError, match="at least one"):
        expected_calibration_error([], [])


@pytest.mark.parametrize("true", [0.7, 1.0, 1.8])
def test_the_temperature_at_which_answers_were_drawn_is_found(true):
    generator = np.random.default_rng(0)
    logits = generator.normal(2.0, 2.0, 40_000)
    right = generator.random(len(logits)) < 1 / (1 + np.exp(-logits / true))
    asked = []

    def answer(temperature):
        asked.append(temperature)
        return 1 / (1 + np.exp(-logits / temperature)), right

    found = fitted_temperature(answer)
    assert len(asked) == 12
    assert found == pytest.approx(true, rel=0.05)
