"""Tokenizers: strings to tokens to ids, and back, in graph.

Everything is a TensorFlow or tensorflow-text op, so that an export does with a
string exactly what training did.
"""

import collections

import tensorflow as tf
import tensorflow_text as tf_text

from keras_attention.text.vocabulary import END_ID, PAD_ID, START_ID, Vocabulary


def normalize(text):
    """One form for every string: valid UTF-8, NFKC, single spaces, none at the ends.

    Bytes that are not UTF-8 become U+FFFD.

    Args:
        text: string tensor of any shape.

    Example:

    >>> normalize(tf.constant(["  \\uff13\\u00a0May "])).numpy()[0].decode()
    '3 May'
    """
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf_text.normalize_utf8(text, "NFKC")
    text = tf.strings.regex_replace(text, r"[\s\pZ]+", " ")
    return tf.strings.strip(text)


class CharacterTokenizer:
    """One token a character, in any script.

    Args:
        vocabulary: a `Vocabulary` of single characters.

    Example:

    >>> tokenizer = CharacterTokenizer.train(["ab", "b"])
    >>> tokens = tokenizer.tokenize(tf.constant(["bax"]))
    >>> tokenizer.ids(tokens).to_list(), tokens.to_list()
    ([[4, 5, 1]], [[b'b', b'a', b'x']])
    >>> tokenizer.detokenize(tf.constant([[4, 5, 3, 0]])).numpy().tolist()
    [b'ba']

    An id of 1 is a character that training never saw; its token is still the
    character.
    """

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    @classmethod
    def train(cls, texts):
        """A tokenizer that knows every character of `texts`, the most frequent first."""
        texts = list(texts)
        if not texts:
            raise ValueError("CharacterTokenizer.train: expected at least one text, received none.")
        counts = collections.Counter()
        for text in normalize(tf.constant(texts)).numpy():
            counts.update(text.decode("utf-8"))
        return cls(Vocabulary([token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]))

    def tokenize(self, text):
        """Tokens of each string: `(batch,)` to a ragged `(batch, tokens)`."""
        return tf.strings.unicode_split(normalize(text), "UTF-8")

    def ids(self, tokens):
        """Ids of tokens; a token never seen gets the unknown id."""
        return self.vocabulary.ids(tokens)

    def encode(self, text):
        """Ids of each string: `(batch,)` to a ragged `(batch, tokens)`."""
        return self.ids(self.tokenize(text))

    def detokenize(self, ids):
        """Strings of ids up to the first end id: `(..., length)` to `(...)`."""
        return tf.strings.reduce_join(self.tokens(ids), axis=-1)

    def tokens(self, ids):
        """Tokens of ids, shaped alike; empty from the first end id on."""
        return tf.where(before_end(ids), self.vocabulary.tokens_of(ids), "")


def before_end(ids):
    """Which ids come before the first end id and are no padding or start: bool, shaped alike."""
    ended = tf.cumsum(tf.cast(ids == END_ID, tf.int32), axis=-1) > 0
    return ~ended & (ids != PAD_ID) & (ids != START_ID)
