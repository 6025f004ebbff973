"""The blockwise form for TensorFlow: nested loops and a gradient written out.

Unrolled code is not bounded in memory there, since the executor runs blocks
breadth first; a `tf.while_loop` with one iteration at a time is.
"""

import tensorflow as tf

from keras_attention.layers.collected import collected, one_by_one
from keras_attention.layers.core import MASKED_SCORE
from keras_attention.layers.sizes import all_sizes, size_of


def sizes_of_blocks(query, key, whole_below, block):
    """How many queries, and how many keys, are in a block: all, for a source of fewer keys than `whole_below`."""
    lengths = [size_of(tensor, 2) for tensor in (query, key)]
    if isinstance(lengths[1], int):
        whole = lengths[1] < whole_below
        return [
            (max(length, 1) if isinstance(length, int) else tf.maximum(length, 1)) if whole else block
            for length in lengths
        ]
    return [tf.where(lengths[1] < whole_below, tf.maximum(length, 1), block) for length in lengths]


class Blocks:
    """The two passes over all blocks of one attention.

    Queries and keys are padded to whole blocks and kept as
    `(blocks, batch, heads, block, dim)`; keys beyond the source are masked. The
    sizes may be tensors: what a graph finds out when it runs, XLA when it
    compiles. A source in one block is attention as a whole.
    """

    def __init__(self, query, key, key_mask, attention_mask, pattern, dropout, seed, rows, columns):
        self.target, self.source = size_of(query, 2), size_of(key, 2)
        self.rows, self.columns = rows, columns
        self.row_blocks, self.column_blocks = -(-self.target // rows), -(-self.source // columns)
        self.pattern = pattern
        self.dropout, self.seed = dropout, seed
        self.key_mask = None
        if key_mask is not None:
            padded = tf.pad(key_mask, [[0, 0], [0, self.column_blocks * columns - self.source]])
            self.key_mask = tf.transpose(
                tf.reshape(padded, [tf.shape(padded)[0], self.column_blocks, columns]), [1, 0, 2]
            )
        self.attention_mask = attention_mask
        if attention_mask is not None:
            whole = tf.concat([tf.shape(attention_mask)[:2], [self.target, self.source]], axis=0)
            missing = [self.row_blocks * rows - self.target, self.column_blocks * columns - self.source]
            self.attention_mask = tf.pad(
                tf.broadcast_to(attention_mask, whole), [[0, 0], [0, 0], [0, missing[0]], [0, missing[1]]]
            )

    def forward(self, query, key, value):
        """The context, and for each query the logarithm of its sum of exponentials."""
        queries, keys, values = self._split(query, self.rows), *(self._split(x, self.columns) for x in (key, value))
        dtype, row_sizes = query.dtype, all_sizes(queries)[1:4]
        shapes = [[*row_sizes, value.shape[-1]], [*row_sizes, 1], [*row_sizes, 1]]
        known = [tf.TensorShape([size if isinstance(size, int) else None for size in shape]) for shape in shapes]

        def row(i):
            query_i = queries[i]

            def column(j, context, highest, total):
                scores = self._scores(query_i, keys[j], i, j)
                new_highest = tf.maximum(highest, tf.reduce_max(scores, axis=-1, keepdims=True))
                weights = self._hide(tf.exp(scores - new_highest), i, j)
                correction = tf.exp(highest - new_highest)
                total = total * correction + tf.reduce_sum(weights, axis=-1, keepdims=True)
                context = context * correction + tf.matmul(self._drop(weights, i, j), values[j])
                return j + 1, context, new_highest, total

            first, last = self._columns_of(i)
            first_values = (0.0, MASKED_SCORE, 0.0)
            start = [tf.fill(shape, tf.constant(x, dtype)) for shape, x in zip(shapes, first_values, strict=True)]
            _, context, highest, total = one_by_one(
                lambda j, *_: j < last, column, (first, *start), (tf.TensorShape([]), *known)
            )
            normalizer = highest + tf.math.log(tf.where(total > 0, total, tf.ones_like(total)))
            return tf.math.divide_no_nan(context, total), normalizer

        contexts, normalizers = collected(row, size_of(queries, 0), shapes[:2], dtype)
        return self._join(contexts, self.target, query.shape), self._join(normalizers, self.target, query.shape)

    def backward(self, query, key, value, context, normalizer, upstream):
        """Gradients of query, key and value; each block's weights are computed again."""
        # The gradient of a score is weight * (gradient of the weight - the row's mean of it); the mean is this product.
        mean = tf.reduce_sum(upstream * context, axis=-1, keepdims=True)
        queries, upstreams, means, normalizers = (
            self._split(x, self.rows) for x in (query, upstream, mean, normalizer)
        )
        keys, values = (self._split(x, self.columns) for x in (key, value))

        def column(j, query_gradients, key_gradients, value_gradients):
            key_j, value_j = keys[j], values[j]

            def row(i, query_gradients, key_gradient, value_gradient):
                query_i, upstream_i = queries[i], upstreams[i]
                scores = self._scores(query_i, key_j, i, j)
                weights = self._hide(tf.exp(scores - normalizers[i]), i, j)
                value_gradient += tf.matmul(self._drop(weights, i, j), upstream_i, transpose_a=True)
                weight_gradient = self._drop(tf.matmul(upstream_i, value_j, transpose_b=True), i, j)
                score_gradient = weights * (weight_gradient - means[i])
                query_gradient = tf.matmul(score_gradient, key_j)
                query_gradients = query_gradients.write(i, query_gradients.read(i) + query_gradient)
                key_gradient += tf.matmul(score_gradient, query_i, transpose_a=True)
                return i + 1, query_gradients, key_gradient, value_gradient

            first, last = self._rows_of(j)
            start = (first, query_gradients, tf.zeros_like(key_j), tf.zeros_like(value_j))
            _, query_gradients, key_gradient, value_gradient = one_by_one(lambda i, *_: i < last, row, start)
            return (
                j + 1,
                query_gradients,
                key_gradients.write(j, key_gradient),
                value_gradients.write(j, value_gradient),
            )

        query_gradients = self._records(self.row_blocks, queries).unstack(tf.zeros_like(queries))
        records = [self._records(self.column_blocks, x) for x in (keys, values)]
        _, query_gradients, key_gradients, value_gradients = one_by_one(
            lambda j, *_: j < self.column_blocks, column, (0, query_gradients, *records)
        )
        return (
            self._join(query_gradients.stack(), self.target, query.shape),
            self._join(key_gradients.stack(), self.source, key.shape),
            self._join(value_gradients.stack(), self.source, value.shape),
        )

    def _scores(self, query, key, i, j):
        """Scores of one block, hidden ones at the bottom."""
        scores = tf.matmul(query, key, transpose_b=True)
        rows, columns = self._indices(i, self.rows), self._indices(j, self.columns)
        bias = self.pattern.bias(rows, columns)
        if bias is not None:
            scores += tf.cast(bias, scores.dtype)
        return self._where(scores, tf.constant(MASKED_SCORE, scores.dtype), i, j)

    def _hide(self, weights, i, j):
        """Weights, with exact zeros where nothing may be seen: a dead row would be uniform."""
        return self._where(weights, tf.zeros((), weights.dtype), i, j)

    def _where(self, tensor, filler, i, j):
        if self._always_masked():
            return tf.where(self._mask(i, j), tensor, filler)
        return tf.cond(self._is_cut(i, j), lambda: tf.where(self._mask(i, j), tensor, filler), lambda: tensor)

    def _always_masked(self):
        return self.key_mask is not None or self.attention_mask is not None or self.pattern.places is not None

    @property
    def _window_is_of_positions(self):
        """Whether a window says which blocks are out of sight; distances in tokens are not known before."""
        return self.pattern.window is not None and self.pattern.places is None

    def _is_cut(self, i, j):
        """Whether the pattern or the end of the source cuts through a block."""
        cut = (j + 1) * self.columns > self.source
        nearest = self.pattern.offset + i * self.rows - ((j + 1) * self.columns - 1)  # smallest distance in the block
        farthest = self.pattern.offset + (i + 1) * self.rows - 1 - j * self.columns  # largest
        if self.pattern.causal:
            cut |= nearest < 0
        if self.pattern.window is not None:
            cut |= (farthest >= self.pattern.window) | (nearest <= -self.pattern.window)
        return cut

    def _mask(self, i, j):
        """What of one block may be seen: bool, broadcastable to its scores."""
        rows, columns = self._indices(i, self.rows), self._indices(j, self.columns)
        mask = (columns < self.source)[None, None, None]
        visible = self.pattern.mask(rows, columns)
        mask = mask if visible is None else mask & visible
        if self.key_mask is not None:
            mask &= self.key_mask[j][:, None, None, :]
        if self.attention_mask is not None:
            sizes = tf.concat([tf.shape(self.attention_mask)[:2], [self.rows, self.columns]], axis=0)
            mask &= tf.slice(self.attention_mask, [0, 0, i * self.rows, j * self.columns], sizes)
        return mask

    def _drop(self, tensor, i, j):
        """Dropout of one block: the same of weights and of their gradient, forward and backward."""
        if not self.dropout:
            return tensor
        seed = tf.cast(self.seed, tf.int32) + tf.stack([i * self.column_blocks + j, 0])
        kept = tf.random.stateless_uniform(tf.shape(tensor), seed) >= self.dropout
        return tf.where(kept, tensor / (1.0 - self.dropout), tf.zeros((), tensor.dtype))

    def _columns_of(self, i):
        """The blocks of keys, first and one past the last, that a block of queries can see."""
        first, last = 0, self.column_blocks
        lowest = self.pattern.offset + i * self.rows
        highest = lowest + self.rows - 1
        if self.pattern.causal:
            last = tf.minimum(last, highest // self.columns + 1)
        if self._window_is_of_positions:
            first = tf.maximum(first, (lowest - self.pattern.window + 1) // self.columns)
            last = tf.minimum(last, (highest + self.pattern.window - 1) // self.columns + 1)
        return first, last

    def _rows_of(self, j):
        """The blocks of queries, first and one past the last, that can see a block of keys."""
        first, last = 0, self.row_blocks
        lowest = j * self.columns - self.pattern.offset
        highest = lowest + self.columns - 1
        if self.pattern.causal:
            first = tf.maximum(first, lowest // self.rows)
        if self._window_is_of_positions:
            first = tf.maximum(first, (lowest - self.pattern.window + 1) // self.rows)
            last = tf.minimum(last, (highest + self.pattern.window - 1) // self.rows + 1)
        return first, last

    def _indices(self, number, size):
        return number * size + tf.range(size)

    def _split(self, tensor, size):
        """`(batch, heads, length, dim)` to `(blocks, batch, heads, block, dim)`, filled up with zeros."""
        batch, heads, length, dim = all_sizes(tensor)
        count = -(-length // size)
        padded = tf.pad(tensor, [[0, 0], [0, 0], [0, count * size - length], [0, 0]])
        return tf.transpose(tf.reshape(padded, [batch, heads, count, size, dim]), [2, 0, 1, 3, 4])

    def _join(self, split, length, shape):
        """The reverse of `_split`, with the static shape of what it was split from."""
        count, batch, heads, block, dim = all_sizes(split)
        joined = tf.reshape(tf.transpose(split, [1, 2, 0, 3, 4]), [batch, heads, count * block, dim])[:, :, :length]
        joined.set_shape([*shape[:3], split.shape[4]])
        return joined

    def _records(self, count, blocks):
        """Room for as many blocks: of a size that XLA knows when it compiles, which a growing one is not."""
        return tf.TensorArray(blocks.dtype, size=count, element_shape=blocks.shape[1:])
