"""Tokens by a regular expression: those of SMILES, known characters, and texts of a fixed length."""

import re

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_attention.text import PatternTokenizer, Vocabulary
from keras_attention.text.patterns import SMILES


def divided(text, patterns=(r"(\[[^\]]*\])", r"(%[0-9]{2})", r"(Br|Cl)")):
    """Tokens of SMILES as REINVENT's vocabulary has them: what is in brackets first, then rings, then elements."""
    if not patterns:
        return list(text)
    parts = re.split(patterns[0], text)
    return [
        token for index, part in enumerate(parts) for token in ([part] if index % 2 else divided(part, patterns[1:]))
    ]


@given(st.lists(st.sampled_from([*"[]%1CBrlN=(@Hé\n", "12", "Br", "Cl", "[C@H]", "%10"]), max_size=12).map("".join))
def test_molecules_are_divided_as_reinvent_does(text):
    tokens = PatternTokenizer(Vocabulary([]), SMILES).tokenize(tf.constant([text])).to_list()[0]
    assert [token.decode() for token in tokens] == divided(text)


def test_what_the_pattern_does_not_match_is_left_out():
    tokenizer = PatternTokenizer(Vocabulary(["a", "b"]), "[ab]", lower=True)
    assert tokenizer.encode(tf.constant(["A-b c", "", "é\n"])).to_list() == [[4, 5], [], []]


def test_texts_of_a_fixed_length_are_filled_up_and_their_ends_are_read():
    tokenizer = PatternTokenizer(Vocabulary(["a", "b", "_"]), "[ab]", length=3, fill="_")
    tokens = tokenizer.tokenize(tf.constant(["ab", "", "abbab"]))
    assert tokens.to_list() == [[b"a", b"b", b"_"], [], [b"a", b"b", b"b", b"a", b"b"]]
    assert tokenizer.cut(tokens, 3).to_list() == [[b"a", b"b", b"_"], [], [b"b", b"a", b"b"]]


def test_a_framed_text_is_cut_before_what_stands_behind_it():
    tokenizer = PatternTokenizer(Vocabulary(["a", "b"]), ".", before=["[START]"], behind=["[END]"])
    tokens = tokenizer.tokenize(tf.constant(["abab", ""]))
    assert tokenizer.ids(tokens).to_list() == [[2, 4, 5, 4, 5, 3], []]
    assert tokenizer.ids(tokenizer.cut(tokens, 4)).to_list() == [[2, 4, 5, 3], []]


@pytest.mark.parametrize(("separator", "text"), [("", "bca"), (" ", "bc a"), ("|", "bc|a")])
def test_results_are_joined_by_the_separator_without_silent_tokens(separator, text):
    tokenizer = PatternTokenizer(Vocabulary(["a", "bc", "x"]), ".", separator=separator, silent=["x"])
    ids = tf.constant([[6, 5, 6, 4, 3, 4, 0]])
    assert tokenizer.detokenize(ids).numpy()[0].decode() == text
    assert tokenizer.first_texts[5] == "bc" and tokenizer.added_texts[5] == separator + "bc"


def test_a_saved_tokenizer_is_the_same(tmp_path):
    tokenizer = PatternTokenizer.train(["C[C@H]Cl", "Cl"], SMILES)
    tokenizer.save(tmp_path, "source")
    again = PatternTokenizer.load(tmp_path, "source", **tokenizer.settings)
    text = tf.constant(["ClC[C@H]"])
    assert again.encode(text).to_list() == tokenizer.encode(text).to_list() == [[4, 5, 6]]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"PatternTokenizer: the vocabulary does not have '<s>'"):
        PatternTokenizer(Vocabulary(["a"]), ".", before=["<s>"])
    with pytest.raises(ValueError, match="with length, fill must be a token of the vocabulary"):
        PatternTokenizer(Vocabulary(["a"]), ".", length=3)
    with pytest.raises(ValueError, match="nothing stands before"):
        PatternTokenizer(Vocabulary(["a"]), ".", length=3, fill="a", behind=["[END]"])
