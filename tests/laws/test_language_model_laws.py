"""The laws of decoders without a source: cuts, padding, the future, files, training."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_attention.models import LanguageModel
from keras_attention.testing import assert_no_future_leak
from tests.laws.cases import LANGUAGE_MODELS, TARGET_IDS
from tests.laws.tools import array, assert_close, assert_same, dtype_of, ids, jitted_on_jax, normal, once, tensor

BATCH, LENGTH = 2, 5
EVERY = pytest.mark.parametrize("name", LANGUAGE_MODELS)
TEXTS = ids(BATCH, LENGTH, high=TARGET_IDS)


@pytest.fixture(scope="module")
def model_of():
    return once(lambda name: LANGUAGE_MODELS[name]())


@EVERY
def test_any_cut_gives_the_same_logits_and_weights(model_of, name):
    model = model_of(name)
    decode = jitted_on_jax(model.decode)
    memory, start = model.begin(BATCH)
    whole = decode(TEXTS, memory, start)
    assert_close(whole.logits, model(TEXTS))
    for cut in (1, LENGTH - 1):
        first = decode(TEXTS[:, :cut], memory, start)
        second = decode(TEXTS[:, cut:], memory, first.state)
        assert_close(ops.concatenate([first.logits, second.logits], 1), whole.logits)
        assert_close(second.weights, whole.weights[:, cut:])
        assert_close(first.weights, whole.weights[:, :cut, ..., : first.weights.shape[-1]])


@EVERY
def test_weights_are_over_what_was_consumed(model_of, name):
    model = model_of(name)
    weights = array(model.decode(TEXTS, *model.begin(BATCH)).weights)
    if weights.shape[-1]:  # else there is no attention
        assert_close(weights.sum(-1), np.ones(weights.shape[:-1], "float32"))
        assert_same(weights * np.triu(np.ones((LENGTH, LENGTH)), 1)[None, :, None, None], 0)
    else:
        assert weights.shape == (BATCH, LENGTH, 0)


@EVERY
def test_no_logit_reads_a_later_token(model_of, name):
    assert_no_future_leak(lambda inputs: model_of(name)(inputs["ids"]), {"ids": TEXTS}, causal="ids")


@EVERY
@pytest.mark.parametrize("places", [(0, 1), (2, 4), (5, 6)], ids=["in front", "between", "behind"])
def test_padding_changes_nothing_wherever_it_stands(model_of, name, places):
    model = model_of(name)
    tokens = [place for place in range(LENGTH + 2) if place not in places]
    with_padding = np.zeros((BATCH, LENGTH + 2), "int32")
    with_padding[:, tokens] = TEXTS
    assert_close(array(model(with_padding))[:, tokens], array(model(TEXTS)))


@EVERY
def test_model_survives_a_keras_file(model_of, name, tmp_path):
    model = model_of(name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_same(again(TEXTS), model(TEXTS))


@EVERY
def test_model_for_decoding_computes_the_same(name):
    model = LANGUAGE_MODELS[name]()
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * normal(*weight.shape))
    expected = array(model(TEXTS))
    assert_close(model.for_decoding()(TEXTS), expected, atol=1e-4 * np.abs(expected).max())


@EVERY
def test_model_trains_in_mixed_precision(name):
    model = LANGUAGE_MODELS[name](dtype="mixed_bfloat16")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    assert np.isfinite(model.fit(TEXTS, TEXTS, epochs=1, verbose=0).history["loss"][0])
    assert dtype_of(model(tensor(TEXTS))) == model.compute_dtype


def test_decoder_that_needs_a_source_or_reads_no_ids_is_refused():
    from keras_attention.layers import LuongCell, PlainCell
    from keras_attention.models import EncoderDecoder, RecurrentDecoder, RecurrentEncoder, TransformerDecoder

    with pytest.raises(ValueError, match=r"attend to no source.*cross_attention=False"):
        LanguageModel(TransformerDecoder(keras.layers.Embedding(9, 8), 1, 2, 8))
    with pytest.raises(ValueError, match=r"attend to no source.*PlainCells"):
        LanguageModel(RecurrentDecoder(9, LuongCell(4)))
    with pytest.raises(ValueError, match="must read ids, of a vocabulary_size"):
        LanguageModel(RecurrentDecoder(None, PlainCell(4), output_dim=1))
    alone = TransformerDecoder(keras.layers.Embedding(9, 8), 1, 2, 8, cross_attention=False)
    with pytest.raises(ValueError, match=r"with cross_attention=False it reads no source. Received one of shape"):
        EncoderDecoder(RecurrentEncoder(9, 4), alone)({"source": TEXTS, "target": TEXTS})
