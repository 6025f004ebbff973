"""Translators learn, which their first weights may prevent, and drop what they are told to in training alone."""

import keras
import numpy as np
import pytest

from keras_attention.layers import BahdanauCell, LuongCell
from keras_attention.models import DateConverter, RecurrentTranslator, TransformerTranslator
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
    model.optimizer.build(model.trainable_variables)  # or the first update is traced twice
    ids = (np.random.default_rng(0).integers(IDS, size=(4096, 1)) + 7 * np.arange(LENGTH + 1)) % (IDS - 4) + 4
    history = model.fit(
        {"source": ids[:, :LENGTH], "target": ids[:, :LENGTH]}, ids[:, 1:], batch_size=64, epochs=1, verbose=0
    )
    assert history.history["loss"][-1] < np.log(IDS) / 2


def test_context_dropout_drops_what_attention_reads_but_not_the_summary_and_in_training_alone():
    model = RecurrentTranslator(9, 9, units=64, dropout=0.0, context_dropout=0.5)
    ids = np.array([[4, 5, 6]])
    outputs, _, summary = model.encoder(ids)
    dropped, _, kept = model.encoder(ids, training=True)
    share = np.mean(keras.ops.convert_to_numpy(dropped) == 0.0)
    assert 0.3 < share < 0.7
    live = keras.ops.convert_to_numpy(dropped) != 0.0
    np.testing.assert_allclose(np.array(dropped)[live], 2.0 * np.array(outputs)[live], rtol=1e-5)
    np.testing.assert_array_equal(kept, summary)
    again = RecurrentTranslator.from_config(model.get_config())
    assert again.encoder.output_dropout == 0.5


@pytest.mark.parametrize("model_class", [RecurrentTranslator, DateConverter])
@pytest.mark.parametrize("cell", [LuongCell(6, score="concat"), BahdanauCell(6, cell="lstm", deep_output=4)])
def test_model_with_a_cell_of_its_own_comes_back_from_a_file(model_class, cell, tmp_path):
    model = model_class(9, 9, units=6, embedding_dim=5, attention=type(cell).from_config(cell.get_config()))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    ids = {"source": np.array([[4, 5, 6]]), "target": np.array([[2, 7]])}
    np.testing.assert_array_equal(again(ids), model(ids))
    assert again.attention.get_config() == model.attention.get_config()
    assert again.encoder.cell == cell.recurrence


def test_cell_that_is_given_has_the_weights_of_one_that_is_named():
    named = RecurrentTranslator(9, 9, units=6, embedding_dim=5, attention="luong")
    given = RecurrentTranslator(9, 9, units=6, embedding_dim=5, attention=LuongCell(6))
    assert [weights.shape for weights in given.weights] == [weights.shape for weights in named.weights]


def test_options_of_a_cell_that_is_given_are_refused():
    with pytest.raises(ValueError, match="attention_options are for an attention that is given by name"):
        RecurrentTranslator(9, 9, units=6, attention=LuongCell(6), attention_options={"score": "dot"})
