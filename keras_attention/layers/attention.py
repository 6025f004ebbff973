"""Attention with one head: a score, a mask and a weighted sum.

`Attention` takes any score; `BahdanauAttention` and `LuongAttention` are it
with the two papers' scores.
"""

import keras
from keras import ops

from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.chunked import chunked_attention
from keras_attention.layers.core import AttentionOutput, AttentionRead, Memory, attend
from keras_attention.layers.layer import serialized
from keras_attention.layers.list_inputs import ListInputs, separate_shapes
from keras_attention.layers.masks import causal_mask, check_mask, cleaned, combine_masks
from keras_attention.layers.scores import AdditiveScore, get_score
from keras_attention.layers.sizes import size_of

# From this many keys on an additive score goes chunk by chunk.
BLOCKWISE_FROM = 512

AXES = "(batch, target, source)"


@keras.saving.register_keras_serializable(package="keras_attention")
class Attention(ListInputs, AttentionLayer):
    """Attention with one head and any score.

    `weights = softmax(score(query, key))` where the mask allows, and
    `context = weights . value`. Query, key and value may differ in width where
    the score permits. Unlike `keras.layers.Attention` it has projections, gives
    zeros and not an average of the padding where nothing may be attended to,
    stays finite in float16, and can prepare its memory once for many queries.

    Args:
        score: a name (`"dot"`, `"scaled_dot"`, `"general"`, `"additive"`,
            `"concat"`, `"scaled_luong"`, `"normed_bahdanau"`), a `Score`
            such as `ReducedRankScore(rank=8)`, or a function of a query and a
            key; see `FunctionScore`.
        dropout: fraction of the weights dropped in training, before the sum.
        blockwise: whether the additive score goes a few queries at a time and
            forgets its pairs of positions, in memory that does not grow with
            `units`: `"auto"` from 512 keys on; True or False: always, never.
        seed: random seed of the dropout.

    Call args:
        query: `(batch, target, query_dim)`.
        value: `(batch, source, value_dim)`.
        key: `(batch, source, key_dim)`. Defaults to the value.
        query_mask: bool `(batch, target)`, True = a token. A query that is
            padding attends to nothing. Keras' implicit mask arrives here.
        value_mask: bool `(batch, source)`, True = a token. Keras' implicit
            mask arrives here.
        key_mask: like `value_mask`, for a key that carries a mask of its own.
        attention_mask: bool, broadcastable to `(batch, target, source)`.
        use_causal_mask: let query `i` see keys `0 ... i` only.
        training: whether to drop weights.
        mask: with a list as first argument, `[query_mask, value_mask]`.

    As in `keras.layers.Attention` the first argument may be a list,
    `layer([query, value])` or `layer([query, value, key])`.

    Returns:
        `AttentionOutput(context, weights)`: `(batch, target, value_dim)` and
        `(batch, target, source)`. The context carries the query's mask.

    Raises:
        ValueError: for an unknown score, tensors that are not of rank 3, key
            and value of different lengths, or a mask that is not bool or of
            another rank.

    Set the attribute `linear` for a linear start of training (Sukhbaatar et al.
    2015, 4.2): the scores are the weights then, without the softmax. It is no
    part of the config.

    Example:

    >>> query, value = np.ones((2, 3, 5)), np.ones((2, 7, 4))
    >>> context, weights = Attention("general")(query, value)
    >>> context.shape, weights.shape
    (TensorShape([2, 3, 4]), TensorShape([2, 3, 7]))
    """

    config_names = ("score", *AttentionLayer.config_names)

    def __init__(self, score="scaled_dot", dropout=0.0, blockwise="auto", seed=None, **kwargs):
        super().__init__(dropout=dropout, blockwise=blockwise, seed=seed, **kwargs)
        self.linear = False
        self.score = get_score(score)
        self.score.dtype_policy = self.dtype_policy

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        self.check_shapes(query_shape, value_shape, key_shape)
        if not self.score.built:  # a score from a saved config, or one shared with another layer, has its weights
            self.score.build(query_shape, key_shape)

    def prepare(self, value, key=None, value_mask=None):
        """Does all that depends on the source alone.

        Args:
            value: `(batch, source, value_dim)`.
            key: `(batch, source, key_dim)`. Defaults to the value.
            value_mask: bool `(batch, source)`.

        Returns:
            A `Memory`, for any number of calls of `read`.

        Raises:
            ValueError: if the layer is not built: the query's width is not
                known then.
        """
        self.check_built("prepare")
        key = value if key is None else key
        self.check_shapes(None, value.shape, key.shape)
        check_mask(value_mask, type(self).__name__, "value_mask", "(batch, source)", value.shape[:2])
        value, key = (cleaned(ops.cast(tensor, self.compute_dtype), value_mask) for tensor in (value, key))
        return Memory(self.score.prepare(key), value, value_mask)

    def read(self, query, memory, state=(), query_mask=None, attention_mask=None, training=False):
        """Attends to a prepared memory.

        Args:
            query: `(batch, target, query_dim)`.
            memory: what `prepare` returned.
            state: what `start` or the last call returned; empty stands for
                that of the first query.
            query_mask: bool `(batch, target)`, True = a token.
            attention_mask: bool, broadcastable to `(batch, target, source)`.
            training: whether to drop weights.

        Returns:
            `AttentionRead(context, weights, state)`.
        """
        mask = self._read_mask(query, memory, query_mask, attention_mask)
        query = self.score.prepare_query(self._cleaned_query(query, query_mask))
        return AttentionRead(*self._by_length(query, memory, mask, training))

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
        training=False,
    ):
        self.check_batch(query.shape[0], value.shape[0])
        source_mask = self.source_mask(value, value_mask, key_mask)
        if attention_mask is not None:
            sizes = (*query.shape[:2], value.shape[1])
            check_mask(attention_mask, type(self).__name__, "attention_mask", AXES, sizes, broadcast=True)
            seen = ops.any(attention_mask, axis=1)  # what no query may see may hold anything
            value, key = (None if tensor is None else cleaned(tensor, seen) for tensor in (value, key))
        causal = causal_mask(size_of(query, 1), size_of(value, 1))[None] if use_causal_mask else None
        context, weights, _ = self.read(
            query,
            self.prepare(value, key, source_mask),
            query_mask=query_mask,
            attention_mask=combine_masks(attention_mask, causal),
            training=training,
        )
        return AttentionOutput(context, weights)

    def compute_mask(self, query, previous_mask=None):
        return AttentionOutput(previous_mask, None)

    def compute_output_shape(self, query_shape, value_shape=None, key_shape=None):
        query, value, key = separate_shapes(query_shape, value_shape, key_shape)
        self.check_shapes(query, value, key)
        return AttentionOutput((*query[:-1], value[-1]), (*query[:-1], value[-2]))

    def compute_output_spec(self, query, value, key=None, *args, **kwargs):
        shapes = self.compute_output_shape(query.shape, value.shape, None if key is None else key.shape)
        return AttentionOutput(*(keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes))

    def _read_mask(self, query, memory, query_mask, attention_mask):
        """The masks of a `read`, checked and joined: bool `(batch or 1, target or 1, source)`, or None."""
        self.check_shapes(query.shape, None, None)
        owner, sizes = type(self).__name__, (*query.shape[:2], memory.value.shape[1])
        check_mask(query_mask, owner, "query_mask", "(batch, target)", sizes[:2])
        check_mask(attention_mask, owner, "attention_mask", AXES, sizes, broadcast=True)
        padding = None if memory.mask is None else memory.mask[:, None, :]
        live = None if query_mask is None else query_mask[:, :, None]
        return combine_masks(padding, attention_mask, live)

    def _cleaned_query(self, query, query_mask):
        return cleaned(ops.cast(query, self.compute_dtype), query_mask)

    def _by_length(self, query, memory, mask, training):
        """The output for a prepared query, chunk by chunk where that pays: where pairs are larger than weights."""
        target = query.shape[1] if self.score.units > 1 else 1
        path = "whole" if self.linear else self.path(target, memory.key.shape[1], BLOCKWISE_FROM)
        if path == "whole":
            return self._as_a_whole(query, memory, mask, training)
        if path == "blocks":
            return self._in_chunks(query, memory, mask, training)
        # All queries go one way and none the other. A conditional would hide the lengths from XLA and from LiteRT.
        length, source = size_of(query, 1), size_of(memory.key, 1)
        whole = ops.where(source < BLOCKWISE_FROM, length, 0)
        masks = (mask, mask) if mask is None or mask.shape[1] == 1 else (mask[:, :whole], mask[:, whole:])
        parts = (
            self._as_a_whole(query[:, :whole], memory, masks[0], training),
            self._in_chunks(query[:, whole:], memory, masks[1], training),
        )
        return AttentionOutput(*(ops.concatenate(tensors, axis=1) for tensors in zip(*parts, strict=True)))

    def _as_a_whole(self, query, memory, mask, training):
        scores = self.score.pair(query, memory.key, *self.score.parameters())
        return attend(scores, memory.value, mask, self.dropped if training else None, self.linear)

    def _in_chunks(self, query, memory, mask, training):
        return chunked_attention(
            self.score.pair,
            *_of_one_batch(query, memory.key, memory.value),
            mask,
            self.score.parameters(),
            self.score.units,
            *self.dropout_of_blocks(training),
        )


def _of_one_batch(*tensors):
    """The tensors, those of a single row as often as the others have rows."""
    largest = next((tensor for tensor in tensors if tensor.shape[0] != 1), tensors[0])
    batch = size_of(largest, 0)
    return [
        ops.broadcast_to(tensor, (batch, *ops.shape(tensor)[1:]))
        if tensor.shape[0] == 1 != largest.shape[0]
        else tensor
        for tensor in tensors
    ]


@keras.saving.register_keras_serializable(package="keras_attention")
class BahdanauAttention(Attention):
    """Bahdanau's attention: `softmax(v . tanh(W query + U value)) . value`.

    Prefer it where query and value differ in kind or width and sources are not
    long: it compares every pair of positions in `units` dimensions. Unlike
    `keras.layers.AdditiveAttention` it has the projections `W` and `U`. The
    layer is the score alone; that the *previous* decoder state asks is the
    business of `BahdanauCell`.

    Args:
        units: width of the comparison, n' in the paper. Defaults to the
            value's (the key's, if given) width.
        normed: the weight-normed form; see `AdditiveScore`.
        dropout: fraction of the weights dropped in training.
        blockwise: see `Attention`.
        seed: random seed of the dropout.

    Call args and Returns: those of `Attention`.

    Example:

    >>> BahdanauAttention(8)(np.ones((2, 3, 5)), np.ones((2, 7, 4))).weights.shape
    TensorShape([2, 3, 7])

    Reference: Bahdanau et al. 2015, "Neural Machine Translation by Jointly
        Learning to Align and Translate", A.1.2.
    """

    config_names = ("units", "normed", *AttentionLayer.config_names)

    def __init__(self, units=None, normed=False, dropout=0.0, blockwise="auto", seed=None, **kwargs):
        score = AdditiveScore(units, normed=normed)
        super().__init__(score, dropout=dropout, blockwise=blockwise, seed=seed, **kwargs)
        self.units = units
        self.normed = normed


@keras.saving.register_keras_serializable(package="keras_attention")
class LuongAttention(Attention):
    """Luong's global attention: a `dot`, `general` or `concat` score.

    `dot` needs query and value of one width and has no weights; `general`
    takes any widths; `concat` is the additive score. The layer is the score and
    the context; the attentional vector and input feeding are the business of
    `LuongCell`.

    Args:
        score: `"dot"`, `"general"` or `"concat"`; or any other that `Attention`
            takes, such as a `Score` or a function of a query and a key.
        units: width of the comparison of `"concat"`; only for that score.
            Defaults to the value's width.
        learned_scale: multiply `dot` or `general` by a learned scalar that
            starts at one ("scaled Luong").
        dropout: fraction of the weights dropped in training.
        blockwise: see `Attention`.
        seed: random seed of the dropout.

    Call args and Returns: those of `Attention`.

    Raises:
        ValueError: for another score, or an argument that the score lacks.

    Example:

    >>> LuongAttention("general")(np.ones((2, 3, 5)), np.ones((2, 7, 4))).context.shape
    TensorShape([2, 3, 4])

    Reference: Luong et al. 2015, "Effective Approaches to Attention-based
        Neural Machine Translation", 3.1, eq. 7-8.
    """

    def __init__(
        self, score="dot", units=None, learned_scale=False, dropout=0.0, blockwise="auto", seed=None, **kwargs
    ):
        if units is not None and score != "concat":
            raise ValueError(
                f"LuongAttention: units is the width of the 'concat' score. Received units={units} with score "
                f"{score!r}. Drop units, or use score='concat'."
            )
        if learned_scale and score not in ("dot", "general"):
            raise ValueError(
                f"LuongAttention: learned_scale belongs to the scores 'dot' and 'general'. Received it with {score!r}. "
                "BahdanauAttention(normed=True) is the additive score with a learned length."
            )
        arguments = {"units": units} if units is not None else {}
        if learned_scale:
            arguments = {"learned_scale": True}
        super().__init__(get_score(score, **arguments), dropout=dropout, blockwise=blockwise, seed=seed, **kwargs)
        self.score_name = score if isinstance(score, str) else None
        self.units = units
        self.learned_scale = learned_scale

    def get_config(self):
        return super().get_config() | {
            "score": self.score_name or serialized(self.score),
            "units": self.units,
            "learned_scale": self.learned_scale,
        }
