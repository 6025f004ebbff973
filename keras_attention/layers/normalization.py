"""Keras' layer normalisation in half of the operations."""

import keras
from keras import ops


class LayerNormalization(keras.layers.LayerNormalization):
    """`gamma (x - mean) / sqrt(variance + epsilon) + beta` over the last axis, with Keras' weights.

    The statistics are float32 whatever the inputs are.
    """

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        scale = ops.rsqrt(ops.mean(centred * centred, axis=-1, keepdims=True) + self.epsilon)
        outputs = centred * scale * ops.cast(self.gamma, "float32") + ops.cast(self.beta, "float32")
        return ops.cast(outputs, self.compute_dtype)
