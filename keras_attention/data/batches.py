"""Batches for training: ids, padding, and the only shift by one.

The decoder is given the start id and every token but the last, and learns
every token and the end id. That happens here and nowhere else.
"""

import itertools

import numpy as np
import tensorflow as tf

from keras_attention.text.vocabulary import PAD_ID


def make_batches(pairs, source_tokenizer, target_tokenizer, batch_size=128, shuffle_seed=None, fixed_shapes=False):
    """A dataset that `model.fit` takes.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: of the sources.
        target_tokenizer: of the targets.
        batch_size: pairs in a batch; the last one may hold fewer.
        shuffle_seed: of a new order every epoch; None keeps the order.
        fixed_shapes: pad every batch to the longest pair of all, not of the
            batch. Costs work where lengths differ much; saves it where they do
            not, because no shape has to be found out while training runs.

    Returns:
        `tf.data.Dataset` of `({"source": ..., "target": ...}, labels)`: int32
        `(batch, source)`, `(batch, target)` and `(batch, target)`, padded with
        0. Where a label is 0, the losses and metrics of
        `keras_attention.training` do not count it.

    Raises:
        ValueError: if there is no pair.

    Example:

    >>> tokenizer = CharacterTokenizer.train(["a", "b"])
    >>> inputs, labels = next(iter(make_batches([("a", "b")], tokenizer, tokenizer)))
    >>> inputs["source"].numpy().tolist(), inputs["target"].numpy().tolist(), labels.numpy().tolist()
    ([[4]], [[2, 5]], [[5, 3]])
    """
    columns = _columns("make_batches", pairs, source_tokenizer, target_tokenizer)
    rows = tf.data.Dataset.range(int(columns[0].nrows()))
    if shuffle_seed is not None:
        rows = rows.shuffle(int(columns[0].nrows()), seed=shuffle_seed)
    return _padded_batches(rows.batch(batch_size), columns, fixed_shapes)


class ArrayBatches:
    """Batches of rows of arrays, in an order that a training which was stopped goes on with; see `PairBatches`.

    Args:
        inputs: dict of arrays, a row each.
        labels: array, a row each.
        batch_size: rows in a batch; the last one of an epoch may hold fewer.
        seed: of the order.

    Attributes:
        steps_per_epoch: number of batches in an epoch.

    Example:

    >>> batches = ArrayBatches({"x": np.arange(3)}, np.arange(3), batch_size=2)
    >>> batches.steps_per_epoch
    2
    """

    def __init__(self, inputs, labels, batch_size=32, seed=0):
        self._arrays = (inputs, labels)
        self._count = len(labels)
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-self._count // batch_size)

    def dataset(self, start=0):
        """Batches without end, those from a number on; see `PairBatches.dataset`."""
        arrays = tf.nest.map_structure(tf.constant, self._arrays)
        rows = _row_numbers(start, self._count, self.batch_size, self.seed)
        batches = rows.map(
            lambda rows: tf.nest.map_structure(lambda array: tf.gather(array, rows), arrays),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return batches.prefetch(tf.data.AUTOTUNE)


class PairBatches:
    """Batches of a fixed number of pairs, in an order that a training which was stopped goes on with.

    As in `TokenBatches`, which see, the order of an epoch is a function of the
    seed and the epoch's number; the batches are those of `make_batches`.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: of the sources.
        target_tokenizer: of the targets.
        batch_size: pairs in a batch; the last one of an epoch may hold fewer.
        seed: of the order.
        fixed_shapes: see `make_batches`.

    Attributes:
        steps_per_epoch: number of batches in an epoch.
        longest_target: most tokens of a target, the end among them.

    Raises:
        ValueError: if there is no pair.

    Example:

    >>> tokenizer = CharacterTokenizer.train(["a", "b"])
    >>> batches = PairBatches([("a", "b"), ("ab", "ba"), ("b", "a")], tokenizer, tokenizer, batch_size=2)
    >>> batches.steps_per_epoch, batches.longest_target
    (2, 3)
    """

    def __init__(self, pairs, source_tokenizer, target_tokenizer, batch_size=128, seed=0, fixed_shapes=False):
        self._columns = _columns("PairBatches", pairs, source_tokenizer, target_tokenizer)
        self._count = int(self._columns[0].nrows())
        self.batch_size = batch_size
        self.seed = seed
        self.fixed_shapes = fixed_shapes
        self.longest_target = int(tf.reduce_max(self._columns[1].row_lengths()))
        self.steps_per_epoch = -(-self._count // batch_size)

    def dataset(self, start=0):
        """Batches without end, as `fit` takes them with `steps_per_epoch`.

        Args:
            start: number of batches that were used before.

        Returns:
            `tf.data.Dataset` of what `make_batches` gives.
        """
        rows = _row_numbers(start, self._count, self.batch_size, self.seed)
        return _padded_batches(rows, self._columns, self.fixed_shapes)


def make_text_batches(texts, tokenizer, batch_size=128, shuffle_seed=None):
    """A dataset that `fit` of a `LanguageModel` takes.

    Args:
        texts: list of strings.
        tokenizer: makes ids of the texts.
        batch_size: texts in a batch; the last one may hold fewer.
        shuffle_seed: fixes a new order for every epoch; None keeps the order.

    Returns:
        `tf.data.Dataset` of `(inputs, labels)`, int32 `(batch, length)` each:
        the start id and the text, and the text and the end id; padded with 0.

    Raises:
        ValueError: if there is no text.

    Example:

    >>> inputs, labels = next(iter(make_text_batches(["b"], CharacterTokenizer.train(["a", "b"]))))
    >>> inputs.numpy().tolist(), labels.numpy().tolist()
    ([[2, 5]], [[5, 3]])
    """
    texts = list(texts)
    if not texts:
        raise ValueError("make_text_batches: expected at least one text, received none.")
    columns = _shifted(tokenizer.encode(tf.constant(texts)), tokenizer.vocabulary)
    rows = tf.data.Dataset.range(len(texts))
    if shuffle_seed is not None:
        rows = rows.shuffle(len(texts), seed=shuffle_seed)

    def batch(rows):
        return tuple(tf.gather(column, rows).to_tensor(PAD_ID) for column in columns)

    return rows.batch(batch_size).map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


class TokenBatches:
    """Batches of about as many tokens each, of pairs of about one length.

    The order of an epoch is a function of the seed and the epoch's number, so
    training that was stopped after any update goes on with the next batch as
    if it had not been. Lengths are padded to multiples of `bucket_width`, which
    leaves few distinct shapes.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: of the sources.
        target_tokenizer: of the targets.
        tokens: most positions in a batch, padding included, of its longer side.
        seed: of the order.
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
        self._columns = _columns("TokenBatches", pairs, source_tokenizer, target_tokenizer)
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

        return self._batches(lambda: _from(start, self.steps_per_epoch, self._epoch))

    def once(self):
        """Each pair once, in the order of their lengths: to measure on."""
        return self._batches(lambda: ((self._columns, rows) for rows in self._plan(np.arange(len(self._rows)))))

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
        return source, *_shifted(target, self._tokenizers[1].vocabulary)

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
                yield _batch(*(pad(column, rows) for column in columns))

        ids = tf.TensorSpec([None, None], tf.int32)
        return tf.data.Dataset.from_generator(padded, output_signature=_batch(ids, ids, ids)).prefetch(tf.data.AUTOTUNE)


def _row_numbers(start, count, batch_size, seed):
    """A dataset of the rows of each batch from a number on; each epoch has all, in an order of its own."""

    def epoch(number):
        order = np.random.default_rng((seed, number)).permutation(count)
        return np.split(order, range(batch_size, count, batch_size))

    return tf.data.Dataset.from_generator(
        lambda: _from(start, -(-count // batch_size), epoch), output_signature=tf.TensorSpec([None], tf.int64)
    )


def _from(start, steps_per_epoch, make_epoch):
    """What the steps from a number on are given, without end; `make_epoch(number)` is a list of an epoch's."""
    for step in itertools.count(start):
        number, position = divmod(step, steps_per_epoch)
        if position == 0 or step == start:
            epoch = make_epoch(number)
        yield epoch[position]


def _padded_batches(rows, columns, fixed_shapes):
    """Batches of the columns at each element of a dataset of rows."""
    longest = [int(tf.reduce_max(column.row_lengths())) if fixed_shapes else None for column in columns]

    def batch(rows):
        return _batch(
            *(
                tf.gather(column, rows).to_tensor(PAD_ID, shape=[None, length])
                for column, length in zip(columns, longest, strict=True)
            )
        )

    return rows.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _columns(owner, pairs, source_tokenizer, target_tokenizer):
    """Source, target and labels of all pairs, ragged `(pairs, tokens)`."""
    pairs = list(pairs)
    if not pairs:
        raise ValueError(f"{owner}: expected at least one pair, received none.")
    sources, targets = (tf.constant(texts) for texts in zip(*pairs, strict=True))
    return source_tokenizer.encode(sources), *_shifted(target_tokenizer.encode(targets), target_tokenizer.vocabulary)


def _shifted(tokens, vocabulary):
    """What a decoder is given and what it learns, of the ids of a text."""
    marks = tf.ones([tokens.nrows(), 1], tf.int32)
    return tf.concat([marks * vocabulary.start_id, tokens], axis=1), tf.concat(
        [tokens, marks * vocabulary.end_id], axis=1
    )


def _batch(source, target, labels):
    """What `fit` takes."""
    return {"source": source, "target": target}, labels
