"""Scores: how well a query matches each key, before mask and softmax.

A score is a layer in parts: `prepare(key)` and `prepare_query(query)` do all
that can be done without the other, the first once per source; `pair`, a pure
function, does the rest and gives `(batch, target, source)`. Calling the layer
does it all. Multiplicative scores may carry a learned scale and the additive
score may be weight-normed; nothing here knows masks.
"""

import math

import keras
from keras import ops

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Layer
from keras_attention.layers.products import product, wide


class Score(Layer):
    """Base of all scores: `score(query, key)` is `compare(query, prepare(key))`.

    Subclasses define `pair` and, where they need them, `prepare`,
    `prepare_query`, `parameters` and `build(query_shape, key_shape)`. A
    subclass that is decorated with `@register_score("name")` can be chosen by
    that name.

    Call args:
        query: `(batch, target, query_dim)`.
        key: `(batch, source, key_dim)`.

    Returns:
        `(batch, target, source)`.
    """

    def build(self, query_shape, key_shape):
        """Creates the weights; most scores have some."""

    def prepare(self, key):
        """What of the score depends on the key alone: `(batch, source, any)`."""
        return key

    def prepare_query(self, query):
        """What of the score depends on the query alone: `(batch, target, any)`."""
        return query

    def parameters(self):
        """Tensors that `pair` needs beside the two: it may not use a weight itself."""
        return ()

    @staticmethod
    def pair(query, prepared, *parameters):
        """Scores of a prepared query and a prepared key: `(batch, target, source)`."""
        raise NotImplementedError("A Score must define pair(query, prepared, *parameters).")

    @property
    def units(self):
        """Numbers that `pair` makes for each pair of positions."""
        return 1

    def compare(self, query, prepared):
        """Scores of a query and a prepared key: `(batch, target, source)`."""
        return self.pair(self.prepare_query(query), prepared, *self.parameters())

    def call(self, query, key):
        return self.compare(query, self.prepare(key))


SCORES = {}


def register_score(name):
    """Makes a `Score` subclass known to `get_score` and to Keras' serialisation."""

    def register(score_class):
        SCORES[name] = score_class
        return keras.saving.register_keras_serializable(package="keras_attention")(score_class)

    return register


class MultiplicativeScore(Score):
    """Dot product of a query and a prepared key, times a factor.

    Args:
        learned_scale: multiply by a learned scalar `g` that starts at one.
    """

    def __init__(self, learned_scale=False, **kwargs):
        super().__init__(**kwargs)
        self.learned_scale = learned_scale

    def build(self, query_shape, key_shape):
        if self.learned_scale:
            self.g = self.add_weight(name="g", shape=(), initializer="ones")

    def prepare_query(self, query):
        query = self.project_query(query)
        return query * ops.cast(self.g, query.dtype) if self.learned_scale else query

    def project_query(self, query):
        """The query, before the learned scale."""
        return query

    @staticmethod
    def pair(query, prepared):
        return product(query, prepared, transpose=True)

    def get_config(self):
        return super().get_config() | {"learned_scale": self.learned_scale}


@register_score("dot")
class DotScore(MultiplicativeScore):
    """`q . k`, or `q . k / sqrt(dim)` with `scaled=True`.

    The cheapest score and the only one without weights of its own; query and
    key must have one width. Scale it where the width is large, since the
    variance of a dot product grows with the width.

    Args:
        scaled: divide by the square root of the width.
        learned_scale: multiply by a learned scalar that starts at one.

    Raises:
        ValueError: if query and key differ in width.

    Example:

    >>> query, key = np.ones((1, 1, 4)), np.ones((1, 2, 4))
    >>> DotScore(scaled=True)(query, key).numpy().tolist()
    [[[2.0, 2.0]]]

    Reference: Luong et al. 2015, "Effective Approaches to Attention-based
        Neural Machine Translation", eq. 8; Vaswani et al. 2017, eq. 1.
    """

    def __init__(self, scaled=False, learned_scale=False, **kwargs):
        super().__init__(learned_scale=learned_scale, **kwargs)
        self.scaled = scaled

    def build(self, query_shape, key_shape):
        if query_shape[-1] != key_shape[-1]:
            raise ValueError(
                "DotScore: query and key must have one width. "
                f"Received query {tuple(query_shape)} and key {tuple(key_shape)}. "
                "Use score='general' for different widths, or project one of them."
            )
        super().build(query_shape, key_shape)

    def project_query(self, query):
        return query * (1.0 / math.sqrt(query.shape[-1])) if self.scaled else query

    def get_config(self):
        return super().get_config() | {"scaled": self.scaled}


@register_score("general")
class GeneralScore(MultiplicativeScore):
    """`q . W k`, for a query and a key of any widths.

    `W` is applied to the key, once per source. With `learned_scale` this is
    the "scaled Luong" score of TensorFlow's NMT code.

    Args:
        learned_scale: multiply by a learned scalar that starts at one.
        initializer: of `W`.

    Example:

    >>> GeneralScore()(np.ones((1, 3, 5)), np.ones((1, 4, 7))).shape
    TensorShape([1, 3, 4])

    Reference: Luong et al. 2015, eq. 8.
    """

    def __init__(self, learned_scale=False, initializer="glorot_uniform", **kwargs):
        super().__init__(learned_scale=learned_scale, **kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, query_shape, key_shape):
        super().build(query_shape, key_shape)
        self.key_projection = _projection(self, "key_projection", query_shape[-1], key_shape)

    def prepare(self, key):
        return self.key_projection(key)

    def get_config(self):
        return super().get_config() | {"initializer": keras.initializers.serialize(self.initializer)}


@register_score("reduced_rank")
class ReducedRankScore(MultiplicativeScore):
    """`(U q) . (V k)`: the general score with a `W` of low rank.

    It has `rank * (query_dim + key_dim)` weights instead of
    `query_dim * key_dim`; it is one head's query and key projection.

    Args:
        rank: width in which query and key are compared.
        learned_scale: multiply by a learned scalar that starts at one.
        initializer: of `U` and `V`.

    Example:

    >>> ReducedRankScore(rank=2)(np.ones((1, 3, 5)), np.ones((1, 4, 7))).shape
    TensorShape([1, 3, 4])

    Reference: Stanford CS224n, lecture on attention, "reduced-rank
        multiplicative attention".
    """

    def __init__(self, rank, learned_scale=False, initializer="glorot_uniform", **kwargs):
        super().__init__(learned_scale=learned_scale, **kwargs)
        if rank < 1:
            raise ValueError(f"ReducedRankScore: rank must be at least 1. Received rank={rank}.")
        self.rank = rank
        self.initializer = keras.initializers.get(initializer)

    def build(self, query_shape, key_shape):
        super().build(query_shape, key_shape)
        self.query_projection = _projection(self, "query_projection", self.rank, query_shape)
        self.key_projection = _projection(self, "key_projection", self.rank, key_shape)

    def prepare(self, key):
        return self.key_projection(key)

    def project_query(self, query):
        return self.query_projection(query)

    def get_config(self):
        return super().get_config() | {
            "rank": self.rank,
            "initializer": keras.initializers.serialize(self.initializer),
        }


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
        initializer: of `W`, `U` and `v`.

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
        self.query_projection = _projection(self, "query_projection", units, query_shape)
        self.key_projection = _projection(self, "key_projection", units, key_shape)
        self.v = self.add_weight(name="v", shape=(units, 1), initializer=_fresh(self.initializer))
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


@keras.saving.register_keras_serializable(package="keras_attention")
class FunctionScore(Score):
    """A score that is a function of yours, without weights.

    Args:
        function: of a query `(batch, target, query_dim)` and a key
            `(batch, source, key_dim)`; gives scores `(batch, target, source)`.
            For a model that is to be saved, decorate it with
            `keras.saving.register_keras_serializable()`.

    Example:

    >>> distance = lambda query, key: -ops.sum((query[:, :, None] - key[:, None]) ** 2, axis=-1)
    >>> Attention(distance)(np.ones((1, 3, 5)), np.ones((1, 4, 5))).weights.shape
    TensorShape([1, 3, 4])
    """

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = keras.saving.deserialize_keras_object(function) if isinstance(function, dict) else function

    def pair(self, query, prepared):
        return self.function(query, prepared)

    def get_config(self):
        return super().get_config() | {"function": keras.saving.serialize_keras_object(self.function)}


# Names for a score with arguments; `register_score` gives each class its own plain name.
_NAMED_FORMS = {
    "scaled_dot": ("dot", {"scaled": True}),
    "concat": ("additive", {}),
    "scaled_luong": ("general", {"learned_scale": True}),
    "normed_bahdanau": ("additive", {"normed": True}),
}


def get_score(score, **arguments):
    """A score by name, from its config, or the score itself.

    Args:
        score: `"dot"`, `"scaled_dot"`, `"general"`, `"reduced_rank"`,
            `"additive"` (or `"concat"`), `"scaled_luong"`,
            `"normed_bahdanau"`; a `Score`; a function of a query and a key,
            see `FunctionScore`; or a serialised one.
        **arguments: of the score's constructor, with a name only.

    Returns:
        A `Score`.

    Raises:
        ValueError: for an unknown name, or one that needs arguments.

    Example:

    >>> get_score("reduced_rank", rank=8).rank
    8
    """
    if isinstance(score, Score):
        return score
    if isinstance(score, dict):
        return keras.saving.deserialize_keras_object(score)
    if callable(score):
        return FunctionScore(score)
    name, defaults = _NAMED_FORMS.get(score, (score, {})) if isinstance(score, str) else (score, {})
    if not isinstance(name, str) or name not in SCORES:
        known = ", ".join(repr(known) for known in sorted({*SCORES, *_NAMED_FORMS}))
        raise ValueError(
            f"get_score: score must be a Score, a function of a query and a key, or one of {known}. Received {score!r}."
        )
    try:
        return SCORES[name](**{**defaults, **arguments})
    except TypeError as error:
        raise ValueError(
            f"get_score: score {score!r} does not fit the arguments {arguments}: {error}. "
            f"Give a score that is ready, such as {SCORES[name].__name__}(...)."
        ) from error


def _projection(score, name, units, input_shape):
    """A built linear map without bias that computes in the score's dtype."""
    dense = PositionsDense(
        units, use_bias=False, kernel_initializer=_fresh(score.initializer), dtype=score.dtype_policy, name=name
    )
    dense.build(input_shape)
    return dense


def _fresh(initializer):
    """A copy, so that two weights of one layer do not start with the same numbers."""
    return initializer.clone() if isinstance(initializer, keras.Initializer) else initializer
