"""Histories: which items each user chose, in order; from files, held out for a test, and in batches."""

import collections
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_attention.data.ordered_batches import steps_from
from keras_attention.data.pairs import read_lines

_TIMES = ("timestamp", "time", "date", "datetime")


class HeldOut(NamedTuple):
    """What should be recommended after a history.

    Attributes:
        user: a string.
        history: list of items, the oldest first.
        item: the one that came next.
        seen: items that are not drawn as others for the sampled protocol:
            those that the user is known to have chosen in the training.
    """

    user: str
    history: list
    item: str
    seen: list


def read_histories(file: str | os.PathLike, encoding: str = "utf-8"):
    """Reads which user chose which item.

    Args:
        file: path of a text file, plain or `.gz`: a line has a user and an
            item, with a tab, a comma or spaces between them, and lines are in
            the order of time; or, with a first line of names, `user`, `item` and
            perhaps `timestamp`, among other columns, in any order. A name may
            end in `_id`, and in a colon and a type, as RecBole's do.
        encoding: name of the file's encoding, as Python knows it.

    Returns:
        Dict of lists of items by user, the oldest first.

    Raises:
        FileNotFoundError: if there is no such file.
        LookupError: for an encoding that is not known.
        ValueError: for a line without a user and an item, a time that is no
            number, or a file without lines; the message names file and line.
    """
    lines = [line for line in read_lines(file, encoding=encoding) if line]
    if not lines:
        raise ValueError(f"read_histories: {file} has no line: expected a user and an item in each.")
    between = next((mark for mark in "\t," if mark in lines[0]), None)
    names = [name.partition(":")[0].lower().removesuffix("_id") for name in lines[0].split(between)]
    columns, begin = (0, 1, None), 0
    if "user" in names and "item" in names:
        time = next((names.index(name) for name in _TIMES if name in names), None)
        columns, begin = (names.index("user"), names.index("item"), time), 1
    chosen = collections.defaultdict(list)
    for number, line in enumerate(lines[begin:], start=begin + 1):
        parts = [part.strip() for part in line.split(between)]
        if len(parts) <= max(column for column in columns if column is not None) or not all(
            parts[column] for column in columns[:2]
        ):
            raise ValueError(
                f"read_histories: {file}, line {number}: expected a user and an item. Received {line[:60]!r}."
            )
        user, item, time = (None if column is None else parts[column] for column in columns)
        try:
            chosen[user].append((0.0 if time is None else float(time), item))
        except ValueError as error:
            raise ValueError(
                f"read_histories: {file}, line {number}: a time must be a number. Received {time!r}."
            ) from error
    # A stable sort: what has one time stays in the order of the file.
    return {user: [item for _, item in sorted(pairs, key=lambda pair: pair[0])] for user, pairs in chosen.items()}


def leave_one_out(histories):
    """Holds out the last item of each user for a test, and the one before it for validation.

    Args:
        histories: dict of lists of items by user. Of a user of fewer than three
            items all are learned.

    Returns:
        `(histories, validation, test)`: a dict, and two lists of `HeldOut`; the
        history of a test has the item of the validation.

    Example:

    >>> histories, validation, test = leave_one_out({"Ada": ["a", "b", "c", "d"]})
    >>> histories, validation[0].item, test[0].history, test[0].item
    ({'Ada': ['a', 'b']}, 'c', ['a', 'b', 'c'], 'd')

    Reference: Kang and McAuley 2018, "Self-Attentive Sequential
        Recommendation", 4.1.
    """
    learned, validation, test = {}, [], []
    for user, items in histories.items():
        if len(items) < 3:
            learned[user] = list(items)
            continue
        learned[user] = items[:-2]
        validation.append(HeldOut(user, items[:-2], items[-2], items[:-2]))
        test.append(HeldOut(user, items[:-1], items[-1], items[:-2]))
    return learned, validation, test


class HistoryBatches:
    """Batches of histories for a `RecommendationModel`, in an order that a stopped training goes on with.

    Histories of about one length go together, so that little is padded. Each
    batch has negatives of its own, drawn of all items alike.

    Args:
        histories: list of lists of ids.
        users: list of ids of users, or None.
        vocabulary_size: ids, of which the first four are no items.
        max_length: the latest items of a history that are used.
        batch_size: histories in a batch.
        negatives: items that a batch compares with those that came.
        every_position: whether the item after each one is learned; otherwise
            the one after a part of the history, drawn anew in each epoch.
        seed: random seed that fixes order and draws.

    Attributes:
        steps_per_epoch: number of batches in an epoch.
        learned_per_batch: items that a batch learns to predict, the mean of an
            epoch. Batches of short histories have fewer, so a loss that is
            their mean would count an item of a short history more.

    Raises:
        ValueError: if no history has two items.

    Example:

    >>> batches = HistoryBatches([[4, 5, 6], [5, 6]], None, 7, max_length=3, batch_size=2, negatives=4)
    >>> inputs, labels, counts = next(iter(batches.dataset()))
    >>> inputs["history"].shape, inputs["next"].shape, counts.numpy().sum()
    (TensorShape([2, 2]), TensorShape([2, 2]), np.float32(3.0))
    """

    def __init__(
        self,
        histories,
        users,
        vocabulary_size,
        max_length,
        batch_size=128,
        negatives=200,
        every_position=True,
        seed=0,
    ):
        kept = [row for row, history in enumerate(histories) if len(history) > 1]
        if not kept:
            raise ValueError("HistoryBatches: no history has two items: there is nothing to learn.")
        self._histories = [np.array(histories[row], "int32") for row in kept]
        self._users = None if users is None else np.array(users, "int32")[kept]
        self._lengths = np.array([min(len(history), max_length + 1) for history in self._histories])
        self.vocabulary_size = vocabulary_size
        self.max_length = max_length
        self.batch_size = batch_size
        self.negatives = negatives
        self.every_position = every_position
        self.seed = seed
        self.steps_per_epoch = -(-len(kept) // batch_size)
        learned = int(np.sum(self._lengths - 1)) if every_position else len(kept)
        self.learned_per_batch = learned / self.steps_per_epoch

    def dataset(self, start=0):
        """Batches without end, those from a number on; see `PairBatches.dataset`."""
        ids, counts = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.float32)
        inputs = {"history": ids, "next": ids, "negatives": tf.TensorSpec([self.negatives], tf.int32)}
        if self._users is not None:
            inputs["user"] = tf.TensorSpec([None], tf.int32)
        return tf.data.Dataset.from_generator(
            lambda: map(self._batch, steps_from(start, self.steps_per_epoch, self._epoch)),
            output_signature=(inputs, ids, counts),
        ).prefetch(tf.data.AUTOTUNE)

    def _epoch(self, number):
        """Rows and a seed of each batch: rows sorted by length among a few batches, the batches shuffled."""
        generator = np.random.default_rng((self.seed, number))
        order = generator.permutation(len(self._histories))
        pool = 32 * self.batch_size
        order = np.concatenate(
            [
                some[np.argsort(self._lengths[some], kind="stable")]
                for some in np.split(order, range(pool, len(order), pool))
            ]
        )
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        return [(batches[index], (self.seed, number, index)) for index in generator.permutation(len(batches))]

    def _batch(self, batch):
        rows, seed = batch
        generator = np.random.default_rng(seed)
        taken = [self._histories[row] for row in rows]
        if not self.every_position:
            taken = [history[: generator.integers(2, len(history) + 1)] for history in taken]
        taken = [history[-self.max_length - 1 :] for history in taken]
        length = max(len(history) for history in taken) - 1
        history, following = np.zeros((2, len(rows), length), "int32")
        for row, items in enumerate(taken):
            history[row, : len(items) - 1] = items[:-1]
            following[row, : len(items) - 1] = items[1:]
        if not self.every_position:
            following = np.array([[items[-1]] for items in taken], "int32")
        inputs = {
            "history": history,
            "next": following,
            "negatives": generator.integers(4, self.vocabulary_size, self.negatives).astype("int32"),
        }
        if self._users is not None:
            inputs["user"] = self._users[rows]
        return inputs, np.zeros_like(following), (following > 0).astype("float32")
