"""The keys and values of what a decoder has consumed.

`KVCache` fills space that was set aside once, so its shapes stand still, as a
compiler wants them. `GrowingCache` gets longer, needs no longest length, and is
the faster one in a TensorFlow loop on a CPU.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_attention.layers.sizes import size_of


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

    @property
    def tokens(self):
        """How many tokens each row has consumed, padding left out: `(batch,)`; where its next token stands."""
        return ops.sum(ops.cast(self.mask, "int32"), axis=1)

    def append(self, key, value, mask=None):
        """The cache with more positions filled.

        Args:
            key: `(batch, kv_heads, target, key_dim)`.
            value: `(batch, kv_heads, target, value_dim)`.
            mask: bool `(batch, target)`; None means that all are tokens.

        Raises:
            ValueError: if there is no room for them, where the length is known.
                In a graph of TensorFlow the step fails when it runs. Compiled
                by XLA or JAX, where nothing can fail, keys and values that find
                no room are NaN, and so is all that attends to them.
        """
        target = size_of(key, 2)
        fits = self._fits(target)
        if mask is None:
            mask = ops.ones((size_of(key, 0), target), "bool")
        if fits is not True:
            key, value = (ops.where(fits, tensor, float("nan")) for tensor in (key, value))
            mask = ops.logical_or(mask, ops.logical_not(fits))  # what overwrites others is to be seen
        return KVCache(
            key=ops.slice_update(self.key, (0, 0, self.length, 0), ops.cast(key, self.key.dtype)),
            value=ops.slice_update(self.value, (0, 0, self.length, 0), ops.cast(value, self.value.dtype)),
            mask=ops.slice_update(self.mask, (0, self.length), mask),
            length=self.length + target,
        )

    def _fits(self, target):
        """True, or a tensor that says whether there is room, where a graph or a compiler has yet to compute it."""
        max_length, filled = size_of(self.key, 2), _known(self.length)
        known = isinstance(target, int) and isinstance(max_length, int)
        if known and (filled or 0) + target > max_length:
            raise ValueError(
                f"KVCache: {'an unknown number of' if filled is None else filled} positions are filled, of "
                f"max_length={max_length}. Received {target} more. Allocate a cache with a larger max_length, or "
                "one without, which grows."
            )
        if known and filled is not None:
            return True
        fits = self.length + target <= max_length
        return _asserted(fits, f"KVCache: more positions than max_length={max_length}. Allocate a larger cache.")


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
        key = ops.zeros((batch, kv_heads, 0, key_dim), dtype)
        return cls(key, key if value_dim == key_dim else ops.zeros((batch, kv_heads, 0, value_dim), dtype))

    @property
    def mask(self):
        """None: every position holds a token."""
        return None

    @property
    def length(self):
        """How many positions there are: an integer, or a scalar tensor where a graph does not know it."""
        return size_of(self.key, 2)

    @property
    def tokens(self):
        """How many tokens each row has consumed: all that there are."""
        return self.length

    def append(self, key, value, mask=None):
        """The cache with more positions; with a mask, `(batch, target)`, a `MaskedCache`."""
        if mask is not None:
            batch, length = size_of(self.key, 0), self.length
            return MaskedCache(self.key, self.value, ops.ones((batch, length), "bool")).append(key, value, mask)
        return GrowingCache(_longer(self.key, key), _longer(self.value, value))


class MaskedCache(NamedTuple):
    """A memory that gets longer with each call, with padding among what was consumed.

    Attributes:
        key: `(batch, kv_heads, length, key_dim)`.
        value: `(batch, kv_heads, length, value_dim)`.
        mask: bool `(batch, length)`, True where there is a token.
    """

    key: Any
    value: Any
    mask: Any

    @property
    def length(self):
        """How many positions there are: an integer, or a scalar tensor where a graph does not know it."""
        return size_of(self.key, 2)

    @property
    def tokens(self):
        """How many tokens each row has consumed, padding left out: `(batch,)`; where its next token stands."""
        return ops.sum(ops.cast(self.mask, "int32"), axis=1)

    def append(self, key, value, mask=None):
        """The cache with more positions; without a mask all of them are tokens."""
        if mask is None:
            mask = ops.ones((size_of(key, 0), size_of(key, 2)), "bool")
        return MaskedCache(
            _longer(self.key, key), _longer(self.value, value), ops.concatenate([self.mask, mask], axis=1)
        )


def _longer(old, new):
    new = ops.cast(new, old.dtype)
    return new if old.shape[2] == 0 else ops.concatenate([old, new], axis=2)


def _known(length):
    """The integer that a scalar tensor holds, or None where a graph or a compiler has yet to compute it."""
    try:
        return int(length)
    except (TypeError, ValueError):  # a tensor of a graph of TensorFlow or of Keras, a tracer of JAX
        return None


def _asserted(condition, message):
    """The condition, on which a graph of TensorFlow fails where it does not hold; other compilers cannot fail."""
    if keras.backend.backend() != "tensorflow" or keras.utils.is_keras_tensor(condition):
        return condition
    import tensorflow as tf

    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(condition)
