"""Loss and metric over padding, by hand."""

import keras
import numpy as np
from numpy.testing import assert_allclose

from keras_attention.training import ExactMatch, MaskedCrossentropy

LABELS = np.array([[1, 2, 0], [2, 0, 0]])
LOGITS = np.log(np.array([[[1, 2, 1], [1, 1, 2], [9, 1, 1]], [[1, 1, 6], [1, 1, 1], [1, 9, 1]]]) * 1.0).astype(
    "float32"
)


def test_loss_is_the_mean_over_tokens_whatever_stands_at_padding():
    expected = -np.mean(np.log([2 / 4, 2 / 4, 6 / 8]))
    assert_allclose(MaskedCrossentropy()(LABELS, LOGITS), expected, rtol=1e-6)
    padded = np.pad(LABELS, [(0, 0), (0, 4)]), np.pad(LOGITS, [(0, 0), (0, 4), (0, 0)])
    assert_allclose(MaskedCrossentropy()(*padded), expected, rtol=1e-6)


def test_loss_of_float16_logits_is_computed_in_float32():
    logits = np.array([[[60_000.0, -60_000.0, 0.0]]], "float16")
    assert_allclose(MaskedCrossentropy()(np.array([[2]]), logits), 60_000.0, rtol=1e-3)


def test_batch_of_nothing_but_padding_costs_nothing():
    assert float(MaskedCrossentropy()(np.zeros((2, 3), int), LOGITS)) == 0.0


def test_exact_match_wants_every_token_and_ignores_padding():
    metric = ExactMatch()
    metric.update_state(LABELS, LOGITS)
    assert float(metric.result()) == 1.0
    metric.update_state(np.array([[1, 1, 0], [2, 0, 0]]), LOGITS)
    assert float(metric.result()) == 0.75


def test_objectives_survive_serialisation():
    for thing in (MaskedCrossentropy(), ExactMatch()):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))
        assert type(again) is type(thing)
        assert again.name == thing.name
