"""What every recurrent decoder cell is: a recurrence, perhaps an attention, and one state for both.

memory = cell.prepare(value, key, value_mask)               once per source
state = cell.start(recurrent_state, memory)                 once per target
output, state, weights = cell.read(inputs, memory, state)   any number of steps, many times
"""

from typing import Any, NamedTuple

from keras import ops

from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.core import AttentionRead
from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Layer, deserialized, serialized
from keras_attention.layers.recurrent import get_recurrent_cell
from keras_attention.layers.sizes import size_of


class RecurrentOutput(NamedTuple):
    """What a recurrent decoder returns.

    Attributes:
        output: what the vocabulary is read from: `(batch, target, dim)`.
        state: tuple of tensors `(batch, any)`, to be given to the next call;
            those of the recurrence, `(batch, units)`, come first.
        weights: `(batch, target, source)`; zeros where the cell has no
            attention. Of an attention with heads
            `(batch, target, heads, source)`.
    """

    output: Any
    state: Any
    weights: Any


class DecoderCell(Layer):
    """Base of the decoder cells.

    Args:
        units: width of the recurrent state.
        cell: `"gru"`, `"lstm"`, or a `RecurrentCell` of your own.
        attention: an `AttentionLayer`, or None.
        own_attention: function of `dtype` and `name` that makes the attention
            where none is given.
        cell_arguments: for the recurrent cell's constructor.

    `recurrence` is the `cell` as it was given, and `recurrent` the layer. Once
    built, `output_dim` is the width of the output, and `fed_widths` those of
    what a step feeds the next beside its states.

    Call args:
        inputs: one step, `(batch, input_dim)`.
        states: tuple of tensors, as `initial_state`, `start` or the last call
            returned it.
        memory: what `prepare` returned.

    Returns:
        `RecurrentOutput` of one step, without the target axis.
    """

    def __init__(self, units, cell="gru", attention=None, own_attention=None, cell_arguments=None, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"{type(self).__name__}: units must be at least 1. Received units={units}.")
        self.units = units
        self.recurrence = cell
        if attention is not None and own_attention is None:
            raise ValueError(f"{type(self).__name__}: it has no attention. Received attention={attention!r}.")
        self._attention_is_given = attention is not None
        if attention is None and own_attention is not None:
            attention = own_attention(dtype=self.dtype_policy, name="attention")
        self.recurrent = get_recurrent_cell(cell, units, dtype=self.dtype_policy, **(cell_arguments or {}))
        self.attention = attention
        self.fed_widths = ()

    @property
    def state_count(self):
        """Number of tensors in the recurrent state: 1 for a GRU, 2 for an LSTM."""
        return self.recurrent.state_count

    @property
    def given_count(self):
        """How many of them, the first, may be given to `start`: all but those of a memory that a cell writes to."""
        return self.recurrent.given_count

    def build(self, inputs_shape, value_shape, key_shape=None):
        self.recurrent.build((None, inputs_shape[-1]))
        if self.attention is not None and not self.attention.built:
            self.attention.build((None, None, self.units), value_shape, key_shape)

    def prepare(self, value, key=None, value_mask=None):
        """The source's part of the work: a `Memory`, made once per source."""
        return self.attention.prepare(value, key, value_mask)

    def start(self, recurrent_state, memory):
        """The state before the first step: that of the recurrence, what a step feeds the next, that of the attention.

        Args:
            recurrent_state: tuple of `given_count` tensors `(batch, units)`, or the
                whole state of the recurrence.
            memory: what `prepare` returned.

        Returns:
            Tuple of tensors `(batch, any)`.
        """
        recurrent_state = self.recurrent.start(recurrent_state)
        fed = tuple(ops.zeros((size_of(recurrent_state[0], 0), width), self.compute_dtype) for width in self.fed_widths)
        return (*recurrent_state, *fed, *(() if self.attention is None else self.attention.start(memory)))

    def initial_state(self, batch_size, memory):
        """`start` from zeros."""
        return self.start(self.recurrent.initial_state(batch_size), memory)

    def split_state(self, state):
        """The three parts of a state, each a tuple: of the recurrence, fed to the next step, of the attention."""
        first, second = self.state_count, self.state_count + len(self.fed_widths)
        return tuple(state[:first]), tuple(state[first:second]), tuple(state[second:])

    def read(self, inputs, memory, state, mask=None, training=False, sharers=1):
        """Runs target steps.

        Args:
            inputs: `(batch, target, input_dim)`.
            memory: what `prepare` returned.
            state: what `start`, `initial_state` or the last call returned.
            mask: bool `(batch, target)`, True = a token; or None. At padding
                the state stands still, the weights are zeros and the output
                means nothing.
            training: whether to drop attention weights.
            sharers: rows for each row of the memory; see `read_shared`.

        Returns:
            `RecurrentOutput(output, state, weights)`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define read(inputs, memory, state).")

    def call(self, inputs, states, memory, training=False):
        output = self.read(inputs[:, None, :], memory, tuple(states), training=training)
        return RecurrentOutput(output.output[:, 0], output.state, output.weights[:, 0])

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "cell": serialized(self.recurrence),
            "attention": serialized(self.attention) if self._attention_is_given else None,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})

    def _context_dim(self, value_shape, key_shape):
        return self.attention.context_dim((None, None, self.units), value_shape, key_shape)

    def _dense(self, name, units, input_dim, **kwargs):
        """A built linear map without bias, in the cell's dtype."""
        dense = PositionsDense(units, use_bias=False, dtype=self.dtype_policy, name=name, **kwargs)
        dense.build((None, input_dim))
        return dense

    def _attend(self, query, memory, state, sharers, training, mask=None):
        """Attention of some steps, `(batch, target, units)`; the weights come target first."""
        context, weights, state = self.attention.read_shared(
            query, memory, sharers, state, query_mask=mask, training=training
        )
        context, weights = (ops.cast(tensor, self.compute_dtype) for tensor in (context, weights))
        return AttentionRead(context, weights if len(weights.shape) == 3 else ops.moveaxis(weights, 1, 2), state)

    def _attend_once(self, query, memory, state, sharers, training):
        """Attention of one step, `(batch, units)`."""
        context, weights, state = self._attend(query[:, None, :], memory, state, sharers, training)
        return AttentionRead(context[:, 0], weights[:, 0], state)

    @classmethod
    def _check_attention(cls, attention, **defaults):
        """Raises an error unless an attention, if given, can be used, and nothing else says what it should be."""
        owner = cls.__name__
        if attention is None:
            return
        if not isinstance(attention, AttentionLayer):
            raise TypeError(
                f"{owner}: attention must be an attention layer such as LocalAttention('general'), or derived from "
                f"AttentionLayer. Received {attention!r} of type {type(attention).__name__}."
            )
        given = [name for name, (value, default) in defaults.items() if value != default]
        if given:
            raise ValueError(
                f"{owner}: {' and '.join(given)} belong{'' if len(given) > 1 else 's'} to the attention that the cell "
                f"makes itself. Received {'them' if len(given) > 1 else 'it'} beside attention={attention!r}. Give "
                f"{'them' if len(given) > 1 else 'it'} to that layer."
            )
