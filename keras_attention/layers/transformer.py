"""Transformer blocks: attention and a feed-forward network, each with a residual connection."""

import inspect

import keras

from keras_attention.layers.feed_forward import FeedForward, Residual, get_activation, serialize_activation
from keras_attention.layers.layer import InitializedLayer, derived_seed, quantize_parts
from keras_attention.layers.masks import check_mask, cleaned
from keras_attention.layers.multi_head import MultiHeadAttention
from keras_attention.layers.self_attention import MultiHeadSelfAttention


class _Block(InitializedLayer):
    """What the two blocks share: their arguments, their self-attention and their feed-forward network."""

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
        epsilon=1e-6,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.units = units
        self.key_dim = key_dim
        self.norm = norm
        self.activation = get_activation(type(self).__name__, activation)
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.attention_options = dict(attention_options or {})
        self.epsilon = epsilon
        self.seed = seed
        self.supports_masking = True
        self.feed_forward = FeedForward(
            units,
            activation,
            activation_dropout,
            self.kernel_initializer,
            self.bias_initializer,
            derived_seed(seed, 0),
            dtype=self.dtype_policy,
            name="feed_forward",
        )
        self.feed_forward_residual = self._residual("feed_forward_residual", 1)
        self.self_residual = self._residual("self_residual", 2)

    def _residual(self, name, part):
        seed = derived_seed(self.seed, part)
        return Residual(self.norm, self.dropout, self.epsilon, seed, dtype=self.dtype_policy, name=name)

    def _attention(self, attention_class, dim, name, part, options):
        if self.key_dim is None and dim % self.num_heads:
            raise ValueError(
                f"{type(self).__name__}: num_heads must divide the width of the inputs, or key_dim be given. Received "
                f"num_heads={self.num_heads} for inputs of width {dim}."
            )
        of_the_block = {
            "dropout": self.attention_dropout,
            **self.fresh_initializers(),
            "seed": derived_seed(self.seed, part),
            "dtype": self.dtype_policy,
            "name": name,
        }
        return attention_class(self.num_heads, self.key_dim or dim // self.num_heads, **(of_the_block | options))

    def _build_shared(self, inputs_shape):
        if len(inputs_shape) != 3:
            raise ValueError(
                f"{type(self).__name__}: inputs must be (batch, length, dim). Received shape {tuple(inputs_shape)}."
            )
        self.self_attention = self._attention(
            MultiHeadSelfAttention, inputs_shape[-1], "self_attention", 3, self.attention_options
        )
        self.self_attention.build(inputs_shape)
        for layer in (self.feed_forward, self.feed_forward_residual, self.self_residual):
            layer.build(inputs_shape)

    def _tokens(self, inputs, mask):
        """The inputs with zeros for padding: NaN there would reach gradients, in which it is multiplied by zero."""
        check_mask(mask, type(self).__name__, "mask", "(batch, length)", inputs.shape[:2])
        return cleaned(inputs, mask)

    def _weights_spec(self, queries, keys):
        return keras.KerasTensor(
            (queries.shape[0], self.num_heads, queries.shape[1], keys.shape[1]), self.compute_dtype
        )

    def _fed_forward(self, inputs, training):
        residual = self.feed_forward_residual
        return residual.after(inputs, self.feed_forward(residual.before(inputs), training=training), training)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantizes the projections of attention and feed-forward network, as `model.quantize` does."""
        quantize_parts(self, mode, config)

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "units": self.units,
            "key_dim": self.key_dim,
            "norm": self.norm,
            "activation": serialize_activation(self.activation),
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation_dropout": self.activation_dropout,
            "attention_options": self.attention_options,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }


# The arguments of both blocks, by name.
BLOCK_ARGUMENTS = {*inspect.signature(_Block).parameters, *inspect.signature(InitializedLayer).parameters} - {"kwargs"}


@keras.saving.register_keras_serializable(package="keras_attention")
class EncoderBlock(_Block):
    """Self-attention, then a feed-forward network, each with a residual connection.

    Args:
        num_heads: attention heads.
        units: width of the feed-forward network's hidden layer.
        key_dim: width of a head. Defaults to the inputs' width by heads.
        norm: `"pre"` or `"post"`; see `Residual`. After the last block of a
            `"pre"` stack add a `LayerNormalization`.
        activation: name or function of a Keras activation, or `"swiglu"`; see
            `FeedForward`.
        dropout: fraction dropped of each sublayer's output, in training.
        attention_dropout: fraction of the attention weights dropped.
        activation_dropout: fraction dropped of the feed-forward network's
            hidden layer.
        attention_options: further arguments of `MultiHeadSelfAttention`, such
            as `{"positions": "rotary", "kv_heads": 2}`; they come before those
            of the block.
        epsilon: epsilon of the layer normalisations.
        kernel_initializer, bias_initializer: initializers of the projections of attention
            and feed-forward network.
        seed: random seed of all dropouts, each of which draws other numbers from it.

    Call args:
        inputs: `(batch, length, dim)`.
        mask: bool `(batch, length)`. Keras' implicit mask arrives here.
        use_causal_mask: let a position see itself and those before.
        training: whether to drop.
        return_attention_scores: also return the weights.

    Returns:
        `(batch, length, dim)`; with `return_attention_scores=True` a tuple of
        it and the weights, `(batch, heads, length, length)`. The mask passes
        through. What the inputs hold at padding reaches no output.

    Example:

    >>> EncoderBlock(num_heads=2, units=16)(np.ones((2, 3, 4))).shape
    TensorShape([2, 3, 4])

    Reference: Vaswani et al. 2017, 3.1.
    """

    def build(self, inputs_shape):
        self._build_shared(inputs_shape)

    def call(self, inputs, mask=None, use_causal_mask=False, training=False, return_attention_scores=False):
        inputs = self._tokens(inputs, mask)
        attended = self.self_attention(
            self.self_residual.before(inputs),
            mask=mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=return_attention_scores,
            training=training,
        )
        context, *weights = attended if return_attention_scores else (attended,)
        outputs = self._fed_forward(self.self_residual.after(inputs, context, training), training)
        return (outputs, *weights) if return_attention_scores else outputs

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def compute_output_spec(
        self, inputs, mask=None, use_causal_mask=False, training=False, return_attention_scores=False
    ):
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        if not return_attention_scores:
            return outputs
        return outputs, self._weights_spec(inputs, inputs)


@keras.saving.register_keras_serializable(package="keras_attention")
class DecoderBlock(_Block):
    """Causal self-attention, attention to a memory, if there is one, then a feed-forward network.

    `prepare` makes the memory of a source, once; `allocate` an empty cache.
    Called with a cache the block consumes more of the target; any cut of a
    target into calls gives what one call gives.

    Args: the same as those of `EncoderBlock`; `attention_options` are for both attentions,
        positions and a window for the self-attention only.
        cross_attention: whether there is a memory to attend to. Without it the
            block is that of a language model.

    Call args:
        inputs: `(batch, target, dim)`.
        value: what is attended to, `(batch, source, value_dim)`; None without
            `cross_attention`.
        mask: bool `(batch, target)`. Keras' implicit mask of the inputs arrives
            as `inputs_mask`.
        value_mask: bool `(batch, source)`. Keras' implicit mask arrives here.
        training: whether to drop.
        return_attention_scores: also return the weights of both attentions.

    Returns:
        `(batch, target, dim)`; with `return_attention_scores=True` a tuple of
        it, the weights of the self-attention, `(batch, heads, target, target)`,
        and those over the source, `(batch, heads, target, source)`, if there is
        one. The mask of the inputs passes through.

    Example:

    >>> DecoderBlock(num_heads=2, units=16)(np.ones((2, 3, 4)), np.ones((2, 7, 6))).shape
    TensorShape([2, 3, 4])

    Reference: Vaswani et al. 2017, 3.1.
    """

    def __init__(self, num_heads, units, cross_attention=True, **kwargs):
        super().__init__(num_heads, units, **kwargs)
        self.has_source = cross_attention
        self.cross_residual = self._residual("cross_residual", 4) if cross_attention else None

    def build(self, inputs_shape, value_shape=None):
        self._build_shared(inputs_shape)
        if not self.has_source:
            return
        own = ("positions", "sliding_window")  # between languages a distance means nothing
        options = {name: option for name, option in self.attention_options.items() if name not in own}
        self.cross_attention = self._attention(MultiHeadAttention, inputs_shape[-1], "cross_attention", 5, options)
        self.cross_attention.build(inputs_shape, value_shape)
        self.cross_residual.build(inputs_shape)

    def prepare(self, value, value_mask=None):
        """The memory of a source, for any number of calls of `extend`; nothing without a source."""
        return self.cross_attention.prepare(value, value_mask=value_mask) if self.has_source else ()

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
            `(rows, heads, target, source)`, and without one those of what was
            consumed, `(rows, heads, target, consumed)`; or None.
        """
        inputs = self._tokens(inputs, mask)
        own = return_attention_scores and not self.has_source
        (context, weights), cache = self.self_attention.extend(
            self.self_residual.before(inputs), cache, mask=mask, return_attention_scores=own, training=training
        )
        outputs = self.self_residual.after(inputs, context, training)
        if self.has_source:
            context, weights, _ = self.cross_attention.read_shared(
                self.cross_residual.before(outputs),
                memory,
                sharers,
                query_mask=mask,
                return_attention_scores=return_attention_scores,
                training=training,
            )
            outputs = self.cross_residual.after(outputs, context, training)
        return self._fed_forward(outputs, training), weights, cache

    def call(
        self,
        inputs,
        value=None,
        mask=None,
        inputs_mask=None,
        value_mask=None,
        training=False,
        return_attention_scores=False,
    ):
        mask = inputs_mask if mask is None else mask
        inputs = self._tokens(inputs, mask)
        asked = {"return_attention_scores": return_attention_scores, "training": training}
        attended = self.self_attention(self.self_residual.before(inputs), mask=mask, use_causal_mask=True, **asked)
        context, *weights = attended if return_attention_scores else (attended,)
        outputs = self.self_residual.after(inputs, context, training)
        if self.has_source:
            attended = self.cross_attention(
                self.cross_residual.before(outputs), value, query_mask=mask, value_mask=value_mask, **asked
            )
            context, *cross_weights = attended if return_attention_scores else (attended,)
            outputs, weights = self.cross_residual.after(outputs, context, training), [*weights, *cross_weights]
        outputs = self._fed_forward(outputs, training)
        return (outputs, *weights) if return_attention_scores else outputs

    def compute_output_shape(self, inputs_shape, value_shape=None):
        return inputs_shape

    def compute_output_spec(
        self,
        inputs,
        value=None,
        mask=None,
        inputs_mask=None,
        value_mask=None,
        training=False,
        return_attention_scores=False,
    ):
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        if not return_attention_scores:
            return outputs
        cross = (self._weights_spec(inputs, value),) if self.has_source else ()
        return (outputs, self._weights_spec(inputs, inputs), *cross)

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def get_config(self):
        return super().get_config() | {"cross_attention": self.has_source}
