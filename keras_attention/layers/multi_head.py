"""Heads around the same core: multi-head attention with Keras' names and without its faults.

A call returns the context alone, as Keras' does.
"""

import keras
from keras import ops

from keras_attention.layers.attending_heads import FLAT, AttendingHeads, swapped
from keras_attention.layers.core import AttentionOutput, AttentionRead, Memory
from keras_attention.layers.folding import align
from keras_attention.layers.masks import Pattern, as_bool, check_mask, cleaned, combine_masks
from keras_attention.layers.positions import rotary, token_count, token_positions
from keras_attention.layers.sizes import size_of


@keras.saving.register_keras_serializable(package="keras_attention")
class MultiHeadAttention(AttendingHeads):
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
        output_shape: width of the output, or a tuple of widths. Defaults to
            the query's.
        attention_axes: axes of the inputs over which attention goes, an integer
            or a tuple. Defaults to all but the first and the last. Several are
            read as one sequence, row by row.
        sliding_window: a query sees keys at most `sliding_window - 1`
            tokens away; None means all.
        flash_attention: True is `blockwise=True`, and refuses dropout and
            weights as Keras' does; None and False leave it to `blockwise`.
        kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint,
            bias_constraint: those of the projections.
        use_gate: whether the context is multiplied by a sigmoid of a projection
            of the query, before the output projection.
        seed: seed of the dropout.
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

    Call args:
        query: `(batch, target, query_dim)`, or of more dimensions; see
            `attention_axes`.
        value: `(batch, source, value_dim)`, likewise.
        key: `(batch, source, key_dim)`, likewise. Defaults to the value.
        query_mask: bool `(batch, target)`; a query that is padding attends to
            nothing: its context is zeros, and its output the bias of the output
            projection. Keras' implicit mask arrives here.
        value_mask: bool `(batch, source)`. Keras' implicit mask arrives here.
        key_mask: like `value_mask`, for a key that carries a mask of its own.
        attention_mask: `(target, source)`, `(batch, target, source)` or
            `(batch, heads, target, source)`, bool or numbers of which all but
            zero may be attended; sizes of one are broadcast.
        return_attention_scores: also return the weights.
        training: whether to drop weights.
        use_causal_mask: let query `i` see keys `0 ... i` only.

    Returns:
        The context, `(batch, target, output_dim)`; with
        `return_attention_scores=True` a tuple of it and the weights,
        `(batch, heads, target, source)`. Asking does not change the context.

    Raises:
        ValueError: for heads that `kv_heads` does not divide, an odd `key_dim`
            with rotary positions, tensors of fewer than three dimensions, key
            and value of different lengths, or a mask of another shape.

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

    def prepare(self, value, key=None, value_mask=None, offset=0):
        """Does all that depends on the source alone.

        Args:
            value: `(batch, source, value_dim)`.
            key: `(batch, source, key_dim)`. Defaults to the value.
            value_mask: bool `(batch, source)`.
            offset: tokens before the first key, for rotary positions: an
                integer, a scalar tensor, or one integer a row, `(batch,)`.

        Returns:
            `Memory` of `(batch, kv_heads, source, dim)`.
        """
        self.check_built("prepare")
        value_mask = as_bool(value_mask)
        check_mask(value_mask, type(self).__name__, "value_mask", "(batch, source)", value.shape[:2])
        return self._memory(value, key, value_mask, value_mask, offset)

    def start(self, memory, rows=None):
        """How many queries were read: nothing yet, for each row; of layers to which it matters where a query stands."""
        if not self._counts:
            return ()
        return (ops.zeros((size_of(memory.value, 0) if rows is None else rows, 1), "int32"),)

    @property
    def _counts(self):
        """Whether it matters where a query stands."""
        return self.positions is not None or self.sliding_window is not None

    def context_dim(self, query_shape, value_shape, key_shape=None):
        return self.compute_output_shape(query_shape, value_shape, key_shape)[-1]

    def read(
        self,
        query,
        memory,
        state=(),
        query_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=True,
        training=False,
    ):
        """Attends to a prepared memory.

        Args:
            query: `(batch, target, query_dim)`.
            memory: what `prepare` returned.
            state: what `start` or the last call returned; empty stands for
                that of the first query.
            query_mask: bool `(batch, target)`.
            attention_mask: as in the call.
            use_causal_mask: let the query at position `p` see keys `0 ... p`.
            return_attention_scores: whether to compute the weights.
            training: whether to drop weights.

        Returns:
            `AttentionRead(context, weights, state)`:
            `(batch, target, output_dim)`, `(batch, heads, target, source)`, or
            None for the weights, and the state for the next queries.
        """
        tokens = state[0][:, 0] if state else 0
        output = self._read_from(
            tokens,
            tokens,
            query,
            memory,
            query_mask,
            attention_mask,
            use_causal_mask,
            return_attention_scores,
            training,
        )
        return AttentionRead(*output, self._after(query, memory, state, query_mask))

    def _after(self, query, memory, state, query_mask):
        """The state after some queries."""
        if not self._counts:
            return ()
        state = state or self.start(memory, size_of(query, 0))
        return tuple(count + token_count(query_mask, size_of(query, 1)) for count in state)

    def _read_from(
        self,
        tokens,
        offset,
        query,
        memory,
        query_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        return_attention_scores=True,
        training=False,
    ):
        """`read` of queries before which there are `offset` positions, and `tokens` tokens among them, in each row."""
        self.check_built("read")
        self._check_widths(query=query)
        self._refuse_weights_of_flash_attention(return_attention_scores)
        query_mask, mask = self._given_masks(query, memory, query_mask, attention_mask)
        query = cleaned(query, combine_masks(query_mask, _alive(mask, axes=(1, 3))))
        mask = combine_masks(None if query_mask is None else ops.expand_dims(query_mask, (1, 3)), mask)
        places = self._places(query, memory, query_mask, tokens)
        pattern = Pattern(use_causal_mask, self.sliding_window, self._slopes, offset, places)
        heads = self._heads(self._query_dense, query, self._norms[:1], query_mask, tokens)
        key, value = (self._shared(tensor) for tensor in (memory.key, memory.value))
        asked = (training, return_attention_scores)
        context, weights = self._context_and_weights(heads, key, value, memory.mask, mask, pattern, *asked)
        context = swapped(context)
        if self._gate_dense is not None:
            context = context * self._gate_dense(query)
        return AttentionOutput(self._output_dense(context), weights)

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
        training=None,
        use_causal_mask=False,
    ):
        folding = self._folding
        masks = align(attention_mask, type(self).__name__, self.num_heads, query.shape, value.shape, folding)
        asked = (return_attention_scores, training, use_causal_mask)
        if folding.is_trivial:
            source_mask = self.source_mask(value, as_bool(value_mask), as_bool(key_mask))
            output = self._attend_once(query, value, key, query_mask, source_mask, masks, *asked)
            return tuple(output) if return_attention_scores else output.context
        output = self._attend_once(
            folding.fold(query),
            folding.fold(value),
            None if key is None else folding.fold(key),
            folding.fold_padding(query_mask, query),
            combine_masks(folding.fold_padding(value_mask, value), folding.fold_padding(key_mask, value)),
            folding.fold_scores_mask(masks, query, value),
            *asked,
        )
        context = folding.unfold(output.context, query)
        return (context, folding.unfold_weights(output.weights, query, value)) if return_attention_scores else context

    def compute_output_spec(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        shape = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        return self._specification(shape, query, value, return_attention_scores)

    def _specification(self, shape, query, value, return_attention_scores):
        """What the call returns, symbolically: the context of a shape, and the weights if they are asked for."""
        context = keras.KerasTensor(shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return context
        weights = self._find_folding(query.shape, value.shape).weights_shape(query.shape, value.shape, self.num_heads)
        return context, keras.KerasTensor(weights, dtype=self.compute_dtype)

    def compute_mask(self, query, previous_mask=None):
        return previous_mask

    def _attend_once(
        self, query, value, key, query_mask, source_mask, attention_mask, return_attention_scores, training, causal
    ):
        """`prepare` and `read` of tensors of rank 3; a key that no query may see is cleaned as a masked one is."""
        seen = combine_masks(source_mask, _alive(attention_mask, axes=(1, 2)))
        return self._read_from(
            0,
            0,
            query,
            self._memory(value, key, source_mask, seen),
            query_mask=query_mask,
            attention_mask=attention_mask,
            use_causal_mask=causal,
            return_attention_scores=return_attention_scores,
            training=training,
        )

    def _memory(self, value, key, mask, seen, offset=0):
        """The memory of a source whose positions that are not `seen` may hold anything."""
        self._check_widths(value=value, key=value if key is None else key)
        clean = cleaned(value, seen)
        key = clean if key is None else cleaned(key, seen)
        keys = self._heads(self._key_dense, key, self._norms[1:], mask, offset)
        return Memory(keys, self._heads(self._value_dense, clean), mask)

    def _given_masks(self, query, memory, query_mask, attention_mask):
        """The caller's masks: bool `(batch, target)` and `(batch, heads, target, source)`, or None; sizes may be 1."""
        owner, query_mask = type(self).__name__, as_bool(query_mask)
        check_mask(query_mask, owner, "query_mask", "(batch, target)", query.shape[:2])
        source = (query.shape[0], memory.key.shape[2])
        return query_mask, align(attention_mask, owner, self.num_heads, query.shape, source, FLAT)

    def _places(self, query, memory, query_mask, tokens):
        """Where queries and keys stand among tokens, where distances count and there may be padding; or None."""
        counts = self.sliding_window is not None or self._slopes is not None
        if not counts or (query_mask is None and memory.mask is None):
            return None
        places = (
            token_positions(query_mask, size_of(query, 1), tokens),
            token_positions(memory.mask, size_of(memory.key, 2)),
        )
        return tuple(place if len(place.shape) == 2 else place[None] for place in places)

    def _heads(self, dense, inputs, norms=(), mask=None, offset=None):
        """Projects to `(batch, heads, length, head_dim)`; queries and keys get their norm and position."""
        heads = swapped(dense(inputs))
        for norm in norms:
            heads = norm(heads)
        if offset is not None and self.positions == "rotary":
            heads = rotary(heads, token_positions(mask, size_of(heads, 2), offset))
        return heads

    def _shared(self, tensor):
        """Key or value heads, each as often as query heads share it."""
        sharers = self.num_heads // self.kv_heads
        return tensor if sharers == 1 else ops.repeat(tensor, sharers, axis=1)

    def _check_widths(self, **tensors):
        for name, tensor in tensors.items():
            if tensor.shape[-1] != self._widths[name]:
                raise ValueError(
                    f"{type(self).__name__}: {name} must have width {self._widths[name]}, for which the layer was "
                    f"built. Received shape {tuple(tensor.shape)}. Make another layer for another width."
                )


def _alive(mask, axes):
    """Which queries or keys `(batch, heads, target, source)` lets take part at all: bool `(batch, length)`, or None."""
    return None if mask is None else ops.any(mask, axis=axes)
