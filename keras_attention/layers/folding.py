"""Tensors of any rank, and masks of any rank, as the one attention over `(batch, length, dim)` takes them.

Attention over some axes of a tensor is attention over one axis of another: the
attended axes become one, in row-major order, and all others part of the batch.
This file moves them there and back, and aligns Keras' masks with scores.
"""

import math
from typing import Any, NamedTuple

from keras import ops

from keras_attention.layers.masks import as_bool, check_mask

AXES = ("(target, source)", "(batch, target, source)", "(batch, heads, target, source)")
HINT = " (a padding mask of the source is the argument value_mask)"
OTHER_AXES = "the attended axes of query and value, and before them none or some of the batch, other axes, heads"


class Folding(NamedTuple):
    """Which axes are attended, and which are not.

    Attributes:
        free: the axes that are part of the batch, the batch first.
        attended: the axes over which attention goes, in the order of the
            caller.
    """

    free: Any
    attended: Any

    @property
    def is_trivial(self):
        """Whether tensors are `(batch, length, dim)` as they are."""
        return self == ((0,), (1,))

    def fold(self, tensor):
        """`(batch, ..., dim)` to `(batch * free axes, attended axes, dim)`."""
        last = len(tensor.shape) - 1
        sizes = ops.shape(tensor)
        tensor = ops.transpose(tensor, (*self.free, *self.attended, last))
        return ops.reshape(tensor, (_product(sizes, self.free), _product(sizes, self.attended), tensor.shape[-1]))

    def unfold(self, tensor, query):
        """`(batch * free axes, attended axes, ...)` to the axes of the query, and the rest."""
        sizes = ops.shape(query)
        order = (*self.free, *self.attended)
        rest = tensor.shape[2:]
        tensor = ops.reshape(tensor, (*(sizes[axis] for axis in order), *rest))
        back = [order.index(axis) for axis in range(len(order))]
        return ops.transpose(tensor, (*back, *range(len(order), len(order) + len(rest))))

    def unfold_weights(self, weights, query, value):
        """`(..., heads, target, source)` to `weights_shape`."""
        return ops.reshape(weights, self.weights_shape(ops.shape(query), ops.shape(value), weights.shape[1]))

    def weights_shape(self, query_shape, value_shape, heads):
        """Keras' layout of the weights: `(batch, free axes, heads, query's attended axes, value's)`."""
        free, target = ([query_shape[axis] for axis in axes] for axes in self)
        return (*free, heads, *target, *(value_shape[axis] for axis in self.attended))

    def fold_padding(self, mask, tensor):
        """A mask of the leading axes of a tensor to `(batch * free axes, attended axes)`; None stays None."""
        if mask is None:
            return None
        mask = as_bool(mask)
        for axis in range(len(mask.shape), len(tensor.shape) - 1):
            mask = ops.expand_dims(mask, axis)
        return self.fold(ops.broadcast_to(mask, ops.shape(tensor)[:-1])[..., None])[..., 0]

    def fold_scores_mask(self, mask, query, value):
        """What `align` returned, to `(batch * free axes, heads or 1, target, source)`; None stays None."""
        if mask is None:
            return None
        free = len(self.free)
        queries, values = ops.shape(query), ops.shape(value)
        shared = all(size == 1 for size in mask.shape[:free])
        leading = [1] * free if shared else [queries[axis] for axis in self.free]
        target, source = ([sizes[axis] for axis in self.attended] for sizes in (queries, values))
        heads = ops.shape(mask)[free]
        mask = ops.broadcast_to(mask, (*leading, heads, *target, *source))
        return ops.reshape(mask, (math.prod(leading), heads, math.prod(target), math.prod(source)))


def align(mask, owner, heads, query_shape, value_shape, folding):
    """Brings Keras' `attention_mask` to the rank of the scores.

    Args:
        mask: any dtype, not zero = may be attended. Its last axes are the
            attended axes of the query, then those of the value; the axes before
            them, as many as it has, are the first of `(batch, other axes,
            heads)`. None stays None.
        owner: class that speaks in messages.
        heads: number of heads.
        query_shape, value_shape: shapes of the tensors that are attended.
        folding: which axes are attended.

    Returns:
        bool `(batch, other axes, heads, attended axes twice)`; sizes may be 1.

    Raises:
        ValueError: for a mask of another rank, or that cannot be broadcast.
    """
    if mask is None:
        return None
    mask = as_bool(mask)
    first = [*(query_shape[axis] for axis in folding.free), heads]
    last = [*(query_shape[axis] for axis in folding.attended), *(value_shape[axis] for axis in folding.attended)]
    given = len(mask.shape) - len(last)
    if not 0 <= given <= len(first):
        raise ValueError(
            f"{owner}: attention_mask must have {len(last)} to {len(first) + len(last)} dimensions, "
            f"{' or '.join(AXES) if folding.is_trivial else OTHER_AXES}. Received shape {tuple(mask.shape)}."
        )
    axes = AXES[given] + HINT * (given == 0) if folding.is_trivial else OTHER_AXES
    check_mask(mask, owner, "attention_mask", axes, (*first[:given], *last), broadcast=True)
    for axis in range(given, len(first)):
        mask = ops.expand_dims(mask, axis)
    return mask


def _product(sizes, axes):
    return math.prod(sizes[axis] for axis in axes)
