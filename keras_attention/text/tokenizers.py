"""Tokenizers: strings to tokens to ids, and back, in graph.

Everything is a TensorFlow or tensorflow-text op, so that an export does with a
string exactly what training did.
"""

import collections
import os
import pathlib
from collections.abc import Iterable
from typing import ClassVar, Self

import tensorflow as tf
import tensorflow_text as tf_text

from keras_attention.text.vocabulary import PAD_ID, SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Vocabulary


class Tokenizer:
    """What every tokenizer is; a subclass splits strings and joins tokens.

    A subclass sets `name` and defines `tokenize`, `detokenize` and `train`;
    `write` and `of_file` too, if its file is not that of a vocabulary.

    Args:
        vocabulary: a `Vocabulary`.

    Attributes:
        settings: what, beside the vocabulary, the constructor needs to make the
            tokenizer again: a dict of what JSON can hold.
        keeps_spaces: whether `detokenize` gives back every space of a text, not
            one for a run of them.
        vocabulary: which token has which id.
        files: what a SavedModel should carry beside the files that its graph
            reads.
        line_breaks: ids of what would break a line, which no result may hold.
    """

    name = None
    files = ()
    settings: ClassVar = {}
    keeps_spaces = False
    line_breaks = ()

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def tokenize(self, text):
        """Tokens of each string: `(batch,)` to a ragged `(batch, tokens)`."""
        raise NotImplementedError(f"{type(self).__name__} must define tokenize(text).")

    def detokenize(self, ids):
        """Strings of ids up to the first end id: `(..., length)` to `(...)`."""
        raise NotImplementedError(f"{type(self).__name__} must define detokenize(ids).")

    def cut(self, tokens, length):
        """The first tokens of each row of a ragged `(batch, tokens)`, as many as a model reads."""
        return tokens[:, :length]

    def ids(self, tokens):
        """Ids of tokens; a token never seen gets the unknown id."""
        return self.vocabulary.ids(tokens)

    def encode(self, text):
        """Ids of each string: `(batch,)` to a ragged `(batch, tokens)`."""
        return self.ids(self.tokenize(text))

    def tokens(self, ids):
        """Tokens of ids, shaped alike; empty from the first end id on."""
        return tf.where(self.vocabulary.before_end(ids), self.vocabulary.tokens_of(ids), "")

    @property
    def forbidden(self):
        """Ids that no result may hold."""
        return (PAD_ID, UNKNOWN_ID, START_ID, *self.line_breaks)

    @property
    def added_texts(self):
        """What each id adds to a text: a list of strings; the special ones add none."""
        return [""] * len(SPECIAL_TOKENS) + [
            self._added(token) for token in self.vocabulary.tokens[len(SPECIAL_TOKENS) :]
        ]

    @property
    def first_texts(self):
        """The same of an id that is the first."""
        return self.added_texts

    def _added(self, token):
        """What a token adds to a text that is not its first."""
        return token

    def save(self, folder: str | os.PathLike, side: str) -> None:
        """Writes the tokenizer's file into a folder; `side`, source or target, begins its name."""
        self.write(self._file(folder, side))

    @classmethod
    def load(cls, folder, side, **settings):
        """Reads what `save` wrote."""
        return cls.of_file(cls._file(folder, side), **settings)

    def write(self, file):
        """Writes the tokenizer's file."""
        self.vocabulary.save(file)

    @classmethod
    def of_file(cls, file, **settings):
        """The tokenizer of a file that `write` wrote."""
        return cls(Vocabulary.load(file), **settings)

    @classmethod
    def _file(cls, folder, side):
        return pathlib.Path(folder) / f"{side}_vocabulary.txt"


class CharacterTokenizer(Tokenizer):
    """One token a character, in any script.

    A text is read as it is given, but that it is one line: a line break is a
    space, and a byte that is not UTF-8 is U+FFFD.

    Args:
        vocabulary: a `Vocabulary` of single characters.
        normalization: `"NFKC"` brings texts into one form first, see
            `normalize`; None leaves them.

    Raises:
        ValueError: for another normalization.

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

    name = "characters"
    keeps_spaces = True

    def __init__(self, vocabulary, normalization=None):
        super().__init__(vocabulary)
        if normalization not in NORMALIZATIONS:
            known = ", ".join(map(repr, NORMALIZATIONS))
            raise ValueError(f"CharacterTokenizer: normalization must be one of {known}. Received {normalization!r}.")
        self.normalization = normalization

    @property
    def settings(self):
        return {"normalization": self.normalization}

    @classmethod
    def train(cls, texts: Iterable[str], normalization: str | None = None) -> Self:
        """A tokenizer that knows every character of `texts`, the most frequent first."""
        tokenizer = cls(Vocabulary([]), normalization)
        counts = collections.Counter()
        for text in tokenizer.normal(tf.constant(some_texts(cls, texts))).numpy():
            counts.update(text.decode("utf-8"))
        return cls(Vocabulary.of_counts(counts), normalization)

    def normal(self, text):
        """The strings whose characters are the tokens."""
        return NORMALIZATIONS[self.normalization](text)

    def tokenize(self, text):
        return tf.strings.unicode_split(self.normal(text), "UTF-8")

    def detokenize(self, ids):
        return tf.strings.reduce_join(self.tokens(ids), axis=-1)


def normalize(text):
    """One form for every string: valid UTF-8, NFKC, single spaces, none at the ends.

    Bytes that are not UTF-8 become U+FFFD.

    Args:
        text: string tensor of any shape.

    Example:

    >>> normalize(tf.constant(["  \\uff13\\u00a0May "])).numpy()[0].decode()
    '3 May'
    """
    text = tf_text.normalize_utf8(valid_utf8(text), "NFKC")
    text = tf.strings.regex_replace(text, r"[\s\pZ]+", " ")
    return tf.strings.strip(text)


def fold(text):
    """`normalize`, and without case: `tf_text.case_fold_utf8`.

    Args:
        text: string tensor of any shape.

    Example:

    >>> fold(tf.constant(["3. MÄRZ 2024"])).numpy()[0].decode()
    '3. märz 2024'
    """
    return tf_text.case_fold_utf8(normalize(text))


def valid_utf8(text):
    """Strings with U+FFFD where bytes are not UTF-8."""
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")


def one_line(text):
    """Valid UTF-8, with a space for each line break."""
    return tf.strings.regex_replace(valid_utf8(text), r"\r\n|\r|\n", " ")


# What becomes of texts first, by the name that a tokenizer is given.
NORMALIZATIONS = {None: one_line, "NFKC": normalize, "NFKC_Casefold": fold}


def some_texts(owner, texts):
    """A list of what a tokenizer learns from; not an empty one."""
    texts = list(texts)
    if not texts:
        raise ValueError(f"{owner.__name__}.train: expected at least one text, received none.")
    return texts
