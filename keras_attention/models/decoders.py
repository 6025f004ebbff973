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
from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Dropout, Layer
from keras_attention.layers.recurrent import get_recurrent_cell, run_recurrence

# Keras' own embeddings start so small that, as an output matrix, they make the layer before them saturate on the
# frequencies of the tokens. See docs/decisions/0009.
_TIED_EMBEDDINGS_STDDEV = 0.25


class DecoderOutput(NamedTuple):
    """What a decoder returns.

    Attributes:
        logits: over the vocabulary, for the token after each given one:
            `(batch, target, vocabulary)`.
        state: for the next call; a structure of tensors, batch first.
        weights: `(batch, target, source)`; of a Transformer
            `(batch, target, layers, heads, source)`, or None if they were not
            asked for.
    """

    logits: Any
    state: Any
    weights: Any


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentDecoder(Layer):
    """Embedding, recurrent layers of which the last is a decoder cell, and an output layer.

    Args:
        vocabulary_size: number of target ids.
        cell: a `DecoderCell`, the top layer.
        embedding_dim: width of the embedding. Defaults to the cell's units.
        layers: number of recurrent layers; those below the cell are plain ones
            of its kind and width, which need not wait for what it reads.
        residual: add to the output of each layer below the cell its input,
            from the second on.
        tied: give the output layer the embedding's matrix, after a layer
            `tanh(W x)` of the embedding's width.
        bridge: how the encoder's summary becomes the first state of each
            layer; see `Bridge`.
        dropout: fraction dropped from the inputs of each layer, and from what
            the output layer reads, in training.

    Call args:
        ids: `(batch, target)` integers.
        memory: what `prepare` returned.
        state: what `start` or the last call returned.
        mask: bool `(batch, target)`, True = a token; or None.
        training: whether to drop.
        return_attention_scores: of no effect; the weights always come.
        sharers: rows of ids for each row of the memory; see `read_shared`.

    Returns:
        `DecoderOutput(logits, state, weights)`.

    Example:

    >>> decoder = RecurrentDecoder(vocabulary_size=9, cell=LuongCell(4), layers=2)
    >>> decoder.build((None, None), (None, None, 6), (((None, 3),),))
    >>> memory = decoder.prepare(np.ones((2, 7, 6)))
    >>> state = decoder.start(((np.ones((2, 3)),),))
    >>> decoder(np.array([[2, 5], [2, 6]]), memory, state).logits.shape
    TensorShape([2, 2, 9])

    Reference: Luong et al. 2015, 3; Press and Wolf 2017, "Using the Output
        Embedding to Improve Language Models", for `tied`.
    """

    def __init__(
        self,
        vocabulary_size,
        cell,
        embedding_dim=None,
        layers=1,
        residual=False,
        tied=False,
        bridge="dense",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes them; what it returns carries none
        if not isinstance(cell, DecoderCell):
            raise TypeError(f"RecurrentDecoder: cell must be a DecoderCell such as LuongCell(64). Received {cell!r}.")
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.embedding_dim = embedding_dim or cell.units
        self.layers = layers
        self.residual = residual
        self.tied = tied
        self.dropout = dropout
        embedding_class, more = keras.layers.Embedding, {}
        if tied:
            embedding_class = keras.layers.ReversibleEmbedding
            initializer = keras.initializers.RandomNormal(stddev=_TIED_EMBEDDINGS_STDDEV)
            more = {"reverse_dtype": self.compute_dtype, "embeddings_initializer": initializer}
        self.embedding = embedding_class(vocabulary_size, self.embedding_dim, dtype=self.dtype_policy, **more)
        self.lower_cells = [
            get_recurrent_cell(cell.cell, cell.units, dtype=self.dtype_policy, name=f"lower_{index}")
            for index in range(layers - 1)
        ]
        self.bridges = [
            Bridge(cell.units, cell.state_count, kind=bridge, dtype=self.dtype_policy) for _ in range(layers)
        ]
        # To the vocabulary, or to the embedding's width, from where its matrix goes on.
        self.output_projection = PositionsDense(
            self.embedding_dim if tied else vocabulary_size,
            activation="tanh" if tied else None,
            dtype=self.dtype_policy,
            name="output",
        )
        self._dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, ids_shape, value_shape, summary_shape):
        """Creates the weights.

        Args:
            ids_shape: `(batch, target)`.
            value_shape: of the encoder's outputs, `(batch, source, dim)`.
            summary_shape: of the encoder's summary.
        """
        self.embedding.build(ids_shape)
        width = self.embedding_dim
        for cell in self.lower_cells:
            cell.build((None, width))
            width = cell.units
        for bridge in self.bridges:
            bridge.build(summary_shape)
        if not self.cell.built:
            self.cell.build((*ids_shape, width), value_shape)
        self.output_projection.build((None, self.cell.output_dim))

    def compute_mask(self, *inputs, **kwargs):
        return None

    def prepare(self, value, value_mask=None):
        """The memory of a source, made once."""
        return self.cell.prepare(value, value_mask=value_mask)

    def start(self, summary):
        """The state before the first target token: one tuple a layer."""
        *lower, last = (bridge(summary) for bridge in self.bridges)
        return (*lower, self.cell.start(last))

    def call(self, ids, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1):
        *lower_states, cell_state = state
        inputs = self._dropout(self.embedding(ids), training=training)
        states = []
        for index, (cell, lower_state) in enumerate(zip(self.lower_cells, lower_states, strict=True)):
            outputs, lower_state = run_recurrence(cell, cell.project(inputs), lower_state, mask)
            inputs = self._dropout(outputs + inputs if self.residual and index else outputs, training=training)
            states.append(lower_state)
        output, cell_state, weights = self.cell.read(
            inputs, memory, cell_state, mask, training=training, sharers=sharers
        )
        logits = self.output_projection(self._dropout(output, training=training))
        if self.tied:
            logits = self.embedding(logits, reverse=True)
        return DecoderOutput(logits, (*states, cell_state), weights)

    def get_config(self):
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "cell": keras.saving.serialize_keras_object(self.cell),
            "embedding_dim": self.embedding_dim,
            "layers": self.layers,
            "residual": self.residual,
            "tied": self.tied,
            "bridge": self.bridges[0].kind,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})
