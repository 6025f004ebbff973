"""Subword tokenizers: nothing is lost, files and graphs agree, vocabularies are what they should be."""

import concurrent.futures
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_attention.text import (
    END_ID,
    PAD_ID,
    SPECIAL_TOKENS,
    START_ID,
    SentencePieceTokenizer,
    WordPieceTokenizer,
    subwords_of_file,
)
from keras_attention.text.bpe_dropout import BpeDropout

SENTENCES = [
    "ein Mann schläft auf einem grünen Sofa .",
    "deux chiens jouent près de l'eau , ça c'est sûr .",
    "a man sleeps on a green couch .",
]
SCRIPTS = "abzäöüßéèçœ 안녕하세요 日本語のテスト مرحبا بالعالم 😀👩‍👩‍👧 ½™<>[]#@\t"
ROUND_TRIP = st.text(SCRIPTS, max_size=30) | st.text(st.characters(exclude_characters="▁", codec="utf-8"), max_size=20)


@pytest.fixture(scope="module")
def sentencepiece():
    return SentencePieceTokenizer.train(SENTENCES, vocabulary_size=320)


@pytest.fixture(scope="module")
def wordpiece():
    return WordPieceTokenizer.train(SENTENCES * 3, vocabulary_size=80)


def single_spaced(text):
    return " ".join(part for part in re.split("[ \r\n]", text) if part)


def there_and_back(tokenizer, texts):
    ids = tokenizer.encode(tf.constant(texts)).to_tensor(PAD_ID)
    return [text.decode("utf-8") for text in tokenizer.detokenize(ids).numpy()]


@given(st.lists(ROUND_TRIP, min_size=1, max_size=3))
@settings(max_examples=100)
def test_pieces_of_any_text_give_the_text_back(sentencepiece, texts):
    assert there_and_back(sentencepiece, texts) == [single_spaced(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    ["Straße, größer: „ja“!", "l'œuvre où ça naît", "한국어 문장입니다.", "日本語の文。", "مرحبا بالعالم", "👩‍👩‍👧 😀"],
)
def test_text_of_any_script_comes_back(sentencepiece, text):
    assert there_and_back(sentencepiece, [text]) == [text]


def test_mark_of_a_space_is_read_as_an_underscore(sentencepiece):
    assert there_and_back(sentencepiece, ["a▁man"]) == ["a_man"]


def test_special_tokens_in_a_text_are_text(sentencepiece):
    for token in (*SPECIAL_TOKENS, "<0x41>"):
        ids = sentencepiece.encode(tf.constant([token])).numpy()[0]
        assert (ids > END_ID).all()
        assert there_and_back(sentencepiece, [token]) == [token]


def test_text_ends_at_the_first_end_id_in_any_rank(sentencepiece):
    ids = sentencepiece.encode(tf.constant(["a man"])).numpy()[0]
    row = [*ids, END_ID, *ids]
    found = sentencepiece.detokenize(tf.constant([[row, row], [[END_ID] * len(row), row]])).numpy()
    assert found.tolist() == [[b"a man", b"a man"], [b"", b"a man"]]


def test_what_is_not_utf_8_becomes_the_replacement_character(sentencepiece):
    ids = sentencepiece.encode(tf.constant([b"\xff man"])).to_tensor()
    assert sentencepiece.detokenize(ids).numpy()[0].decode("utf-8") == "\ufffd man"


def test_empty_text_has_no_token(sentencepiece, wordpiece):
    for tokenizer in (sentencepiece, wordpiece):
        assert tokenizer.encode(tf.constant(["", "  "])).row_lengths().numpy().tolist() == [0, 0]


def test_special_tokens_come_first_and_frequent_words_are_whole(sentencepiece):
    assert sentencepiece.vocabulary.tokens[:4] == SPECIAL_TOKENS
    assert len(sentencepiece.vocabulary) == 320
    again = SentencePieceTokenizer.train(["green"] * 9, vocabulary_size=270)
    assert [token.decode() for token in again.tokenize(tf.constant(["green"])).numpy()[0]] == ["▁green"]


def test_training_twice_gives_the_same_model(sentencepiece):
    assert SentencePieceTokenizer.train(SENTENCES, vocabulary_size=320).model == sentencepiece.model


def test_tokenizer_survives_a_file_a_graph_and_a_new_seed(sentencepiece, wordpiece, tmp_path):
    for tokenizer in (sentencepiece, wordpiece):
        tokenizer.save(tmp_path, "source")
        again = type(tokenizer).load(tmp_path, "source")
        assert again.vocabulary.tokens == tokenizer.vocabulary.tokens
        encode = tf.function(lambda text, again=again: again.encode(text).to_tensor())
        text = tf.constant(SENTENCES)
        expected = tokenizer.encode(text).to_tensor().numpy()
        np.testing.assert_array_equal(encode(text), expected)
        keras.utils.set_random_seed(1)  # which empties TensorFlow's caches
        np.testing.assert_array_equal(encode(text), expected)
        np.testing.assert_array_equal(again.encode(text).to_tensor(), expected)


def test_words_that_are_known_come_back_from_word_pieces(wordpiece):
    assert there_and_back(wordpiece, SENTENCES) == SENTENCES


NO_ORDINARY_WORDS = [
    "[PAD] a",
    "a [START]",
    "[END]",
    "[END]s and x[END]",
    "a ## b ##c",
    "##",
    "\\[END] \\",
    "[UNKNOWN]",
]


def test_words_that_look_like_special_tokens_or_pieces_are_words():
    tokenizer = WordPieceTokenizer.train(NO_ORDINARY_WORDS * 20, vocabulary_size=80)
    ids = tokenizer.encode(tf.constant(NO_ORDINARY_WORDS))
    assert min(ids.flat_values.numpy()) >= len(SPECIAL_TOKENS)
    assert there_and_back(tokenizer, NO_ORDINARY_WORDS) == NO_ORDINARY_WORDS


def test_special_tokens_never_come_from_a_text(wordpiece):
    ids = wordpiece.encode(tf.constant(["[PAD] [START] a [END]", "[END]x"])).flat_values.numpy()
    assert set(ids) & {PAD_ID, END_ID, START_ID} == set()


@pytest.mark.parametrize("tokenizer", [SentencePieceTokenizer, WordPieceTokenizer])
def test_line_break_in_a_text_is_a_space(tokenizer):
    trained = tokenizer.train(["a man\r\nsleeps", "a man\rsleeps\n"] * 5, 280)
    assert there_and_back(trained, ["a\nman", "man\r\nsleeps"]) == ["a man", "man sleeps"]
    if tokenizer is SentencePieceTokenizer:
        assert trained.sample(["a\nman"], 0.0, 0).to_list() == trained.encode(tf.constant(["a man"])).to_list()


def test_pieces_that_break_a_line_are_known(sentencepiece):
    assert [sentencepiece.vocabulary.tokens[index] for index in sentencepiece.line_breaks] == ["<0x0A>", "<0x0D>"]


@pytest.mark.parametrize("tokenizer", [SentencePieceTokenizer, WordPieceTokenizer])
def test_vocabulary_of_nothing_is_an_error(tokenizer):
    with pytest.raises(ValueError, match=rf"{tokenizer.__name__}.train: expected at least one text"):
        tokenizer.train([])


def test_vocabulary_that_the_texts_cannot_fill_is_an_error():
    with pytest.raises(ValueError, match="vocabulary_size=5000 does not suit these 3 texts"):
        SentencePieceTokenizer.train(SENTENCES, vocabulary_size=5000)


def test_model_with_other_special_tokens_is_refused():
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=40, model_type="bpe", minloglevel=2
    )
    with pytest.raises(ValueError, match=r"first pieces must be \[PAD\].*keras-attention vocabulary"):
        SentencePieceTokenizer(model.getvalue())


def test_sampled_pieces_give_the_text_back_and_are_the_seed_s(sentencepiece):
    plain = sentencepiece.encode(tf.constant(SENTENCES))
    drawn = sentencepiece.sample(SENTENCES, 0.5, seed=1)
    assert [text.decode() for text in sentencepiece.detokenize(drawn.to_tensor()).numpy()] == SENTENCES
    assert drawn.dtype == tf.int32
    assert drawn.to_list() == sentencepiece.sample(SENTENCES, 0.5, seed=1).to_list()
    assert drawn.to_list() != sentencepiece.sample(SENTENCES, 0.5, seed=2).to_list()
    assert len(drawn.flat_values) > len(plain.flat_values)
    assert sentencepiece.sample(SENTENCES, 0.0, seed=1).to_list() == plain.to_list()


@given(st.lists(ROUND_TRIP, min_size=1, max_size=3), st.integers(0, 9))
@settings(max_examples=100)
def test_without_dropout_pieces_are_those_of_the_package_and_with_it_they_give_the_text_back(
    sentencepiece, texts, seed
):
    assert sentencepiece.sample(texts, 0.0, seed).to_list() == sentencepiece.encode(tf.constant(texts)).to_list()
    drawn = sentencepiece.sample(texts, 0.5, seed).to_tensor()
    assert [text.decode() for text in sentencepiece.detokenize(drawn).numpy()] == list(map(single_spaced, texts))


def test_seed_draws_the_same_in_every_process(sentencepiece):
    """As the draws of the package do not, which begins each process with a number of its own."""
    drawn = sentencepiece.sample(SENTENCES, 0.3, seed=1)
    assert (len(drawn.flat_values), int(tf.reduce_sum(drawn.flat_values))) == (86, 24725)


def test_merges_are_left_out_as_often_as_was_said():
    pieces = {"ab": 4, "abc": 5, "a": 6, "b": 7, "c": 8}
    ids, lengths = BpeDropout(pieces, [9] * 256).draw(["abc", "bc", "a"] * 20_000, 0.1, seed=0)
    of_abc = lengths.reshape(-1, 3)[:, 0]
    np.testing.assert_allclose([np.mean(of_abc == count) for count in (1, 2, 3)], [0.81, 0.09, 0.1], atol=0.01)
    assert set(lengths.reshape(-1, 3)[:, 1]) == {2} and ids[-1] == 6


def test_texts_become_as_many_pieces_as_the_package_makes_of_them(sentencepiece):
    import sentencepiece as package

    of_package = package.SentencePieceProcessor(model_proto=sentencepiece.model)
    texts = SENTENCES * 200
    for dropout in (0.1, 0.5):
        expected = sum(map(len, of_package.encode(texts, enable_sampling=True, alpha=dropout, nbest_size=-1)))
        received = len(sentencepiece.sample(texts, dropout, seed=0).flat_values)
        assert received == pytest.approx(expected, rel=0.02)


def test_model_of_another_kind_has_no_merges_to_leave_out():
    tokenizer = SentencePieceTokenizer.train(SENTENCES, vocabulary_size=300, model_type="unigram")
    with pytest.raises(ValueError, match="byte-pair encoding"):
        tokenizer.sample(SENTENCES, 0.1, seed=0)


def test_pieces_sampled_at_once_are_those_of_their_seeds(sentencepiece):
    seeds = list(range(16)) * 4
    alone = {seed: sentencepiece.sample(SENTENCES, 0.5, seed).to_list() for seed in set(seeds)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: sentencepiece.sample(SENTENCES, 0.5, seed).to_list(), seeds))
    assert together == [alone[seed] for seed in seeds]


def test_a_file_tells_its_kind(sentencepiece, wordpiece, tmp_path):
    for tokenizer in (sentencepiece, wordpiece):
        tokenizer.write(tmp_path / "file")
        read = subwords_of_file(tmp_path / "file")
        assert type(read) is type(tokenizer)
        assert read.vocabulary.tokens == tokenizer.vocabulary.tokens
    (tmp_path / "file").write_bytes(b"something else")
    with pytest.raises(ValueError, match="neither a SentencePiece model nor a vocabulary"):
        subwords_of_file(tmp_path / "file")
