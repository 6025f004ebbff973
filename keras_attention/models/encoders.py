"""Encoders: a source to what a decoder attends to."""

import inspect
import math
from typing import Any, NamedTuple

import keras
from keras import ops
from keras.src.backend import get_keras_mask

from keras_attention.layers.layer import Dropout, Layer, deserialized, serialized
from keras_attention.layers.masks import cleaned, padding_mask
from keras_attention.layers.products import wide
from keras_attention.layers.recurrent import copies, get_recurrent_cell, run_recurrence


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        outputs: one vector a source position: `(batch, source, dim)`.
        mask: bool `(batch, source)`, True = may be attended; or None.
        summary: what a decoder starts from, for a `Bridge`: one tuple of
            `(batch, units)` a direction. Of a recurrent encoder the last
            states, of any other the mean of its outputs.
    """

    outputs: Any
    mask: Any
    summary: Any


class Encoder(Layer):
    """Base of the encoders: a layer that gives an `EncoderOutput`.

    A subclass defines `build(source_shape)`, `compute_output_shape(source_shape)`
    and the call. One that reads ids says so by `vocabulary_size`, and makes its
    own mask: 0 is padding.

    Call args:
        source: `(batch, source)` integers, or floats `(batch, source, dim)`.
        mask: bool `(batch, source)`, True = a token; None: what is not 0, of
            ids, and everything of floats.
        training: whether to drop.
    """

    vocabulary_size = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes one; what it returns carries none

    def compute_mask(self, *inputs, **kwargs):
        return None

    def mask_of(self, source, mask=None):
        """The mask of a source: the one that was given, or the one that its ids tell."""
        return padding_mask(source) if mask is None and self.vocabulary_size else mask

    def compute_output_shape(self, source_shape):
        """An `EncoderOutput` of shapes: by default of `output_dim`, with the mean as summary."""
        batch, length = source_shape[:2]
        mask = (batch, length) if self.vocabulary_size else None
        return EncoderOutput((batch, length, self.output_dim), mask, (((batch, self.output_dim),),))

    def compute_output_spec(self, source, mask=None, training=False):
        outputs, mask, summary = self.compute_output_shape(source.shape)
        return EncoderOutput(
            keras.KerasTensor(outputs, self.compute_dtype),
            None if mask is None else keras.KerasTensor(mask, "bool"),
            tuple(tuple(keras.KerasTensor(shape, self.compute_dtype) for shape in states) for states in summary),
        )


def mean_summary(outputs, mask=None):
    """The mean of the outputs at tokens, as a summary: `(((batch, dim),),)`."""
    if mask is None:
        return ((ops.mean(outputs, axis=1),),)
    dtype = wide(outputs.dtype)  # a sum of float16 overflows, and bfloat16 cannot count to 257
    count = ops.maximum(ops.sum(ops.cast(mask, dtype), axis=1, keepdims=True), 1)
    total = ops.sum(ops.cast(cleaned(outputs, mask), dtype), axis=1)
    return ((ops.cast(total / count, outputs.dtype),),)


def encoded(encoder, source, mask=None, training=False):
    """The `EncoderOutput` of a source, whichever layer the encoder is.

    Args:
        encoder: an `Encoder`, or a layer that gives a tensor `(batch, ..., dim)`,
            or the outputs and states of a recurrent layer with
            `return_state=True`.
        source: what it reads.
        mask: bool, of the positions of its outputs; None: what the outputs
            carry, as Keras' layers have it.
        training: whether to drop.
    """
    known = inspect.signature(encoder.call).parameters
    more = {"training": training} if "training" in known else {}
    if isinstance(encoder, Encoder):
        return encoder(source, mask=mask, **more)
    result = encoder(source, **({"mask": mask} if mask is not None and "mask" in known else {}), **more)
    if isinstance(result, EncoderOutput):
        return result
    outputs, *states = result if isinstance(result, (tuple, list)) else (result,)
    if len(outputs.shape) < 3:
        raise ValueError(
            f"EncoderDecoder: the encoder must give one vector a position, (batch, ..., dim). Received shape "
            f"{tuple(outputs.shape)} from {type(encoder).__name__} '{encoder.name}'."
            + (" Write `return_sequences=True`." if hasattr(encoder, "return_sequences") else "")
        )
    mask = get_keras_mask(outputs) if mask is None else mask
    if len(outputs.shape) > 3:
        sizes = outputs.shape[1:-1]
        positions = -1 if None in sizes else math.prod(sizes)
        outputs = ops.reshape(outputs, (ops.shape(outputs)[0], positions, outputs.shape[-1]))
    if not states:
        return EncoderOutput(outputs, mask, mean_summary(outputs, mask))
    count = len(states) // 2 if isinstance(encoder, keras.layers.Bidirectional) else len(states)
    return EncoderOutput(outputs, mask, tuple(tuple(states[at : at + count]) for at in range(0, len(states), count)))


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
            runs = [self._run(cell, inputs, mask, reverse=bool(index)) for index, cell in enumerate(cells)]
            outputs = ops.concatenate([outputs for outputs, _ in runs], axis=-1) if len(runs) > 1 else runs[0][0]
            if self.residual and layer > 0 and outputs.shape[-1] == inputs.shape[-1]:
                outputs = outputs + inputs
            states.append(tuple(state for _, state in runs))
        summary = states[-1] if self.bidirectional != "first" else tuple(directions[-1] for directions in states)
        return EncoderOutput(self._drop_outputs(outputs, training=training), mask, summary)

    def compute_output_shape(self, source_shape):
        outputs, mask, _ = super().compute_output_shape(source_shape)
        state = ((source_shape[0], self.units),) * self.cells[0].state_count
        count = self.layers if self.bidirectional == "first" else self._directions[-1]
        return EncoderOutput(outputs, mask, (state,) * count)

    def _cells_by_layer(self):
        """The directions of each layer, and their cells."""
        begin = 0
        for directions in self._directions:
            yield directions, self.cells[begin : begin + directions]
            begin += directions

    def _run(self, cell, inputs, mask, reverse):
        state = cell.initial_state(ops.shape(inputs)[0])
        return run_recurrence(cell, cell.project(inputs), state, mask, reverse)

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
