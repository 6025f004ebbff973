"""What positions alone say of attention: who may see whom, and at what cost.

A `Pattern` answers for any rectangle of query and key positions, so that the
explicit path (one rectangle, all of it) and the blockwise path (one block at a
time) ask the same question of the same place.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops


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
        return ops.reshape(offset + queries, (-1, 1, ops.shape(queries)[0], 1))

    def _distance(self, queries, keys):
        """From each key to each query, in tokens: `(batch or 1, 1, target, source)`."""
        if self.places is None:
            return self._rows(queries) - keys
        query, key = (
            ops.take(places, ops.minimum(indices, ops.shape(places)[1] - 1), axis=1)  # blocks may reach beyond the end
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
