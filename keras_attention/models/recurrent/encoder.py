"""A stack of recurrent layers that reads a source from one end or both."""

import keras
from keras import ops

from keras_attention.layers.layer import Dropout, deserialized, serialized
from keras_attention.layers.masks import cleaned
from keras_attention.layers.recurrent import copies, get_recurrent_cell, run_both_ways, run_recurrence
from keras_attention.layers.sizes import size_of
from keras_attention.models.parts import Encoder, EncoderOutput

BIDIRECTIONAL = (True, False, "first")


@keras.saving.register_keras_serializable(package="keras_attention")
class RecurrentEncoder(Encoder):
    """Embedding and a stack of uni- or bidirectional recurrent layers.

    Padding never moves a state: the outputs at tokens, and the summary, are
    those of the row without its padding. Outputs at padding mean nothing.

    Args:
        vocabulary_size: number of source ids; None for sources that are
            vectors, `(batch, source, dim)`, which no embedding comes before.
        units: width of the recurrent state, of each direction.
        embedding_dim: width of the embedding. Defaults to `units`.
        cell: `"gru"`, `"lstm"`, or a `RecurrentCell` of your own, of which each
            layer and direction gets a copy.
        bidirectional: read from both ends; the outputs are twice as wide. With
            `"first"` only the first layer does, as in GNMT.
        layers: number of recurrent layers.
        residual: add to each layer's output its input, from the second layer
            on; where widths differ from the next on.
        dropout: fraction dropped from each layer's input in training.
        output_dropout: fraction dropped from the outputs, but not from the
            summary, in training.

    Call args: see `Encoder`.

    Returns:
        `EncoderOutput(outputs, mask, summary)`; the summary is the last
        layer's, one tuple a direction. With `bidirectional="first"` it is that
        of every layer, of the first the backward one, as GNMT's decoder starts
        from.

    Example:

    >>> encoder = RecurrentEncoder(vocabulary_size=9, units=4)
    >>> outputs, mask, (forward, backward) = encoder(np.array([[5, 6, 7, 0]]))
    >>> outputs.shape, mask.numpy().tolist(), forward[0].shape
    (TensorShape([1, 4, 8]), [[True, True, True, False]], TensorShape([1, 4]))

    Reference: Bahdanau et al. 2015, A.2.1; Wu et al. 2016, 3.1 and 3.2.
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
        if bidirectional not in BIDIRECTIONAL:
            raise ValueError(
                f"RecurrentEncoder: bidirectional must be True, False or 'first'. Received {bidirectional!r}."
            )
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.embedding_dim = embedding_dim or units
        self.cell = cell
        self.bidirectional = bidirectional
        self.layers = layers
        self.residual = residual
        self.dropout = dropout
        self.output_dropout = output_dropout
        self.embedding = None
        if vocabulary_size:
            self.embedding = keras.layers.Embedding(vocabulary_size, self.embedding_dim, dtype=self.dtype_policy)
        self.cells = [
            get_recurrent_cell(one, units, dtype=self.dtype_policy) for one in copies(cell, sum(self._directions))
        ]
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy)
        self._drop_outputs = Dropout(output_dropout, dtype=self.dtype_policy)

    @property
    def _directions(self):
        """How many directions each layer has."""
        above = 2 if self.bidirectional is True else 1
        return (2 if self.bidirectional else 1, *[above] * (self.layers - 1))

    @property
    def output_dim(self):
        return self.units * self._directions[-1]

    def build(self, source_shape):
        width = source_shape[-1]
        if self.embedding is not None:
            self.embedding.build(source_shape)
            width = self.embedding_dim
        for directions, cells in self._cells_by_layer():
            for cell in cells:
                cell.build((None, width))
            width = self.units * directions

    def call(self, source, mask=None, training=False):
        mask = self.mask_of(source, mask)
        outputs = source if self.embedding is None else self.embedding(source)
        if self.embedding is None:
            outputs = cleaned(ops.cast(outputs, self.compute_dtype), mask)
        states = []
        for layer, (_, cells) in enumerate(self._cells_by_layer()):
            outputs = self.input_dropout(outputs, training=training)
            inputs = outputs
            runs = run_both_ways(cells, inputs, mask) if len(cells) == 2 else [self._run(*cells, inputs, mask)]
            outputs = ops.concatenate([outputs for outputs, _ in runs], axis=-1) if len(runs) > 1 else runs[0][0]
            if self.residual and layer > 0 and outputs.shape[-1] == inputs.shape[-1]:
                outputs = outputs + inputs
            states.append(tuple(state[: cell.given_count] for cell, (_, state) in zip(cells, runs, strict=True)))
        summary = states[-1] if self.bidirectional != "first" else tuple(directions[-1] for directions in states)
        return EncoderOutput(self._drop_outputs(outputs, training=training), mask, summary)

    def compute_output_shape(self, source_shape):
        outputs, mask, _ = super().compute_output_shape(source_shape)
        state = ((source_shape[0], self.units),) * self.cells[0].given_count
        count = self.layers if self.bidirectional == "first" else self._directions[-1]
        return EncoderOutput(outputs, mask, (state,) * count)

    def _cells_by_layer(self):
        """The directions of each layer, and their cells."""
        begin = 0
        for directions in self._directions:
            yield directions, self.cells[begin : begin + directions]
            begin += directions

    def _run(self, cell, inputs, mask):
        return run_recurrence(cell, cell.project(inputs), cell.initial_state(size_of(inputs, 0)), mask)

    def get_config(self):
        return super().get_config() | {
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding_dim": self.embedding_dim,
            "cell": serialized(self.cell),
            "bidirectional": self.bidirectional,
            "layers": self.layers,
            "residual": self.residual,
            "dropout": self.dropout,
            "output_dropout": self.output_dropout,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})
