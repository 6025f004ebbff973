"""Encoders: source ids and their mask to what a decoder attends to."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_attention.layers.layer import Dropout, Layer
from keras_attention.layers.recurrent import get_recurrent_cell, run_recurrence


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        outputs: one vector a source position: `(batch, source, dim)`.
        summary: what the decoder starts from. Of a recurrent encoder the last
            states, for a `Bridge`: one tuple of `(batch, units)` a direction;
            of a Transformer the outputs.
    """

    outputs: Any
    summary: Any


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentEncoder(Layer):
    """Embedding and a stack of uni- or bidirectional recurrent layers.

    Padding never moves a state: the outputs at tokens, and the summary, are
    those of the row without its padding. Outputs at padding mean nothing.

    Args:
        vocabulary_size: number of source ids.
        units: width of the recurrent state, of each direction.
        embedding_dim: width of the embedding. Defaults to `units`.
        cell: `"gru"` or `"lstm"`.
        bidirectional: read from both ends; the outputs are twice as wide.
        layers: number of recurrent layers.
        residual: add to each layer's output its input, from the second layer
            on.
        dropout: fraction dropped from each layer's input in training.
        output_dropout: fraction dropped from the outputs, but not from the
            summary, in training.

    Call args:
        ids: `(batch, source)` integers.
        mask: bool `(batch, source)`, True = a token; or None.

    Returns:
        `EncoderOutput(outputs, summary)`; the summary is the last layer's.

    Example:

    >>> encoder = RecurrentEncoder(vocabulary_size=9, units=4)
    >>> outputs, (forward, backward) = encoder(np.array([[5, 6, 7]]))
    >>> outputs.shape, forward[0].shape
    (TensorShape([1, 3, 8]), TensorShape([1, 4]))

    Reference: Bahdanau et al. 2015, A.2.1; Wu et al. 2016, 3.1, for residuals.
    """

    def __init__(
        self,
        vocabulary_size,
        units,
        embedding_dim=None,
        cell="gru",
        bidirectional=True,
        layers=1,
        residual=False,
        dropout=0.0,
        output_dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes one; what it returns carries none
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.embedding_dim = embedding_dim or units
        self.cell = cell
        self.bidirectional = bidirectional
        self.layers = layers
        self.residual = residual
        self.dropout = dropout
        self.output_dropout = output_dropout
        self.directions = 2 if bidirectional else 1
        self.output_dim = units * self.directions
        self.embedding = keras.layers.Embedding(vocabulary_size, self.embedding_dim, dtype=self.dtype_policy)
        self.cells = [get_recurrent_cell(cell, units, dtype=self.dtype_policy) for _ in range(layers * self.directions)]
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)
        self._drop_outputs = Dropout(output_dropout, dtype=self.dtype_policy)

    def build(self, ids_shape):
        self.embedding.build(ids_shape)
        for index, cell in enumerate(self.cells):
            cell.build((None, self.embedding_dim if index < self.directions else self.output_dim))

    def call(self, ids, mask=None, training=False):
        outputs = self.embedding(ids)
        for layer in range(self.layers):
            outputs = self.input_dropout(outputs, training=training)
            cells = self.cells[layer * self.directions : (layer + 1) * self.directions]
            inputs = outputs
            runs = [self._run(cell, inputs, mask, reverse=bool(index)) for index, cell in enumerate(cells)]
            outputs = ops.concatenate([outputs for outputs, _ in runs], axis=-1)
            if self.residual and layer > 0:
                outputs = outputs + inputs
        outputs = self._drop_outputs(outputs, training=training)
        return EncoderOutput(outputs, tuple(state for _, state in runs))

    def compute_mask(self, ids, previous_mask=None):
        return None

    def _run(self, cell, inputs, mask, reverse):
        state = cell.initial_state(ops.shape(inputs)[0])
        return run_recurrence(cell, cell.project(inputs), state, mask, reverse)

    def get_config(self):
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding_dim": self.embedding_dim,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "layers": self.layers,
            "residual": self.residual,
            "dropout": self.dropout,
            "output_dropout": self.output_dropout,
        }
