"""Dense layers of Keras, with Keras' weights, applied to all positions as one product of two matrices.

Keras multiplies item by item where the batch is unknown on TensorFlow, sums the
gradients of the kernel over the batch, and spends a dozen operations on
finding out shapes that are mostly known.
"""

import math

import keras
from keras import ops

from keras_attention.layers.layer import Rematerialized
from keras_attention.layers.products import few_positions
from keras_attention.layers.sizes import sizes_of


class PositionsDense(Rematerialized, keras.layers.Dense):
    """`activation(x W + b)` at every position: `(batch, ..., dim)` to `(batch, ..., units)`."""

    def call(self, inputs, training=None):
        outputs = multiply(inputs, self.kernel, self.bias, self.compute_dtype)
        return outputs if self.activation is None else self.activation(outputs)

    def columns(self, ids):
        """`(kernel, bias)` of some of its units, for `multiply`; the bias may be None."""
        return ops.take(self.kernel, ids, axis=1), None if self.bias is None else ops.take(self.bias, ids)

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)  # a quantised layer computes as Keras' does


class HeadsDense(Rematerialized, keras.layers.EinsumDense):
    """A projection to heads, `(batch, length, heads, head_dim)`, or from them."""

    def call(self, inputs, training=None):
        outputs = multiply(inputs, self.kernel, self.bias, self.compute_dtype, input_axes=len(inputs.shape) - 2)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)


def multiply(inputs, kernel, bias, dtype, input_axes=1):
    """The last `input_axes` axes of the inputs with the first of a kernel, plus a bias or None."""
    kernel = ops.cast(kernel, dtype)
    input_dim = math.prod(kernel.shape[:input_axes])
    columns = kernel.shape if None not in kernel.shape else ops.shape(kernel)  # some of a shortlist: as many as it has
    shape = sizes_of(inputs, len(inputs.shape) - input_axes, columns[input_axes:])
    outputs = ops.matmul(_as_rank(inputs, 2, (-1, input_dim)), _as_rank(kernel, 2, (input_dim, -1)))
    if bias is None:
        return ops.reshape(outputs, shape)
    bias = ops.cast(bias, dtype)
    if few_positions(inputs.shape[1:-input_axes]):
        return ops.reshape(outputs, shape) + bias  # the form that TensorFlow fuses is slow to start
    return ops.reshape(ops.add(outputs, _as_rank(bias, 1, (-1,))), shape)  # not `+`: this one TensorFlow fuses


def _as_rank(tensor, rank, shape):
    return tensor if len(tensor.shape) == rank else ops.reshape(tensor, shape)
