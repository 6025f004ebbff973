"""A TensorFlow loop over parts of a known number, whose results are stacked.

One part at a time, which is what bounds the memory of the piecewise paths. XLA
needs to know the number and the shapes when it compiles, so nothing grows.
LiteRT has no lists of tensors whose shape it does not know, so where a shape is
not known the stack itself goes through the loop.
"""

import tensorflow as tf


def collected(part, count, shapes, dtype):
    """Stacks `part(i)` for `i` below `count`.

    Args:
        part: a function of an integer tensor to a list of tensors.
        count: number of parts, an integer or a scalar tensor.
        shapes: shapes of each of the results: lists of integers and scalar tensors.
        dtype: dtype of the results.

    Returns:
        A list of tensors `(count, ...)`.
    """
    if all(isinstance(size, int) for size in (count, *(size for shape in shapes for size in shape))):
        records = [tf.TensorArray(dtype, count, element_shape=shape) for shape in shapes]
        records = _run(part, count, records, lambda record, i, result: record.write(i, result), None)
        return [record.stack() for record in records]
    stacks = [tf.zeros(tf.stack([count, *shape]), dtype) for shape in shapes]
    known = [tf.TensorShape([None, *(size if isinstance(size, int) else None for size in shape)]) for shape in shapes]
    return _run(part, count, stacks, _written, known)


def one_by_one(condition, body, start, shapes=None):
    """A `tf.while_loop` of one iteration at a time."""
    return tf.while_loop(condition, body, start, shape_invariants=shapes, parallel_iterations=1)


def _run(part, count, stacks, write, known):
    def body(i, stacks):
        return i + 1, [write(stack, i, result) for stack, result in zip(stacks, part(i), strict=True)]

    shapes = None if known is None else (tf.TensorShape([]), known)
    return one_by_one(lambda i, _: i < count, body, (0, stacks), shapes)[1]


def _written(stack, i, result):
    return tf.tensor_scatter_nd_update(stack, [[i]], result[None])
