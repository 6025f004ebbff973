"""Sizes of tensors in few operations.

What a graph of TensorFlow does not know it computes, and whoever traces, loads
or optimises the graph pays for every operation of that. Keras asks for all
unknown sizes of a tensor, four operations each, where one is wanted.
"""

import keras
from keras import ops


def size_of(tensor, axis):
    """The size of an axis: an integer, or a scalar tensor where a graph does not know it."""
    known = tensor.shape[axis]
    if known is None and _is_of_tensorflow(tensor):
        import tensorflow as tf

        return tf.shape(tensor)[axis]
    return ops.shape(tensor)[axis] if known is None else known


def all_sizes(tensor):
    """The sizes of a tensor of TensorFlow: integers, or scalar tensors where a graph does not know them."""
    import tensorflow as tf

    dynamic = tf.unstack(tf.shape(tensor), num=len(tensor.shape))
    return [size if known is None else known for known, size in zip(tensor.shape, dynamic, strict=True)]


def sizes_of(tensor, count, more):
    """The shape of a tensor's first `count` axes and `more` behind them, for `ops.reshape`.

    One size that a graph does not know is -1, which costs nothing.
    """
    known = tuple(tensor.shape[:count])
    if sum(each is None for each in known) <= 1 and 0 not in known:
        return *(-1 if each is None else each for each in known), *more
    if None in known and _is_of_tensorflow(tensor):
        import tensorflow as tf

        return tf.concat([tf.shape(tensor)[:count], more], axis=0)
    return *ops.shape(tensor)[:count], *more


def _is_of_tensorflow(tensor):
    """Whether it is a tensor of TensorFlow, and no symbol of Keras."""
    return keras.backend.backend() == "tensorflow" and not keras.utils.is_keras_tensor(tensor)
