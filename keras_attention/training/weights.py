"""Which tokens count and how much: what the loss and every metric share.

A label of 0 is padding. The mask that Keras hangs on the logits and the sample weights of `fit` and `evaluate` are
joined with it here, aligned with the tokens.
"""

from keras import ops
from keras.src.backend import get_keras_mask


def sparse_labels(labels, logits):
    """Labels with one axis less than the logits: `(batch, target, 1)`, as `class_weight` asks for, loses its last."""
    labels = ops.convert_to_tensor(labels)
    is_column = logits is not None and len(labels.shape) == len(logits.shape) and labels.shape[-1] == 1
    return ops.squeeze(labels, -1) if is_column else labels


def token_weights(labels, logits, sample_weight, dtype):
    """What each token counts: 0 at padding and where the logits' mask is False, else its sample weight.

    Keras aligns weights with losses from the right, so that weights of two rows would meet two tokens; and it
    multiplies a mask into them in place, which fails on torch where they are columns.

    Args:
        labels: `(batch, target)` or `(batch, target, 1)`, 0 where there is no token.
        logits: `(batch, target, vocabulary)` with or without a Keras mask, or None.
        sample_weight: `(batch,)`, `(batch, 1)`, `(batch, target)` or None.
        dtype: dtype of the result.

    Returns:
        `(batch, target)`.
    """
    labels = sparse_labels(labels, logits)
    mask = None if logits is None else get_keras_mask(logits)
    live = ops.not_equal(labels, 0) if mask is None else ops.logical_and(ops.not_equal(labels, 0), mask)
    weights = ops.cast(live, dtype)
    return weights if sample_weight is None else weights * _aligned(sample_weight, len(labels.shape), dtype)


def _aligned(sample_weight, rank, dtype):
    """Sample weights as a tensor of a rank: `(batch,)` becomes `(batch, 1)`, which broadcasts over the tokens."""
    sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    if len(sample_weight.shape) > rank:
        return ops.squeeze(sample_weight, -1)
    missing = rank - len(sample_weight.shape)
    return ops.reshape(sample_weight, (*ops.shape(sample_weight), *[1] * missing)) if missing else sample_weight
