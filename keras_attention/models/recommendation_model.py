"""What every model of histories is: what comes after the items that somebody chose."""

import keras
from keras import ops

from keras_attention.layers.checked_inputs import ChecksInputs
from keras_attention.layers.masks import counted_from_here
from keras_attention.layers.sizes import size_of

_BARRED = -1e9


class RecommendationModel(ChecksInputs, keras.Model):
    """Base of the models that recommend items.

    Args:
        vocabulary_size: ids of items; 0 is padding, 1 an unknown one, 2 and 3
            are none.
        units: width of the items' embeddings.
        max_length: the latest items of a history that are read.

    Call args:
        inputs: dict of

            - `history`: integers `(batch, length)`, the oldest first; padding is
              0 and may stand anywhere.
            - `user`: integers `(batch,)`, for a model that `has_users`.
            - `next` and `negatives` (optional): `(batch, length)`, the item
              after each of the history, 0 for none; or `(batch, 1)`, the one
              after the last, of a model that does not predict
              `every_position`. And `(count,)`, ids of other items. With them
              the model is trained; see Returns.
        training: whether to drop.

    Returns:
        Scores of all ids for the item after the history,
        `(batch, vocabulary_size)`. With `next` logits
        `(batch, length, 1 + count)`: of the item that came, and of the others,
        for a crossentropy whose right class is always 0.

    `attend(inputs)` gives the scores and the weights of the attention, of which
    the last axis is the history. `popularity`, `(vocabulary_size,)`, is not
    trained: what is recommended where a history has no item.
    """

    has_users = False
    every_position = True
    weights_by_item = False
    # Standard deviation of the items' first embeddings; None is `units**-0.5`.
    items_stddev = None

    def __init__(self, vocabulary_size, units, max_length, **kwargs):
        super().__init__(**kwargs)
        for name, size in (("vocabulary_size", vocabulary_size - 4), ("units", units), ("max_length", max_length)):
            if size < 1:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be at least {5 if name == 'vocabulary_size' else 1}. Received "
                    f"{size + 4 if name == 'vocabulary_size' else size}."
                )
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.max_length = max_length

    def _embedding(self, name, rows, width, stddev=0.01, trainable=True):
        initializer = keras.initializers.RandomNormal(stddev=stddev) if trainable else "zeros"
        return self.add_weight(shape=(rows, width), initializer=initializer, name=name, trainable=trainable)

    def build(self, input_shape=None):
        """Creates all weights."""
        if self.built:
            return
        self.items = self._embedding("items", self.vocabulary_size, self.units, self.items_stddev or self.units**-0.5)
        self.popularity = self.add_weight(
            shape=(self.vocabulary_size,), initializer="zeros", name="popularity", trainable=False
        )
        self._build_parts()
        self.built = True

    def _build_parts(self):
        raise NotImplementedError(f"{type(self).__name__} must define _build_parts().")

    def call(self, inputs, training=False):
        if "next" not in inputs:
            return self.attend(inputs, training)[0]
        logits = self._of_candidates(inputs, ops.cast(inputs["next"], "int32"), inputs["negatives"], training)
        same = ops.equal(inputs["next"][..., None], ops.cast(inputs["negatives"], inputs["next"].dtype))
        others = ops.where(same, ops.cast(_BARRED, "float32"), logits[..., 1:])
        return ops.concatenate([logits[..., :1], others], axis=-1)

    def attend(self, inputs, training=False):
        """`(scores, weights)`: float32 `(batch, vocabulary_size)` and `(batch, ..., history)`.

        Of a model with `weights_by_item` the second axis of the weights is that
        of the scores.
        """
        raise NotImplementedError(f"{type(self).__name__} must define attend(inputs).")

    def _of_candidates(self, inputs, following, negatives, training):
        """Logits of the items that followed, and of others: float32 `(batch, length, 1 + count)`."""
        raise NotImplementedError(f"{type(self).__name__} must define _of_candidates(...).")

    def _kept(self, history):
        """Ids, and which of them are read: the last `max_length` items."""
        history = ops.cast(history, "int32")
        is_item = history > 3
        return history, ops.logical_and(is_item, counted_from_here(is_item) <= self.max_length)

    def _rows(self, embedding, ids):
        return ops.cast(ops.take(embedding, ids, axis=0), self.compute_dtype)

    def get_config(self):
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "max_length": self.max_length,
        }


class ByProduct(RecommendationModel):
    """A model whose scores are products of what it knows of a history with the items' embeddings, and a bias."""

    def _vectors(self, inputs, training):
        """What is known after each position: `(batch, length, units)`, the weights, and which positions are read."""
        raise NotImplementedError(f"{type(self).__name__} must define _vectors(inputs, training).")

    def _build_parts(self):
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="bias")

    def attend(self, inputs, training=False):
        vectors, weights, mask = self._vectors(inputs, training)
        at = ops.max(ops.where(mask, ops.arange(size_of(mask, 1)), 0), axis=1)
        last = ops.take_along_axis(vectors, at[:, None, None], axis=1)[:, 0]
        scores = ops.matmul(last, ops.transpose(ops.cast(self.items, last.dtype)))
        return ops.cast(scores, "float32") + ops.cast(self.bias, "float32"), self._weights_at(weights, at)

    def _weights_at(self, weights, at):
        """Of weights `(batch, ..., length, history)` those of one query: `(batch, ..., history)`."""
        at = ops.reshape(at, (-1, *[1] * (len(weights.shape) - 1)))
        return ops.take_along_axis(weights, at, axis=-2)[..., 0, :]

    def _of_candidates(self, inputs, following, negatives, training):
        vectors, _, _ = self._vectors(inputs, training)
        right = ops.sum(vectors * self._rows(self.items, following), axis=-1, keepdims=True)
        others = ops.matmul(vectors, ops.transpose(self._rows(self.items, negatives)))
        bias = [ops.take(self.bias, following)[..., None], ops.take(self.bias, negatives)]
        return ops.concatenate(
            [ops.cast(one, "float32") + ops.cast(of, "float32") for one, of in zip((right, others), bias, strict=True)],
            axis=-1,
        )
