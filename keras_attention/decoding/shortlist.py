"""A shortlist: the few ids of a large vocabulary that a source can lead to, so that only their logits are computed."""

import itertools

import tensorflow as tf

SPECIAL_IDS = 4  # padding, unknown, start and end keep their ids


class Shortlist:
    """Which target ids each source id can lead to, and which may always come.

    A search then chooses among the ids of its batch's sources alone, numbered
    anew: an output matrix of some hundred columns takes the place of one of tens
    of thousands. The probabilities are those among these ids.

    Args:
        by_source: list of lists: target ids by source id.
        always: target ids that any source can lead to.

    Raises:
        ValueError: for a list that is empty altogether.

    Example:

    >>> shortlist = Shortlist([[], [], [], [], [7, 9], [8]], always=[5])
    >>> shortlist.ids_of(tf.constant([[4, 0], [4, 4]]), vocabulary=12).numpy().tolist()
    [0, 1, 2, 3, 5, 7, 9]

    Reference: Jean et al. 2015, "On Using Very Large Target Vocabulary for
        Neural Machine Translation", 3.3; Junczys-Dowmunt et al. 2018, "Marian:
        Cost-effective High-Quality Neural Machine Translation in C++", 3.
    """

    def __init__(self, by_source, always=()):
        self.always = sorted({*range(SPECIAL_IDS), *always})
        self.rows = [list(row) for row in by_source]
        if len(self.always) == SPECIAL_IDS and not any(self.rows):
            raise ValueError("Shortlist: expected at least one id. Received none, so that nothing could be a result.")

    def with_always(self, ids):
        """The same with more ids that any source can lead to."""
        return Shortlist(self.rows, {*self.always, *ids})

    def ids_of(self, source, vocabulary, prefix=None, never=()):
        """The ids that a batch may have, in graph: int32 `(count,)`, ascending, behind those that always may.

        Args:
            source: ids of the sources, `(batch, length)`.
            vocabulary: number of target ids.
            prefix: ids that results begin with, which are among them; or None.
            never: ids that are not.
        """
        values = tf.constant([index for row in self.rows for index in row], tf.int32)
        splits = tf.constant([0, *itertools.accumulate(map(len, self.rows))], tf.int64)
        rows = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
        present = tf.unique(tf.reshape(source, [-1])).y
        found = tf.gather(rows, present).flat_values
        if prefix is not None:
            found = tf.concat([found, tf.reshape(prefix, [-1])], axis=0)
        marks = tf.tensor_scatter_nd_update(
            tf.zeros([vocabulary], tf.bool), found[:, None], tf.ones(tf.shape(found), tf.bool)
        )
        gone = tf.constant([*self.always, *never])
        marks = tf.tensor_scatter_nd_update(marks, gone[:, None], tf.zeros(tf.shape(gone), tf.bool))
        return tf.concat([tf.constant(self.always), tf.cast(tf.where(marks)[:, 0], tf.int32)], axis=0)

    def number_of(self, index):
        """The number of an id that always may come, among `ids_of`."""
        return self.always.index(index)

    @staticmethod
    def numbers_of(ids, found, vocabulary):
        """The numbers of ids among those that were `found`: integers, shaped like `ids`."""
        numbers = tf.scatter_nd(found[:, None], tf.range(tf.size(found)), [vocabulary])
        return tf.gather(numbers, ids)
