"""A tokenizer of whole words, for texts of few different ones."""

import collections
from collections.abc import Iterable
from typing import Self

import tensorflow as tf

from keras_attention.text.tokenizers import Tokenizer, some_texts, valid_utf8
from keras_attention.text.vocabulary import Vocabulary


class WordTokenizer(Tokenizer):
    """One token a word, in lower case; what is neither letter nor digit divides words and is left out.

    Args:
        vocabulary: a `Vocabulary` of words in lower case.

    Example:

    >>> tokenizer = WordTokenizer.train(["Mary moved to the bathroom.", "Where is Mary?"])
    >>> tokenizer.tokenize(tf.constant(["Where is Mary?"])).to_list()
    [[b'where', b'is', b'mary']]
    """

    name = "words"

    @classmethod
    def train(cls, texts: Iterable[str], whole: Iterable[str] = ()) -> Self:
        """A tokenizer that knows every word of `texts`, and each of `whole` as one word, the most frequent first."""
        tokenizer = cls(Vocabulary([]))
        counts = collections.Counter(text.lower() for text in whole)
        for words in tokenizer.tokenize(tf.constant(some_texts(cls, texts))).to_list():
            counts.update(word.decode("utf-8") for word in words)
        return cls(Vocabulary.of_counts(counts))

    def tokenize(self, text):
        lower = tf.strings.lower(valid_utf8(text), encoding="utf-8")
        return tf.strings.split(tf.strings.regex_replace(lower, r"[^\pL\pM\pN]+", " "))

    @property
    def first_texts(self):
        return [text.removeprefix(" ") for text in self.added_texts]

    def _added(self, token):
        return " " + token

    def detokenize(self, ids):
        return tf.strings.strip(tf.strings.reduce_join(self.tokens(ids), axis=-1, separator=" "))
