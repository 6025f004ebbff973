"""Translators learn, which their first weights may prevent, and drop what they are told to in training alone."""

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


def test_context_dropout_drops_what_attention_reads_but_not_the_summary_and_in_training_alone():
    model = RecurrentTranslator(9, 9, units=64, dropout=0.0, context_dropout=0.5)
    ids = np.array([[4, 5, 6]])
    outputs, summary = model.encoder(ids)
    dropped, kept = model.encoder(ids, training=True)
    share = np.mean(keras.ops.convert_to_numpy(dropped) == 0.0)
    assert 0.3 < share < 0.7
    live = keras.ops.convert_to_numpy(dropped) != 0.0
    np.testing.assert_allclose(np.array(dropped)[live], 2.0 * np.array(outputs)[live], rtol=1e-5)
    np.testing.assert_array_equal(kept, summary)
    again = RecurrentTranslator.from_config(model.get_config())
    assert again.encoder.output_dropout == again.context_dropout == 0.5
