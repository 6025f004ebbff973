"""Translators learn, which their first weights may prevent."""

import keras
import numpy as np
import pytest

from keras_attention.models import RecurrentTranslator, TransformerTranslator
from keras_attention.training import MaskedCrossentropy

IDS, LENGTH = 200, 8


@pytest.mark.parametrize(
    ("model_class", "arguments"),
    [
        (RecurrentTranslator, {"embedding_dim": 64, "tied": True}),
        (RecurrentTranslator, {"embedding_dim": 64, "tied": False}),
        (TransformerTranslator, {"layers": 1, "num_heads": 4, "feed_forward_units": 64, "tied": "target"}),
    ],
    ids=["recurrent, tied", "recurrent", "transformer"],
)
def test_a_translator_soon_knows_more_than_how_frequent_tokens_are(model_class, arguments):
    """Each token follows from the one before; whoever only knows the frequencies is left with log(IDS), 5.3."""
    model = model_class(IDS, IDS, units=64, dropout=0.0, **arguments)
    model.compile(keras.optimizers.Adam(4e-3), MaskedCrossentropy())
    ids = (np.random.default_rng(0).integers(IDS, size=(4096, 1)) + 7 * np.arange(LENGTH + 1)) % (IDS - 4) + 4
    history = model.fit(
        {"source": ids[:, :LENGTH], "target": ids[:, :LENGTH]}, ids[:, 1:], batch_size=64, epochs=1, verbose=0
    )
    assert history.history["loss"][-1] < np.log(IDS) / 2
