"""What a hypothesis is worth, and which tokens it may hold."""

import numpy as np
import tensorflow as tf


def length_penalty(lengths, alpha):
    """`((5 + length) / 6) ** alpha`, by which a log-probability is divided.

    Args:
        lengths: tokens of each hypothesis, the end among them; any shape.
        alpha: 0 compares log-probabilities as they are; larger values favour
            longer hypotheses.

    Returns:
        float32, shaped like `lengths`.

    Reference: Wu et al. 2016, "Google's Neural Machine Translation System",
        eq. 14.
    """
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** alpha


def coverage_penalty(coverage, beta):
    """`beta * sum(log(min(coverage, 1)))` over the source, which is added to a score.

    Args:
        coverage: how much each source position was attended to, summed over
            the steps: `(..., source)`. A position that was never attended to
            at all is padding, and costs nothing.
        beta: 0 does not mind what was not read.

    Returns:
        float32 `(...)`, never above zero.

    Reference: Wu et al. 2016, eq. 14.
    """
    read = tf.where(coverage > 0.0, tf.minimum(coverage, 1.0), 1.0)
    return beta * tf.reduce_sum(tf.math.log(read), axis=-1)


def bars(vocabulary, forbidden):
    """What to add to logits so that ids in `forbidden` are never chosen: numpy float32 `(vocabulary,)`."""
    barred = np.zeros(vocabulary, "float32")
    barred[list(forbidden)] = -np.inf
    return barred


def barred(logits, forbidden):
    """The logits, minus infinity at ids in `forbidden`."""
    if not forbidden:
        return logits
    if logits.shape[-1] is not None:
        return logits + bars(logits.shape[-1], forbidden)
    return tf.where(is_one_of(tf.range(tf.shape(logits)[-1]), forbidden), -float("inf"), logits)


def is_one_of(ids, some):
    """Whether ids are among a few, a sequence of integers: bool, shaped alike."""
    return tf.reduce_any(ids[..., None] == tf.constant(some, tf.int32), axis=-1)


def best(logits, count, forbidden=()):
    """Ids of the largest logits, best first: `(rows, vocabulary)` to `(rows, count)`.

    The largest lie in the groups whose maxima are largest, so only these few
    groups are sorted; `tf.math.top_k` of a large vocabulary takes five times as
    long. For the same reason only groups with a forbidden id are barred.

    Args:
        logits: `(rows, vocabulary)`.
        count: how many ids.
        forbidden: ids that only come where there are no others, a sequence of
            integers.
    """
    vocabulary = logits.shape[-1]
    if vocabulary is None:
        return tf.math.top_k(barred(logits, forbidden), k=count).indices
    group = _group_size(vocabulary)
    if vocabulary < 1000 or count * group * 4 > vocabulary:
        return tf.math.top_k(barred(logits, forbidden), k=min(count, vocabulary)).indices
    missing = -vocabulary % group
    if missing:
        logits = tf.pad(logits, [[0, 0], [0, missing]], constant_values=-float("inf"))
    groups = tf.reshape(logits, [-1, (vocabulary + missing) // group, group])
    of_groups = bars(vocabulary + missing, forbidden).reshape(groups.shape[1:])
    maxima = tf.reduce_max(groups, axis=-1)
    if forbidden:
        first = max(forbidden) // group + 1
        maxima = tf.concat([tf.reduce_max(groups[:, :first] + of_groups[:first], axis=-1), maxima[:, first:]], axis=1)
    chosen = tf.math.top_k(maxima, k=count).indices
    if count > 1:
        chosen = tf.sort(chosen)  # equal logits: the lower id first
    few = tf.gather(groups, chosen, batch_dims=1)
    if forbidden:
        few += tf.gather(of_groups, chosen)
    places = tf.math.top_k(tf.reshape(few, [-1, count * group]), k=count).indices
    return tf.gather(chosen, places // group, batch_dims=1) * group + places % group


def log_sum_exp(logits):
    """`log(sum(exp(logits)))` of each row, `(rows, vocabulary)` to `(rows, 1)`.

    By way of the softmax, the quickest pass: the largest probability is at
    least 1 / vocabulary, so its logarithm is safe.
    """
    if logits.shape[-1] is None:
        return tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
    likeliest = best(logits, 1)
    probability = tf.gather(tf.nn.softmax(logits), likeliest, batch_dims=1)
    return tf.gather(logits, likeliest, batch_dims=1) - tf.math.log(probability)


def _group_size(vocabulary):
    """Near the square root; a divisor if there is one close by, which saves a copy."""
    root = max(1, round(vocabulary**0.5))
    return next((size for size in range(root, max(root // 2, 1), -1) if vocabulary % size == 0), root)
