"""Attention a few queries at a time, computed again in the backward pass.

For scores that compare every pair of positions in many dimensions: what the
additive score needs for all pairs at once is `units` times the weights. A chunk
of queries meets the whole source; its pairs are forgotten, and made again when
the gradient asks for them. One form a backend, behind one function.
"""

import keras
from keras import ops

from keras_attention.layers.core import AttentionOutput, attend
from keras_attention.layers.dropped import jax_key, torch_seeded
from keras_attention.layers.sizes import size_of

CHUNK_SIZE = 2**19  # pairs times units in a chunk: 2 MB, which stays in the cache of one core


def chunked_attention(pair, query, prepared, value, mask=None, parameters=(), units=1, dropout=0.0, seed=None):
    """`attend(pair(query, prepared, *parameters), value, mask)`, in chunks of queries.

    Args:
        pair: a pure function of a part of the queries, `(batch, part, dim)`,
            the whole prepared key and the parameters, to scores
            `(batch, part, source)`.
        query: `(batch, target, dim)`.
        prepared: `(batch, source, dim)`.
        value: `(batch, source, value_dim)`.
        mask: bool `(batch or 1, target or 1, source)`, or None.
        parameters: tensors that `pair` needs; they get gradients too.
        units: numbers that `pair` makes for each pair of positions.
        dropout: fraction of the weights that is dropped before the sum.
        seed: integers `(2,)`, of the dropout.

    Returns:
        `AttentionOutput(context, weights)`.
    """
    if mask is not None and mask.shape[1] != 1:
        mask = ops.broadcast_to(mask, (size_of(mask, 0), size_of(query, 1), size_of(prepared, 1)))
    forms = {"tensorflow": _tensorflow_form, "jax": _jax_form, "torch": _torch_form}
    form = forms[keras.backend.backend()]
    context, weights = form(pair, query, prepared, value, mask, tuple(parameters), dropout, seed, units)
    return AttentionOutput(context, weights)


def _chunk_of(query, prepared, units):
    """How many queries make a chunk: at least one, however long the source is."""
    batch, target, source = size_of(query, 0), size_of(query, 1), size_of(prepared, 1)
    if all(isinstance(size, int) for size in (batch, target, source)):
        return max(min(CHUNK_SIZE // max(batch * source * units, 1), target), 1)
    chunk = CHUNK_SIZE // ops.maximum(batch * source * units, 1)
    return ops.maximum(ops.minimum(chunk, target), 1)


def _tensorflow_form(pair, query, prepared, value, mask, parameters, dropout, seed, units):
    import tensorflow as tf

    from keras_attention.layers.chunked_tensorflow import Chunks

    def chunks(query, prepared):
        # The size is that of these tensors: XLA must know it in the backward pass too, where what the forward pass
        # computed is a value.
        return Chunks(pair, query, mask, dropout, seed, _chunk_of(query, prepared, units))

    @tf.custom_gradient
    def attention(query, prepared, value, *parameters):
        outputs = chunks(query, prepared).forward(prepared, value, parameters)

        def gradient(*upstreams):
            return chunks(query, prepared).backward(prepared, value, parameters, upstreams)

        return outputs, gradient

    context, weights = attention(query, prepared, value, *parameters)
    context.set_shape([*query.shape[:2], value.shape[2]])
    weights.set_shape([*query.shape[:2], prepared.shape[1]])
    return context, weights


def _jax_form(pair, query, prepared, value, mask, parameters, dropout, seed, units):
    import jax
    import jax.numpy as jnp

    @jax.checkpoint
    def row(arguments):
        i, query_row, mask_row = arguments

        def drop(weights):
            key = jax.random.fold_in(jax_key(seed), i)
            return weights * jax.random.bernoulli(key, 1 - dropout, weights.shape) / (1 - dropout)

        scores = pair(query_row[:, None], prepared, *parameters)
        return attend(scores, value, None if mask is None else mask_row[:, None], drop if dropout else None)

    target = query.shape[1]
    rows = jnp.zeros((target, 1, 1), bool)
    if mask is not None:
        rows = jnp.swapaxes(jnp.broadcast_to(mask, (mask.shape[0], target, mask.shape[2])), 0, 1)
    context, weights = jax.lax.map(row, (jnp.arange(target), jnp.swapaxes(query, 0, 1), rows))
    return jnp.swapaxes(context[:, :, 0], 0, 1), jnp.swapaxes(weights[:, :, 0], 0, 1)


def _torch_form(pair, query, prepared, value, mask, parameters, dropout, seed, units):
    import torch
    from torch.utils.checkpoint import checkpoint

    def part(begin, query, mask):
        def drop(weights):
            with torch_seeded(seed + begin, weights.device):
                return torch.nn.functional.dropout(weights, dropout)

        return tuple(attend(pair(query, prepared, *parameters), value, mask, drop if dropout else None))

    chunk = int(_chunk_of(query, prepared, units))
    parts = []
    for begin in range(0, max(query.shape[1], 1), chunk):
        part_mask = mask if mask is None or mask.shape[1] == 1 else mask[:, begin : begin + chunk]
        parts.append(checkpoint(part, begin, query[:, begin : begin + chunk], part_mask, use_reentrant=False))
    return tuple(torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True))
