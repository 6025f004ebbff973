"""A recurrence that reads and writes a memory of its own: the neural Turing machine."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_attention.layers.layer import Layer, deserialized, serialized
from keras_attention.layers.masks import check_mask, cleaned
from keras_attention.layers.products import wide
from keras_attention.layers.recurrent import RecurrentCell, get_recurrent_cell
from keras_attention.layers.sizes import size_of
from keras_attention.layers.unroll import unroll

MEMORIES = ("constant", "learned")
_CONSTANT = 1e-6
_LIMIT = 20.0  # of what the controller says to its heads
_TINY = 1e-16


class TuringMachineOutput(NamedTuple):
    """What a `TuringMachine` returns.

    Attributes:
        output: `(batch, time, units)`.
        state: tuple of tensors `(batch, any)`, to be given to the next call.
        read_weights: where it read: `(batch, time, read_heads, slots)`.
        write_weights: where it wrote: `(batch, time, write_heads, slots)`.
    """

    output: Any
    state: Any
    read_weights: Any
    write_weights: Any


@keras.saving.register_keras_serializable(package="keras_attention")
class TuringMachineCell(RecurrentCell):
    """The recurrence of a neural Turing machine: a controller, and heads that read and write a memory.

    The controller is given the input and what was read the step before. From
    its output each head has a key `k`, its strength `b`, a gate `g`, weights of
    shifts `s` and a sharpness `c`, and attends to the `slots` of the memory `M`
    by content, then by location:

        content = softmax(b cos(k, M))
        gated = g content + (1 - g) (weights of the step before)
        shifted_i = sum_j gated_j s_(i-j)
        weights = softmax(c log(shifted))

    All heads read the memory as it was; the write heads then erase and add,
    `M <- M (1 - w e) + w a`. The output is a linear map of the controller's
    output and of what was read.

    It is a `RecurrentCell`, so it works in `keras.layers.RNN`, and as the
    recurrence of an encoder or a decoder cell, such as
    `LuongCell(64, cell=TuringMachineCell(64))`. `TuringMachine(cell)` also
    gives the weights of each step.

    Args:
        units: width of the controller, and of the output.
        slots: rows of the memory, `N`.
        width: width of a row of the memory, `M` in the paper.
        read_heads: how many read.
        write_heads: how many write.
        controller: `"lstm"`, `"gru"`, `"feed_forward"`, or a `RecurrentCell` of
            that many units.
        shifts: how far a head moves in a step, at most, either way.
        memory: `"constant"`: every slot begins with 1e-6, which converges
            several times as fast; `"learned"`: with trained values. What is
            read first and where the heads begin is always learned.

    State: the controller's, then what was read, the weights of the read heads
    and of the write heads, and the memory, each `(batch, any)`.

    Raises:
        ValueError: for fewer than one slot, head or width, or another memory.

    Example:

    >>> rnn = keras.layers.RNN(TuringMachineCell(8, slots=16, width=6), return_sequences=True)
    >>> rnn(np.ones((2, 5, 3))).shape
    TensorShape([2, 5, 8])

    Reference: Graves et al. 2014, "Neural Turing Machines", 3; Collier and Beel
        2018, "Implementing Neural Turing Machines", for the activations, what is
        read before it is written, and the constant memory.
    """

    def __init__(
        self,
        units,
        slots=128,
        width=20,
        read_heads=1,
        write_heads=1,
        controller="lstm",
        shifts=1,
        memory="constant",
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        sizes = {"units": units, "slots": slots, "width": width, "read_heads": read_heads, "write_heads": write_heads}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"TuringMachineCell: {name} must be at least 1. Received {name}={size}.")
        if not 0 <= 2 * shifts < slots:
            raise ValueError(
                "TuringMachineCell: shifts must be at least 0, and both ways together less than the slots. Received "
                f"shifts={shifts} with slots={slots}."
            )
        if memory not in MEMORIES:
            raise ValueError(
                f"TuringMachineCell: memory must be one of {', '.join(map(repr, MEMORIES))}. Received {memory!r}."
            )
        self.slots = slots
        self.width = width
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.controller = controller
        self.shifts = shifts
        self.memory = memory
        self.control = get_recurrent_cell(controller, units, dtype=self.dtype_policy)

    @property
    def state_count(self):
        return self.control.state_count + 4

    @property
    def given_count(self):
        return self.control.state_count

    @property
    def state_size(self):
        reads, writes = self.read_heads, self.write_heads
        own = [reads * self.width, reads * self.slots, writes * self.slots, self.slots * self.width]
        return [self.units] * self.control.state_count + own

    @property
    def projected_dim(self):
        return self.control.projected_dim

    @property
    def _head_sizes(self):
        """What a head is told: key, strength, gate, shifts, sharpness; a write head what to erase and add, too."""
        of_all = [self.width, 1, 1, 2 * self.shifts + 1, 1]
        return of_all, [*of_all, self.width, self.width]

    def build(self, input_shape):
        if not self.control.built:
            self.control.build(input_shape)
        of_read, of_write = (sum(sizes) for sizes in self._head_sizes)
        read = self.read_heads * self.width
        self.read_projection = self._dense("read_projection", self.projected_dim, read, use_bias=False)
        self.head_projection = self._dense(
            "head_projection", self.read_heads * of_read + self.write_heads * of_write, self.units
        )
        self.output_projection = self._dense("output_projection", self.units, self.units + read)
        # Drawn, not zeros: heads that begin everywhere alike could not tell one slot of a constant memory from another.
        begins = keras.initializers.RandomNormal(stddev=1.0)
        heads = self.read_heads + self.write_heads
        self.first_read = self.add_weight(shape=(read,), initializer="zeros", name="first_read")
        self.first_focus = self.add_weight(shape=(heads, self.slots), initializer=begins, name="first_focus")
        if self.memory == "learned":
            self.first_memory = self.add_weight(shape=(self.slots, self.width), name="first_memory")

    def _dense(self, name, units, input_dim, use_bias=True):
        dense = keras.layers.Dense(
            units, use_bias=use_bias, kernel_initializer="lecun_normal", dtype=self.dtype_policy, name=name
        )
        dense.build((None, input_dim))
        return dense

    def initial_state(self, batch_size):
        """The state before the first step: zeros for the controller, the rest learned, or constant."""
        return self.start(self.control.initial_state(batch_size))

    def get_initial_state(self, batch_size=None):
        """`initial_state`, as `keras.layers.RNN` asks for it."""
        return list(self.initial_state(batch_size))

    def start(self, given):
        given = tuple(given)
        if len(given) == self.state_count:
            return given
        focus = ops.softmax(ops.cast(self.first_focus, "float32"), axis=-1)
        if self.memory == "learned":
            memory = ops.tanh(ops.cast(self.first_memory, "float32"))
        else:
            memory = ops.full((self.slots, self.width), _CONSTANT, "float32")
        first = (ops.tanh(self.first_read), focus[: self.read_heads], focus[self.read_heads :], memory)
        batch_size = size_of(given[0], 0)
        flat = (ops.reshape(ops.cast(tensor, self.compute_dtype), (1, -1)) for tensor in first)
        return given + tuple(ops.repeat(tensor, batch_size, axis=0) for tensor in flat)

    def project(self, inputs):
        """The input's part of the controller's step: `(..., input_dim)` to `(..., projected_dim)`."""
        return self.control.project(inputs)

    def step(self, projected, state):
        """One step: `(batch, projected_dim)` and the state to the output and the next state."""
        *controls, read, read_focus, write_focus, memory = state
        control, controls = self.control.step(projected + self.read_projection(read), tuple(controls))
        dtype = wide(self.compute_dtype)  # float16 has no room for the product of many small weights
        memory = ops.cast(ops.reshape(memory, (-1, self.slots, self.width)), dtype)
        readers, writers = self._heads(ops.cast(self.head_projection(control), dtype))
        read_focus = self._focus(readers, memory, read_focus)
        *writers, erase, add = writers
        write_focus = self._focus(writers, memory, write_focus)
        read = ops.reshape(ops.matmul(read_focus, memory), (-1, self.read_heads * self.width))
        for head in range(self.write_heads):
            memory = memory * (1.0 - write_focus[:, head, :, None] * ops.sigmoid(erase)[:, head, None, :])
        memory = memory + ops.matmul(ops.swapaxes(write_focus, 1, 2), ops.tanh(add))
        flat = (
            ops.cast(ops.reshape(tensor, (-1, size)), self.compute_dtype)
            for tensor, size in zip((read, read_focus, write_focus, memory), self.state_size[-4:], strict=True)
        )
        read, *rest = flat
        output = self.output_projection(ops.concatenate([control, read], axis=-1))
        return output, (*controls, read, *rest)

    def _heads(self, told):
        """What read heads are told and what write heads are: lists of `(batch, heads, size)`."""
        told = ops.clip(told, -_LIMIT, _LIMIT)
        parts, begin = [], 0
        for heads, sizes in zip((self.read_heads, self.write_heads), self._head_sizes, strict=True):
            end = begin + heads * sum(sizes)
            of_heads = ops.reshape(told[:, begin:end], (-1, heads, sum(sizes)))
            ends = [sum(sizes[: index + 1]) for index in range(len(sizes) - 1)]
            parts.append(ops.split(of_heads, ends, axis=-1))
            begin = end
        return parts

    def _focus(self, head, memory, before):
        """The weights of some heads: `(batch, heads, slots)`."""
        key, strength, gate, shift, sharpness = head
        before = ops.cast(ops.reshape(before, (-1, key.shape[1], self.slots)), memory.dtype)
        key, lengths = ops.tanh(key), _inverse_length(memory)[:, None, :, 0]
        alike = ops.matmul(key * _inverse_length(key), ops.swapaxes(memory, 1, 2)) * lengths
        content = ops.softmax(ops.softplus(strength) * alike, axis=-1)
        gate = ops.sigmoid(gate)
        gated = gate * content + (1.0 - gate) * before
        shift = ops.softmax(shift, axis=-1)
        shifted = sum(
            shift[..., index, None] * ops.roll(gated, index - self.shifts, axis=-1)
            for index in range(2 * self.shifts + 1)
        )
        return ops.softmax((1.0 + ops.softplus(sharpness)) * ops.log(shifted + _TINY), axis=-1)

    def focus_of(self, state):
        """Where the read heads and the write heads are: two tensors `(batch, heads, slots)` of a state."""
        read, write = state[-3], state[-2]
        return tuple(
            ops.reshape(weights, (-1, heads, self.slots))
            for weights, heads in ((read, self.read_heads), (write, self.write_heads))
        )

    def get_config(self):
        return super().get_config() | {
            "slots": self.slots,
            "width": self.width,
            "read_heads": self.read_heads,
            "write_heads": self.write_heads,
            "controller": serialized(self.controller),
            "shifts": self.shifts,
            "memory": self.memory,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})


def _inverse_length(vectors):
    """One over the length of vectors, `(..., 1)`; of those of almost none a large number."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return ops.rsqrt(ops.maximum(squares, _TINY))


@keras.saving.register_keras_serializable(package="keras_attention")
class TuringMachine(Layer):
    """Runs a `TuringMachineCell` over a sequence, and shows where it read and wrote.

    Args:
        cell: the cell.

    Call args:
        inputs: `(batch, time, dim)`.
        initial_state: what an earlier call returned as `state`; None begins.
        mask: bool `(batch, time)`, True = a step. Elsewhere the machine stands
            still, and the weights are zeros. Keras' implicit mask arrives here.

    Returns:
        `TuringMachineOutput(output, state, read_weights, write_weights)`. A
        sequence cut into several calls gives what one call gives.

    Raises:
        TypeError: for another cell.

    Example:

    >>> machine = TuringMachine(TuringMachineCell(8, slots=16, width=6))
    >>> output, state, read_weights, write_weights = machine(np.ones((2, 5, 3)))
    >>> output.shape, write_weights.shape
    (TensorShape([2, 5, 8]), TensorShape([2, 5, 1, 16]))

    Reference: Graves et al. 2014, "Neural Turing Machines".
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, TuringMachineCell):
            raise TypeError(
                f"TuringMachine: cell must be a TuringMachineCell. Received {cell!r} of type {type(cell).__name__}."
            )
        self.cell = cell
        self.supports_masking = True

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)

    def call(self, inputs, initial_state=None, mask=None):
        check_mask(mask, "TuringMachine", "mask", "(batch, time)", inputs.shape[:2])
        state = self.cell.initial_state(size_of(inputs, 0)) if initial_state is None else tuple(initial_state)

        def step(projected, state):
            output, state = self.cell.step(projected, state)
            return (output, *self.cell.focus_of(state)), state

        projected = self.cell.project(cleaned(ops.cast(inputs, self.compute_dtype), mask))
        (output, *weights), state = unroll(step, projected, state, mask=mask)
        return TuringMachineOutput(output, state, *(cleaned(one, mask) for one in weights))

    def compute_mask(self, inputs, previous_mask=None):
        return TuringMachineOutput(previous_mask, None, None, None)

    def get_config(self):
        return super().get_config() | {"cell": serialized(self.cell)}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})
