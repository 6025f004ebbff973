"""What every score is: how well a query matches each key, before mask and softmax.

A score is a layer in parts: `prepare(key)` and `prepare_query(query)` do all
that can be done without the other, the first once per source; `pair`, a pure
function, does the rest and gives `(batch, target, source)`. Calling the layer
does it all. Nothing here knows masks.
"""

import keras

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Layer, fresh_initializer


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


def projection(score, name, units, input_shape):
    """A built linear map without bias that computes in the score's dtype."""
    dense = PositionsDense(
        units,
        use_bias=False,
        kernel_initializer=fresh_initializer(score.initializer),
        dtype=score.dtype_policy,
        name=name,
    )
    dense.build(input_shape)
    return dense
