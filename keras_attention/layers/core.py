"""The attention core: scores, mask, float32 softmax, weighted sum.

This file owns the one softmax over the source in the library, the one place
where a mask meets scores, and the records that every attention layer
speaks: `Memory`, what is attended to, `AttentionOutput`, what comes back of a
call, and `AttentionRead`, what comes back of one of several.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_attention.layers.products import product, softmax, wide

# Finite in float32, where every softmax of the library runs, and far below any score: `-inf` would turn a row with
# nothing to attend to into NaN.
MASKED_SCORE = -1e9


class Memory(NamedTuple):
    """What a decoder attends to, prepared once per source.

    Attributes:
        key: what a query is compared with, as the layer's score wants it:
            `(batch, source, key_dim)`.
        value: what is summed: `(batch, source, value_dim)`.
        mask: bool, True = may be attended: `(batch, source)`, or None when
            every position may.
    """

    key: Any
    value: Any
    mask: Any = None


class AttentionOutput(NamedTuple):
    """What an attention layer returns.

    Attributes:
        context: weighted sum of the values: `(batch, target, value_dim)`.
        weights: how much each query attends to each source position:
            `(batch, target, source)`. Each row sums to one, or to zero where
            nothing may be attended to.
    """

    context: Any
    weights: Any


class AttentionRead(NamedTuple):
    """What `read` returns: a part of a target, and what the next part needs.

    Attributes:
        context: as in `AttentionOutput`.
        weights: as in `AttentionOutput`.
        state: tuple of tensors `(batch, any)` for the next `read`: how far
            the queries are, or what they attended to last. Empty for an
            attention that treats each query alone.
    """

    context: Any
    weights: Any
    state: Any = ()


def masked_softmax(scores, mask=None):
    """Softmax over the last axis, in float32 (float64 for float64), where `mask` allows.

    Args:
        scores: `(..., source)`, any float dtype.
        mask: bool, broadcastable to `scores`; True = may be attended.

    Returns:
        Weights shaped and typed like `scores`. A row without any True gets
        zeros, and zero gradients, in every dtype.
    """
    weights = _softmax(scores, mask)
    return weights if mask is None else weights * _alive(mask, weights.dtype)


def attend(scores, value, mask=None, dropout=None, linear=False):
    """Turns scores into weights and weights into a context.

    Args:
        scores: `(..., target, source)`.
        value: `(..., source, value_dim)`.
        mask: bool, broadcastable to `scores`; True = may be attended.
        dropout: None, or a function applied to the weights before the sum.
            The returned weights are those before dropout.
        linear: whether the scores themselves are the weights, without softmax.

    Returns:
        `AttentionOutput(context, weights)`.
    """
    weights = scores if linear else _softmax(scores, mask)
    if linear and mask is not None:
        weights = ops.where(mask, weights, 0.0)
    context = product(weights if dropout is None else dropout(weights), value)
    if mask is None:
        return AttentionOutput(context, weights)
    # The context is small and the weights are not: in a graph the second product is only computed if it is asked for.
    alive = _alive(mask, weights.dtype)
    return AttentionOutput(context * alive, weights * alive)


def _softmax(scores, mask):
    """Weights in the dtype of the scores; uniform, and to be multiplied by `_alive`, in a row without any True."""
    if scores.shape[-1] == 1:
        return ops.ones_like(scores)
    dtype = scores.dtype
    scores = ops.cast(scores, wide(dtype))
    if mask is not None:
        scores = ops.where(mask, scores, MASKED_SCORE)
    return ops.cast(softmax(scores), dtype)


def _alive(mask, dtype):
    """One for rows that may attend to something, zero for the others: `(..., 1)`."""
    return ops.cast(ops.any(mask, axis=-1, keepdims=True), dtype)
