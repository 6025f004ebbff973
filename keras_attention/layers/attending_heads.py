"""Attention between heads that are projected: as a whole, block by block, or as a subclass of Keras' layer has it.

Keras' `MultiHeadAttention` is made to be subclassed: what lies between the
projections is its `_compute_attention`, and an override of it finds here all
that it calls by Keras' names.
"""

from keras import ops

from keras_attention.layers.blockwise import blockwise_attention
from keras_attention.layers.core import attend, masked_softmax
from keras_attention.layers.folding import Folding, align
from keras_attention.layers.heads import HeadsLayer
from keras_attention.layers.masks import Pattern, combine_masks
from keras_attention.layers.products import product, wide
from keras_attention.layers.sizes import size_of

# From this many keys on attention goes block by block: below, one product is faster and its weights are small.
BLOCKWISE_FROM = 1024

FLAT = Folding(free=(0,), attended=(1,))


class AttendingHeads(HeadsLayer):
    """What `MultiHeadAttention` computes once query, key and value are heads."""

    def _context_and_weights(self, *arguments):
        """What `_attend` gives, or a subclass' override of Keras' `_compute_attention`."""
        is_overridden = type(self)._compute_attention is not AttendingHeads._compute_attention
        return self._attend_by_override(*arguments) if is_overridden else self._attend(*arguments)

    def _attend(self, query, key, value, key_mask, mask, pattern, training, return_attention_scores):
        """Context and weights (or None) of heads, `(batch, heads, length, dim)`."""
        arguments = (query * self._inverse_sqrt_key_dim, key, value, key_mask, mask, pattern, training)
        if return_attention_scores:
            return self._as_a_whole(*arguments)
        return self._by_length(*arguments), None

    def _by_length(self, query, key, *arguments):
        """The context, block by block where that pays."""
        if not self._flash_attention and self.path(query.shape[2], key.shape[2], BLOCKWISE_FROM) == "whole":
            return self._as_a_whole(query, key, *arguments)[0]
        return self._in_blocks(query, key, *arguments)

    def _as_a_whole(self, query, key, value, key_mask, mask, pattern, training):
        """The context of all queries at once, and the weights."""
        scores = product(query, key, transpose=True)
        mask = combine_masks(None if key_mask is None else ops.expand_dims(key_mask, (1, 2)), mask)
        if not pattern.is_trivial:  # else nobody asks how long anything is, which takes a graph a dozen operations
            queries, keys = ops.arange(size_of(query, 2)), ops.arange(size_of(key, 2))
            bias, visible = pattern.bias(queries, keys), pattern.mask(queries, keys)
            if bias is not None:
                scores = ops.cast(scores, wide(scores.dtype)) + ops.cast(bias, wide(scores.dtype))
            mask = combine_masks(mask, visible)
        context, weights = attend(scores, value, mask, self.dropped if training and self.dropout else None)
        return ops.cast(context, self.compute_dtype), ops.cast(weights, self.compute_dtype)

    def _in_blocks(self, query, key, value, key_mask, mask, pattern, training):
        whole_below = BLOCKWISE_FROM if self.blockwise == "auto" and not self._flash_attention else 0
        dropout = self.dropout_of_blocks(training)
        return blockwise_attention(query, key, value, key_mask, mask, pattern, *dropout, whole_below)

    def _attend_by_override(self, query, key, value, key_mask, mask, pattern, training, return_attention_scores):
        """Calls a subclass' `_compute_attention` with what Keras gives it."""
        if pattern.slopes is not None:
            raise ValueError(
                f"{type(self).__name__}: an overridden _compute_attention gets no place for the penalties of "
                "positions='alibi'. Use positions='rotary', or add them there."
            )
        mask = combine_masks(None if key_mask is None else ops.expand_dims(key_mask, (1, 2)), mask)
        queries, keys = ops.arange(size_of(query, 2)), ops.arange(size_of(key, 2))
        mask = combine_masks(mask, pattern.mask(queries, keys))
        if mask is not None and mask.shape[1] == 1:
            mask = mask[:, 0]
        heads = (swapped(tensor) for tensor in (query, key, value))
        context, weights = self._compute_attention(*heads, mask, training, return_attention_scores)
        return swapped(context), weights

    def _compute_attention(
        self,
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """Attention between heads that are projected, for a subclass to override as it would Keras'.

        Args:
            query: `(batch, target, heads, key_dim)`, not scaled.
            key: `(batch, source, heads, key_dim)`.
            value: `(batch, source, heads, value_dim)`.
            attention_mask: all masks of the call in one, bool, `(batch, target,
                source)` or `(batch, heads, target, source)`; sizes of one are
                broadcast.
            training: whether to drop weights.
            return_attention_scores: whether the weights are asked for.
            use_causal_mask: let query `i` see keys `0 ... i` only.

        Returns:
            The context, `(batch, target, heads, value_dim)`, and the weights,
            `(batch, heads, target, source)`, or None.
        """
        self._refuse_weights_of_flash_attention(return_attention_scores)
        mask = align(attention_mask, type(self).__name__, self.num_heads, query.shape, value.shape, FLAT)
        heads = (swapped(ops.convert_to_tensor(tensor)) for tensor in (query, key, value))
        context, weights = self._attend(*heads, None, mask, Pattern(use_causal_mask), training, return_attention_scores)
        return swapped(context), weights

    # What an override of Keras' layer multiplies with: heads `(batch, length, heads, dim)`, scores as in `attend`.
    _dot_product_equation = "bsnh,btnh->bnts"
    _combine_equation = "bnts,bsnh->btnh"

    def _masked_softmax(self, attention_scores, attention_mask=None):
        """The softmax of an override: of scores `(batch, heads, target, source)`, where a mask allows."""
        batch, heads, target, source = attention_scores.shape
        mask = align(attention_mask, type(self).__name__, heads, (batch, target), (batch, source), FLAT)
        return masked_softmax(attention_scores, mask)

    def _refuse_weights_of_flash_attention(self, return_attention_scores):
        if self._flash_attention and return_attention_scores:
            raise ValueError(
                f"{type(self).__name__}: Returning attention scores is not supported when flash attention is enabled. "
                "Please disable flash attention to access attention scores."
            )


def swapped(tensor):
    """`(batch, length, heads, dim)` to `(batch, heads, length, dim)`, or back; nothing moves where one of them is 1."""
    _, first, second, dim = tensor.shape
    if 1 in (first, second) and None not in (first, second):
        return ops.reshape(tensor, (-1, second, first, dim))
    return ops.swapaxes(tensor, 1, 2)
