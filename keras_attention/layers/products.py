"""Products and softmax for a few positions a row, in the operations that TensorFlow starts soonest on a CPU.

A step of a decoder is hundreds of small operations. What oneDNN computes takes
microseconds to start, and tens of them where it may use several threads; what
Eigen computes a tenth of that. See docs/decisions/0011.
"""

import math

import keras
from keras import ops

# Up to so many positions an operation is small: its start is what it costs.
FEW = 8


def wide(dtype):
    """What is computed in where the result is `dtype`: float32 for a smaller one, float64 for itself."""
    dtype = keras.backend.standardize_dtype(dtype)
    return dtype if dtype == "float64" else "float32"


def few_positions(axes):
    """Whether the static sizes of some axes make few positions, on the backend where that matters."""
    return keras.backend.backend() == "tensorflow" and None not in axes and math.prod(axes) <= FEW


def product(left, right, transpose=False):
    """`left right`, or with `transpose` `left right^T`, over the last two axes."""
    if few_positions(left.shape[-2:-1]):
        import tensorflow as tf

        if all(tf.is_tensor(tensor) and tensor.dtype == tf.float32 for tensor in (left, right)):  # not symbolic ones
            # Alone of TensorFlow's products this one never becomes oneDNN's.
            return tf.raw_ops.BatchMatMulV3(x=left, y=right, adj_y=transpose, Tout=tf.float32)
    return ops.matmul(left, ops.swapaxes(right, -1, -2) if transpose else right)


def softmax(scores):
    """Softmax over the last axis of `(..., positions, source)`."""
    if few_positions(scores.shape[-2:-1]):
        return ops.exp(ops.log_softmax(scores, axis=-1))
    return ops.softmax(scores, axis=-1)
