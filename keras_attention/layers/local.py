"""Attention that looks at one place: Luong's local and location forms, and monotonic attention.

They share the convention of `Attention` (`prepare`, `start`, `read`, call); what
differs is how scores become weights, and that two of them have a state.
"""

import keras
from keras import ops

from keras_attention.layers.attention import Attention
from keras_attention.layers.attention_layer import repeated
from keras_attention.layers.core import AttentionRead, attend, masked_softmax
from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.masks import combine_masks
from keras_attention.layers.positions import token_count, token_positions
from keras_attention.layers.products import wide
from keras_attention.layers.sizes import size_of
from keras_attention.layers.unroll import unroll


@keras.saving.register_keras_serializable(package="keras_attention")
class LocalAttention(Attention):
    """Luong's local attention: a window around a position in the source.

    With `alignment="monotonic"` (local-m) query `t` looks around `p_t = t`.
    Positions are counted among tokens, wherever padding stands.
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

    Call args: those of `Attention`. The state of local-m is the number of
        queries that were read, `(batch, 1)`.

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

    config_names = ("score", "alignment", "half_width", "units", "dropout", "seed")

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

    def start(self, memory, rows=None):
        if self.alignment == "predictive":
            return ()
        return (ops.zeros((size_of(memory.value, 0) if rows is None else rows, 1), "int32"),)

    def read(self, query, memory, state=(), query_mask=None, attention_mask=None, training=False):
        mask = self._read_mask(query, memory, query_mask, attention_mask)
        query = self._cleaned_query(query, query_mask)
        dtype = wide(self.compute_dtype)
        positions = ops.cast(_places(memory.mask, size_of(memory.key, 1)), dtype)
        distance = positions[:, None, :] - self._centers(query, memory, state, query_mask, dtype)
        near = ops.abs(distance) <= self.half_width
        weights = masked_softmax(self.score.compare(query, memory.key), combine_masks(near, mask))
        if self.alignment == "predictive":
            bell = ops.exp(-ops.square(distance) / (2 * (self.half_width / 2) ** 2))
            weights = weights * ops.cast(bell, weights.dtype)
        summed = self.dropped(weights) if training else weights
        state = state or self.start(memory, size_of(query, 0))
        state = tuple(count + token_count(query_mask, size_of(query, 1)) for count in state)
        return AttentionRead(ops.matmul(summed, memory.value), weights, state)

    def _centers(self, query, memory, state, query_mask, dtype):
        """p_t, `(batch or 1, target, 1)`: positions in the source, whole for `"monotonic"`, real for `"predictive"`."""
        if self.alignment == "monotonic":
            offset = state[0][:, 0] if state else 0
            return ops.cast(_places(query_mask, size_of(query, 1), offset), dtype)[:, :, None]
        if memory.mask is None:
            length = ops.cast(size_of(memory.key, 1), dtype)
        else:
            length = ops.sum(ops.cast(memory.mask, dtype), axis=1)[:, None, None]
        return length * ops.cast(self.position(self.hidden(query)), dtype)


@keras.saving.register_keras_serializable(package="keras_attention")
class LocationAttention(Attention):
    """Luong's location attention: `softmax(W q)`; the source's content is not looked at.

    `W` has one row for each of `max_length` source positions, counted among
    tokens wherever padding stands. Shorter sources use the first rows;
    positions beyond `max_length` get nothing.

    Args:
        max_length: source positions that have a row.
        dropout, seed: as in `Attention`.

    Call args and Returns: those of `Attention`.

    Example:

    >>> LocationAttention(max_length=9)(np.ones((2, 3, 5)), np.ones((2, 7, 4))).weights.shape
    TensorShape([2, 3, 7])

    Reference: Luong et al. 2015, 3.1, "location".
    """

    config_names = ("max_length", "dropout", "seed")

    def __init__(self, max_length, dropout=0.0, seed=None, **kwargs):
        super().__init__("dot", dropout=dropout, blockwise=False, seed=seed, **kwargs)
        if max_length < 1:
            raise ValueError(f"LocationAttention: max_length must be at least 1. Received max_length={max_length}.")
        self.max_length = max_length

    def build(self, query_shape, value_shape, key_shape=None):
        self.check_shapes(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        self.location = PositionsDense(self.max_length, use_bias=False, dtype=self.dtype_policy, name="location")
        self.location.build(query_shape)

    def read(self, query, memory, state=(), query_mask=None, attention_mask=None, training=False):
        mask = self._read_mask(query, memory, query_mask, attention_mask)
        scores = self.location(self._cleaned_query(query, query_mask))  # batch, target, max_length
        positions = _places(memory.mask, size_of(memory.value, 1))[:, None, :]
        rows = ops.minimum(positions, self.max_length - 1)
        scores = ops.take_along_axis(scores, ops.broadcast_to(rows, self._pairs(scores, rows)), axis=-1)
        mask = combine_masks(positions < self.max_length, mask)
        return AttentionRead(*attend(scores, memory.value, mask, self.dropped if training else None))

    @staticmethod
    def _pairs(scores, rows):
        """`(batch, target, source)`."""
        return (*ops.shape(scores)[:2], size_of(rows, 2))


@keras.saving.register_keras_serializable(package="keras_attention")
class MonotonicAttention(Attention):
    """Attention that only moves forward: each step stops at a source position, at or after the last.

    At position `j` it stops with probability `p_j = sigmoid(score_j + r)`; what
    is returned is the expected stop, `a_j = p_j q_j` with
    `q_j = (1 - p_{j-1}) q_{j-1} + a'_j` and `a'` the weights of the step before
    (at first, all on the first token). Rows sum to at most one: the rest is the
    chance of running off the end. With `hard=True` the step stops at the first
    position, at or after the last, with `p_j > 1/2`.

    The recursion is computed as it stands, by doubling. Other libraries divide
    by a cumulative product of `1 - p`, which loses what lies behind a few
    positions where `p` is near one.

    Prefer it for speech and for alignments known to be monotonic. Steps depend
    on each other, so the queries of one call are read in order; the state, the
    last alignment `(batch, source)`, carries it from call to call. A query that
    may attend to nothing, padding among them, gets zeros and leaves the
    alignment where it was.

    Args:
        score: as in `Attention`; Raffel uses `"normed_bahdanau"`.
        score_bias: first value of `r`, learned. Negative for long sources, such
            as -4, so that it does not stop at once.
        noise: standard deviation of the noise that is added before the sigmoid
            in training, which drives the probabilities to zero or one.
        hard: whether to decide at each position, for inference.
        seed: random seed of the noise.

    Call args and Returns: those of `Attention`.

    Example:

    >>> output = MonotonicAttention("dot")(np.ones((1, 3, 2)), np.ones((1, 5, 2)))
    >>> bool((output.weights.numpy().sum(-1) <= 1.0).all())
    True

    Reference: Raffel et al. 2017, "Online and Linear-Time Attention by
        Enforcing Monotonic Alignments", eq. 8-13.
    """

    config_names = ("score", "score_bias", "noise", "hard", "seed")

    def __init__(self, score="normed_bahdanau", score_bias=0.0, noise=0.0, hard=False, seed=None, **kwargs):
        super().__init__(score, blockwise=False, seed=seed, **kwargs)
        self.score_bias = score_bias
        self.noise = noise
        self.hard = hard
        self._noise_seed = keras.random.SeedGenerator(seed) if noise else None

    def build(self, query_shape, value_shape, key_shape=None):
        super().build(query_shape, value_shape, key_shape)
        self.r = self.add_weight(name="r", shape=(), initializer=keras.initializers.Constant(self.score_bias))

    def start(self, memory, rows=None):
        """All on the first token: `(rows, source)`."""
        positions = _places(memory.mask, size_of(memory.value, 1))
        first = positions == 0 if memory.mask is None else ops.logical_and(positions == 0, memory.mask)
        first = ops.cast(first, wide(self.compute_dtype))
        batch = size_of(memory.value, 0)
        first = ops.broadcast_to(first, (batch, size_of(first, 1)))
        return (first if rows is None else repeated(first, rows // batch),)

    def read(self, query, memory, state=(), query_mask=None, attention_mask=None, training=False):
        mask = self._read_mask(query, memory, query_mask, attention_mask)
        scores = self.score.compare(self._cleaned_query(query, query_mask), memory.key)
        scores = ops.cast(scores, wide(self.compute_dtype))
        scores = scores + ops.cast(self.r, scores.dtype)
        if training and self.noise:
            noise = keras.random.normal(ops.shape(scores), dtype=wide(self.compute_dtype), seed=self._noise_seed)
            scores = scores + self.noise * noise
        (given,) = state or self.start(memory)
        previous = ops.broadcast_to(ops.cast(given, scores.dtype), (size_of(scores, 0), size_of(scores, 2)))
        weights, last = self._expected(scores, mask, previous)
        weights = ops.cast(weights, self.compute_dtype)
        # Of the dtype that it came in, which Keras may have cast to that of computation: a loop insists on it.
        return AttentionRead(ops.matmul(weights, memory.value), weights, (ops.cast(last, given.dtype),))

    def _expected(self, scores, mask, previous):
        """The alignment of each query in turn, `(batch, target, source)`, and the last one."""
        if self.hard:
            stops = ops.cast(scores > 0, scores.dtype)
            going_on = 1 - stops
        else:
            stops, going_on = ops.sigmoid(scores), ops.sigmoid(-scores)
        if mask is None:
            steps = (stops, *_spans(going_on))
        else:
            zero, one = ops.zeros((), scores.dtype), ops.ones((), scores.dtype)
            stops, going_on = ops.where(mask, stops, zero), ops.where(mask, going_on, one)
            live = ops.broadcast_to(ops.any(mask, axis=-1, keepdims=True), (*ops.shape(scores)[:2], 1))
            steps = (stops, *_spans(going_on), live)

        def step(inputs, alignment):
            stop, *spans = inputs
            live = None if mask is None else spans.pop()
            weights = stop * _arrivals(spans, alignment)
            return weights, weights if live is None else ops.where(live, weights, alignment)

        return unroll(step, steps, previous)


def _places(mask, length, offset=0):
    """Where each position stands among tokens: `(batch, length)`, or `(1, length)` where all rows are alike."""
    places = token_positions(mask, length, offset)
    return places if len(places.shape) == 2 else places[None]


# Spans up to this many positions are multiplied where a graph does not know how long the source is.
LONGEST_SPAN = 2**17


def _spans(going_on):
    """The chance to go on over the 1, 2, 4, ... positions before each one: a list of `(batch, target, source)`."""
    source = going_on.shape[-1]  # None, or a symbol of JAX, where it is unknown
    longest = source if isinstance(source, int) else LONGEST_SPAN
    place = ops.arange(size_of(going_on, -1))
    spans, length = [], 1
    while length < longest:
        before = spans[-1] if spans else going_on
        shifted = _turned(before, max(length // 2, 1))
        span = shifted if length == 1 else before * shifted
        spans.append(ops.where(place >= length, span, ops.zeros((), span.dtype)))
        length *= 2
    return spans


def _arrivals(spans, previous):
    """`q_j = (1 - p_{j-1}) q_{j-1} + a'_j`: a sum over twice as many positions with each span."""
    for power, span in enumerate(spans):
        previous = previous + span * _turned(previous, 2**power)
    return previous


def _turned(tensor, places):
    """The last axis turned by some places; as it is where it is shorter. LiteRT has no `roll`."""
    return ops.concatenate([tensor[..., -places:], tensor[..., :-places]], axis=-1)
