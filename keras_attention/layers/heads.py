"""The arguments and the weights of multi-head attention: Keras' own, in Keras' order and by Keras' names.

A subclass computes with them. Keras' weight files, LoRA and quantisation reach
the projections by the names of Keras' properties.
"""

import keras

from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.dense import HeadsDense
from keras_attention.layers.folding import Folding
from keras_attention.layers.layer import Dropout, fresh_initializer
from keras_attention.layers.masks import alibi_slopes

POSITIONS = (None, "rotary", "alibi")


class HeadsLayer(AttentionLayer):
    """What `MultiHeadAttention` is made of; see there for the arguments."""

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        *,
        kv_heads=None,
        qk_norm=False,
        positions=None,
        blockwise="auto",
        **kwargs,
    ):
        super().__init__(dropout=dropout, blockwise=blockwise, seed=seed, **kwargs)
        if self._dropout_layer is None:
            self._dropout_layer = Dropout(0.0, dtype=self.dtype_policy)  # an override calls it
        self._num_heads = num_heads
        self._key_dim = key_dim
        self._value_dim = key_dim if value_dim is None else value_dim
        self._use_bias = use_bias
        self._output_shape = self._as_shape(output_shape)
        self._attention_axes = self._given_axes = self._as_axes(attention_axes)
        self._sliding_window = sliding_window
        self._flash_attention = flash_attention
        self._kernel_initializer = keras.initializers.get(kernel_initializer)
        self._bias_initializer = keras.initializers.get(bias_initializer)
        self._kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self._bias_regularizer = keras.regularizers.get(bias_regularizer)
        self._activity_regularizer = keras.regularizers.get(activity_regularizer)
        self._kernel_constraint = keras.constraints.get(kernel_constraint)
        self._bias_constraint = keras.constraints.get(bias_constraint)
        self._use_gate = use_gate
        self.kv_heads = num_heads if kv_heads is None else kv_heads
        self.qk_norm = qk_norm
        self.positions = positions
        self._check_arguments()

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self.check_shapes(query_shape, value_shape, key_shape)
        self._folding = self._find_folding(query_shape, value_shape)
        self._attention_axes = self._folding.attended
        self._inverse_sqrt_key_dim = self.key_dim**-0.5
        self._slopes = alibi_slopes(self.num_heads) if self.positions == "alibi" else None
        query, value, key = (shape[-1] for shape in (query_shape, value_shape, key_shape))
        self._widths = {"query": query, "value": value, "key": key}
        self._query_dense = self._projection("query", self.num_heads, self.key_dim, query)
        self._key_dense = self._projection("key", self.kv_heads, self.key_dim, key)
        self._gate_dense = None
        if self._use_gate:
            self._gate_dense = self._projection("gate", self.num_heads, self.value_dim, query, "sigmoid")
        self._value_dense = self._projection("value", self.kv_heads, self.value_dim, value)
        self._output_dense = self._output_projection(self._output_shape or (query,))
        self._norms = []
        if self.qk_norm:
            for name, heads in (("query_norm", self.num_heads), ("key_norm", self.kv_heads)):
                norm = keras.layers.RMSNormalization(dtype=self.dtype_policy, name=name)
                norm.build((None, heads, None, self.key_dim))
                self._norms.append(norm)

    @property
    def num_heads(self):
        return self._num_heads

    @property
    def key_dim(self):
        return self._key_dim

    @property
    def value_dim(self):
        return self._value_dim

    @property
    def _dropout(self):  # Keras' name, which an override asks for
        return self.dropout

    @property
    def use_bias(self):
        return self._use_bias

    @property
    def attention_axes(self):
        return self._attention_axes

    @property
    def sliding_window(self):
        return self._sliding_window

    @property
    def query_dense(self):
        return self._query_dense

    @property
    def key_dense(self):
        return self._key_dense

    @property
    def value_dense(self):
        return self._value_dense

    @property
    def output_dense(self):
        return self._output_dense

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantises every projection; see `keras.layers.EinsumDense.quantize`."""
        for dense in (self._query_dense, self._key_dense, self._gate_dense, self._value_dense, self._output_dense):
            if dense is not None:
                dense.quantize(mode, config=config)

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        self.check_shapes(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def check_shapes(self, query_shape, value_shape, key_shape):
        """Raises a ValueError unless key and value are of one length, and all of one rank, three or more."""
        owner = type(self).__name__
        lengths = tuple(value_shape[1:-1]), tuple(key_shape[1:-1])
        if len(lengths[0]) != len(lengths[1]) or any(
            None not in sizes and sizes[0] != sizes[1] for sizes in zip(*lengths, strict=True)
        ):
            raise ValueError(
                f"{owner}: key and value must have one length: all their sizes but the last must be equal. "
                f"Received key {tuple(key_shape)} and value {tuple(value_shape)}."
            )
        for name, shape in (("query", query_shape), ("value", value_shape)):
            if len(shape) < 3:
                hint = f" Write `{name}[:, None, :]` for a single step." if len(shape) == 2 else ""
                raise ValueError(
                    f"{owner}: {name} must have 3 dimensions, (batch, length, dim), or more. "
                    f"Received shape {tuple(shape)}.{hint}"
                )
        if len(query_shape) != len(value_shape):
            raise ValueError(
                f"{owner}: query and value must have as many dimensions. Received query {tuple(query_shape)} and "
                f"value {tuple(value_shape)}."
            )

    def _find_folding(self, query_shape, value_shape):
        owner, rank = type(self).__name__, len(query_shape)
        given = tuple(range(1, rank - 1)) if self._given_axes is None else self._given_axes
        attended = tuple(axis if axis >= 0 else rank + axis for axis in given)
        if len(set(attended)) < len(attended) or not all(0 < axis < rank - 1 for axis in attended):
            raise ValueError(
                f"{owner}: attention_axes must be different axes between the batch and the last. Received "
                f"attention_axes={given} for a query of shape {tuple(query_shape)}."
            )
        free = tuple(axis for axis in range(rank - 1) if axis not in attended)
        for axis in free[1:]:
            if None not in (query_shape[axis], value_shape[axis]) and query_shape[axis] != value_shape[axis]:
                raise ValueError(
                    f"{owner}: query and value must have one size along an axis that is not attended, here axis "
                    f"{axis}. Received query {tuple(query_shape)} and value {tuple(value_shape)} with "
                    f"attention_axes={given}."
                )
        return Folding(free, attended)

    def _projection(self, name, heads, dim, width, activation=None):
        return self._dense(name, "btd,dnh->btnh", (None, heads, dim), "nh", (None, None, width), activation)

    def _output_projection(self, shape):
        letters = "defgijklmopqrsuvwxyz"[: len(shape)]
        heads = (None, None, self.num_heads, self.value_dim)
        return self._dense("attention_output", f"btnh,nh{letters}->bt{letters}", (None, *shape), letters, heads)

    def _dense(self, name, equation, output_shape, bias_axes, input_shape, activation=None):
        dense = HeadsDense(
            equation,
            output_shape=output_shape,
            activation=activation,
            bias_axes=bias_axes if self.use_bias else None,
            kernel_initializer=fresh_initializer(self._kernel_initializer),
            bias_initializer=fresh_initializer(self._bias_initializer),
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.supports_masking = True  # else Keras warns that the caller's mask ends here, as it should
        dense.build(input_shape)
        return dense

    def _as_shape(self, output_shape):
        if output_shape is None:
            return None
        shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        if not isinstance(shape, (tuple, list)) or not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(
                f"{type(self).__name__}: Invalid `output_shape`, which must be a positive integer or a tuple or list "
                f"of them. Received {output_shape!r}."
            )
        return tuple(shape) or None

    def _as_axes(self, attention_axes):
        if attention_axes is None:
            return None
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        if not isinstance(axes, (tuple, list)) or not axes or not all(isinstance(axis, int) for axis in axes):
            raise ValueError(
                f"{type(self).__name__}: `attention_axes` must be an integer, or a tuple or list of integers. "
                f"Received {attention_axes!r}."
            )
        return tuple(axes)

    def _check_arguments(self):
        owner = type(self).__name__
        for name in ("num_heads", "key_dim", "value_dim", "kv_heads", "sliding_window"):
            number = getattr(self, name)
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"{owner}: argument `{name}` must be a positive integer. Received {name}={number!r}.")
        if self.num_heads % self.kv_heads:
            raise ValueError(
                f"{owner}: kv_heads must divide num_heads, so that as many query heads share each. Received "
                f"num_heads={self.num_heads}, kv_heads={self.kv_heads}."
            )
        if self.positions not in POSITIONS:
            known = ", ".join(map(repr, POSITIONS))
            raise ValueError(f"{owner}: positions must be one of {known}. Received {self.positions!r}.")
        if self.positions == "rotary" and self.key_dim % 2:
            raise ValueError(
                f"{owner}: key_dim must be even with positions='rotary', for pairs that turn. Received "
                f"key_dim={self.key_dim}."
            )
        if self._flash_attention and self.dropout > 0:
            raise ValueError(
                f"{owner}: Dropout is not supported when flash attention is enabled. Received "
                f"dropout={self.dropout}. `blockwise=True` goes block by block with dropout."
            )
        if self._flash_attention and self.blockwise is False:
            raise ValueError(
                f"{owner}: flash_attention=True goes block by block, which blockwise=False forbids. Drop one of them."
            )

    def get_config(self):
        return super().get_config() | {
            "num_heads": self._num_heads,
            "key_dim": self._key_dim,
            "value_dim": self._value_dim,
            "use_bias": self._use_bias,
            "output_shape": self._output_shape,
            "attention_axes": self._given_axes,
            "sliding_window": self._sliding_window,
            "flash_attention": self._flash_attention,
            "kernel_initializer": keras.initializers.serialize(self._kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self._bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self._kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self._bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self._activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self._kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self._bias_constraint),
            "use_gate": self._use_gate,
            "kv_heads": self.kv_heads,
            "qk_norm": self.qk_norm,
            "positions": self.positions,
        }
