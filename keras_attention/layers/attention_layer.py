"""What every attention layer is, whatever its scores and heads.

    memory = layer.prepare(value, key, value_mask)                  once per source
    state = layer.start(memory)                                     once per target
    context, weights, state = layer.read(query, memory, state)      any number of queries, many times
    layer(query, value, key, value_mask=...)                        all three at once

What a query needs to know of those before it is the state, whoever loops
carries it, and a target cut into several reads gives what one gives. Most
attentions have none.

This file owns the shapes that all accept, the masks of a call, and the choice
between computing all weights at once and computing them piece by piece.
"""

from keras import ops, tree

from keras_attention.layers.core import AttentionRead
from keras_attention.layers.layer import Dropout, Layer, serialized
from keras_attention.layers.masks import check_mask, combine_masks
from keras_attention.layers.sizes import size_of

BLOCKWISE = ("auto", True, False)

# Up to this many queries at once pieces never pay: a step of one, or of the hypotheses that share a memory.
FEW = 8


class AttentionLayer(Layer):
    """Base of `Attention` and `MultiHeadAttention`, and of an attention of your own.

    A subclass defines `prepare`, `read` and, if it has a state, `start`; see
    docs/extending.md.

    Args:
        dropout: fraction of the weights dropped in training, before the sum.
        blockwise: `"auto"`, True or False; see `path`.
        seed: random seed of the dropout.
    """

    # The arguments of the constructor that the config holds, under the names of attributes.
    config_names = ("dropout", "blockwise", "seed")

    def __init__(self, dropout=0.0, blockwise="auto", seed=None, **kwargs):
        super().__init__(**kwargs)
        if blockwise not in BLOCKWISE:
            raise ValueError(f"{type(self).__name__}: blockwise must be 'auto', True or False. Received {blockwise!r}.")
        self.dropout = dropout
        self.blockwise = blockwise
        self.seed = seed
        self.supports_masking = True
        self._dropout_layer = Dropout(dropout, seed=seed, dtype=self.dtype_policy) if dropout else None

    def start(self, memory, rows=None):
        """The state before the first query of a target.

        Args:
            memory: what `prepare` returned.
            rows: rows of queries; as many as the memory has by default.

        Returns:
            Tuple of tensors `(rows, any)`; empty for an attention that treats
            each query alone.
        """
        return ()

    def context_dim(self, query_shape, value_shape, key_shape=None):
        """Width of the context."""
        return value_shape[-1]

    def read_shared(self, query, memory, sharers, state=(), query_mask=None, **arguments):
        """`read`, where several rows of queries may share one row of the memory.

        The hypotheses of a beam search attend to one source: the memory is not
        repeated for them, they ask it together.

        Args:
            query: `(batch * sharers, target, query_dim)`; row
                `item * sharers + i` reads item `item`.
            memory: memory of `batch` rows.
            sharers: rows of queries for each row of the memory, an integer.
            state: what `start` or the last read returned, for
                `batch * sharers` rows; or empty.
            query_mask: bool `(batch * sharers, target)`, of multi-head layers.
            **arguments: arguments of `read`.

        Returns:
            `AttentionRead` of `batch * sharers` rows.

        Raises:
            ValueError: for another number of rows.
        """
        self.check_batch(query.shape[0], memory.value.shape[0], sharers)
        if query_mask is not None:
            arguments["query_mask"] = query_mask
        if sharers > 1 and (state or self.start(memory)):  # each row is at a place of its own
            memory, sharers = repeated(memory, sharers), 1
        if sharers == 1:
            return self.read(query, memory, state, **arguments)
        target = query.shape[1]
        if target is None:
            target, together = size_of(query, 1), (size_of(memory.value, 0), -1)
        else:  # one unknown size costs a graph nothing
            together = (-1, sharers * target)
        if query_mask is not None:
            arguments["query_mask"] = ops.reshape(query_mask, together)
        context, weights, _ = self.read(ops.reshape(query, (*together, query.shape[-1])), memory, (), **arguments)
        context = ops.reshape(context, (-1, target, context.shape[-1]))
        if weights is not None:
            *heads, source = *weights.shape[1:-2], size_of(weights, -1)
            weights = ops.reshape(weights, (-1, *heads, sharers, target, source))
            weights = ops.reshape(ops.moveaxis(weights, -3, 1), (-1, *heads, target, source))
        return AttentionRead(context, weights)

    def check_batch(self, rows, batch, sharers=1):
        """Raises a ValueError unless there are `sharers` rows of queries for each row of the memory."""
        if None in (rows, batch) or rows == 1 or batch * sharers in (1, rows):
            return
        wanted = "the batch of the memory" if sharers == 1 else f"{sharers} times the batch of the memory"
        raise ValueError(
            f"{type(self).__name__}: the batch of the queries must be {wanted}, {batch * sharers}. Received a batch of "
            f"{rows} queries and a memory of {batch}. Repeat the shorter one, or say how many rows read each "
            "row of the memory, as in decode(..., sharers=4) for a beam of four."
        )

    def path(self, target, source, blockwise_from):
        """Whether all weights are computed at once: `"whole"`, `"blocks"`, or `"unknown"` before the graph runs.

        With `blockwise="auto"` a few queries, and any source shorter than
        `blockwise_from`, is computed as a whole.

        Args:
            target: number of queries, or None.
            source: number of keys, or None.
            blockwise_from: from which number of keys on blocks pay.
        """
        if self.blockwise != "auto":
            return "blocks" if self.blockwise else "whole"
        if isinstance(target, int) and target <= FEW:
            return "whole"
        if source is None:
            return "unknown"
        # JAX infers shapes with symbols for lengths that it does not know; they are those of either path.
        return "blocks" if isinstance(source, int) and source >= blockwise_from else "whole"

    def dropped(self, weights):
        """Weights after dropout: `training` is said here, since a layer that is computed again has no context."""
        return weights if self._dropout_layer is None else self._dropout_layer(weights, training=True)

    def dropout_of_blocks(self, training):
        """Fraction and seed of the dropout of a piecewise path."""
        return (self.dropout, self._dropout_layer.seed_generator.next()) if training and self.dropout else (0.0, None)

    def source_mask(self, value, value_mask, key_mask):
        """The two masks that a source may come with, checked and joined: bool `(batch, source)`, or None."""
        for name, mask in (("value_mask", value_mask), ("key_mask", key_mask)):
            check_mask(mask, type(self).__name__, name, "(batch, source)", value.shape[:2])
        return combine_masks(value_mask, key_mask)

    def check_shapes(self, query_shape, value_shape, key_shape):
        """Raises a ValueError unless all are of rank 3 and key and value of one length."""
        for name, shape in (("query", query_shape), ("value", value_shape), ("key", key_shape)):
            if shape is not None and len(shape) != 3:
                raise ValueError(
                    f"{type(self).__name__}: {name} must have 3 dimensions, (batch, length, dim). "
                    f"Received shape {tuple(shape)}."
                    + (f" Write `{name}[:, None, :]` for a single step." if len(shape) == 2 else "")
                )
        if None not in (value_shape, key_shape):
            lengths = value_shape[1], key_shape[1]
            if None not in lengths and lengths[0] != lengths[1]:
                raise ValueError(
                    f"{type(self).__name__}: key and value must have one length. "
                    f"Received key {tuple(key_shape)} and value {tuple(value_shape)}."
                )

    def check_built(self, method):
        """Raises a ValueError if `method` comes before the weights."""
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}: {method}() was called before the layer was built, so the widths are not "
                "known. Call layer.build(query_shape, value_shape) first, or the layer itself once."
            )

    def get_config(self):
        return super().get_config() | {name: serialized(getattr(self, name)) for name in self.config_names}


def repeated(structure, times):
    """Each row several times in a row, in every tensor of a structure: `(batch, ...)` to `(batch * times, ...)`."""

    def rows(tensor):
        return None if tensor is None else ops.repeat(tensor, times, axis=0)

    return tree.map_structure(rows, structure)
