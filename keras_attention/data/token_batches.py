"""Batches by tokens, of pairs of about one length."""

import numpy as np
import tensorflow as tf

from keras_attention.data.batches import batch_of, columns_of, shifted
from keras_attention.data.ordered_batches import steps_from
from keras_attention.text.vocabulary import PAD_ID


class TokenBatches:
    """Batches of about as many tokens each, of pairs of about one length.

    The order of an epoch is a function of the seed and the epoch's number, so
    training that was stopped after any update goes on with the next batch as
    if it had not been. Lengths are padded to multiples of `bucket_width`, which
    leaves few distinct shapes.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: tokenizer of the sources.
        target_tokenizer: tokenizer of the targets.
        tokens: most positions in a batch, padding included, of its longer side.
        seed: random seed of the order.
        bucket_width: lengths are padded to multiples of this.
        max_length: pairs with more tokens on a side are left out.
        max_ratio: pairs of which one side has more than this times the tokens
            of the other are left out; None keeps them.
        subword_dropout: fraction of a tokenizer's merges that are left out at
            random; see `SentencePieceTokenizer.sample`.

    Attributes:
        steps_per_epoch: number of batches in an epoch.
        dropped: number of pairs left out; those with an empty side are, too.
        longest_target: most tokens of a target, the end among them.

    Raises:
        ValueError: if there is no pair, or none is left, or for a
            `subword_dropout` that is no fraction or not possible.

    Example:

    >>> tokenizer = CharacterTokenizer.train(["a", "b"])
    >>> batches = TokenBatches([("a", "b"), ("ab", "ba"), ("a" * 9, "b")], tokenizer, tokenizer, tokens=8, max_length=5)
    >>> batches.steps_per_epoch, batches.dropped
    (1, 1)
    >>> inputs, labels = next(iter(batches.dataset()))
    >>> inputs["source"].shape, sorted(labels.numpy().tolist())
    (TensorShape([2, 4]), [[5, 3, 0, 0], [5, 4, 3, 0]])

    Reference: Ott et al. 2019, "fairseq", for batches by tokens; Provilkov et
        al. 2020, "BPE-Dropout", 3.
    """

    def __init__(
        self,
        pairs,
        source_tokenizer,
        target_tokenizer,
        tokens=4096,
        seed=0,
        bucket_width=4,
        max_length=256,
        max_ratio=None,
        subword_dropout=0.0,
    ):
        pairs = list(pairs)
        for tokenizer in (source_tokenizer, target_tokenizer) if subword_dropout else ():
            if not hasattr(tokenizer, "sample"):
                raise ValueError(
                    f"TokenBatches: subword_dropout needs a tokenizer that has `sample`, as SentencePieceTokenizer. "
                    f"Received {type(tokenizer).__name__}."
                )
        if not 0.0 <= subword_dropout < 1.0:
            raise ValueError(f"TokenBatches: subword_dropout must be from 0 to below 1. Received {subword_dropout}.")
        self._texts = tuple(zip(*pairs, strict=True))
        self._tokenizers = (source_tokenizer, target_tokenizer)
        self._columns = columns_of("TokenBatches", pairs, source_tokenizer, target_tokenizer)
        self.tokens = tokens
        self.seed = seed
        self.subword_dropout = subword_dropout
        self.bucket_width = bucket_width
        source, target = (column.row_lengths().numpy() for column in self._columns[:2])
        shorter, longer = np.minimum(source, target - 1), np.maximum(source, target - 1)
        kept = (shorter > 0) & (longer <= max_length)
        if max_ratio is not None:
            kept &= longer <= max_ratio * shorter
        self._rows = np.flatnonzero(kept)
        self.dropped = len(kept) - len(self._rows)
        if not len(self._rows):
            raise ValueError(
                f"TokenBatches: none of {len(kept):,} pairs is left: each has an empty side, a side of more than "
                f"max_length={max_length} tokens, or a ratio above max_ratio={max_ratio}."
            )
        self._lengths = self._padded_lengths(self._columns)
        self.longest_target = int(target[kept].max())
        self.steps_per_epoch = len(self._plan(np.arange(len(self._rows))))

    def dataset(self, start=0):
        """Batches without end, as `fit` takes them with `steps_per_epoch`.

        Args:
            start: number of batches that were used before.

        Returns:
            `tf.data.Dataset` of what `make_batches` gives.
        """

        return self._batches(lambda: steps_from(start, self.steps_per_epoch, self._epoch))

    def once(self):
        """Each pair once, in the order of their lengths: to measure on."""
        batches = self._batches(lambda: ((self._columns, rows) for rows in self._plan(np.arange(len(self._rows)))))
        # Keras, which is not told how many there are, warns that the data ran out.
        return batches.apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))

    def _epoch(self, epoch):
        """The ids of all pairs and the rows of each batch: pairs of one shape dealt out anew, the batches shuffled."""
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(len(self._rows))
        if self.subword_dropout:
            columns = self._draw(epoch)
            batches = self._shares(order, self._padded_lengths(columns))
        else:
            columns = self._columns
            batches = self._plan(order)
        return [(columns, batches[index]) for index in generator.permutation(len(batches))]

    def _draw(self, epoch):
        """The columns, of pieces drawn for this epoch."""
        seeds = np.random.SeedSequence((self.seed, epoch)).generate_state(2)
        source, target = (
            tokenizer.sample(texts, self.subword_dropout, int(seed))
            for tokenizer, texts, seed in zip(self._tokenizers, self._texts, seeds, strict=True)
        )
        return source, *shifted(target, self._tokenizers[1].vocabulary)

    def _padded_lengths(self, columns):
        """Source and target length of the kept rows, `(kept, 2)`, as multiples of the buckets' width."""
        lengths = np.stack([column.row_lengths().numpy()[self._rows] for column in columns[:2]], axis=1)
        return -(-lengths // self.bucket_width) * self.bucket_width

    def _shares(self, order, lengths):
        """Cuts the pairs, sorted by padded length, into as many batches as other epochs have, of about one size."""
        by_length = order[np.lexsort(lengths[order].T)]
        positions = np.cumsum(lengths[by_length].max(axis=1))
        fewest = np.arange(1, self.steps_per_epoch)  # pairs that come before each cut, since no batch may be empty
        cuts = np.searchsorted(positions, positions[-1] * fewest / self.steps_per_epoch)
        spare = np.clip(np.maximum.accumulate(cuts - fewest), 0, len(order) - self.steps_per_epoch)
        return np.split(self._rows[by_length], fewest + spare)

    def _plan(self, order):
        """Cuts the pairs, sorted by padded length, into batches. How many there are does not depend on the order."""
        source, target = self._lengths[order].T
        by_length = np.lexsort((source, target))
        longest = self._lengths[order[by_length]].max(axis=1)
        batches, begin = [], 0
        while begin < len(order):
            widest = np.maximum.accumulate(longest[begin : begin + self.tokens])
            fitting = np.count_nonzero(widest * np.arange(1, len(widest) + 1) <= self.tokens)
            end = begin + max(fitting, 1)
            batches.append(self._rows[order[by_length[begin:end]]])
            begin = end
        return batches

    def _batches(self, batches):
        width = self.bucket_width

        def pad(ragged, rows):
            tensor = tf.gather(ragged, rows).to_tensor(PAD_ID)
            return tf.pad(tensor, [[0, 0], [0, -tf.shape(tensor)[1] % width]], constant_values=PAD_ID)

        def padded():
            for columns, rows in batches():
                yield batch_of(*(pad(column, rows) for column in columns))

        ids = tf.TensorSpec([None, None], tf.int32)
        return tf.data.Dataset.from_generator(padded, output_signature=batch_of(ids, ids, ids)).prefetch(
            tf.data.AUTOTUNE
        )
