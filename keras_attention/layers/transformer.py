"""Transformer blocks: a residual wrapper, a feed-forward network, and their assembly."""

import keras

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.multi_head import MultiHeadAttention
from keras_attention.layers.normalization import LayerNormalization
from keras_attention.layers.self_attention import MultiHeadSelfAttention

ACTIVATIONS = ("relu", "gelu", "swiglu")
NORMS = ("pre", "post")


@keras.saving.register_keras_serializable(package="keras_attention")
class Residual(keras.layers.Layer):
    """`x + dropout(f(norm(x)))`, or `norm(x + dropout(f(x)))`: the one wrapper of a sublayer.

    Args:
        norm: `"pre"`: the first form, which needs one more norm after the last
            block; `"post"`: the second, the paper's.
        dropout: fraction dropped of the sublayer's output in training.
        epsilon: of the layer normalisation.
        seed: of the dropout.

    Call args:
        inputs: any shape.
        sublayer: a function of one tensor.

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
        self._dropout = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        self.normalization.build(inputs_shape)

    def call(self, inputs, sublayer, training=False):
        if self.norm == "pre":
            return inputs + self._dropout(sublayer(self.normalization(inputs)), training=training)
        return self.normalization(inputs + self._dropout(sublayer(inputs), training=training))

    def get_config(self):
        return super().get_config() | {
            "norm": self.norm,
            "dropout": self.dropout,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class FeedForward(keras.layers.Layer):
    """`W2 act(W1 x + b1) + b2` at every position, or `W2 (swish(W1 x) * V x)`.

    Args:
        units: width of the hidden layer.
        activation: `"relu"`, `"gelu"` or `"swiglu"`, which has a third matrix
            and no biases.
        dropout: fraction dropped of the hidden layer in training.

    Call args:
        inputs: `(batch, length, dim)`.

    Returns:
        `(batch, length, dim)`.

    Example:

    >>> FeedForward(16, "swiglu")(np.ones((2, 3, 5))).shape
    TensorShape([2, 3, 5])

    Reference: Vaswani et al. 2017, eq. 2; Shazeer 2020, "GLU Variants Improve
        Transformer", for SwiGLU.
    """

    def __init__(self, units, activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            known = ", ".join(map(repr, ACTIVATIONS))
            raise ValueError(f"FeedForward: activation must be one of {known}. Received {activation!r}.")
        self.units = units
        self.activation = activation
        self.dropout = dropout
        self.supports_masking = True
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        gated = self.activation == "swiglu"

        def dense(units, input_dim, activation, name):
            layer = PositionsDense(units, activation, use_bias=not gated, dtype=self.dtype_policy, name=name)
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

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "activation": self.activation,
            "dropout": self.dropout,
        }


class _Block(keras.layers.Layer):
    """What the two blocks share: their arguments and their self-attention."""

    def __init__(
        self,
        num_heads,
        units,
        key_dim=None,
        norm="pre",
        activation="relu",
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        attention_options=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.units = units
        self.key_dim = key_dim
        self.norm = norm
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.attention_options = dict(attention_options or {})
        self.supports_masking = True
        self.feed_forward = FeedForward(
            units, activation, activation_dropout, dtype=self.dtype_policy, name="feed_forward"
        )
        self.feed_forward_residual = self._residual("feed_forward_residual")
        self.self_residual = self._residual("self_residual")

    def _residual(self, name):
        return Residual(self.norm, self.dropout, dtype=self.dtype_policy, name=name)

    def _attention(self, attention_class, dim, name, options):
        if self.key_dim is None and dim % self.num_heads:
            raise ValueError(
                f"{type(self).__name__}: num_heads must divide the width of the inputs, or key_dim be given. Received "
                f"num_heads={self.num_heads} for inputs of width {dim}."
            )
        return attention_class(
            self.num_heads,
            self.key_dim or dim // self.num_heads,
            dropout=self.attention_dropout,
            dtype=self.dtype_policy,
            name=name,
            **options,
        )

    def _build_shared(self, inputs_shape):
        if len(inputs_shape) != 3:
            raise ValueError(
                f"{type(self).__name__}: inputs must be (batch, length, dim). Received shape {tuple(inputs_shape)}."
            )
        self.self_attention = self._attention(
            MultiHeadSelfAttention, inputs_shape[-1], "self_attention", self.attention_options
        )
        self.self_attention.build(inputs_shape)
        for layer in (self.feed_forward, self.feed_forward_residual, self.self_residual):
            layer.build(inputs_shape)

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "units": self.units,
            "key_dim": self.key_dim,
            "norm": self.norm,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation_dropout": self.activation_dropout,
            "attention_options": self.attention_options,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class EncoderBlock(_Block):
    """Self-attention, then a feed-forward network, each with a residual connection.

    Args:
        num_heads: attention heads.
        units: width of the feed-forward network's hidden layer.
        key_dim: width of a head. Defaults to the inputs' width by heads.
        norm: `"pre"` or `"post"`; see `Residual`. After the last block of a
            `"pre"` stack add a `LayerNormalization`.
        activation: `"relu"`, `"gelu"` or `"swiglu"`; see `FeedForward`.
        dropout: fraction dropped of each sublayer's output, in training.
        attention_dropout: fraction of the attention weights dropped.
        activation_dropout: fraction dropped of the feed-forward network's
            hidden layer.
        attention_options: further arguments of `MultiHeadSelfAttention`, such
            as `{"positions": "rotary", "kv_heads": 2}`.

    Call args:
        inputs: `(batch, length, dim)`.
        mask: bool `(batch, length)`. Keras' implicit mask arrives here.
        use_causal_mask: let a position see itself and those before.
        training: whether to drop.

    Returns:
        `(batch, length, dim)`. The mask passes through.

    Example:

    >>> EncoderBlock(num_heads=2, units=16)(np.ones((2, 3, 4))).shape
    TensorShape([2, 3, 4])

    Reference: Vaswani et al. 2017, 3.1.
    """

    def build(self, inputs_shape):
        self._build_shared(inputs_shape)

    def call(self, inputs, mask=None, use_causal_mask=False, training=False):
        def attend(tensor):
            return self.self_attention(tensor, mask=mask, use_causal_mask=use_causal_mask, training=training)

        outputs = self.self_residual(inputs, sublayer=attend, training=training)
        return self.feed_forward_residual(
            outputs, sublayer=lambda tensor: self.feed_forward(tensor, training=training), training=training
        )

    def compute_output_shape(self, inputs_shape):
        return inputs_shape


@keras.saving.register_keras_serializable(package="keras_attention")
class DecoderBlock(_Block):
    """Causal self-attention, attention to a memory, then a feed-forward network.

    `prepare` makes the memory of a source, once; `allocate` an empty cache.
    Called with a cache the block consumes more of the target; any cut of a
    target into calls gives what one call gives.

    Args: those of `EncoderBlock`; `attention_options` are for both attentions,
        positions and a window for the self-attention only.

    Call args:
        inputs: `(batch, target, dim)`.
        value: what is attended to, `(batch, source, value_dim)`.
        mask: bool `(batch, target)`. Keras' implicit mask of the inputs arrives
            as `inputs_mask`.
        value_mask: bool `(batch, source)`. Keras' implicit mask arrives here.
        training: whether to drop.

    Returns:
        `(batch, target, dim)`. The mask of the inputs passes through.

    Example:

    >>> DecoderBlock(num_heads=2, units=16)(np.ones((2, 3, 4)), np.ones((2, 7, 6))).shape
    TensorShape([2, 3, 4])

    Reference: Vaswani et al. 2017, 3.1.
    """

    def __init__(self, num_heads, units, **kwargs):
        super().__init__(num_heads, units, **kwargs)
        self.cross_residual = self._residual("cross_residual")

    def build(self, inputs_shape, value_shape):
        self._build_shared(inputs_shape)
        own = ("positions", "sliding_window")  # between languages a distance means nothing
        options = {name: option for name, option in self.attention_options.items() if name not in own}
        self.cross_attention = self._attention(MultiHeadAttention, inputs_shape[-1], "cross_attention", options)
        self.cross_attention.build(inputs_shape, value_shape)
        self.cross_residual.build(inputs_shape)

    def prepare(self, value, value_mask=None):
        """The memory of a source, for any number of calls of `extend`."""
        return self.cross_attention.prepare(value, value_mask=value_mask)

    def allocate(self, batch, max_length=None):
        """An empty cache for `extend`; see `MultiHeadSelfAttention.allocate`."""
        return self.self_attention.allocate(batch, max_length)

    def extend(self, inputs, memory, cache, mask=None, training=False, return_attention_scores=True, sharers=1):
        """Consumes more of a target.

        Args:
            inputs: the next positions, `(rows, target, dim)`.
            memory: what `prepare` returned.
            cache: from `allocate`, or from the last call.
            mask: bool `(rows, target)`.
            training: whether to drop.
            return_attention_scores: whether to compute the weights.
            sharers: rows for each row of the memory; see `read_shared`.

        Returns:
            `(outputs, weights, cache)`; the weights are those of the source,
            `(rows, heads, target, source)`, or None.
        """
        carried = {}

        def attend_to_itself(tensor):
            output, carried["cache"] = self.self_attention.extend(
                tensor, cache, mask=mask, return_attention_scores=False, training=training
            )
            return output.context

        def attend_to_memory(tensor):
            context, carried["weights"] = self.cross_attention.read_shared(
                tensor,
                memory,
                sharers,
                query_mask=mask,
                return_attention_scores=return_attention_scores,
                training=training,
            )
            return context

        outputs = self._sublayers(inputs, attend_to_itself, attend_to_memory, training)
        return outputs, carried["weights"], carried["cache"]

    def call(self, inputs, value, mask=None, inputs_mask=None, value_mask=None, training=False):
        mask = inputs_mask if mask is None else mask

        def attend_to_itself(tensor):
            return self.self_attention(tensor, mask=mask, use_causal_mask=True, training=training)

        def attend_to_value(tensor):
            return self.cross_attention(tensor, value, query_mask=mask, value_mask=value_mask, training=training)

        return self._sublayers(inputs, attend_to_itself, attend_to_value, training)

    def _sublayers(self, inputs, attend_to_itself, attend_to_source, training):
        outputs = self.self_residual(inputs, sublayer=attend_to_itself, training=training)
        outputs = self.cross_residual(outputs, sublayer=attend_to_source, training=training)
        return self.feed_forward_residual(
            outputs, sublayer=lambda tensor: self.feed_forward(tensor, training=training), training=training
        )

    def compute_output_shape(self, inputs_shape, value_shape):
        return inputs_shape

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask
