"""Prompts and what follows them: learnt, searched, saved, exported."""

import keras
import numpy as np
import pytest

from keras_attention import Beam, CharacterTokenizer, LanguageModel, SentencePieceTokenizer, TextGenerator, load
from keras_attention.data import make_text_batches
from keras_attention.layers import PlainCell
from keras_attention.models import RecurrentDecoder, TransformerDecoder
from keras_attention.text import WordPieceTokenizer
from keras_attention.training import MaskedCrossentropy

# Each number is spoken as its digits, and followed by the next number.
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEXTS = [f"{WORDS[number]} {WORDS[(number + 1) % 10]} {WORDS[(number + 2) % 10]}" for number in range(10)]


def language_model(size, **arguments):
    embedding = keras.layers.ReversibleEmbedding(size, 32)
    sizes = {"layers": 2, "num_heads": 2, "feed_forward_units": 64}
    return LanguageModel(TransformerDecoder(embedding, **sizes, cross_attention=False, **arguments))


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    tokenizer = CharacterTokenizer.train(TEXTS)
    model = language_model(len(tokenizer.vocabulary), positions="rotary")
    model.compile(keras.optimizers.Adam(5e-3), MaskedCrossentropy())
    model.optimizer.build(model.trainable_variables)
    model.fit(make_text_batches(TEXTS * 20, tokenizer, batch_size=50, shuffle_seed=0), epochs=30, verbose=0)
    return TextGenerator(model, tokenizer, max_length=20)


def test_it_goes_on_with_prompts_of_any_length_together(generator):
    prompts = ["three f", "nine", "one two three", "seven eight ni"]
    assert [result.text for result in generator(prompts)] == ["our five", " zero one", "", "ne"]


def test_prompt_is_consumed_in_one_call(generator, monkeypatch):
    consumed = []
    decode = generator.model.decode

    def noted(target, *arguments, **keywords):
        consumed.append(target.shape[1])
        return decode(target, *arguments, **keywords)

    monkeypatch.setattr(generator.model, "decode", noted)
    eight = generator.compute(np.array(["three f"], object))["text"].numpy()[0]
    assert len(eight) == len("our five")
    assert consumed == [7, *[1] * 9, 17]  # the start and six characters; each token; all, for the weights


def test_weights_are_over_the_start_the_prompt_and_the_result(generator):
    first, second = generator(["three f", "nine"])
    assert first.source_tokens == ["[START]", *"three four five"]
    assert second.source_tokens == ["[START]", *"nine zero one"]
    for result, prompt in ((first, 8), (second, 5)):
        assert result.weights.shape == (len(result.tokens), len(result.source_tokens))
        np.testing.assert_allclose(result.weights.sum(-1), 1.0, atol=1e-5)
        assert not np.triu(result.weights, prompt).any()  # of the token itself and those after it
    np.testing.assert_allclose(generator("nine").weights, second.weights, atol=1e-5)
    assert not first.truncated


def test_log_probability_is_the_models_of_what_follows(generator):
    result = generator("three f")
    ids = generator.tokenizer.encode(["three four five"]).to_tensor().numpy()
    logits = generator.model(np.concatenate([[[2]], ids], axis=1))
    log_probs = keras.ops.log_softmax(logits).numpy()[0]
    labels = [*ids[0], 3]
    assert result.log_prob == pytest.approx(sum(log_probs[at, labels[at]] for at in range(7, 16)), abs=1e-3)


def test_several_results_best_first_and_no_prompt_at_all(generator):
    several = TextGenerator(generator.model, generator.tokenizer, Beam(4, n_best=3), max_length=20)
    results = several("").n_best
    assert len(results) == 3
    assert {text for text, _ in results} <= set(TEXTS)
    assert [log_prob for _, log_prob in results] == sorted((log_prob for _, log_prob in results), reverse=True)
    assert several("nine").text == generator("nine").text == " zero one"


def test_it_is_saved_and_exported(generator, tmp_path, unchecked):
    generator.save(tmp_path / "run")
    generator.export(tmp_path / "model")
    expected = generator(["three f", "nine", ""])
    for again in (load(tmp_path / "run"), load(tmp_path / "model")):
        for one, other in zip(again(["three f", "nine", ""]), expected, strict=True):
            assert (one.text, one.source_tokens) == (other.text, other.source_tokens)
            np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)


def test_fresh_process_agrees_with_a_model_that_was_not_trained(tmp_path):
    tokenizer = CharacterTokenizer.train(TEXTS)
    model = LanguageModel(RecurrentDecoder(len(tokenizer.vocabulary), PlainCell(8), embedding_dim=6))
    generator = TextGenerator(model, tokenizer, max_length=5, max_prompt_length=4)
    generator.export(tmp_path)
    assert not generator("three").weights.any()
    assert generator("one three").source_tokens[:5] == ["[START]", *"hree"]


@pytest.mark.parametrize("kind", [SentencePieceTokenizer, WordPieceTokenizer])
def test_text_follows_the_prompt_whatever_its_pieces_are(kind):
    tokenizer = kind.train(TEXTS * 3, 290 if kind is SentencePieceTokenizer else 60)
    generator = TextGenerator(language_model(len(tokenizer.vocabulary)), tokenizer, max_length=6)
    prompt = "one two th"
    whole = generator.tokenizer.detokenize(
        np.concatenate([tokenizer.encode([prompt]).numpy()[0], _ids_of(generator, prompt)])[None]
    )
    assert whole.numpy()[0].decode(errors="replace") == prompt + generator(prompt).text


def _ids_of(generator, prompt):
    tokens = [token.encode() for token in generator(prompt).tokens]
    return np.array([generator.tokenizer.vocabulary.tokens.index(token.decode()) for token in tokens], "int32")


def test_what_does_not_fit_is_refused(generator):
    with pytest.raises(ValueError, match="the model has 9 target ids and the target vocabulary"):
        TextGenerator(language_model(9), generator.tokenizer)
    with pytest.raises(ValueError, match="there is no source that a result could cover"):
        TextGenerator(generator.model, generator.tokenizer, Beam(2, coverage_penalty=0.2))
    with pytest.raises(ValueError, match=r"max_prompt_length must be at least 1. Received 0"):
        TextGenerator(generator.model, generator.tokenizer, max_prompt_length=0)
    with pytest.raises(TypeError, match=r"expected strings. Received 3"):
        generator([3])
    with pytest.raises(ValueError, match="expected at least one text, received none"):
        make_text_batches([], generator.tokenizer)
