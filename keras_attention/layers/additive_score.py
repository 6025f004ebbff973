"""The additive score, `v tanh(W q + U k)`, and its backward pass."""

import math

import keras
from keras import ops

from keras_attention.layers.layer import fresh_initializer
from keras_attention.layers.products import wide
from keras_attention.layers.score import Score, projection, register_score


@register_score("additive")
class AdditiveScore(Score):
    """`v . tanh(W q + U k)`, for a query and a key of any widths.

    Luong's "concat", `v . tanh(W [q; k])`, is this function with its kernel
    cut in two, and `"concat"` is accepted as its name. Unlike
    `keras.layers.AdditiveAttention`, which is `v . tanh(q + k)`, it has the
    projections `W` and `U` of the paper. With `normed=True` it is
    `g v/|v| . tanh(W q + U k + b)`, the "normed Bahdanau" score.

    Args:
        units: width in which query and key are added. Defaults to the key's.
        normed: normalise `v`, and learn its length `g`, which starts at
            `sqrt(1 / units)`, and a bias `b`, which starts at zero.
        initializer: initializer of `W`, `U` and `v`.

    Example:

    >>> AdditiveScore(units=6)(np.ones((1, 3, 5)), np.ones((1, 4, 7))).shape
    TensorShape([1, 3, 4])

    Reference: Bahdanau et al. 2015, "Neural Machine Translation by Jointly
        Learning to Align and Translate", A.1.2; Luong et al. 2015, eq. 8;
        Salimans and Kingma 2016, "Weight Normalization", eq. 2.
    """

    def __init__(self, units=None, normed=False, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if units is not None and units < 1:
            raise ValueError(f"AdditiveScore: units must be at least 1. Received units={units}.")
        self.given_units = units
        self.normed = normed
        self.initializer = keras.initializers.get(initializer)

    @property
    def units(self):
        return self.v.shape[0] if self.built else self.given_units

    def build(self, query_shape, key_shape):
        units = self.given_units or key_shape[-1]
        self.query_projection = projection(self, "query_projection", units, query_shape)
        self.key_projection = projection(self, "key_projection", units, key_shape)
        self.v = self.add_weight(name="v", shape=(units, 1), initializer=fresh_initializer(self.initializer))
        if self.normed:
            self.g = self.add_weight(
                name="g", shape=(), initializer=keras.initializers.Constant(math.sqrt(1.0 / units))
            )
            self.b = self.add_weight(name="b", shape=(units,), initializer="zeros")

    def prepare(self, key):
        projected = self.key_projection(key)
        return projected + ops.cast(self.b, projected.dtype) if self.normed else projected

    def prepare_query(self, query):
        return self.query_projection(query)

    def parameters(self):
        return (ops.cast(self.direction(), self.compute_dtype),)

    @staticmethod
    def pair(query, prepared, direction):
        return _additive(query, prepared, direction)

    def direction(self):
        """`v`, or its normed form `g v/|v|`, in float32 or float64: `(units, 1)`."""
        dtype = wide(self.compute_dtype)
        v = ops.cast(self.v, dtype)
        if not self.normed:
            return v
        return ops.cast(self.g, dtype) * v / ops.sqrt(ops.sum(ops.square(v)))

    def get_config(self):
        return super().get_config() | {
            "units": self.given_units,
            "normed": self.normed,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@ops.custom_gradient
def _additive(query, prepared, direction):
    """`tanh(query + prepared) . direction` for all pairs, with a gradient that makes few passes over them."""
    pairs = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(prepared, 1))  # batch, target, source, units
    flat = ops.reshape(pairs, (-1, pairs.shape[-1]))  # one product of matrices, not one a query
    scores = ops.reshape(ops.matmul(flat, direction), ops.shape(pairs)[:-1])

    def gradient(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        slopes = (1.0 - pairs * pairs) * upstream[..., None]  # all but the direction, which the small sums below get
        along = ops.swapaxes(direction, 0, 1)
        return (
            _of_one_row(ops.sum(slopes, axis=2) * along, query),
            _of_one_row(ops.sum(slopes, axis=1) * along, prepared),
            ops.matmul(ops.swapaxes(flat, 0, 1), ops.reshape(upstream, (-1, 1))),
        )

    return scores, gradient


def _of_one_row(gradient, tensor):
    """The gradient of a tensor, summed over the rows that a single one stood for."""
    return ops.sum(gradient, axis=0, keepdims=True) if tensor.shape[0] == 1 else gradient
