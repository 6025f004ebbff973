"""Attention that looks at one place: Luong's local and location forms, and monotonic attention.

They share the convention of `Attention` (`prepare`, `read`, call); what differs
is how scores become weights.
"""

import keras
from keras import ops

from keras_attention.layers.attention import Attention
from keras_attention.layers.core import AttentionOutput, attend, masked_softmax
from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.masks import check_mask, combine_masks
from keras_attention.layers.unroll import unroll


@keras.saving.register_keras_serializable(package="keras_attention")
class LocalAttention(Attention):
    """Luong's local attention: a window around a position in the source.

    With `alignment="monotonic"` (local-m) query `t` looks around `p_t = t`.
    With `"predictive"` (local-p) it looks around
    `p_t = S sigmoid(v . tanh(W q))`, `S` the source's length without padding,
    and the weights are multiplied by `exp(-(s - p_t)^2 / (2 sigma^2))` with
    `sigma = D / 2`, without being normalised again: their rows sum to at most
    one. Prefer it where source and target run in parallel and the source is
    long.

    Args:
        score: as in `Attention`.
        alignment: `"predictive"` or `"monotonic"`.
        half_width: D in the paper: a query sees sources `s` with
            `|s - p_t| <= D`.
        units: width of the prediction; of `"predictive"` only. Defaults to the
            query's.
        dropout, seed: as in `Attention`.

    Call args: those of `Attention`, and
        offset: position of the first query, for `"monotonic"`.

    Returns:
        `AttentionOutput(context, weights)`.

    Raises:
        ValueError: for an unknown alignment or a width below 1.

    Example:

    >>> weights = LocalAttention("dot", "monotonic", half_width=1)(np.ones((1, 3, 2)), np.ones((1, 5, 2))).weights
    >>> (weights.numpy()[0] > 0).astype(int).tolist()
    [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0]]

    Reference: Luong et al. 2015, 3.2, eq. 9-10.
    """

    def __init__(
        self, score="general", alignment="predictive", half_width=10, units=None, dropout=0.0, seed=None, **kwargs
    ):
        super().__init__(score, dropout=dropout, blockwise=False, seed=seed, **kwargs)
        if alignment not in ("predictive", "monotonic"):
            raise ValueError(f"LocalAttention: alignment must be 'predictive' or 'monotonic'. Received {alignment!r}.")
        if half_width < 1:
            raise ValueError(f"LocalAttention: half_width must be at least 1. Received half_width={half_width}.")
        self.alignment = alignment
        self.half_width = half_width
        self.units = units

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        if self.alignment == "predictive":
            units = self.units or query_shape[-1]
            self.hidden = PositionsDense(units, "tanh", use_bias=False, dtype=self.dtype_policy, name="hidden")
            self.hidden.build(query_shape)
            self.position = PositionsDense(1, "sigmoid", use_bias=False, dtype=self.dtype_policy, name="position")
            self.position.build((None, units))

    def read(self, query, memory, attention_mask=None, training=False, offset=0):
        query = ops.cast(query, self.compute_dtype)
        centers = self._centers(query, memory, offset)  # batch or 1, target, 1
        distance = ops.arange(ops.shape(memory.key)[1], dtype="float32")[None, None, :] - centers
        near = ops.abs(distance) <= self.half_width
        self.check_shapes(query.shape, None, None)
        padding = None if memory.mask is None else memory.mask[:, None, :]
        scores = self.score.compare(query, memory.key)
        mask = combine_masks(near, padding, attention_mask)
        weights = masked_softmax(scores, mask)
        if self.alignment == "predictive":
            bell = ops.exp(-ops.square(distance) / (2 * (self.half_width / 2) ** 2))
            weights = weights * ops.cast(bell, weights.dtype)
        summed = self._dropout(weights) if training and self._dropout else weights
        return AttentionOutput(ops.matmul(summed, memory.value), weights)

    def _centers(self, query, memory, offset):
        """p_t, in float32: positions in the source, whole for `"monotonic"`, real for `"predictive"`."""
        if self.alignment == "monotonic":
            return ops.cast(offset + ops.arange(ops.shape(query)[1]), "float32")[None, :, None]
        if memory.mask is None:
            length = ops.cast(ops.shape(memory.key)[1], "float32")
        else:
            length = ops.sum(ops.cast(memory.mask, "float32"), axis=1)[:, None, None]
        return length * ops.cast(self.position(self.hidden(query)), "float32")

    def get_config(self):
        config = super().get_config()
        del config["blockwise"]
        return config | {"alignment": self.alignment, "half_width": self.half_width, "units": self.units}


@keras.saving.register_keras_serializable(package="keras_attention")
class LocationAttention(Attention):
    """Luong's location attention: `softmax(W q)`; the source's content is not looked at.

    `W` has one row for each of `max_length` source positions. Shorter sources
    use the first rows; positions beyond `max_length` get nothing.

    Args:
        max_length: source positions that have a row.
        dropout, seed: as in `Attention`.

    Call args and Returns: those of `Attention`.

    Example:

    >>> LocationAttention(max_length=9)(np.ones((2, 3, 5)), np.ones((2, 7, 4))).weights.shape
    TensorShape([2, 3, 7])

    Reference: Luong et al. 2015, 3.1, "location".
    """

    def __init__(self, max_length, dropout=0.0, seed=None, **kwargs):
        super().__init__("dot", dropout=dropout, blockwise=False, seed=seed, **kwargs)
        if max_length < 1:
            raise ValueError(f"LocationAttention: max_length must be at least 1. Received max_length={max_length}.")
        self.max_length = max_length

    def build(self, query_shape, value_shape, key_shape=None):
        self.check_shapes(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        self.location = PositionsDense(self.max_length, use_bias=False, dtype=self.dtype_policy, name="location")
        self.location.build(query_shape)

    def read(self, query, memory, attention_mask=None, training=False):
        scores = self.location(query)  # batch, target, max_length
        source = ops.shape(memory.value)[1]
        missing = ops.maximum(source - self.max_length, 0)
        scores = ops.pad(scores, [[0, 0], [0, 0], [0, missing]])[:, :, :source]
        known = (ops.arange(source) < self.max_length)[None, None, :]
        padding = None if memory.mask is None else memory.mask[:, None, :]
        dropout = self._dropout if training else None
        return attend(scores, memory.value, combine_masks(known, padding, attention_mask), dropout)

    def get_config(self):
        config = super().get_config()
        for name in ("score", "blockwise"):
            del config[name]
        return config | {"max_length": self.max_length}


@keras.saving.register_keras_serializable(package="keras_attention")
class MonotonicAttention(Attention):
    """Attention that only moves forward: each step stops at a source position, at or after the last.

    At position `j` it stops with probability `p_j = sigmoid(score_j + r)`; what
    is returned is the expected stop,
    `a_j = p_j ((1 - p_{j-1}) a_{j-1} / p_{j-1} + a'_j)`, with `a'` the weights of
    the step before (at first, all on position 0). Rows sum to at most one: the
    rest is the chance of running off the end. With `hard=True` the step stops
    at the first position, at or after the last, with `p_j > 1/2`.

    Prefer it for speech and for alignments known to be monotonic. Steps depend
    on each other, so the queries of one call are read in order; `previous`
    carries the alignment from call to call.

    Args:
        score: as in `Attention`; Raffel uses `"normed_bahdanau"`.
        score_bias: first value of `r`, learned. Negative for long sources, such
            as -4, so that it does not stop at once.
        noise: standard deviation of the noise that is added before the sigmoid
            in training, which drives the probabilities to zero or one.
        hard: whether to decide at each position, for inference.
        seed: of the noise.

    Call args: those of `Attention`, and
        previous: the alignment before the first query, `(batch, source)`.

    Returns:
        `AttentionOutput(context, weights)`; `weights[:, -1]` is the next call's
        `previous`.

    Example:

    >>> output = MonotonicAttention("dot")(np.ones((1, 3, 2)), np.ones((1, 5, 2)))
    >>> bool((output.weights.numpy().sum(-1) <= 1.0).all())
    True

    Reference: Raffel et al. 2017, "Online and Linear-Time Attention by
        Enforcing Monotonic Alignments", eq. 8-13.
    """

    def __init__(self, score="normed_bahdanau", score_bias=0.0, noise=0.0, hard=False, seed=None, **kwargs):
        super().__init__(score, blockwise=False, seed=seed, **kwargs)
        self.score_bias = score_bias
        self.noise = noise
        self.hard = hard
        self._noise_seed = keras.random.SeedGenerator(seed) if noise else None

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        self.r = self.add_weight(name="r", shape=(), initializer=keras.initializers.Constant(self.score_bias))

    def read(self, query, memory, attention_mask=None, training=False, previous=None):
        self.check_shapes(query.shape, None, None)
        any_size = (None, None, None)
        check_mask(attention_mask, type(self).__name__, "attention_mask", "(batch, target, source)", any_size)
        query = ops.cast(query, self.compute_dtype)
        scores = ops.cast(self.score.compare(query, memory.key), "float32") + ops.cast(self.r, "float32")
        if training and self.noise:
            scores = scores + self.noise * keras.random.normal(ops.shape(scores), seed=self._noise_seed)
        stops = ops.cast(scores > 0, "float32") if self.hard else ops.sigmoid(scores)
        padding = None if memory.mask is None else memory.mask[:, None, :]
        mask = combine_masks(padding, attention_mask)
        if mask is not None:
            stops = stops * ops.cast(mask, "float32")
        if previous is None:
            first = ops.cast(ops.arange(ops.shape(stops)[2]) == 0, "float32")
            previous = ops.zeros_like(stops[:, 0]) + first

        def step(stop, alignment):
            alignment = self._hard_step(stop, alignment) if self.hard else self._expected_step(stop, alignment)
            return alignment, alignment

        weights, _ = unroll(step, stops, ops.cast(previous, "float32"))
        weights = ops.cast(weights, self.compute_dtype)
        return AttentionOutput(ops.matmul(weights, memory.value), weights)

    @staticmethod
    def _expected_step(stop, previous):
        """The recurrence in closed form: products of going on, with a floor that keeps the quotient finite."""
        floor = 1e-10
        going_on = ops.exp(_exclusive_sum(ops.log(ops.clip(1.0 - stop, floor, 1.0))))
        return stop * going_on * ops.cumsum(previous / ops.clip(going_on, floor, 1.0), axis=-1)

    @staticmethod
    def _hard_step(stop, previous):
        """One at the first stop at or after the last one; zeros if there is none."""
        candidates = stop * ops.cumsum(previous, axis=-1)
        return candidates * ops.cast(_exclusive_sum(candidates) < 0.5, candidates.dtype)

    def get_config(self):
        config = super().get_config()
        for name in ("dropout", "blockwise"):
            del config[name]
        return config | {"score_bias": self.score_bias, "noise": self.noise, "hard": self.hard}


def _exclusive_sum(tensor):
    """The sum of what stands before each position of the last axis."""
    return ops.cumsum(tensor, axis=-1) - tensor
