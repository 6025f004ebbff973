"""Batches for training: ids, padding, and the only shift by one.

The decoder is given the start id and every token but the last, and learns
every token and the end id. That happens here and nowhere else.
"""

import tensorflow as tf

from keras_attention.text.vocabulary import PAD_ID


def make_batches(pairs, source_tokenizer, target_tokenizer, batch_size=128, shuffle_seed=None, fixed_shapes=False):
    """A dataset that `model.fit` takes.

    Args:
        pairs: list of `(source, target)` strings.
        source_tokenizer: tokenizer of the sources.
        target_tokenizer: tokenizer of the targets.
        batch_size: pairs in a batch; the last one may hold fewer.
        shuffle_seed: random seed of a new order every epoch; None keeps the order.
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
    columns = columns_of("make_batches", pairs, source_tokenizer, target_tokenizer)
    rows = tf.data.Dataset.range(int(columns[0].nrows()))
    if shuffle_seed is not None:
        rows = rows.shuffle(int(columns[0].nrows()), seed=shuffle_seed)
    return padded_batches(rows.batch(batch_size), columns, fixed_shapes)


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
    columns = shifted(tokenizer.encode(tf.constant(texts)), tokenizer.vocabulary)
    rows = tf.data.Dataset.range(len(texts))
    if shuffle_seed is not None:
        rows = rows.shuffle(len(texts), seed=shuffle_seed)

    def batch(rows):
        return tuple(tf.gather(column, rows).to_tensor(PAD_ID) for column in columns)

    return rows.batch(batch_size).map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def padded_batches(rows, columns, fixed_shapes):
    """Batches of the columns at each element of a dataset of rows."""
    longest = [int(tf.reduce_max(column.row_lengths())) if fixed_shapes else None for column in columns]

    def batch(rows):
        return batch_of(
            *(
                tf.gather(column, rows).to_tensor(PAD_ID, shape=[None, length])
                for column, length in zip(columns, longest, strict=True)
            )
        )

    return rows.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def columns_of(owner, pairs, source_tokenizer, target_tokenizer):
    """Source, target and labels of all pairs, ragged `(pairs, tokens)`."""
    pairs = list(pairs)
    if not pairs:
        raise ValueError(f"{owner}: expected at least one pair, received none.")
    sources, targets = (tf.constant(texts) for texts in zip(*pairs, strict=True))
    return source_tokenizer.encode(sources), *shifted(target_tokenizer.encode(targets), target_tokenizer.vocabulary)


def shifted(tokens, vocabulary):
    """What a decoder is given and what it learns, of the ids of a text."""
    marks = tf.ones([tokens.nrows(), 1], tf.int32)
    return tf.concat([marks * vocabulary.start_id, tokens], axis=1), tf.concat(
        [tokens, marks * vocabulary.end_id], axis=1
    )


def batch_of(source, target, labels):
    """What `fit` takes."""
    return {"source": source, "target": target}, labels
