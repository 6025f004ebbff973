"""Heads around the same core: multi-head attention with Keras' names and without its faults.

A call returns the context alone, as Keras' does.
"""

import keras
from keras import ops

from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.blockwise import blockwise_attention
from keras_attention.layers.core import AttentionOutput, Memory, attend
from keras_attention.layers.dense import AsMatrix, HeadsDense
from keras_attention.layers.masks import check_mask, combine_masks
from keras_attention.layers.patterns import Pattern, alibi_slopes
from keras_attention.layers.positions import positions_from, rotary
from keras_attention.layers.products import product, wide

POSITIONS = (None, "rotary", "alibi")

# From this many keys on attention goes block by block: below, one product is faster and its weights are small.
BLOCKWISE_FROM = 1024


@keras.saving.register_keras_serializable(package="keras_attention")
class MultiHeadAttention(AttentionLayer):
    """Multi-head attention: `concat(head_1, ..., head_n) W_o`.

    Each head is `softmax(q k / sqrt(key_dim)) v` over its own projections.
    Constructor, call and weights are those of
    `keras.layers.MultiHeadAttention`, so replacing the class is the whole
    migration and saved weights fit. Unlike it, this layer leaves the masks of
    its inputs alone, honours `query_mask`, gives zeros where nothing may be
    attended to, aligns a causal mask with a cache, and from 1,024 keys on goes
    block by block, in memory that is linear in the length.

    Args:
        num_heads: number of query heads.
        key_dim: width of one head of query and key.
        value_dim: width of one head of the value. Defaults to `key_dim`.
        dropout: fraction of the weights dropped in training.
        use_bias: whether the projections have biases.
        output_shape: width of the output. Defaults to the query's.
        sliding_window: a query sees keys at most `sliding_window - 1`
            positions away; None means all.
        kv_heads: heads of key and value, which divide `num_heads`; several
            query heads share one (grouped-query attention; 1 is multi-query).
            Defaults to `num_heads`.
        qk_norm: whether query and key heads are divided by their root mean
            square, with a learned scale, before they are compared.
        positions: None, `"rotary"` (query and key turn with their position) or
            `"alibi"` (a penalty that grows with the distance). For sinusoids
            or learned positions add them before: `PositionalEncoding`,
            `LearnedPositions`.
        blockwise: `"auto"`: from 1,024 keys on; True or False: always, never.
            Where the weights are asked for they are computed as a whole.
        kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, kernel_constraint, bias_constraint: of the
            projections.
        seed: of the dropout.

    Call args:
        query: `(batch, target, query_dim)`.
        value: `(batch, source, value_dim)`.
        key: `(batch, source, key_dim)`. Defaults to the value.
        query_mask: bool `(batch, target)`; a query that is padding attends to
            nothing. Keras' implicit mask arrives here.
        value_mask: bool `(batch, source)`. Keras' implicit mask arrives here.
        key_mask: like `value_mask`, for a key that carries a mask of its own.
        attention_mask: bool `(batch, target, source)`, or
            `(batch, heads, target, source)`; sizes of one are broadcast.
        return_attention_scores: also return the weights.
        training: whether to drop weights.
        use_causal_mask: let query `i` see keys `0 ... i` only.

    Returns:
        The context, `(batch, target, output_dim)`; with
        `return_attention_scores=True` a tuple of it and the weights,
        `(batch, heads, target, source)`. Asking does not change the context.

    Raises:
        ValueError: for heads that `kv_heads` does not divide, an odd `key_dim`
            with rotary positions, tensors that are not of rank 3, key and value
            of different lengths, or a mask that is not bool, of another shape
            or of rank 2, which could mean `(batch, source)` or
            `(target, source)`.

    Example:

    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> query, value = np.ones((2, 3, 5)), np.ones((2, 7, 6))
    >>> context, weights = layer(query, value, return_attention_scores=True)
    >>> context.shape, weights.shape
    (TensorShape([2, 3, 5]), TensorShape([2, 2, 3, 7]))

    Reference: Vaswani et al. 2017, 3.2; Ainslie et al. 2023, "GQA", for
        `kv_heads`; Henry et al. 2020, "Query-Key Normalization"; Su et al. 2021
        for rotary, Press et al. 2022 for ALiBi, Beltagy et al. 2020,
        "Longformer", for the window.
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        sliding_window=None,
        kv_heads=None,
        qk_norm=False,
        positions=None,
        blockwise="auto",
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout=dropout, blockwise=blockwise, seed=seed, **kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.use_bias = use_bias
        self.output_dim = output_shape[-1] if isinstance(output_shape, (tuple, list)) else output_shape
        self.sliding_window = sliding_window
        self.kv_heads = kv_heads or num_heads
        self.qk_norm = qk_norm
        self.positions = positions
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self._check_arguments()
        self._slopes = alibi_slopes(num_heads) if positions == "alibi" else None

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self.check_shapes(query_shape, value_shape, key_shape)
        self._query_dense = self._projection("query", self.num_heads, self.key_dim, query_shape)
        self._key_dense = self._projection("key", self.kv_heads, self.key_dim, key_shape)
        self._value_dense = self._projection("value", self.kv_heads, self.value_dim, value_shape)
        output_dim = self.output_dim or query_shape[-1]
        self._output_dense = self._dense(
            "attention_output", "btnh,nhd->btd", (None, output_dim), "d",
            (*query_shape[:2], self.num_heads, self.value_dim),
        )  # fmt: skip
        self._widths = {"query": query_shape[-1], "value": value_shape[-1], "key": key_shape[-1]}
        self._norms = []
        if self.qk_norm:
            for name, heads in (("query_norm", self.num_heads), ("key_norm", self.kv_heads)):
                norm = keras.layers.RMSNormalization(dtype=self.dtype_policy, name=name)
                norm.build((None, heads, None, self.key_dim))
                self._norms.append(norm)

    def prepare(self, value, key=None, value_mask=None, offset=0):
        """Does all that depends on the source alone.

        Args:
            value: `(batch, source, value_dim)`.
            key: `(batch, source, key_dim)`. Defaults to the value.
            value_mask: bool `(batch, source)`.
            offset: position of the first key, for rotary positions.

        Returns:
            `Memory` of `(batch, kv_heads, source, dim)`.
        """
        self.check_built("prepare")
        key = value if key is None else key
        self._check_widths(value=value, key=key)
        check_mask(value_mask, type(self).__name__, "value_mask", "(batch, source)", value.shape[:2])
        return Memory(
            self._heads(self._key_dense, key, self._norms[1:], offset),
            self._heads(self._value_dense, value),
            value_mask,
        )

    def read(
        self,
        query,
        memory,
        query_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        offset=0,
        return_attention_scores=True,
        training=False,
    ):
        """Attends to a prepared memory.

        Args:
            query: `(batch, target, query_dim)`.
            memory: what `prepare` returned.
            query_mask: bool `(batch, target)`.
            attention_mask: as in the call.
            use_causal_mask: let the query at position `p` see keys `0 ... p`.
            offset: position of the first query.
            return_attention_scores: whether to compute the weights.
            training: whether to drop weights.

        Returns:
            `AttentionOutput(context, weights)`: `(batch, target, output_dim)`
            and `(batch, heads, target, source)`, or None for the weights.
        """
        self.check_built("read")
        self._check_widths(query=query)
        mask = self._given_mask(query, memory, query_mask, attention_mask)
        pattern = Pattern(use_causal_mask, self.sliding_window, self._slopes, offset)
        heads = self._heads(self._query_dense, query, self._norms[:1], offset) * self.key_dim**-0.5
        key, value = (self._shared(tensor) for tensor in (memory.key, memory.value))
        arguments = (heads, key, value, memory.mask, mask, pattern, training)
        if return_attention_scores:
            context, weights = self._as_a_whole(*arguments)
        else:
            context, weights = self._by_length(*arguments), None
        return AttentionOutput(self._output_dense(_swapped(context)), weights)

    def read_shared(self, query, memory, sharers, query_mask=None, **arguments):
        if self.positions is not None or self.sliding_window is not None:
            raise ValueError(
                f"{type(self).__name__}: rows that share a memory are folded into one, where a query's place is lost. "
                f"Received positions={self.positions!r}, sliding_window={self.sliding_window}. Read a memory that is "
                "repeated for each row."
            )
        return super().read_shared(query, memory, sharers, query_mask, **arguments)

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=False,
        use_causal_mask=False,
    ):
        output = self.read(
            query,
            self.prepare(value, key, self.source_mask(value, value_mask, key_mask)),
            query_mask=query_mask,
            attention_mask=attention_mask,
            use_causal_mask=use_causal_mask,
            return_attention_scores=return_attention_scores,
            training=training,
        )
        return tuple(output) if return_attention_scores else output.context

    def compute_mask(self, query, previous_mask=None):
        return previous_mask

    def _by_length(self, query, key, *arguments):
        """The context, block by block where that pays."""
        if self.path(query.shape[2], key.shape[2], BLOCKWISE_FROM) == "whole":
            return self._as_a_whole(query, key, *arguments)[0]
        return self._in_blocks(query, key, *arguments)

    def _as_a_whole(self, query, key, value, key_mask, mask, pattern, training):
        """The context of all queries at once, and the weights."""
        scores = product(query, key, transpose=True)
        mask = combine_masks(None if key_mask is None else key_mask[:, None, None, :], mask)
        if not pattern.is_trivial:  # else nobody asks how long anything is, which takes a graph a dozen operations
            queries, keys = ops.arange(ops.shape(query)[2]), ops.arange(ops.shape(key)[2])
            bias, visible = pattern.bias(queries, keys), pattern.mask(queries, keys)
            scores = (
                scores if bias is None else ops.cast(scores, wide(scores.dtype)) + ops.cast(bias, wide(scores.dtype))
            )
            mask = combine_masks(mask, None if visible is None else visible[None, None])
        context, weights = attend(scores, value, mask, self.dropped if training else None)
        return ops.cast(context, self.compute_dtype), ops.cast(weights, self.compute_dtype)

    def _in_blocks(self, query, key, value, key_mask, mask, pattern, training):
        whole_below = BLOCKWISE_FROM if self.blockwise == "auto" else 0
        dropout = self.dropout_of_blocks(training)
        return blockwise_attention(query, key, value, key_mask, mask, pattern, *dropout, whole_below)

    def _given_mask(self, query, memory, query_mask, attention_mask):
        """The caller's masks of queries, `(batch, heads or 1, target, source or 1)`, or None."""
        owner, source = type(self).__name__, memory.key.shape[2]
        check_mask(query_mask, owner, "query_mask", "(batch, target)", query.shape[:2])
        if attention_mask is not None and len(attention_mask.shape) == 3:
            attention_mask = attention_mask[:, None]
        sizes = (query.shape[0], self.num_heads, query.shape[1], source)
        axes = "(batch, target, source) or (batch, heads, target, source)"
        check_mask(attention_mask, owner, "attention_mask", axes, sizes, broadcast=True)
        return combine_masks(None if query_mask is None else query_mask[:, None, :, None], attention_mask)

    def _heads(self, dense, inputs, norms=(), offset=None):
        """Projects to `(batch, heads, length, head_dim)`; queries and keys get their norm and position."""
        heads = _swapped(dense(inputs))
        for norm in norms:
            heads = norm(heads)
        if offset is not None and self.positions == "rotary":
            heads = rotary(heads, positions_from(ops.shape(heads)[2], offset))
        return heads

    def _shared(self, tensor):
        """Key or value heads, each as often as query heads share it."""
        sharers = self.num_heads // self.kv_heads
        return tensor if sharers == 1 else ops.repeat(tensor, sharers, axis=1)

    def _projection(self, name, heads, dim, input_shape):
        return self._dense(name, "btd,dnh->btnh", (None, heads, dim), "nh", input_shape)

    def _dense(self, name, equation, output_shape, bias_axes, input_shape):
        def fresh(thing):
            return thing.clone() if isinstance(thing, keras.Initializer) else thing

        input_axes = len(equation.partition(",")[0]) - 2
        dense = HeadsDense(
            equation,
            output_shape=output_shape,
            bias_axes=bias_axes if self.use_bias else None,
            kernel_initializer=AsMatrix(fresh(self.kernel_initializer), input_axes),
            bias_initializer=fresh(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.supports_masking = True  # else Keras warns that the caller's mask ends here, as it should
        dense.build(input_shape)
        return dense

    def _check_arguments(self):
        owner = type(self).__name__
        for name in ("num_heads", "key_dim", "value_dim", "kv_heads", "sliding_window"):
            number = getattr(self, name)
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"{owner}: {name} must be a positive integer. Received {name}={number!r}.")
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

    def _check_widths(self, **tensors):
        for name, tensor in tensors.items():
            if tensor.shape[-1] != self._widths[name]:
                raise ValueError(
                    f"{type(self).__name__}: {name} must have width {self._widths[name]}, for which the layer was "
                    f"built. Received shape {tuple(tensor.shape)}. Make another layer for another width."
                )

    def get_config(self):
        config = {
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "use_bias": self.use_bias,
            "output_shape": self.output_dim,
            "sliding_window": self.sliding_window,
            "kv_heads": self.kv_heads,
            "qk_norm": self.qk_norm,
            "positions": self.positions,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }
        return super().get_config() | config


def _swapped(tensor):
    """`(batch, length, heads, dim)` to `(batch, heads, length, dim)`, or back; nothing moves where one of them is 1."""
    _, first, second, dim = tensor.shape
    if 1 in (first, second) and None not in (first, second):
        return ops.reshape(tensor, (-1, second, first, dim))
    return ops.swapaxes(tensor, 1, 2)
