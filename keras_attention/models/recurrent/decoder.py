"""Recurrent layers, of which any may attend, that say a target."""

import keras
from keras import ops

from keras_attention.layers.bridge import Bridge
from keras_attention.layers.cells import BahdanauCell, PlainCell
from keras_attention.layers.decoder_cell import DecoderCell
from keras_attention.layers.dense import PositionsDense, multiply
from keras_attention.layers.gnmt_cell import GNMTCell
from keras_attention.layers.layer import Dropout, deserialized, serialized
from keras_attention.layers.masks import cleaned
from keras_attention.layers.recurrent import copies
from keras_attention.models.parts import Decoder, DecoderOutput, tied_columns

# Keras' own embeddings start so small that, as an output matrix, they make the layer before them saturate on the
# frequencies of the tokens. See docs/decisions/0009.
_TIED_EMBEDDINGS_STDDEV = 0.25


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentDecoder(Decoder):
    """Embedding, recurrent layers of which any may attend, and an output layer.

    Args:
        vocabulary_size: number of target ids; None for targets that are
            vectors, `(batch, target, dim)`, which are read as they are.
        cell: a `DecoderCell`, the top layer; or a list of them, one a layer,
            bottom first, where `PlainCell` is a layer that does not attend.
        embedding_dim: width of the embedding. Defaults to the cell's units.
        layers: number of recurrent layers, where one cell is given; those below
            it are plain ones of its kind and width, which need not wait for
            what it reads.
        residual: add to the output of each layer below the top its input, from
            the second on; with `context_above` from the third on, the top
            among them; where they are of one width.
        context_above: give the context that the bottom layer read to every
            layer above, as GNMT does; for a bottom cell whose output is its
            state and a context: `GNMTCell`, or `BahdanauCell`.
        tied: give the output layer the embedding's matrix, after a layer
            `tanh(W x)` of the embedding's width.
        bridge: how the encoder's summary becomes the first state of each
            layer; see `Bridge`. `"each"` copies to layer `i` direction `i` of
            the summary, which of `RecurrentEncoder(bidirectional="first")` is
            layer `i` of the encoder.
        dropout: fraction dropped from the inputs of each layer, and from what
            the output layer reads, in training.
        output_dim: width of the output where there is no vocabulary.

    Call args and Returns: see `Decoder`. The weights always come.

    Raises:
        TypeError: for a cell that is no `DecoderCell`.
        ValueError: for `context_above` with a bottom cell whose output holds no
            context of its own, and unless there is either a vocabulary or an
            `output_dim`.

    Example:

    >>> decoder = RecurrentDecoder(vocabulary_size=9, cell=LuongCell(4), layers=2)
    >>> decoder.build((None, None), (None, None, 6), (((None, 3),),))
    >>> memory = decoder.prepare(np.ones((2, 7, 6)))
    >>> state = decoder.start(((np.ones((2, 3)),),), memory)
    >>> decoder(np.array([[2, 5], [2, 6]]), memory, state).logits.shape
    TensorShape([2, 2, 9])

    Reference: Luong et al. 2015, 3; Wu et al. 2016, 3, for `context_above`;
        Press and Wolf 2017, "Using the Output Embedding to Improve Language
        Models", for `tied`.
    """

    def __init__(
        self,
        vocabulary_size,
        cell,
        embedding_dim=None,
        layers=1,
        residual=False,
        context_above=False,
        tied=False,
        bridge="dense",
        dropout=0.0,
        output_dim=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        cells = _checked_cells(cell, context_above)
        if (vocabulary_size is None) == (output_dim is None):
            raise ValueError(
                "RecurrentDecoder: give vocabulary_size for ids, or output_dim and vocabulary_size=None for vectors. "
                f"Received vocabulary_size={vocabulary_size}, output_dim={output_dim}."
            )
        self.vocabulary_size = vocabulary_size
        self.cell = cells[-1]
        self.units = self.cell.units
        self.embedding_dim = embedding_dim or cells[0].units
        self.layers = layers if len(cells) == 1 else len(cells)
        self.residual = residual
        self.context_above = context_above
        self.tied = tied
        self.bridge = bridge
        self.dropout = dropout
        self.output_dim = output_dim
        self._cells_are_given = len(cells) > 1
        self.embedding = self._make_embedding()
        self.lower_cells = cells[:-1] or self._plain_cells(layers - 1)
        self.bridges = [self._make_bridge(index, one) for index, one in enumerate(self.cells)]
        # To the vocabulary, or to the embedding's width, from where its matrix goes on.
        self.output_projection = PositionsDense(
            self.embedding_dim if tied else vocabulary_size or output_dim,
            activation="tanh" if tied else None,
            dtype=self.dtype_policy,
            name="output",
        )
        self._dropout = Dropout(dropout, dtype=self.dtype_policy)

    @property
    def has_source(self):
        """Whether any layer attends."""
        return any(cell.attention is not None for cell in self.cells)

    @property
    def cells(self):
        """All layers, bottom first."""
        return [*self.lower_cells, self.cell]

    def _make_embedding(self):
        if self.vocabulary_size is None:
            return None
        arguments = {"dtype": self.dtype_policy}
        if not self.tied:
            return keras.layers.Embedding(self.vocabulary_size, self.embedding_dim, **arguments)
        arguments["reverse_dtype"] = self.compute_dtype
        arguments["embeddings_initializer"] = keras.initializers.RandomNormal(stddev=_TIED_EMBEDDINGS_STDDEV)
        return keras.layers.ReversibleEmbedding(self.vocabulary_size, self.embedding_dim, **arguments)

    def _plain_cells(self, count):
        units, dtype = self.cell.units, self.dtype_policy
        return [
            PlainCell(units, cell=cell, dtype=dtype, name=f"lower_{index}")
            for index, cell in enumerate(copies(self.cell.recurrence, count))
        ]

    def _make_bridge(self, index, cell):
        """What makes the first state of layer `index` of the encoder's summary."""
        kind, direction = ("copy", index) if self.bridge == "each" else (self.bridge, None)
        return Bridge(cell.units, cell.given_count, kind=kind, direction=direction, dtype=self.dtype_policy)

    def build(self, target_shape, value_shape, summary_shape):
        """Creates the weights.

        Args:
            target_shape: `(batch, target)` of ids, `(batch, target, dim)` of
                vectors.
            value_shape: shape of the encoder's outputs, `(batch, source, dim)`.
            summary_shape: shape of the encoder's summary.
        """
        width = target_shape[-1]
        if self.embedding is not None:
            self.embedding.build(target_shape)
            width = self.embedding_dim
        context = 0
        for index, cell in enumerate(self.cells):
            if cell is self.cell:
                for bridge in self.bridges:
                    bridge.build(summary_shape)
            if not cell.built:
                cell.build((*target_shape[:2], width + context), value_shape)
            width = cell.output_dim
            if self.context_above and index == 0:
                width, context = cell.units, cell.output_dim - cell.units
        self.output_projection.build((None, width))

    def prepare(self, value, value_mask=None):
        return tuple(cell.prepare(value, value_mask=value_mask) for cell in self.cells)

    def start(self, summary, memory):
        """The state before the first target step: one tuple a layer."""
        layers = zip(self.cells, self.bridges, memory, strict=True)
        return tuple(cell.start(bridge(summary), cell_memory) for cell, bridge, cell_memory in layers)

    def call(
        self, target, memory, state, mask=None, training=False, return_attention_scores=True, sharers=1, columns=None
    ):
        inputs = self._embed(target, mask)
        context, states, weights = None, [], []
        for index, (cell, cell_memory, cell_state) in enumerate(zip(self.cells, memory, state, strict=True)):
            inputs = self._dropout(inputs, training=training)
            joined = inputs if context is None else ops.concatenate([inputs, context], axis=-1)
            output, cell_state, cell_weights = cell.read(
                joined, cell_memory, cell_state, mask, training=training, sharers=sharers
            )
            if self.context_above and index == 0:
                output, context = output[..., : cell.units], output[..., cell.units :]
            is_residual = self._is_residual(index) and output.shape[-1] == inputs.shape[-1]
            inputs = output + inputs if is_residual else output
            states.append(cell_state)
            if cell.attention is not None or cell is self.cell:
                weights.append(cell_weights)
        logits = self._logits(self._dropout(inputs, training=training), columns)
        return DecoderOutput(logits, tuple(states), self._joined(weights))

    def output_columns(self, ids):
        return tied_columns(self.embedding, None, ids) if self.tied else self.output_projection.columns(ids)

    def _logits(self, inputs, columns):
        """Over the vocabulary, or some ids."""
        if columns is not None:
            return multiply(self.output_projection(inputs) if self.tied else inputs, *columns, self.compute_dtype)
        logits = self.output_projection(inputs)
        return self.embedding(logits, reverse=True) if self.tied else logits

    def _embed(self, target, mask):
        if self.embedding is not None:
            return self.embedding(target)
        return cleaned(ops.cast(target, self.compute_dtype), mask)

    def _is_residual(self, index):
        if not self.residual:
            return False
        return index > 1 if self.context_above else 0 < index < self.layers - 1

    def _joined(self, weights):
        """Weights of one head as they are; of several layers or heads as `(batch, target, layers, heads, source)`."""
        if self.cell.attention is None and len(weights) > 1:
            weights = weights[:-1]  # the zeros of a top layer that does not attend
        if len(weights) == 1 and len(weights[0].shape) == 3:
            return weights[0]
        with_heads = [one if len(one.shape) == 4 else one[:, :, None] for one in weights]
        heads = max(one.shape[2] for one in with_heads)
        return ops.stack([ops.repeat(one, heads // one.shape[2], axis=2) for one in with_heads], axis=2)

    def get_config(self):
        cells = [serialized(cell) for cell in self.cells]
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "cell": cells if self._cells_are_given else cells[-1],
            "embedding_dim": self.embedding_dim,
            "layers": self.layers,
            "residual": self.residual,
            "context_above": self.context_above,
            "tied": self.tied,
            "bridge": self.bridge,
            "dropout": self.dropout,
            "output_dim": self.output_dim,
        }

    @classmethod
    def from_config(cls, config):
        cell = config["cell"]
        cell = [deserialized(one) for one in cell] if isinstance(cell, (list, tuple)) else deserialized(cell)
        return cls(**{**config, "cell": cell})


def _checked_cells(cell, context_above):
    """The cells as a list, or an error that says why they cannot be the layers of a decoder."""
    cells = list(cell) if isinstance(cell, (list, tuple)) else [cell]
    for one in cells:
        if not isinstance(one, DecoderCell):
            raise TypeError(f"RecurrentDecoder: cell must be a DecoderCell such as LuongCell(64). Received {one!r}.")
    if context_above and not _gives_its_context(cells[0]):
        raise ValueError(
            "RecurrentDecoder: context_above needs a bottom cell that gives its state and a context, GNMTCell or a "
            f"BahdanauCell without deep_output. Received {cells[0]!r}."
        )
    return cells


def _gives_its_context(cell):
    return isinstance(cell, GNMTCell) or (isinstance(cell, BahdanauCell) and not cell.deep_output)
