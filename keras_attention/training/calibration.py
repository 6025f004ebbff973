"""How well probabilities say how often an answer is right."""

import numpy as np


def expected_calibration_error(probabilities, right, bins=15):
    """The mean difference of probability and accuracy over bins of equal width, weighted by their sizes.

    Guo et al. (2017), "On Calibration of Modern Neural Networks", equation 3.

    Args:
        probabilities: `(answers,)`, of each answer.
        right: `(answers,)`, whether it is right.
        bins: number of them.

    Returns:
        A float between 0 and 1.

    Raises:
        ValueError: if there is none, or they are not as many.

    >>> float(expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False]))
    0.0
    """
    probabilities, right = np.asarray(probabilities, float), np.asarray(right, float)
    if probabilities.ndim != 1 or probabilities.shape != right.shape or not len(right):
        raise ValueError(
            "expected_calibration_error: expected as many probabilities as answers, and at least one. Received shapes "
            f"{probabilities.shape} and {right.shape}."
        )
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    differences = np.bincount(places, probabilities - right, bins)
    return np.abs(differences).sum() / len(right)


def fitted_temperature(answer, lowest=0.5, highest=3.0, steps=12):
    """The temperature at which the probabilities of answers are most likely to be how often they are right.

    Args:
        answer: a function of a temperature, to `(probabilities, right)` of the
            same questions.
        lowest, highest: where it is searched, by golden sections.
        steps: how often `answer` is called.

    Returns:
        The temperature, a float.
    """
    golden = (np.sqrt(5) - 1) / 2
    losses = {}

    def loss(logarithm):
        key = round(logarithm, 9)  # one of two points of a section is one of the section before
        if key not in losses:
            probabilities, right = answer(float(np.exp(key)))
            probabilities = np.clip(probabilities, 1e-7, 1 - 1e-7)
            losses[key] = -np.mean(np.log(np.where(right, probabilities, 1 - probabilities)))
        return losses[key]

    left, right = np.log(lowest), np.log(highest)
    while len(losses) < steps:
        low, high = right - golden * (right - left), left + golden * (right - left)
        if loss(low) < loss(high):
            right = high
        else:
            left = low
    return float(np.exp(min(losses, key=losses.get)))
