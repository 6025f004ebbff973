"""A sequence that attends to itself: at once, or in pieces with a cache.

A self-attention that consumes its input in pieces keeps a `KVCache`, which is
its memory, growing.
"""

import keras

from keras_attention.layers.core import Memory
from keras_attention.layers.kv_cache import GrowingCache, KVCache
from keras_attention.layers.multi_head import MultiHeadAttention


@keras.saving.register_keras_serializable(package="keras_attention")
class MultiHeadSelfAttention(MultiHeadAttention):
    """Multi-head attention of a sequence to itself; it stacks in `Sequential`.

    Args: the same as those of `MultiHeadAttention`.

    Call args:
        inputs: `(batch, length, dim)`.
        mask: bool `(batch, length)`, True = a token. Keras' implicit mask
            arrives here.
        attention_mask, return_attention_scores, training, use_causal_mask: as
            in `MultiHeadAttention`.

    Returns:
        As `MultiHeadAttention`.

    Example:

    >>> MultiHeadSelfAttention(8, 64)(np.ones((2, 3, 5)), use_causal_mask=True).shape
    TensorShape([2, 3, 5])

    Reference: Vaswani et al. 2017, 3.2.3.
    """

    def build(self, inputs_shape):
        super().build(inputs_shape, inputs_shape)

    def compute_output_shape(self, inputs_shape):
        return super().compute_output_shape(inputs_shape, inputs_shape)

    def compute_output_spec(
        self,
        inputs,
        mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
        inputs_mask=None,
    ):
        return self._specification(self.compute_output_shape(inputs.shape), inputs, inputs, return_attention_scores)

    def call(
        self,
        inputs,
        mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
        inputs_mask=None,  # where Keras puts the implicit mask when another tensor is given too
    ):
        mask = inputs_mask if mask is None else mask
        return super().call(
            inputs,
            inputs,
            query_mask=mask,
            value_mask=mask,
            attention_mask=attention_mask,
            return_attention_scores=return_attention_scores,
            training=training,
            use_causal_mask=use_causal_mask,
        )

    def allocate(self, batch, max_length=None):
        """An empty cache for `extend`.

        Args:
            batch: number of rows.
            max_length: most positions that will ever be consumed, for a
                `KVCache`, whose shapes stand still; None for a `GrowingCache`.
        """
        widths = (self.key_dim, self.value_dim, self.compute_dtype)
        if max_length is None:
            return GrowingCache.allocate(batch, self.kv_heads, *widths)
        return KVCache.allocate(batch, self.kv_heads, max_length, *widths)

    def extend(self, inputs, cache, mask=None, return_attention_scores=True, training=False):
        """Consumes more of a sequence, causally; any cut gives what one call gives.

        Args:
            inputs: the next positions, `(batch, target, dim)`.
            cache: from `allocate`, or from the last call.
            mask: bool `(batch, target)`, True = a token.
            return_attention_scores: whether to compute the weights.
            training: whether to drop weights.

        Returns:
            `(AttentionOutput(context, weights), cache)`; the weights are
            `(batch, heads, target, source)`, where `source` is the length of
            the new cache's keys.

        Example:

        >>> layer = MultiHeadSelfAttention(2, 4)
        >>> layer.build((None, None, 5))
        >>> output, cache = layer.extend(np.ones((1, 1, 5), "float32"), layer.allocate(1))
        >>> output.context.shape, int(cache.length)
        (TensorShape([1, 1, 5]), 1)
        """
        causal = inputs.shape[1] != 1  # one query is the last position: nothing stands after it
        tokens = cache.tokens if self._counts else 0
        new = self.prepare(inputs, value_mask=mask, offset=tokens)
        grown = cache.append(new.key, new.value, mask)
        output = self._read_from(
            tokens,
            cache.length if causal or self._counts else 0,
            inputs,
            Memory(grown.key, grown.value, grown.mask),
            query_mask=mask,
            use_causal_mask=causal,
            return_attention_scores=return_attention_scores,
            training=training,
        )
        return output, grown
