"""Batches for training: ids, padding, and the only shift by one.

The decoder is given the start id and every token but the last, and learns
every token and the end id. That happens here and nowhere else.
"""

import tensorflow as tf

from keras_attention.text.vocabulary import END_ID, PAD_ID, START_ID


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
    pairs = list(pairs)
    if not pairs:
        raise ValueError("make_batches: expected at least one pair, received none.")
    source = source_tokenizer.encode(tf.constant([source for source, _ in pairs]))
    tokens = target_tokenizer.encode(tf.constant([target for _, target in pairs]))
    marks = tf.ones([len(pairs), 1], tf.int32)
    target = tf.concat([marks * START_ID, tokens], axis=1)
    labels = tf.concat([tokens, marks * END_ID], axis=1)

    def longest(ragged):
        return int(tf.reduce_max(ragged.row_lengths())) if fixed_shapes else None

    def pad(ragged, length):
        return lambda rows: tf.gather(ragged, rows).to_tensor(PAD_ID, shape=[None, length])

    columns = [pad(ragged, longest(ragged)) for ragged in (source, target, labels)]

    def batch(rows):
        source, target, labels = (column(rows) for column in columns)
        return {"source": source, "target": target}, labels

    rows = tf.data.Dataset.range(len(pairs))
    if shuffle_seed is not None:
        rows = rows.shuffle(len(pairs), seed=shuffle_seed)
    return rows.batch(batch_size).map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
