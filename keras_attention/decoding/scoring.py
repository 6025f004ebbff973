"""What a hypothesis is worth, and which tokens it may hold."""

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


def forbid(log_probs, ids):
    """Minus infinity for tokens that no hypothesis may hold.

    The others keep their log-probabilities: what a search reports is what the
    model gives, not what is left after a renormalisation.

    Args:
        log_probs: `(..., vocabulary)`.
        ids: the forbidden ids, a sequence of integers.
    """
    if not ids:
        return log_probs
    forbidden = tf.reduce_any(tf.range(tf.shape(log_probs)[-1])[:, None] == tf.constant(list(ids)), axis=-1)
    return tf.where(forbidden, -float("inf"), log_probs)
