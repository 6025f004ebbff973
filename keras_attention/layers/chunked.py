"""Attention a few queries at a time, computed again in the backward pass.

For scores that compare every pair of positions in many dimensions: what the
additive score needs for all pairs at once is `units` times the weights. A chunk
of queries meets the whole source; its pairs are forgotten, and made again when
the gradient asks for them. One form a backend, behind one function.
"""

import keras
from keras import ops

from keras_attention.layers.core import AttentionOutput, attend

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
    target, source = ops.shape(query)[1], ops.shape(prepared)[1]
    if mask is not None and mask.shape[1] != 1:
        mask = ops.broadcast_to(mask, (ops.shape(mask)[0], target, source))
    # Never zero queries, however long the source is; never zero pairs, however short.
    chunk = CHUNK_SIZE // ops.maximum(ops.shape(query)[0] * source * units, 1)
    chunk = ops.maximum(ops.minimum(chunk, target), 1)
    forms = {"tensorflow": _tensorflow_form, "jax": _jax_form, "torch": _torch_form}
    form = forms[keras.backend.backend()]
    context, weights = form(pair, query, prepared, value, mask, tuple(parameters), dropout, seed, chunk)
    return AttentionOutput(context, weights)


def _tensorflow_form(pair, query, prepared, value, mask, parameters, dropout, seed, chunk):
    import tensorflow as tf

    target = tf.shape(query)[1]
    count = -(-target // chunk)

    def rows(tensor, i):
        return tensor[:, i * chunk : (i + 1) * chunk]

    def part(i, query, prepared, value, parameters):
        def drop(weights):
            kept = tf.random.stateless_uniform(tf.shape(weights), tf.cast(seed, tf.int32) + tf.stack([i, 0]))
            return tf.where(kept >= dropout, weights / (1.0 - dropout), 0.0)

        part_mask = mask if mask is None or mask.shape[1] == 1 else rows(mask, i)
        return attend(pair(query, prepared, *parameters), value, part_mask, drop if dropout else None)

    def loop(body, number, *accumulated):
        """Runs `body(i, accumulated) -> (chunks, accumulated)` and joins its `number` chunks along the target."""
        records = [tf.TensorArray(query.dtype, count, infer_shape=False) for _ in range(number)]

        def step(i, records, accumulated):
            chunks, accumulated = body(i, accumulated)
            chunks = [tf.transpose(chunk, [1, 0, 2]) for chunk in chunks]
            return i + 1, [record.write(i, chunk) for record, chunk in zip(records, chunks, strict=True)], accumulated

        _, records, accumulated = tf.while_loop(
            lambda i, *_: i < count, step, (0, records, list(accumulated)), parallel_iterations=1
        )
        return [tf.transpose(record.concat(), [1, 0, 2]) for record in records], accumulated

    @tf.custom_gradient
    def attention(query, prepared, value, *parameters):
        def forward(i, accumulated):
            return part(i, rows(query, i), prepared, value, parameters), accumulated

        (context, weights), _ = loop(forward, 2)

        def gradient(context_upstream, weights_upstream):
            def backward(i, accumulated):
                sources = [rows(query, i), prepared, value, *parameters]
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    outputs = part(i, sources[0], prepared, value, parameters)
                upstream = [rows(context_upstream, i), rows(weights_upstream, i)]
                first, *others = tape.gradient(list(outputs), sources, upstream, tf.UnconnectedGradients.ZERO)
                accumulated = [total + other for total, other in zip(accumulated, others, strict=True)]
                return (first,), accumulated

            zeros = [tf.zeros_like(tensor) for tensor in (prepared, value, *parameters)]
            (query_gradient,), others = loop(backward, 1, *zeros)
            return query_gradient, *others

        return (context, weights), gradient

    context, weights = attention(query, prepared, value, *parameters)
    batch, target, source = query.shape[0], query.shape[1], prepared.shape[1]
    return tf.ensure_shape(context, [batch, target, value.shape[2]]), tf.ensure_shape(weights, [batch, target, source])


def _jax_form(pair, query, prepared, value, mask, parameters, dropout, seed, chunk):
    import jax
    import jax.numpy as jnp

    @jax.checkpoint
    def row(arguments):
        i, query_row, mask_row = arguments

        def drop(weights):
            key = jax.random.fold_in(jax.random.key(seed[0]), i)
            return weights * jax.random.bernoulli(key, 1 - dropout, weights.shape) / (1 - dropout)

        scores = pair(query_row[:, None], prepared, *parameters)
        return attend(scores, value, None if mask is None else mask_row[:, None], drop if dropout else None)

    target = query.shape[1]
    rows = jnp.zeros((target, 1, 1), bool)
    if mask is not None:
        rows = jnp.swapaxes(jnp.broadcast_to(mask, (mask.shape[0], target, mask.shape[2])), 0, 1)
    context, weights = jax.lax.map(row, (jnp.arange(target), jnp.swapaxes(query, 0, 1), rows))
    return jnp.swapaxes(context[:, :, 0], 0, 1), jnp.swapaxes(weights[:, :, 0], 0, 1)


def _torch_form(pair, query, prepared, value, mask, parameters, dropout, seed, chunk):
    import torch
    from torch.utils.checkpoint import checkpoint

    def part(query, mask):
        drop = (lambda weights: torch.nn.functional.dropout(weights, dropout)) if dropout else None
        return tuple(attend(pair(query, prepared, *parameters), value, mask, drop))

    chunk = int(chunk)
    parts = []
    for begin in range(0, query.shape[1], chunk):
        part_mask = mask if mask is None or mask.shape[1] == 1 else mask[:, begin : begin + chunk]
        parts.append(checkpoint(part, query[:, begin : begin + chunk], part_mask, use_reentrant=False))
    return tuple(torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True))
