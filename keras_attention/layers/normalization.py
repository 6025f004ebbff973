"""Keras' layer normalisation in half of the operations."""

import keras
from keras import ops

from keras_attention.layers.products import wide


@keras.saving.register_keras_serializable(package="keras_attention")
class LayerNormalization(keras.layers.LayerNormalization):
    """`gamma (x - mean) / sqrt(variance + epsilon) + beta`, with Keras' arguments and weights.

    Statistics are float64 for float64, and float32 for all other dtypes.
    Unlike Keras' it takes any axes on torch too.

    Args: the same as those of `keras.layers.LayerNormalization`.
    """

    def call(self, inputs):
        if self.rms_scaling:
            return super().call(inputs)
        dtype = "float64" if "float64" in (wide(inputs.dtype), self.compute_dtype) else "float32"
        x = ops.cast(inputs, dtype)
        axes = tuple(axis % len(inputs.shape) for axis in self.axis)
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        outputs = centred * ops.rsqrt(ops.mean(centred * centred, axis=axes, keepdims=True) + self.epsilon)
        if self.gamma is not None:
            outputs = outputs * self._aligned(self.gamma, inputs, axes, dtype)
        if self.beta is not None:
            outputs = outputs + self._aligned(self.beta, inputs, axes, dtype)
        return ops.cast(outputs, self.compute_dtype)

    def _aligned(self, weight, inputs, axes, dtype):
        """A weight of some axes, broadcastable to all axes."""
        weight = ops.cast(weight, dtype)
        if axes == tuple(range(len(inputs.shape) - len(axes), len(inputs.shape))):
            return weight
        return ops.reshape(weight, [inputs.shape[axis] if axis in axes else 1 for axis in range(len(inputs.shape))])
