"""Constraints: a language as an automaton, over any vocabulary, with every strategy."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from keras_attention import TextToText, load
from keras_attention.decoding import Beam, Constraint, search
from keras_attention.models import DateConverter
from keras_attention.text import CharacterTokenizer, SentencePieceTokenizer, WordPieceTokenizer, WordTokenizer
from tests.laws.cases import STRATEGIES

PATTERNS = [
    "abc",
    "a|bc|",
    "(a|b)*c",
    "a+b?c{2}",
    "a{1,3}",
    "(?:ab){2,}",
    "[ab]c",
    "[^ab]",
    "[^a]*b",
    ".b.",
    r"\.\*[\]\-a]",
    "((a|b)(b|c)?)+",
    "a{0,2}b{0}c",
    "(a*)*b",
    "[a-c]{2}|c[^a-b]",
    r"(?:0[1-9]|1[0-2])",
    r"\d{2}-\d",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_regex_allows_what_it_matches(pattern):
    constraint = Constraint.from_regex(pattern)
    alphabet = "012-" if "0" in pattern or r"\d" in pattern else "abcd.*]-"
    length = 4
    for size in range(length + 1):
        for letters in itertools.product(alphabet, repeat=size):
            text = "".join(letters)
            assert constraint.allows(text) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "a parenthesis is not closed, at character 2"),
        ("a)", "a parenthesis closes that was not opened"),
        ("*a", r"'\*' has nothing before it, at character 1"),
        ("[a", "it ends too early"),
        ("a{2", "a count must be"),
        ("a{3,2}", "n at least m"),
        ("[c-a]", "a range must go upwards"),
        ("(?=a)", r"only \(\?:\.\.\.\) is known"),
        (r"\b", r"\\b is not known"),
    ],
)
def test_what_is_no_regex_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        Constraint.from_regex(pattern)


def test_strings_are_those_alone():
    constraint = Constraint.from_strings(["yes", "yesterday", "no", ""])
    assert [constraint.allows(text) for text in ("yes", "yest", "no", "", "n", "noo")] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="expected at least one string"):
        Constraint.from_strings([])


LETTERS = ["", "", "", "", "a", "b", "c"]  # ids 4, 5 and 6; 3 is the end


def found_by(strategy, pattern, batch=3, max_length=6, seed=0):
    """Texts that a search finds of a model that knows nothing: logits that depend on place and last id alone."""
    table = (
        np.random.default_rng(seed).normal(size=(batch, max_length, len(LETTERS), len(LETTERS))).astype("float32") * 3
    )

    def step(ids, memory, state):
        row, time = state
        logits = tf.gather_nd(tf.constant(table), tf.stack([row, time, ids], -1))
        return logits, (row, tf.minimum(time + 1, max_length - 1)), tf.zeros([tf.shape(ids)[0], 1])

    state = (tf.range(batch), tf.zeros([batch], tf.int32))
    constraint = Constraint.from_regex(pattern).over(LETTERS, end=3)
    found = search(
        step, tf.zeros([batch, 1]), state, strategy, 2, 3, max_length, forbidden=(0, 1, 2), constraint=constraint
    )
    texts = [["".join(LETTERS[id] for id in ids) for ids in row] for row in found.ids.numpy()]
    return table, texts, found.log_probs.numpy(), found.finished.numpy()


@pytest.mark.parametrize("pattern", ["(ab|ca)c?", "[bc]*a", "a{2}|b{3}"])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_every_strategy_finds_what_is_allowed(strategy, pattern):
    _, texts, log_probs, finished = found_by(strategy, pattern)
    for row, of_row, done in zip(texts, log_probs, finished, strict=True):
        for text, log_prob, ended in zip(row, of_row, done, strict=True):
            if np.isfinite(log_prob) and ended:
                assert re.fullmatch(pattern, text), text
    assert np.isfinite(log_probs[:, 0]).any()


def test_a_wide_beam_finds_the_best_of_all_that_is_allowed():
    pattern = "[ab][bc]?|c"
    table, texts, log_probs, _ = found_by(Beam(12, n_best=3), pattern)
    allowed = [
        text
        for size in (1, 2)
        for text in map("".join, itertools.product("abc", repeat=size))
        if re.fullmatch(pattern, text)
    ]
    after = {"": "abc", "a": ["b", "c", "end"], "b": ["b", "c", "end"], "c": ["end"]}
    for row in range(3):

        def log_prob_of(text, row=row):
            total, last, ids = 0.0, 2, [LETTERS.index(letter) for letter in text] + [3]
            for time, id in enumerate(ids):
                before = text[:time]
                options = after[before] if len(before) < 2 else ["end"]
                can = [3 if option == "end" else LETTERS.index(option) for option in options]
                logits = table[row, time, last]
                total += logits[id] - np.log(np.exp(logits[can]).sum())
                last = id
            return total

        best = sorted(allowed, key=log_prob_of)[::-1][:3]
        assert texts[row] == best
        np.testing.assert_allclose(log_probs[row], [log_prob_of(text) for text in best], atol=1e-4)


def test_nothing_that_the_vocabulary_can_say_is_an_error():
    with pytest.raises(ValueError, match=r"no string of this vocabulary is allowed by 'x\+'"):
        Constraint.from_regex("x+").over(LETTERS, 3)


def test_what_leads_nowhere_is_barred():
    tables = Constraint.from_strings(["ab", "cx"]).over(LETTERS, 3)
    assert np.isinf(tables.bars[1, 6])  # c, behind which only what the vocabulary does not have may come
    assert np.isfinite(tables.bars[1, 4])


TEXTS = ["the hat", "the cat sat", "a hat on the cat", "the cats"]


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharacterTokenizer.train(TEXTS),
        WordTokenizer.train(TEXTS),
        WordPieceTokenizer.train(TEXTS, 40),
        pytest.param(None, id="sentencepiece"),
    ],
    ids=["characters", "words", "wordpiece", "sentencepiece"],
)
@pytest.mark.parametrize("strategy", [STRATEGIES["greedy"], STRATEGIES["beam of 3"]], ids=["greedy", "beam"])
def test_every_tokenizer_spells_what_is_allowed(tokenizer, strategy, tmp_path):
    tokenizer = tokenizer or SentencePieceTokenizer.train(TEXTS * 20, 290)
    model = DateConverter(len(tokenizer.vocabulary), len(tokenizer.vocabulary), units=4)
    converter = TextToText(
        model, tokenizer, tokenizer, strategy, max_length=40, constraint=Constraint.from_regex("the (cat|hat)( sat)?")
    )
    texts = [conversion.text for conversion in converter(["the", "a hat", ""])]
    assert all(re.fullmatch("the (cat|hat)( sat)?", text) for text in texts[:2]), texts
    converter.save(tmp_path)
    again = load(tmp_path)
    assert again.constraint == converter.constraint
    assert [conversion.text for conversion in again(["the", "a hat"])] == texts[:2]


def test_an_export_is_constrained(tmp_path, unchecked):
    tokenizer = CharacterTokenizer.train(["0123456789-"])
    model = DateConverter(len(tokenizer.vocabulary), len(tokenizer.vocabulary), units=4)
    constraint = Constraint.from_regex(r"\d{4}-(0[1-9]|1[0-2])")
    converter = TextToText(model, tokenizer, tokenizer, Beam(2, n_best=2), max_length=10, constraint=constraint)
    conversion = load(converter.export(tmp_path))("12-3")
    assert all(re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) for text, _ in conversion.n_best)
