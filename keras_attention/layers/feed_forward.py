"""The parts of a Transformer block beside attention: a feed-forward network, and the residual wrapper."""

import keras

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Dropout, InitializedLayer, Layer, quantize_parts
from keras_attention.layers.normalization import LayerNormalization

NORMS = ("pre", "post")


@keras.saving.register_keras_serializable(package="keras_attention")
class Residual(Layer):
    """`x + dropout(f(norm(x)))`, or `norm(x + dropout(f(x)))`: the one wrapper of a sublayer.

    `after(inputs, f(before(inputs)))` is the same in two parts, for a sublayer
    that returns more than one tensor.

    Args:
        norm: `"pre"`: the first form, which needs one more norm after the last
            block; `"post"`: the second, the paper's.
        dropout: fraction dropped of the sublayer's output in training.
        epsilon: epsilon of the layer normalisation.
        seed: random seed of the dropout.

    Call args:
        inputs: any shape.
        sublayer: a function of one tensor.
        training: whether to drop.

    Returns:
        Shaped like `inputs`.

    Reference: Vaswani et al. 2017, 3.1, for `"post"`; Xiong et al. 2020, "On
        Layer Normalization in the Transformer Architecture", for `"pre"`.
    """

    def __init__(self, norm="pre", dropout=0.0, epsilon=1e-6, seed=None, **kwargs):
        super().__init__(**kwargs)
        if norm not in NORMS:
            raise ValueError(f"{type(self).__name__}: norm must be 'pre' or 'post'. Received {norm!r}.")
        self.norm = norm
        self.dropout = dropout
        self.epsilon = epsilon
        self.seed = seed
        self.supports_masking = True
        self.normalization = LayerNormalization(epsilon=epsilon, dtype=self.dtype_policy)
        self._dropout = Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        self.normalization.build(inputs_shape)

    def before(self, inputs):
        """What the sublayer reads: the inputs, normalised with `norm="pre"`."""
        return self.normalization(inputs) if self.norm == "pre" else inputs

    def after(self, inputs, outputs, training=False):
        """The inputs and the sublayer's outputs, summed, and normalised with `norm="post"`."""
        outputs = inputs + self._dropout(outputs, training=training)
        return self.normalization(outputs) if self.norm == "post" else outputs

    def call(self, inputs, sublayer, training=False):
        return self.after(inputs, sublayer(self.before(inputs)), training=training)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return super().get_config() | {
            "norm": self.norm,
            "dropout": self.dropout,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class FeedForward(InitializedLayer):
    """`W2 act(W1 x + b1) + b2` at every position, or `W2 (swish(W1 x) * V x)`.

    Args:
        units: width of the hidden layer.
        activation: name or function of a Keras activation, or `"swiglu"`,
            which has a third matrix and no biases.
        dropout: fraction dropped of the hidden layer in training.
        kernel_initializer, bias_initializer: initializers of the matrices and their biases.
        seed: random seed of the dropout.

    Call args:
        inputs: `(batch, length, dim)`.
        training: whether to drop.

    Returns:
        `(batch, length, dim)`.

    Raises:
        ValueError: for an activation that Keras does not know.

    Example:

    >>> FeedForward(16, "swiglu")(np.ones((2, 3, 5))).shape
    TensorShape([2, 3, 5])

    Reference: Vaswani et al. 2017, eq. 2; Shazeer 2020, "GLU Variants Improve
        Transformer", for SwiGLU.
    """

    def __init__(
        self,
        units,
        activation="relu",
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        super().__init__(kernel_initializer, bias_initializer, **kwargs)
        self.units = units
        self.activation = get_activation("FeedForward", activation)
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self._dropout = Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        gated = self.activation == "swiglu"

        def dense(units, input_dim, activation, name):
            layer = PositionsDense(
                units,
                activation,
                use_bias=not gated,
                dtype=self.dtype_policy,
                name=name,
                **self.fresh_initializers(),
            )
            layer.build((None, input_dim))
            return layer

        dim = inputs_shape[-1]
        self.hidden = dense(self.units, dim, "silu" if gated else self.activation, "hidden")
        self.gate = dense(self.units, dim, None, "gate") if gated else None
        self.output_projection = dense(dim, self.units, None, "output")

    def call(self, inputs, training=False):
        hidden = self.hidden(inputs)
        if self.gate is not None:
            hidden = hidden * self.gate(inputs)
        return self.output_projection(self._dropout(hidden, training=training))

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantizes the matrices, as `model.quantize` does."""
        quantize_parts(self, mode, config)

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "activation": serialize_activation(self.activation),
            "dropout": self.dropout,
            "seed": self.seed,
        }


def get_activation(owner, activation):
    """`"swiglu"`, or the function of a Keras activation."""
    if activation == "swiglu":
        return activation
    try:
        return keras.activations.get(activation)
    except ValueError:
        raise ValueError(
            f"{owner}: activation must be 'swiglu', or the name of a Keras activation, or a function. Received "
            f"{activation!r}."
        ) from None


def serialize_activation(activation):
    """What `get_activation` makes the same activation of, in a config."""
    return activation if activation == "swiglu" else keras.activations.serialize(activation)
