"""Weights of the tasks that take no texts, with names for what attended and for what was attended to."""

from typing import NamedTuple

import numpy as np


class Attended(NamedTuple):
    """Weights of one answer, as `attention_page` and `plot_attention` take them.

    Attributes:
        weights: `(..., target, source)`.
        source: names of the columns.
        target: names of the rows.
    """

    weights: np.ndarray
    source: list
    target: list


def answer_attended(weights, story):
    """How much each hop attended to each sentence.

    Args:
        weights: `(hops, sentences)`.
        story: list of sentences.
    """
    return Attended(weights, story, [f"hop {number}" for number in range(1, len(weights) + 1)])


def forecast_attended(weights):
    """How much each step ahead attended to each step of the past, the last of which is `step -1`.

    Args:
        weights: `(horizon, past)`.
    """
    horizon, past = weights.shape
    before = [f"step -{step}" for step in range(past, 0, -1)]
    return Attended(weights, before, [f"step +{step}" for step in range(1, horizon + 1)])


def recommendation_attended(recommendation, history):
    """How much each recommended item, or the next one whichever it is, attended to each item of the history.

    Args:
        recommendation: a `Recommendation`.
        history: list of the items that it comes after.
    """
    items, _, weights = recommendation
    if weights.ndim == 2:  # each item attended anew
        return Attended(weights[: len(items)], history, items)
    return Attended(weights[..., None, :], history, ["next item"])
