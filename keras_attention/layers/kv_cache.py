"""The keys and values of what a decoder has consumed.

`KVCache` fills space that was set aside once, so its shapes stand still, as a
compiler wants them. `GrowingCache` gets longer, needs no longest length, and is
the faster one in a TensorFlow loop on a CPU.
"""

from typing import Any, NamedTuple

from keras import ops


class KVCache(NamedTuple):
    """A memory that grows.

    Attributes:
        key: `(batch, kv_heads, max_length, key_dim)`.
        value: `(batch, kv_heads, max_length, value_dim)`.
        mask: bool `(batch, max_length)`, True where there is a token.
        length: how many positions are filled; a scalar integer tensor.
    """

    key: Any
    value: Any
    mask: Any
    length: Any

    @classmethod
    def allocate(cls, batch, kv_heads, max_length, key_dim, value_dim, dtype):
        """An empty cache."""
        return cls(
            key=ops.zeros((batch, kv_heads, max_length, key_dim), dtype),
            value=ops.zeros((batch, kv_heads, max_length, value_dim), dtype),
            mask=ops.zeros((batch, max_length), "bool"),
            length=ops.zeros((), "int32"),
        )

    def append(self, key, value, mask=None):
        """The cache with more positions filled.

        Args:
            key: `(batch, kv_heads, target, key_dim)`.
            value: `(batch, kv_heads, target, value_dim)`.
            mask: bool `(batch, target)`; None means that all are tokens.
        """
        if mask is None:
            mask = ops.ones((ops.shape(key)[0], ops.shape(key)[2]), "bool")
        return KVCache(
            key=ops.slice_update(self.key, (0, 0, self.length, 0), ops.cast(key, self.key.dtype)),
            value=ops.slice_update(self.value, (0, 0, self.length, 0), ops.cast(value, self.value.dtype)),
            mask=ops.slice_update(self.mask, (0, self.length), mask),
            length=self.length + ops.shape(key)[2],
        )


class GrowingCache(NamedTuple):
    """A memory that gets longer with each call.

    Attributes:
        key: `(batch, kv_heads, length, key_dim)`.
        value: `(batch, kv_heads, length, value_dim)`.
    """

    key: Any
    value: Any

    @classmethod
    def allocate(cls, batch, kv_heads, key_dim, value_dim, dtype):
        """An empty cache."""
        return cls(ops.zeros((batch, kv_heads, 0, key_dim), dtype), ops.zeros((batch, kv_heads, 0, value_dim), dtype))

    @property
    def mask(self):
        """None: every position holds a token."""
        return None

    @property
    def length(self):
        """How many positions there are: an integer, or a scalar tensor where a graph does not know it."""
        return ops.shape(self.key)[2]

    def append(self, key, value, mask=None):
        """The cache with more positions; a mask would have to be kept, and is refused."""
        if mask is not None:
            raise ValueError(
                "GrowingCache: every position must hold a token, so no mask can be given. Use a cache that was "
                "allocated with a max_length for rows with padding among what they consume."
            )
        if self.key.shape[2] == 0:
            return GrowingCache(ops.cast(key, self.key.dtype), ops.cast(value, self.value.dtype))
        return GrowingCache(
            ops.concatenate([self.key, ops.cast(key, self.key.dtype)], axis=2),
            ops.concatenate([self.value, ops.cast(value, self.value.dtype)], axis=2),
        )
