"""The chunked form for TensorFlow: a loop with one chunk at a time, and a gradient that makes each chunk again."""

import tensorflow as tf

from keras_attention.layers.collected import collected, one_by_one
from keras_attention.layers.core import attend
from keras_attention.layers.sizes import all_sizes, size_of


class Chunks:
    """The two passes over all chunks of one attention.

    Queries, and the mask where its rows differ, are filled up with zeros to
    whole chunks and kept as `(chunks, batch, chunk, dim)`. The size of a chunk
    may be a tensor: what a graph finds out when it runs, XLA when it compiles.
    """

    def __init__(self, pair, query, mask, dropout, seed, size):
        self.pair = pair
        self.query, self.queries, self.size = query, _split(query, size), size
        self.mask = mask
        self.masks = None if mask is None or mask.shape[1] == 1 else _split(mask, size)
        self.dropout, self.seed = dropout, seed

    def forward(self, prepared, value, parameters):
        """Context and weights of all queries."""

        def part(i):
            return self._part(i, self.queries[i], prepared, value, parameters)

        rows = [size_of(self.query, 0), self.size]
        shapes = [[*rows, value.shape[2]], [*rows, size_of(prepared, 1)]]
        outputs = collected(part, size_of(self.queries, 0), shapes, self.query.dtype)
        return tuple(_join(output, self.query) for output in outputs)

    def backward(self, prepared, value, parameters, upstreams):
        """Gradients of the query, of `prepared`, of the value and of the parameters."""
        upstreams = [_split(upstream, self.size) for upstream in upstreams]

        def part(i, record, *totals):
            sources = [self.queries[i], prepared, value, *parameters]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                outputs = self._part(i, sources[0], prepared, value, parameters)
            upstream = [rows[i] for rows in upstreams]
            first, *others = tape.gradient(list(outputs), sources, upstream, tf.UnconnectedGradients.ZERO)
            return i + 1, record.write(i, first), *(one + other for one, other in zip(totals, others, strict=True))

        count = size_of(self.queries, 0)
        record = tf.TensorArray(self.query.dtype, count, infer_shape=False)
        zeros = [tf.zeros_like(tensor) for tensor in (prepared, value, *parameters)]
        _, record, *others = one_by_one(lambda i, *_: i < count, part, (0, record, *zeros))
        return _join(record.stack(), self.query), *others

    def _part(self, i, query, prepared, value, parameters):
        """Context and weights of one chunk."""
        mask = self.mask if self.masks is None else self.masks[i]

        def drop(weights):
            kept = tf.random.stateless_uniform(tf.shape(weights), tf.cast(self.seed, tf.int32) + tf.stack([i, 0]))
            return tf.where(kept >= self.dropout, weights / (1.0 - self.dropout), tf.zeros((), weights.dtype))

        return attend(self.pair(query, prepared, *parameters), value, mask, drop if self.dropout else None)


def _split(tensor, chunk):
    """`(batch, target, dim)` to `(chunks, batch, chunk, dim)`, filled up with zeros."""
    batch, target, dim = all_sizes(tensor)
    count = -(-target // chunk)
    # An empty list of chunks would not know its shape.
    count = max(count, 1) if isinstance(count, int) else tf.maximum(count, 1)
    padded = tf.pad(tensor, [[0, 0], [0, count * chunk - target], [0, 0]])
    return tf.transpose(tf.reshape(padded, [batch, count, chunk, dim]), [1, 0, 2, 3])


def _join(split, whole):
    """The reverse of `_split`, as long as `whole`."""
    count, batch, chunk, dim = all_sizes(split) if split.shape.rank else tf.unstack(tf.shape(split), num=4)
    joined = tf.reshape(tf.transpose(split, [1, 0, 2, 3]), [batch, count * chunk, dim])
    return joined[:, : size_of(whole, 1)]
