"""The score of target attention: a small network over query, key, their difference and their product."""

import keras
from keras import ops

from keras_attention.layers.layer import fresh_initializer
from keras_attention.layers.score import Score, register_score


@register_score("interaction")
class InteractionScore(Score):
    """`MLP([q, k, q - k, q * k]) / sqrt(dim)`: whether a key matters for a query may depend on both at once.

    It is the score of the Deep Interest Network, in which an item that may be
    recommended asks the items of a history. Query and key must have one width.
    Since the first layer is linear in query and key, only their product is
    multiplied for each pair.

    Args:
        units: widths of the two hidden layers.
        activation: activation of the hidden layers.
        initializer: initializer of the weights.

    Raises:
        ValueError: if query and key differ in width.

    Example:

    >>> InteractionScore()(np.ones((1, 3, 5)), np.ones((1, 4, 5))).shape
    TensorShape([1, 3, 4])

    Reference: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate
        Prediction", 4.3; the authors' code, for the difference, the sigmoids
        and the division.
    """

    def __init__(self, units=(80, 40), activation="sigmoid", initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.hidden = tuple(units)
        self.activation = keras.activations.get(activation)
        self.initializer = keras.initializers.get(initializer)

    def build(self, query_shape, key_shape):
        dim, (first, second) = query_shape[-1], self.hidden
        if dim != key_shape[-1]:
            raise ValueError(
                "InteractionScore: query and key must have one width. "
                f"Received query {tuple(query_shape)} and key {tuple(key_shape)}. Project one of them."
            )

        def weight(name, *shape, zeros=False):
            initializer = "zeros" if zeros else fresh_initializer(self.initializer)
            return self.add_weight(shape=shape, initializer=initializer, name=name)

        self.kernels = [weight(f"{part}_kernel", dim, first) for part in ("query", "key", "difference", "product")]
        self.bias = weight("bias", first, zeros=True)
        self.second_kernel, self.second_bias = (
            weight("second_kernel", first, second),
            weight("second_bias", second, zeros=True),
        )
        self.last_kernel = weight("last_kernel", second, 1)
        self.dim = dim

    @property
    def units(self):
        return self.hidden[0] if self.hidden else 1

    def prepare(self, key):
        _, own, difference, _ = self._in(key.dtype, *self.kernels)
        return ops.concatenate([key, ops.matmul(key, own - difference)], axis=-1)

    def prepare_query(self, query):
        own, _, difference, _ = self._in(query.dtype, *self.kernels)
        bias = ops.cast(self.bias, query.dtype)
        return ops.concatenate([query, ops.matmul(query, own + difference) + bias], axis=-1)

    def parameters(self):
        scale = self.dim**-0.5
        weights = (self.kernels[3], self.second_kernel, self.second_bias, self.last_kernel * scale)
        return tuple(self._in(self.compute_dtype, *weights))

    def pair(self, query, prepared, product, second, second_bias, last):
        dim = product.shape[0]
        query, of_query = query[:, :, None, :dim], query[:, :, None, dim:]
        key, of_key = prepared[:, None, :, :dim], prepared[:, None, :, dim:]
        hidden = self.activation(ops.matmul(query * key, product) + of_query + of_key)
        hidden = self.activation(ops.matmul(hidden, second) + second_bias)
        return ops.matmul(hidden, last)[..., 0]

    @staticmethod
    def _in(dtype, *weights):
        return [ops.cast(weight, dtype) for weight in weights]

    def get_config(self):
        return super().get_config() | {
            "units": self.hidden,
            "activation": keras.activations.serialize(self.activation),
            "initializer": keras.initializers.serialize(self.initializer),
        }
