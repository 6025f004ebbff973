"""GRU and LSTM in two halves: project all steps at once, then step through time.

Keras' cells multiply the input inside the loop. Here `project(inputs)` does it
for all steps in one product and `step(projected_t, state)` does the rest, which
makes a training step a third faster. The weights are those of Keras' cells,
name by name, so they load into each other.
"""

import keras
from keras import ops

from keras_attention.layers.dense import multiply
from keras_attention.layers.layer import Layer, Rematerialized
from keras_attention.layers.sizes import size_of
from keras_attention.layers.unroll import unroll


class _HoistedCell:
    """What `GRUCell` and `LSTMCell` add to Keras' cells, and `RecurrentCell` to a layer."""

    def _refuse_dropout(self):
        if self.dropout or self.recurrent_dropout:
            raise ValueError(
                f"{type(self).__name__}: dropout inside the cell is not supported, since the input is projected "
                f"outside of it. Received dropout={self.dropout}, recurrent_dropout={self.recurrent_dropout}. "
                "Apply keras.layers.Dropout to the inputs."
            )

    def call(self, inputs, states, training=False):
        states = states if isinstance(states, (tuple, list)) else (states,)
        output, states = self.step(self.project(inputs), tuple(states))
        return output, list(states)

    @property
    def projected_dim(self):
        """Width of what `project` gives."""
        return self.gate_count * self.units

    @property
    def given_count(self):
        """How many tensors of the state, the first, each `(batch, units)`, may be given from outside: all."""
        return self.state_count

    def initial_state(self, batch_size):
        """Zeros for every tensor of the state."""
        return tuple(ops.zeros((batch_size, self.units), self.compute_dtype) for _ in range(self.state_count))

    def start(self, given):
        """The state that begins with the tensors that were given: `given_count` of them, or the whole state."""
        return tuple(given)

    def _weight(self, variable):
        return ops.cast(variable, self.compute_dtype)


class RecurrentCell(_HoistedCell, Layer):
    """Base of a recurrent cell of your own, for encoders and decoder cells.

    A subclass sets `gate_count` and, if it is not 1, `state_count`, and
    defines `build(input_shape)`, `project` and `step`. It works in
    `keras.layers.RNN` too.

    Args:
        units: width of each tensor of the state, the first of which is the
            output.

    Example: a unit with one gate.

    >>> class OneGate(RecurrentCell):
    ...     gate_count = 2
    ...
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight(shape=(input_shape[-1], 2 * self.units))
    ...         self.recurrent_kernel = self.add_weight(shape=(self.units, self.units))
    ...
    ...     def project(self, inputs):
    ...         return inputs @ ops.cast(self.kernel, self.compute_dtype)
    ...
    ...     def step(self, projected, state):
    ...         gate, new = ops.split(projected, 2, axis=-1)
    ...         gate = ops.sigmoid(gate + state[0] @ ops.cast(self.recurrent_kernel, self.compute_dtype))
    ...         h = gate * state[0] + (1 - gate) * ops.tanh(new)
    ...         return h, (h,)
    >>> AttentionRNN(LuongCell(4, cell=OneGate(4)))(np.ones((2, 3, 5)), np.ones((2, 7, 6))).output.shape
    TensorShape([2, 3, 4])
    """

    state_count = 1
    gate_count = 1

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    @property
    def state_size(self):
        """Widths of the state's tensors, as `keras.layers.RNN` asks for them."""
        return [self.units] * self.state_count

    def project(self, inputs):
        """The input's part of a step: `(..., input_dim)` to `(..., gate_count * units)`; what is added to it counts."""
        raise NotImplementedError(f"{type(self).__name__} must define project(inputs).")

    def step(self, projected, state):
        """One step: `(batch, gate_count * units)` and the state, a tuple, to the output and the next state."""
        raise NotImplementedError(f"{type(self).__name__} must define step(projected, state).")

    def get_config(self):
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable(package="keras_attention")
class GRUCell(Rematerialized, _HoistedCell, keras.layers.GRUCell):
    """`keras.layers.GRUCell` whose input product can be taken out of the loop.

    With `h` the state, `x` the input and the gates `z` and `r`:
    `h' = z h + (1 - z) tanh(W x + r (U h))`; with `reset_after=False` the last
    product is `U (r h)`, as in the papers. Note that Cho and Bahdanau write `z`
    for what is `1 - z` here.

    Args:
        units: width of the state.
        reset_after: see above.
        **kwargs: arguments of `keras.layers.GRUCell`, except dropout.

    Example:

    >>> cell = GRUCell(4)
    >>> output, (state,) = cell(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape
    TensorShape([2, 4])

    Reference: Cho et al. 2014, "Learning Phrase Representations using RNN
        Encoder-Decoder", 2.3.
    """

    state_count = 1
    gate_count = 3

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self._refuse_dropout()

    def project(self, inputs):
        """The input's part of all gates: `(..., input_dim)` to `(..., 3 * units)`."""
        bias = self.bias[0] if self.use_bias and self.reset_after else self.bias
        return multiply(ops.cast(inputs, self.compute_dtype), self.kernel, bias, self.compute_dtype)

    def step(self, projected, state):
        """One step: `(batch, 3 * units)` and the state to the output and the next state."""
        (h,) = state
        input_z, input_r, input_h = ops.split(projected, 3, axis=-1)
        kernel = self._weight(self.recurrent_kernel)
        if self.reset_after:
            recurrent = ops.matmul(h, kernel)
            if self.use_bias:
                recurrent = recurrent + self._weight(self.bias)[1]
            recurrent_z, recurrent_r, recurrent_h = ops.split(recurrent, 3, axis=-1)
            z = self.recurrent_activation(input_z + recurrent_z)
            recurrent_h = self.recurrent_activation(input_r + recurrent_r) * recurrent_h
        else:
            kernel_z, kernel_r, kernel_h = ops.split(kernel, 3, axis=-1)
            z = self.recurrent_activation(input_z + ops.matmul(h, kernel_z))
            r = self.recurrent_activation(input_r + ops.matmul(h, kernel_r))
            recurrent_h = ops.matmul(r * h, kernel_h)
        new = self.activation(input_h + recurrent_h)
        h = new + z * (h - new)
        return h, (h,)


@keras.saving.register_keras_serializable(package="keras_attention")
class LSTMCell(Rematerialized, _HoistedCell, keras.layers.LSTMCell):
    """`keras.layers.LSTMCell` whose input product can be taken out of the loop.

    The state is `(h, c)`; the forget gate's bias starts at one.

    Args:
        units: width of the state.
        **kwargs: arguments of `keras.layers.LSTMCell`, except dropout.

    Example:

    >>> cell = LSTMCell(4)
    >>> output, (h, c) = cell(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
    >>> output.shape
    TensorShape([2, 4])

    Reference: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers
        et al. 2000, "Learning to Forget".
    """

    state_count = 2
    gate_count = 4

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self._refuse_dropout()

    def project(self, inputs):
        """The input's part of all gates: `(..., input_dim)` to `(..., 4 * units)`."""
        return multiply(ops.cast(inputs, self.compute_dtype), self.kernel, self.bias, self.compute_dtype)

    def step(self, projected, state):
        """One step: `(batch, 4 * units)` and the state to the output and the next state."""
        h, c = state
        gates = projected + ops.matmul(h, self._weight(self.recurrent_kernel))
        gate_i, gate_f, new, gate_o = ops.split(gates, 4, axis=-1)
        keep = self.recurrent_activation(gate_f) * c
        c = keep + self.recurrent_activation(gate_i) * self.activation(new)
        h = self.recurrent_activation(gate_o) * self.activation(c)
        return h, (h, c)


@keras.saving.register_keras_serializable(package="keras_attention")
class FeedForwardCell(RecurrentCell):
    """A recurrence that remembers nothing: `h = tanh(W x + b)`.

    It is a controller of a `TuringMachineCell` that has no memory but the
    machine's.

    Args:
        units: width of the state, which is the output and is never read.

    Example:

    >>> output, (state,) = FeedForwardCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape
    TensorShape([2, 4])

    Reference: Graves et al. 2014, "Neural Turing Machines", 3.4.
    """

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def project(self, inputs):
        return multiply(ops.cast(inputs, self.compute_dtype), self.kernel, self.bias, self.compute_dtype)

    def step(self, projected, state):
        h = ops.tanh(projected)
        return h, (h,)


RECURRENT_CELLS = {"gru": GRUCell, "lstm": LSTMCell, "feed_forward": FeedForwardCell}


def get_recurrent_cell(cell, units, **kwargs):
    """A recurrent cell by name, or the cell itself.

    Args:
        cell: `"gru"`, `"lstm"`, `"feed_forward"`, or a `RecurrentCell` of that
            width.
        units: width of the state.
        **kwargs: arguments of the constructor of a cell that is given by name.

    Raises:
        ValueError: for another name, or a cell of another width.
        TypeError: for a layer that has no `project` and `step`.
    """
    if isinstance(cell, keras.layers.Layer):
        if not isinstance(cell, _HoistedCell):
            raise TypeError(
                "get_recurrent_cell: cell must be 'gru', 'lstm' or a RecurrentCell, whose input can be projected for "
                f"all steps at once. Received {cell!r} of type {type(cell).__name__}."
            )
        if cell.units != units:
            raise ValueError(
                f"get_recurrent_cell: the cell must be as wide as what it is for. Received a {type(cell).__name__} of "
                f"{cell.units} units for {units}."
            )
        return cell
    if cell not in RECURRENT_CELLS:
        known = ", ".join(map(repr, RECURRENT_CELLS))
        raise ValueError(f"get_recurrent_cell: cell must be one of {known}, or a RecurrentCell. Received {cell!r}.")
    return RECURRENT_CELLS[cell](units, **kwargs)


def copies(cell, count):
    """A kind of cell several times: its name, or layers like it with weights of their own."""
    if not isinstance(cell, keras.layers.Layer):
        return [cell] * count
    config = {name: value for name, value in cell.get_config().items() if name != "name"}
    return [type(cell).from_config(dict(config)) for _ in range(count)]


def run_recurrence(cell, projected, state, mask=None, reverse=False):
    """Steps a cell through projected inputs.

    Args:
        cell: a built `GRUCell`, `LSTMCell` or `RecurrentCell`.
        projected: `cell.project(inputs)`, `(batch, time, projected_dim)`.
        state: tuple of `(batch, any)`.
        mask: bool `(batch, time)`. Where it is False the state stands still,
            so padding changes neither a later output nor the last state, and
            the output is the first tensor of it: of a GRU or LSTM the output
            before, as Keras' layers have it.
        reverse: run from the last position to the first.

    Returns:
        `(outputs, state)`: `(batch, time, units)` and the last state.
    """
    return unroll(*_masked_run(cell, projected, mask), state, reverse)


def run_both_ways(cells, inputs, mask=None):
    """Steps one cell through inputs from the first to the last, and another from the last to the first.

    Both step in one loop, so that what a loop itself costs is there once.

    Args:
        cells: two built cells as `run_recurrence` takes them.
        inputs: `(batch, time, dim)`.
        mask: see `run_recurrence`.

    Returns:
        What two calls of `run_recurrence` would, from states of zeros: a list of
        `(outputs, state)`.
    """

    def turned(tensor, way):
        return ops.flip(tensor, axis=1) if way and tensor is not None else tensor

    runs = [_masked_run(cell, cell.project(turned(inputs, way)), turned(mask, way)) for way, cell in enumerate(cells)]

    def step(inputs_t, states):
        found = [step(*each) for (step, _), *each in zip(runs, inputs_t, states, strict=True)]
        return tuple(zip(*found, strict=True))

    states = tuple(cell.initial_state(size_of(inputs, 0)) for cell in cells)
    outputs, states = unroll(step, tuple(read for _, read in runs), states)
    return [(turned(outputs[way], way), states[way]) for way in range(2)]


def _masked_run(cell, projected, mask):
    """A step, and what it reads: the state of a row stands still where the mask is False."""
    if mask is None:
        return cell.step, projected

    def step(inputs_t, state):
        projected_t, live = inputs_t
        output, new_state = cell.step(projected_t, state)
        is_state = output is new_state[0]
        state = tuple(ops.where(live, new, old) for new, old in zip(new_state, state, strict=True))
        return (state[0] if is_state else ops.where(live, output, state[0])), state

    return step, (projected, mask[:, :, None])
