"""A tokenizer whose tokens are the matches of a regular expression, as models of formulas and letters have them."""

import collections
import re
from collections.abc import Iterable
from typing import Self

import tensorflow as tf
import tensorflow_text as tf_text

from keras_attention.text.framed import FramedTokenizer, tokens_where
from keras_attention.text.tokenizers import some_texts, valid_utf8
from keras_attention.text.vocabulary import Vocabulary

# Atoms in brackets, rings with two digits, elements of two letters, and each other character.
SMILES = r"\[[^\]]*\]|%\d{2}|Br|Cl|."


class PatternTokenizer(FramedTokenizer):
    """One token a match of a regular expression; what does not match is left out.

    Args:
        vocabulary: a `Vocabulary`.
        pattern: regular expression of a token, in the syntax of RE2; the first
            of several alternatives that match is taken, and `.` is any
            character.
        lower: whether a text is put into lower case first.
        separator: what stands between two tokens of a result.
        length: with a number, every text that is not empty becomes that many
            tokens: one that is shorter is filled up with `fill` at its end, of
            one that is longer the last tokens are read. It is for models that
            were trained without a mask, to which padding is a token.
        fill: that token.
        before, behind, silent: see `FramedTokenizer`.

    Raises:
        ValueError: for `length` without `fill`, and for `length` beside
            `before` or `behind`.

    Example: a molecule, in the tokens of `SMILES`.

    >>> tokenizer = PatternTokenizer.train(["C[C@H](Cl)Br"], SMILES)
    >>> tokens = tokenizer.tokenize(tf.constant(["BrC[C@H]"]))
    >>> tokens.to_list(), tokenizer.ids(tokens).to_list()
    ([[b'Br', b'C', b'[C@H]']], [[6, 7, 9]])
    >>> tokenizer.detokenize(tf.constant([[6, 7, 9, 3]])).numpy().tolist()
    [b'BrC[C@H]']
    """

    name = "patterns"

    def __init__(
        self,
        vocabulary,
        pattern,
        lower=False,
        separator="",
        length=None,
        fill=None,
        before=(),
        behind=(),
        silent=(),
    ):
        super().__init__(vocabulary, before, behind, silent)
        if length is not None and (fill not in vocabulary.tokens or self.before or self.behind):
            raise ValueError(
                "PatternTokenizer: with length, fill must be a token of the vocabulary, and nothing stands before and "
                f"behind a text. Received length={length}, fill={fill!r}, before={self.before}, behind={self.behind}."
            )
        self.pattern = pattern
        self.lower = lower
        self.separator = separator
        self.length = length
        self.fill = fill

    @property
    def keeps_spaces(self):
        return not self.separator

    @property
    def settings(self):
        own = ("pattern", "lower", "separator", "length", "fill")
        return super().settings | {name: getattr(self, name) for name in own}

    @classmethod
    def train(cls, texts: Iterable[str], pattern: str, lower: bool = False, separator: str = "") -> Self:
        """A tokenizer that knows every match in `texts`, the most frequent first."""
        tokenizer = cls(Vocabulary([]), pattern, lower, separator)
        counts = collections.Counter()
        for tokens in tokenizer.tokenize(tf.constant(some_texts(cls, texts))).to_list():
            counts.update(token.decode("utf-8") for token in tokens)
        return cls(Vocabulary.of_counts(counts), pattern, lower, separator)

    def tokenize(self, text):
        text = valid_utf8(text)
        if self.lower:
            text = tf.strings.lower(text, encoding="utf-8")
        # What the pattern does not match goes as single characters, which are not kept.
        tokens = tf_text.regex_split(text, f"(?s){self.pattern}|.", keep_delim_regex_pattern=f"(?s){self.pattern}")
        some = tokens.row_lengths() > 0
        if self.length is None:
            return tf.concat([*tokens_where(some, self.before), tokens, *tokens_where(some, self.behind)], axis=1)
        missing = tf.maximum(tf.cast(self.length, tf.int64) - tokens.row_lengths(), 0)
        filled = tf.RaggedTensor.from_row_lengths(
            tf.repeat(self.fill, tf.reduce_sum(tf.where(some, missing, 0))), tf.where(some, missing, 0), validate=False
        )
        return tf.concat([tokens, filled], axis=1)

    def cut(self, tokens, length):
        """The first tokens of each row, as of any framed text; the last ones, where rows have a fixed length."""
        return super().cut(tokens, length) if self.length is None else tokens[:, -length:]

    def detokenize(self, ids):
        texts = tf.where(self.vocabulary.before_end(ids), tf.gather(tf.constant(self.added_texts), ids), "")
        text = tf.strings.reduce_join(texts, axis=-1)
        separator = f"^{re.escape(self.separator)}"
        return tf.strings.regex_replace(text, separator, "") if self.separator else text

    @property
    def first_texts(self):
        return [text.removeprefix(self.separator) for text in self.added_texts]

    def _added(self, token):
        return "" if token in self.silent else self.separator + token
