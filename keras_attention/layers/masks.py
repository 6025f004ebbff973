"""Masks and patterns: who may attend to whom, and at what cost.

A mask is bool, True = may be attended, as in Keras. A padding mask has the rank
of its sequence, `(batch, length)`; the others, and what `combine_masks` takes
and gives, are aligned with scores, `(..., target, source)`.

A `Pattern` is what positions alone say. It answers for any rectangle of query
and key positions, so that the explicit path (one rectangle, all of it) and the
blockwise path (one block at a time) ask the same question of the same place.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_attention.layers.sizes import size_of


def padding_mask(ids, pad=0):
    """Which positions of a batch of ids hold a token.

    Args:
        ids: `(batch, length)` integers.
        pad: the id that fills up short rows.

    Returns:
        bool `(batch, length)`.

    Example:

    >>> padding_mask(np.array([[5, 6, 0], [7, 0, 0]])).numpy().tolist()
    [[True, True, False], [True, False, False]]
    """
    return ops.not_equal(ids, pad)


def causal_mask(target, source=None, offset=0):
    """Which positions each of `target` queries may see: itself and what came before.

    Query `i` stands at position `offset + i` and sees the keys at positions
    `0 ... offset + i`. With a cache of `offset` earlier keys that is one query
    at a time, or any number, aligned as the full call would be.

    Args:
        target: number of queries; an integer or a scalar tensor.
        source: number of keys. Defaults to `offset + target`.
        offset: position of the first query; an integer or a scalar tensor.

    Returns:
        bool `(target, source)`.

    Example: two queries after one cached key.

    >>> causal_mask(2, offset=1).numpy().astype(int).tolist()
    [[1, 1, 0], [1, 1, 1]]

    Reference: Vaswani et al. 2017, "Attention Is All You Need", 3.2.3.
    """
    query, key = _positions(target, source, offset)
    return key <= query


def window_mask(target, source=None, offset=0, before=0, after=0):
    """Which positions lie within a window around each query.

    Query `i`, at position `p = offset + i`, sees the keys at positions
    `p - before ... p + after`.

    Args:
        target: number of queries; an integer or a scalar tensor.
        source: number of keys. Defaults to `offset + target`.
        offset: position of the first query; an integer or a scalar tensor.
        before: how many positions before its own a query sees.
        after: how many positions after its own a query sees.

    Returns:
        bool `(target, source)`.

    Example:

    >>> window_mask(3, before=1).numpy().astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    query, key = _positions(target, source, offset)
    return ops.logical_and(key >= query - before, key <= query + after)


def combine_masks(*masks):
    """Where every given mask allows.

    Args:
        *masks: bool masks of one rank, broadcastable to each other; None
            stands for a mask that allows everything. A padding mask
            `(batch, source)` joins as `mask[:, None, :]`.

    Returns:
        bool, the masks' common shape, or None if all are None.

    Raises:
        ValueError: if a mask is not bool, or the ranks differ: whether
            `(a, b)` means `(batch, source)` or `(target, source)` must not be
            left to broadcasting.

    Example:

    >>> padding = padding_mask(np.array([[5, 6, 0]]))
    >>> combine_masks(padding[:, None, :], causal_mask(3)[None], None).numpy().astype(int).tolist()
    [[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]
    """
    given = [mask for mask in masks if mask is not None]
    for index, mask in enumerate(given):
        any_size = (None,) * len(given[0].shape)
        check_mask(mask, "combine_masks", f"mask {index}", "the rank of mask 0", any_size)
    combined = None
    for mask in given:
        combined = mask if combined is None else ops.logical_and(combined, mask)
    return combined


def as_bool(mask):
    """A mask of any dtype as Keras reads it: what is not zero may be attended. None stays None."""
    if mask is None:
        return None
    mask = ops.convert_to_tensor(mask)
    return mask if keras.backend.standardize_dtype(mask.dtype) == "bool" else ops.cast(mask, "bool")


def cleaned(tensor, mask):
    """A sequence with zeros where its mask bars it, since zero times NaN or infinity is NaN.

    Args:
        tensor: `(batch, length, ...)`.
        mask: bool, broadcastable to `(batch, length)`, or None.
    """
    if mask is None:
        return tensor
    axes = tuple(range(2, len(tensor.shape)))
    return ops.where(ops.expand_dims(mask, axes), tensor, ops.zeros((), tensor.dtype))


def counted_from_here(values):
    """The sum of each value and those behind it: integers or bools `(batch, length)` to int32 of that shape."""
    return ops.flip(ops.cumsum(ops.flip(ops.cast(values, "int32"), axis=1), axis=1), axis=1)


def check_mask(mask, owner, name, axes, shape, broadcast=False):
    """Raises a ValueError unless `mask` is bool and shaped as it should be.

    Args:
        mask: the tensor to check; None passes.
        owner: class or function that speaks in the message.
        name: the argument's name.
        axes: what the dimensions are, such as `"(batch, source)"`.
        shape: sizes to compare with; None where any size will do.
        broadcast: whether a size of one will do everywhere.
    """
    if mask is None:
        return
    if keras.backend.standardize_dtype(mask.dtype) != "bool":
        raise ValueError(
            f"{owner}: {name} must be bool, True = may be attended. Received dtype "
            f"{keras.backend.standardize_dtype(mask.dtype)}. "
            "Write `mask != 0`, or `mask > -1` for a mask that is added to scores."
        )
    received = tuple(mask.shape)
    if len(received) != len(shape):
        raise ValueError(
            f"{owner}: {name} must have {len(shape)} dimensions, {axes}. Received shape {received}."
            + _rank_hint(received, shape)
        )
    for size, wanted in zip(received, shape, strict=True):
        if None not in (size, wanted) and size != wanted and not (broadcast and size == 1):
            raise ValueError(
                f"{owner}: {name} must be {axes}, here {tuple(shape)}. Received shape {received}: "
                "it belongs to another tensor, or its axes are in another order."
            )


def _rank_hint(received, shape):
    """How a mask of two dimensions, where more are wanted, gets the one that it lacks."""
    if len(received) != 2 or len(shape) < 3:
        return ""
    hints = {
        shape[-2]: "`mask[None]` for a mask of (target, source), such as a causal one",
        shape[0]: "`mask[:, None, :]` for a padding mask of (batch, source)",
    }
    fitting = [hint for size, hint in hints.items() if size == received[0]]
    return f" Write {' and '.join(fitting or hints.values())}."


def _positions(target, source, offset):
    """Query positions `(target, 1)` and key positions `(1, source)`."""
    source = offset + target if source is None else source
    return (offset + ops.arange(target))[:, None], ops.arange(source)[None, :]


class Pattern(NamedTuple):
    """A rule over positions.

    Attributes:
        causal: a query sees keys at its own position and before.
        window: a query sees keys at most `window - 1` positions away, or all
            with None.
        slopes: float32 `(heads,)`, subtracted from the scores once for each
            position between query and key (ALiBi), or None.
        offset: position of the first query; an integer, a scalar tensor, or
            one integer a row, `(batch,)`.
        places: where queries and keys stand among tokens, integers
            `(batch or 1, target)` and `(batch or 1, source)`, for distances
            where there is padding; None where they stand at their positions.
    """

    causal: bool = False
    window: Any = None
    slopes: Any = None
    offset: Any = 0
    places: Any = None

    @property
    def is_trivial(self):
        """Whether every query sees every key, and all at the same cost."""
        return not self.causal and self.window is None and self.slopes is None

    def mask(self, queries, keys):
        """Which keys each query sees: bool `(batch or 1, 1, target, source)`, or None if all.

        Args:
            queries: indices of queries, integers `(target,)`; `offset` is
                added here.
            keys: indices of keys, integers `(source,)`.
        """
        if not self.causal and self.window is None:
            return None
        visible = self._rows(queries) >= keys if self.causal else None
        if self.window is not None:
            distance = self._distance(queries, keys)
            near = ops.logical_and(distance < self.window, distance > -self.window)
            visible = near if visible is None else ops.logical_and(visible, near)
        return visible

    def bias(self, queries, keys):
        """What is added to the scores: float32 `(batch or 1, heads, target, source)`, or None."""
        if self.slopes is None:
            return None
        distance = ops.cast(ops.abs(self._distance(queries, keys)), "float32")
        return -ops.convert_to_tensor(self.slopes)[:, None, None] * distance

    def _rows(self, queries):
        """Positions of queries: `(batch or 1, 1, target, 1)`."""
        offset = self.offset
        if len(getattr(offset, "shape", ())):
            offset = offset[:, None]
        return ops.reshape(offset + queries, (-1, 1, size_of(queries, 0), 1))

    def _distance(self, queries, keys):
        """From each key to each query, in tokens: `(batch or 1, 1, target, source)`."""
        if self.places is None:
            return self._rows(queries) - keys
        query, key = (
            ops.take(places, ops.minimum(indices, size_of(places, 1) - 1), axis=1)  # blocks may reach beyond the end
            for places, indices in zip(self.places, (queries, keys), strict=True)
        )
        return query[:, None, :, None] - key[:, None, None, :]


def alibi_slopes(num_heads):
    """One slope a head, a geometric sequence from `2 ** (-8 / n)` down to `2 ** -8`.

    For a number of heads that is no power of two, those of the next smaller
    power come first and every other one of the next larger fills up.

    Args:
        num_heads: number of heads.

    Returns:
        float32 `(num_heads,)`.

    Example:

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]

    Reference: Press et al. 2022, "Train Short, Test Long", 3; the authors'
        code for other numbers of heads.
    """
    power = 2 ** int(np.floor(np.log2(num_heads)))

    def geometric(count):
        return 2.0 ** (-8.0 / count * np.arange(1, count + 1))

    slopes = np.concatenate([geometric(power), geometric(2 * power)[0::2][: num_heads - power]])
    return slopes.astype("float32")
