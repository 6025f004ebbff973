"""Decoders: target ids, a memory and a state to logits, in any number of calls.

Every decoder has one signature, for training, search and forced prefixes alike:

    memory = decoder.prepare(outputs, mask)         once per source
    state = decoder.start(summary)                  once per source
    logits, state, weights = decoder(ids, memory, state)
"""

from typing import Any, NamedTuple

import keras

from keras_attention.layers.bridge import Bridge
from keras_attention.layers.cells import DecoderCell


class DecoderOutput(NamedTuple):
    """What a decoder returns.

    Attributes:
        logits: over the vocabulary, for the token after each given one:
            `(batch, target, vocabulary)`.
        state: for the next call; a structure of tensors, batch first.
        weights: `(batch, target, source)`.
    """

    logits: Any
    state: Any
    weights: Any


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentDecoder(keras.layers.Layer):
    """Embedding, a decoder cell and an output layer.

    Args:
        vocabulary_size: number of target ids.
        cell: a `DecoderCell`.
        embedding_dim: width of the embedding. Defaults to the cell's units.
        bridge: how the encoder's summary becomes the first state; see `Bridge`.
        dropout: fraction dropped from the embedded inputs, and from what the
            output layer reads, in training.

    Call args:
        ids: `(batch, target)` integers.
        memory: what `prepare` returned.
        state: what `start` or the last call returned.

    Returns:
        `DecoderOutput(logits, state, weights)`.

    Example:

    >>> decoder = RecurrentDecoder(vocabulary_size=9, cell=LuongCell(4))
    >>> decoder.build((None, None), (None, None, 6), (((None, 3),),))
    >>> memory = decoder.prepare(np.ones((2, 7, 6)))
    >>> state = decoder.start(((np.ones((2, 3)),),))
    >>> decoder(np.array([[2, 5], [2, 6]]), memory, state).logits.shape
    TensorShape([2, 2, 9])
    """

    def __init__(self, vocabulary_size, cell, embedding_dim=None, bridge="dense", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, DecoderCell):
            raise TypeError(f"RecurrentDecoder: cell must be a DecoderCell such as LuongCell(64). Received {cell!r}.")
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.embedding_dim = embedding_dim or cell.units
        self.dropout = dropout
        self.embedding = keras.layers.Embedding(vocabulary_size, self.embedding_dim, dtype=self.dtype_policy)
        self.bridge = Bridge(cell.units, cell.state_count, kind=bridge, dtype=self.dtype_policy)
        self.output_projection = keras.layers.Dense(vocabulary_size, dtype=self.dtype_policy, name="output")
        self.dropouts = [keras.layers.Dropout(dropout) for _ in range(2)] if dropout else None

    def build(self, ids_shape, value_shape, summary_shape):
        """Creates the weights.

        Args:
            ids_shape: `(batch, target)`.
            value_shape: of the encoder's outputs, `(batch, source, dim)`.
            summary_shape: of the encoder's summary.
        """
        self.embedding.build(ids_shape)
        self.bridge.build(summary_shape)
        if not self.cell.built:
            self.cell.build((*ids_shape, self.embedding_dim), value_shape)
        self.output_projection.build((None, self.cell.output_dim))

    def prepare(self, value, value_mask=None):
        """The memory of a source, made once."""
        return self.cell.prepare(value, value_mask=value_mask)

    def start(self, summary):
        """The state before the first target token."""
        return self.cell.start(self.bridge(summary))

    def call(self, ids, memory, state, training=False):
        inputs = self._drop(0, self.embedding(ids), training)
        output, state, weights = self.cell.read(inputs, memory, state, training=training)
        return DecoderOutput(self.output_projection(self._drop(1, output, training)), state, weights)

    def _drop(self, index, tensor, training):
        return self.dropouts[index](tensor, training=training) if self.dropouts else tensor

    def get_config(self):
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "cell": keras.saving.serialize_keras_object(self.cell),
            "embedding_dim": self.embedding_dim,
            "bridge": self.bridge.kind,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})
