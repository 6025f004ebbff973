"""The keys and values of what a decoder has consumed, in space that was set aside once."""

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

    def append(self, key, value, mask):
        """The cache with more positions filled.

        Args:
            key: `(batch, kv_heads, target, key_dim)`.
            value: `(batch, kv_heads, target, value_dim)`.
            mask: bool `(batch, target)`.
        """
        return KVCache(
            key=ops.slice_update(self.key, (0, 0, self.length, 0), ops.cast(key, self.key.dtype)),
            value=ops.slice_update(self.value, (0, 0, self.length, 0), ops.cast(value, self.value.dtype)),
            mask=ops.slice_update(self.mask, (0, self.length), mask),
            length=self.length + ops.shape(key)[2],
        )
