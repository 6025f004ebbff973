"""Normalisation, vocabulary and the character tokenizer."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_attention.text import END_ID, PAD_ID, START_ID, UNKNOWN_ID, CharacterTokenizer, Vocabulary, normalize

ALPHABET = "abz 19,.äß日한ع😀\u0301½２\t"  # noqa: RUF001


def normalized(text):
    return normalize(tf.constant([text])).numpy()[0].decode("utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("３ Ｍａｙ", "3 May"),  # noqa: RUF001
        ("e\u0301", "é"),
        ("\t 3\u00a0May\u2028 1979\r\n", "3 May 1979"),
        ("   ", ""),
        ("", ""),
        (b"\xff1", "\ufffd1"),
        ("\ud800".encode("utf-8", "surrogatepass"), "\ufffd\ufffd\ufffd"),
    ],
)
def test_normal_form(text, expected):
    assert normalized(text).replace("\ufffd", "") == expected.replace("\ufffd", "")
    assert ("\ufffd" in normalized(text)) == ("\ufffd" in expected)


@given(st.text(max_size=30))
@settings(max_examples=50)
def test_normal_form_is_its_own_normal_form(text):
    once = normalized(text.encode("utf-8", "surrogatepass"))
    assert normalized(once) == once


@pytest.mark.parametrize("normalization", [None, "NFKC"])
@given(st.lists(st.text(ALPHABET, max_size=12), min_size=1, max_size=4))
@settings(max_examples=40)
def test_ids_of_known_characters_go_back_to_the_text(normalization, texts):
    tokenizer = CharacterTokenizer.train(["".join(ALPHABET), *texts], normalization)
    ids = tokenizer.encode(tf.constant(texts)).to_tensor(PAD_ID, shape=[None, 40])
    expected = tf.constant(texts) if normalization is None else normalize(tf.constant(texts))
    assert tokenizer.detokenize(ids).numpy().tolist() == expected.numpy().tolist()


def test_line_break_in_a_text_is_a_space():
    tokenizer = CharacterTokenizer.train(["a\r\nb\n", "\rc"])
    assert set(tokenizer.vocabulary.tokens[4:]) == {" ", "a", "b", "c"}
    assert tokenizer.tokenize(tf.constant(["a\nb"])).to_list() == [[b"a", b" ", b"b"]]


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match=r"normalization must be one of None, 'NFKC', 'NFKC_Casefold'. Received 'nfd'"):
        CharacterTokenizer(Vocabulary([]), "nfd")


def test_unknown_character_keeps_its_token():
    tokenizer = CharacterTokenizer.train(["ab"])
    tokens = tokenizer.tokenize(tf.constant(["a한b"]))
    assert [token.decode() for token in tokens.to_list()[0]] == ["a", "한", "b"]
    assert tokenizer.ids(tokens).to_list() == [[4, UNKNOWN_ID, 5]]


def test_text_ends_at_the_first_end_id():
    tokenizer = CharacterTokenizer.train(["ab"])
    ids = tf.constant([[START_ID, 4, 5, END_ID, 4], [END_ID, 4, PAD_ID, PAD_ID, PAD_ID]])
    assert tokenizer.detokenize(ids).numpy().tolist() == [b"ab", b""]
    assert tokenizer.tokens(ids).numpy().tolist()[0] == [b"", b"a", b"b", b"", b""]


def test_frequent_characters_come_first_and_ties_in_order():
    assert CharacterTokenizer.train(["bab", "c"]).vocabulary.tokens[4:] == ("b", "a", "c")


def test_training_on_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one text, received none"):
        CharacterTokenizer.train([])


def test_vocabulary_file_keeps_every_token(tmp_path):
    tokens = [" ", "a", "#", "\u2028", "\x00", "\x85", "한", "😀", "\\", '"']
    vocabulary = Vocabulary(tokens)
    vocabulary.save(tmp_path / "vocabulary.txt")
    again = Vocabulary.load(tmp_path / "vocabulary.txt")
    assert again.tokens == vocabulary.tokens
    queries = tf.constant([*tokens, "unseen"])
    np.testing.assert_array_equal(again.ids(queries), vocabulary.ids(queries))
    np.testing.assert_array_equal(again.ids(queries), [*range(4, 4 + len(tokens)), UNKNOWN_ID])


@pytest.mark.parametrize("from_file", [False, True])
def test_lookup_that_is_first_asked_for_in_a_graph_outlives_it(from_file, tmp_path):
    vocabulary = Vocabulary(["a"])
    if from_file:
        vocabulary.save(tmp_path / "vocabulary.txt")
        vocabulary = Vocabulary.load(tmp_path / "vocabulary.txt")
    for _ in range(2):
        assert tf.function(lambda tokens: vocabulary.ids(tokens))(tf.constant(["a"])).numpy() == [4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: Vocabulary(["a", "b", "a"]), r"each token must occur once. Received more than once: \['a'\]"),
        (lambda path: Vocabulary(["a\n"]), "must not hold a line break"),
        (lambda path: Vocabulary.load(path), r"is no vocabulary of this library: its first lines must be \[PAD\]"),
    ],
)
def test_wrong_vocabulary_says_what_is_wrong(make, message, tmp_path):
    (tmp_path / "words.txt").write_text("the\na\n")
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "words.txt")
