"""Tokens that stand before and behind every text, as a published model was trained with them."""

import tensorflow as tf

from keras_attention.text.tokenizers import Tokenizer
from keras_attention.text.vocabulary import PAD_ID, START_ID


class FramedTokenizer(Tokenizer):
    """Base of the tokenizers of published models.

    Args:
        vocabulary: a `Vocabulary`.
        before: tokens that stand before every text that is not empty.
        behind: tokens that stand behind every text that is not empty.
        silent: tokens that add nothing to a text.

    Raises:
        ValueError: for one of these tokens that the vocabulary lacks.
    """

    def __init__(self, vocabulary, before=(), behind=(), silent=()):
        super().__init__(vocabulary)
        self.before = list(before)
        self.behind = list(behind)
        self.silent = list(silent)
        known = set(vocabulary.tokens)
        unknown = [token for token in (*self.before, *self.behind, *self.silent) if token not in known]
        if unknown:
            owner = type(self).__name__
            raise ValueError(f"{owner}: the vocabulary does not have {', '.join(map(repr, unknown))}.")

    @property
    def settings(self):
        return {"before": self.before, "behind": self.behind, "silent": self.silent}

    @property
    def forbidden(self):
        """The unknown token may be a result; a tokenizer says what it adds to the text."""
        return (PAD_ID, START_ID)

    def cut(self, tokens, length):
        """The first tokens of each row, those that stand behind every text among them."""
        lengths = tokens.row_lengths()
        is_long = lengths > length
        kept = tf.where(is_long, tf.cast(max(0, length - len(self.behind)), lengths.dtype), lengths)
        numbers = tf.range(tf.size(tokens.flat_values, tokens.row_splits.dtype))
        rows = tf.searchsorted(tokens.row_splits, numbers, side="right") - 1
        is_kept = numbers < tf.gather(tokens.row_starts() + kept, rows)
        some = tf.gather(tokens.flat_values, tf.where(is_kept)[:, 0])
        begun = tf.RaggedTensor.from_row_lengths(some, kept, validate=False)
        return tf.concat([begun, *tokens_where(is_long, self.behind)], axis=1)


def tokens_where(condition, tokens):
    """The tokens in each row in which a condition, bool `(batch,)`, holds.

    A list of a ragged `(batch, tokens or none)`, for `tf.concat`; empty without
    tokens.
    """
    if not tokens:
        return []
    repeated = tf.tile(tf.constant(tokens, tf.string), [tf.math.count_nonzero(condition, dtype=tf.int32)])
    return [tf.RaggedTensor.from_row_lengths(repeated, tf.cast(condition, tf.int64) * len(tokens), validate=False)]
