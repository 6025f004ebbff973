"""Batches in an order that a training which was stopped goes on with: it is a function of the seed and the epoch."""

import itertools

import numpy as np
import tensorflow as tf

from keras_attention.data.batches import columns_of, padded_batches


class ArrayBatches:
    """Batches of rows of arrays, in an order that a training which was stopped goes on with; see `PairBatches`.

    Args:
        inputs: dict of arrays, a row each.
        labels: array, a row each.
        batch_size: rows in a batch; the last one of an epoch may hold fewer.
        seed: random seed that fixes the order.

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
        rows = row_numbers(start, self._count, self.batch_size, self.seed)
        batches = rows.map(
            lambda rows: tf.nest.map_structure(lambda array: tf.gather(array, rows), arrays),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return batches.prefetch(tf.data.AUTOTUNE)


class MadeBatches:
    """Batches that are made when they are needed, each of them once, so that no two are alike; see `PairBatches`.

    Args:
        make: `make(seed)`, a function that gives a batch, a structure of arrays
            whose shapes and dtypes are always the same; the seed is a tuple.
        steps_per_epoch: batches that count as an epoch.
        seed: random seed that fixes the batches.

    Example:

    >>> batches = MadeBatches(lambda seed: np.random.default_rng(seed).normal(size=(2, 3)), steps_per_epoch=100)
    >>> next(iter(batches.dataset())).shape
    TensorShape([2, 3])
    """

    def __init__(self, make, steps_per_epoch, seed=0):
        self._make = make
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed

    def dataset(self, start=0):
        """Batches without end, those from a number on; see `PairBatches.dataset`."""
        signature = tf.nest.map_structure(
            lambda array: tf.TensorSpec(array.shape, array.dtype), self._make((self.seed, start))
        )
        made = (self._make((self.seed, number)) for number in itertools.count(start))
        return tf.data.Dataset.from_generator(lambda: made, output_signature=signature).prefetch(tf.data.AUTOTUNE)


class PairBatches:
    """Batches of a fixed number of pairs, in an order that a training which was stopped goes on with.

    As in `TokenBatches`, which see, the order of an epoch is a function of the
    seed and the epoch's number; the batches are those of `make_batches`.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: makes ids of the sources.
        target_tokenizer: makes ids of the targets.
        batch_size: pairs in a batch; the last one of an epoch may hold fewer.
        seed: random seed that fixes the order.
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
        self._columns = columns_of("PairBatches", pairs, source_tokenizer, target_tokenizer)
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
        rows = row_numbers(start, self._count, self.batch_size, self.seed)
        return padded_batches(rows, self._columns, self.fixed_shapes)


def row_numbers(start, count, batch_size, seed):
    """A dataset of the rows of each batch from a number on; each epoch has all, in an order of its own."""

    def epoch(number):
        order = np.random.default_rng((seed, number)).permutation(count)
        return np.split(order, range(batch_size, count, batch_size))

    return tf.data.Dataset.from_generator(
        lambda: steps_from(start, -(-count // batch_size), epoch), output_signature=tf.TensorSpec([None], tf.int64)
    )


def steps_from(start, steps_per_epoch, make_epoch):
    """What the steps from a number on are given, without end; `make_epoch(number)` is a list of an epoch's."""
    for step in itertools.count(start):
        number, position = divmod(step, steps_per_epoch)
        if position == 0 or step == start:
            epoch = make_epoch(number)
        yield epoch[position]
