"""Attention in blocks: the same sums in memory that is linear in the length.

A block of queries meets one block of keys after another; a running maximum and
a running sum make the softmax exact, and the backward pass computes each block
again instead of keeping it. Blocks that the pattern hides are never computed.
One form a backend, behind one function.
"""

import keras
from keras import ops

from keras_attention.layers.core import MASKED_SCORE, attend
from keras_attention.layers.dropped import jax_key, torch_seeded
from keras_attention.layers.masks import Pattern
from keras_attention.layers.products import wide

BLOCK = 256


def blockwise_attention(
    query,
    key,
    value,
    key_mask=None,
    attention_mask=None,
    pattern=Pattern(),
    dropout=0.0,
    seed=None,
    whole_below=0,
    block=BLOCK,
):
    """`softmax(query . key) . value` where masks and pattern allow, in blocks.

    Args:
        query: `(batch, heads, target, key_dim)`, with its scale applied.
        key: `(batch, heads, source, key_dim)`.
        value: `(batch, heads, source, value_dim)`.
        key_mask: bool `(batch, source)`, or None.
        attention_mask: bool `(batch or 1, heads or 1, target, source)`, or
            None. It is the caller's, and quadratic.
        pattern: what positions alone say.
        dropout: fraction of the weights that is dropped.
        seed: integers `(2,)`, of the dropout.
        whole_below: a source of fewer keys, and its queries, are one block:
            for lengths that are only known when a graph runs.
        block: positions in a block.

    Returns:
        Context `(batch, heads, target, value_dim)`, in the query's dtype; zeros
        for a query that sees nothing. The sums are float32.

    Reference: Rabe and Staats 2021, "Self-attention Does Not Need O(n^2)
        Memory"; Dao et al. 2022, "FlashAttention", algorithms 1 and 4.
    """
    forms = {"tensorflow": _tensorflow_form, "jax": _jax_form, "torch": _torch_form}
    form, dtype = forms[keras.backend.backend()], query.dtype
    query, key, value = (ops.cast(tensor, wide(dtype)) for tensor in (query, key, value))
    return ops.cast(
        form(query, key, value, key_mask, attention_mask, pattern, dropout, seed, whole_below, block), dtype
    )


def _tensorflow_form(query, key, value, key_mask, attention_mask, pattern, dropout, seed, whole_below, block):
    import tensorflow as tf

    from keras_attention.layers.blockwise_tensorflow import Blocks, sizes_of_blocks

    def blocks(query, key):
        # The sizes are those of these tensors: XLA must know them in the backward pass too, where what the forward pass
        # computed is a value.
        rows, columns = sizes_of_blocks(query, key, whole_below, block)
        return Blocks(query, key, key_mask, attention_mask, pattern, dropout, seed, rows, columns)

    @tf.custom_gradient
    def attention(query, key, value):
        context, normalizer = blocks(query, key).forward(query, key, value)

        def gradient(upstream):
            return blocks(query, key).backward(query, key, value, context, normalizer, upstream)

        return context, gradient

    return attention(query, key, value)


def _jax_form(query, key, value, key_mask, attention_mask, pattern, dropout, seed, whole_below, block):
    """Blocks of queries over all keys, each computed again in the backward pass."""
    import jax
    import jax.numpy as jnp

    target, source = query.shape[2], key.shape[2]
    count = -(-target // block)
    missing = count * block - target
    starts = jnp.arange(count) * block
    query = jnp.pad(query, [(0, 0), (0, 0), (0, missing), (0, 0)])
    blocks = jnp.moveaxis(query.reshape(*query.shape[:2], count, block, -1), 2, 0)
    if attention_mask is not None and attention_mask.shape[2] > 1:
        attention_mask = jnp.pad(attention_mask, [(0, 0), (0, 0), (0, missing), (0, 0)])

    @jax.checkpoint
    def one_block(arguments):
        start, query = arguments
        queries, keys = start + jnp.arange(block), jnp.arange(source)
        scores = query @ jnp.swapaxes(key, -1, -2)
        bias = pattern.bias(queries, keys)
        scores = scores if bias is None else scores + bias
        mask = jnp.ones((1, 1, 1, source), bool) if key_mask is None else key_mask[:, None, None, :]
        visible = pattern.mask(queries, keys)
        mask = mask if visible is None else mask & visible
        if attention_mask is not None:
            rows = attention_mask
            if attention_mask.shape[2] > 1:
                rows = jax.lax.dynamic_slice_in_dim(attention_mask, start, block, axis=2)
            mask = mask & rows

        def drop(weights):
            random = jax.random.fold_in(jax_key(seed), start)
            return weights * jax.random.bernoulli(random, 1 - dropout, weights.shape) / (1 - dropout)

        return attend(scores, value, mask, drop if dropout else None).context

    contexts = jax.lax.map(one_block, (starts, blocks))
    context = jnp.moveaxis(contexts, 0, 2).reshape(*query.shape[:2], count * block, value.shape[-1])
    return context[:, :, :target]


def _torch_form(query, key, value, key_mask, attention_mask, pattern, dropout, seed, whole_below, block):
    """Torch's own fused operation, which needs no more than a mask."""
    import torch

    target, source, device = query.shape[2], key.shape[2], query.device

    def attention(**arguments):
        with torch_seeded(seed, device):
            return torch.nn.functional.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, scale=1.0, **arguments
            )

    plain = pattern.window is None and pattern.slopes is None and key_mask is None and attention_mask is None
    if plain and isinstance(pattern.offset, int) and pattern.offset == 0 and (target == source or not pattern.causal):
        return attention(is_causal=pattern.causal)
    queries, keys = torch.arange(target, device=device), torch.arange(source, device=device)
    mask = torch.ones((1, 1, 1, source), dtype=torch.bool, device=device)
    mask = mask if key_mask is None else key_mask[:, None, None, :]
    visible = pattern.mask(queries, keys)
    mask = mask if visible is None else mask & visible
    mask = mask if attention_mask is None else mask & attention_mask
    bias = torch.zeros((), dtype=query.dtype, device=device).masked_fill(~mask, MASKED_SCORE)
    if pattern.slopes is not None:
        bias = bias + pattern.bias(queries, keys)
    return attention(attn_mask=bias.to(query.dtype)) * mask.any(-1, keepdim=True)
