"""The vocabulary: which token has which id, in graph and as a file.

The four special tokens come first, so that their ids are the same in every
vocabulary. The file has one token a line; an export carries it as an asset.
"""

import functools
import os
import pathlib
import zlib
from typing import Self

import tensorflow as tf

PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(4)
SPECIAL_TOKENS = ("[PAD]", "[UNKNOWN]", "[START]", "[END]")


class Vocabulary:
    """An ordered set of tokens, the special ones first.

    Args:
        tokens: the tokens without the special ones, each once, none with a
            line break.
        file: path of a file that holds all tokens. With one, the lookup reads
            it, so that an export carries it as an asset.

    Attributes:
        pad_id, unknown_id, start_id, end_id: the ids of the special tokens.

    Raises:
        ValueError: for a token that occurs twice or holds a line break.

    Example:

    >>> vocabulary = Vocabulary(["a", "b"])
    >>> vocabulary.ids(tf.constant(["b", "?"])).numpy().tolist()
    [5, 1]
    >>> vocabulary.tokens_of(tf.constant([4, 5])).numpy().tolist()
    [b'a', b'b']
    """

    pad_id, unknown_id, start_id, end_id = PAD_ID, UNKNOWN_ID, START_ID, END_ID

    def __init__(self, tokens, file=None):
        self.tokens = (*SPECIAL_TOKENS, *tokens)
        self.file = file
        if len(set(self.tokens)) != len(self.tokens):
            twice = sorted({token for token in self.tokens if self.tokens.count(token) > 1})
            raise ValueError(f"Vocabulary: each token must occur once. Received more than once: {twice[:10]}.")
        broken = [token for token in self.tokens if "\n" in token or "\r" in token]
        if broken:
            raise ValueError(f"Vocabulary: a token must not hold a line break. Received {broken[:10]}.")

    @classmethod
    def of_counts(cls, counts):
        """A vocabulary of counted tokens, the most frequent first."""
        return cls([token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))])

    def __len__(self):
        return len(self.tokens)

    def ids(self, tokens):
        """Ids of tokens, int32; an unknown one gets `UNKNOWN_ID`. Tensors may be ragged."""
        return tf.cast(self.resource.lookup(tokens), tf.int32)

    def tokens_of(self, ids):
        """Tokens of ids, as strings."""
        return tf.gather(tf.constant(self.tokens), ids)

    def before_end(self, ids):
        """Which ids come before the first end id and are no padding or start: bool, shaped alike."""
        ended = tf.cumsum(tf.cast(ids == self.end_id, tf.int32), axis=-1) > 0
        return ~ended & (ids != self.pad_id) & (ids != self.start_id)

    @property
    def fingerprint(self):
        """A number that tells this vocabulary from another of the same size."""
        return zlib.crc32("\n".join(self.tokens).encode("utf-8"))

    def save(self, file: str | os.PathLike) -> None:
        """Writes one token a line, in UTF-8."""
        pathlib.Path(file).write_text("".join(f"{token}\n" for token in self.tokens), encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, file: str | os.PathLike) -> Self:
        """Reads what `save` wrote.

        Raises:
            ValueError: if the file does not begin with the special tokens.
        """
        tokens = tuple(pathlib.Path(file).read_text(encoding="utf-8").split("\n")[:-1])
        if tokens[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            raise ValueError(
                f"Vocabulary: {file} is no vocabulary of this library: its first lines must be "
                f"{', '.join(SPECIAL_TOKENS)}. Received {tokens[: len(SPECIAL_TOKENS)]}."
            )
        return cls(tokens[len(SPECIAL_TOKENS) :], file=str(pathlib.Path(file).absolute()))

    @functools.cached_property
    def resource(self):
        """The lookup table, which a SavedModel must track."""
        with tf.init_scope():  # the table outlives the graph that asks for it first
            if self.file is None:
                ids = tf.range(len(self.tokens), dtype=tf.int64)
                content = tf.lookup.KeyValueTensorInitializer(tf.constant(self.tokens), ids)
            else:
                line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
                content = tf.lookup.TextFileInitializer(self.file, tf.string, line, tf.int64, number)
            return tf.lookup.StaticHashTable(content, default_value=UNKNOWN_ID)
