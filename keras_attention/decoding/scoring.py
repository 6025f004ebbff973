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


def allow(logits, forbidden=(), forced=None):
    """Logits with minus infinity for the tokens that may not come next.

    Args:
        logits: `(rows, vocabulary)`.
        forbidden: ids that no hypothesis may hold, a sequence of integers.
        forced: the one id that may come next in each row, forbidden or not, 0
            where any may: `(rows,)`; or None.
    """
    allowed = logits
    if forbidden:
        barred = np.zeros(logits.shape[-1], "float32")
        barred[list(forbidden)] = -np.inf
        allowed = logits + barred  # one pass over the vocabulary, where a selection takes several
    if forced is not None:
        ids = tf.range(logits.shape[-1])
        forced = forced[:, None]
        allowed = tf.where(forced == 0, allowed, tf.where(ids == forced, logits, -float("inf")))
    return allowed


def best(logits, count):
    """Ids of the largest logits, best first: `(rows, vocabulary)` to `(rows, count)`.

    The largest lie in the groups whose maxima are largest, so only these few
    groups are sorted; `tf.math.top_k` of a large vocabulary takes five times as
    long.
    """
    vocabulary = logits.shape[-1]
    group = _group_size(vocabulary)
    if vocabulary < 1000 or count * group * 4 > vocabulary:
        return tf.math.top_k(logits, k=min(count, vocabulary)).indices
    missing = -vocabulary % group
    if missing:
        logits = tf.pad(logits, [[0, 0], [0, missing]], constant_values=-float("inf"))
    groups = tf.reshape(logits, [-1, (vocabulary + missing) // group, group])
    chosen = tf.sort(tf.math.top_k(tf.reduce_max(groups, axis=-1), k=count).indices)  # equal logits: the lower id first
    few = tf.reshape(tf.gather(groups, chosen, batch_dims=1), [-1, count * group])
    places = tf.math.top_k(few, k=count).indices
    return tf.gather(chosen, places // group, batch_dims=1) * group + places % group


def _group_size(vocabulary):
    """Near the square root; a divisor if there is one close by, which saves a copy."""
    root = max(1, round(vocabulary**0.5))
    return next((size for size in range(root, max(root // 2, 1), -1) if vocabulary % size == 0), root)
