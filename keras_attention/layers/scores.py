"""Scores by name: multiplicative ones, which may carry a learned scale, the additive one, functions of one's own."""

import math

import keras
from keras import ops

from keras_attention.layers.additive_score import AdditiveScore
from keras_attention.layers.interaction_score import InteractionScore
from keras_attention.layers.products import product
from keras_attention.layers.score import SCORES, Score, projection, register_score

__all__ = [
    "SCORES",
    "AdditiveScore",
    "DotScore",
    "FunctionScore",
    "GeneralScore",
    "InteractionScore",
    "MultiplicativeScore",
    "ReducedRankScore",
    "Score",
    "get_score",
    "register_score",
]


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
        initializer: initializer of `W`.

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
        self.key_projection = projection(self, "key_projection", query_shape[-1], key_shape)

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
        initializer: initializer of `U` and `V`.

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
        self.query_projection = projection(self, "query_projection", self.rank, query_shape)
        self.key_projection = projection(self, "key_projection", self.rank, key_shape)

    def prepare(self, key):
        return self.key_projection(key)

    def project_query(self, query):
        return self.query_projection(query)

    def get_config(self):
        return super().get_config() | {
            "rank": self.rank,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class FunctionScore(Score):
    """A score that is a function of yours, without weights.

    Args:
        function: function of a query `(batch, target, query_dim)` and a key
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
        **arguments: arguments of the score's constructor, with a name only.

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
