"""A decoder cell over a known target, as a layer for any Keras model."""

import keras
from keras import ops, tree

from keras_attention.layers.decoder_cell import DecoderCell, RecurrentOutput
from keras_attention.layers.layer import Layer
from keras_attention.layers.masks import check_mask, combine_masks
from keras_attention.layers.sizes import size_of


@keras.saving.register_keras_serializable(package="keras_attention")
class AttentionRNN(Layer):
    """Runs a decoder cell over a known target: the layer for your own model.

    `keras.layers.RNN` cannot carry a memory (its `constants` raise); this is
    the layer that can. A target cut into several calls, each given the state of
    the one before, gives what one call gives.

    Args:
        cell: a `DecoderCell`: `BahdanauCell`, `LuongCell` or `PlainCell`.

    Call args:
        inputs: `(batch, target, input_dim)`, for instance embedded ids.
        value: what is attended to, `(batch, source, value_dim)`.
        key: what it is compared with, `(batch, source, key_dim)`. Defaults to
            the value.
        value_mask: bool `(batch, source)`. Keras' implicit mask arrives here.
        key_mask: like `value_mask`, for a key that carries a mask of its own.
        initial_state: what the cell starts from: `h`, `(h,)` or `(h, c)` of an
            encoder of the cell's kind and width, or the state of an earlier
            call. Defaults to zeros. For an encoder of another kind or width
            there is `Bridge`.
        mask: bool `(batch, target)`, True = a token. Keras' implicit mask of
            the inputs arrives as `inputs_mask`. At padding the state stands
            still and the weights are zeros, so that the same tokens give the
            same results wherever padding stands.
        training: whether to drop attention weights.

    Returns:
        `RecurrentOutput(output, state, weights)`. The output carries the mask
        of the inputs. In a functional model the three are outputs of layers
        `<name>_output`, `<name>_state_<number>` and `<name>_weights`, so that
        Keras' losses and metrics can tell them apart.

    Raises:
        TypeError: for a cell that is no `DecoderCell`.
        ValueError: for an initial state of another number of tensors, or of
            another width, than the cell's.

    Example:

    >>> output, state, weights = AttentionRNN(LuongCell(6))(np.ones((2, 3, 5)), np.ones((2, 7, 4)))
    >>> output.shape, weights.shape
    (TensorShape([2, 3, 6]), TensorShape([2, 3, 7]))
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, DecoderCell):
            raise TypeError(
                f"AttentionRNN: cell must be a DecoderCell such as BahdanauCell(64). Received {cell!r} of type "
                f"{type(cell).__name__}."
            )
        self.cell = cell
        self.supports_masking = True

    def build(self, inputs_shape, value_shape, key_shape=None):
        if not self.cell.built:
            self.cell.build(inputs_shape, value_shape, key_shape)

    def prepare(self, value, key=None, value_mask=None):
        """A `Memory` for `read`, made once per source."""
        return self.cell.prepare(value, key, value_mask)

    def read(self, inputs, memory, state, mask=None, training=False):
        """Target steps over a prepared memory; see `DecoderCell.read`."""
        return self.cell.read(inputs, memory, state, mask=mask, training=training)

    def __call__(self, *args, **kwargs):
        return _named(super().__call__(*args, **kwargs), self.name)

    def call(
        self,
        inputs,
        value,
        key=None,
        value_mask=None,
        initial_state=None,
        training=False,
        mask=None,
        inputs_mask=None,  # where Keras puts the implicit mask of the inputs
        key_mask=None,
    ):
        mask = inputs_mask if mask is None else mask
        check_mask(mask, "AttentionRNN", "mask", "(batch, target)", inputs.shape[:2])
        memory = self.prepare(value, key, combine_masks(value_mask, key_mask))
        return self.read(inputs, memory, self._start(initial_state, inputs, memory), mask=mask, training=training)

    def _start(self, initial_state, inputs, memory):
        """The first state of the cell, from any form in which it may be given."""
        first = self.cell.initial_state(size_of(inputs, 0), memory)
        if initial_state is None:
            return first
        states = tuple(tree.flatten(initial_state))
        is_whole = len(states) == len(first)
        wanted = first if is_whole else first[: self.cell.given_count]
        if len(states) != len(wanted) or not all(map(_are_as_wide, states, wanted)):
            raise ValueError(self._wrong_state(states))
        states = tuple(ops.cast(state, one.dtype) for state, one in zip(states, wanted, strict=True))
        return states if is_whole else self.cell.start(states, memory)

    def _wrong_state(self, states):
        names = ("h",) if self.cell.given_count == 1 else ("h", "c")
        shape = f"(batch, {self.cell.units})"
        return (
            f"AttentionRNN: initial_state must be {' and '.join(names)}, {'each ' if len(names) > 1 else ''}of shape "
            f"{shape}, for this {type(self.cell).__name__}, or the state of an earlier call. Received "
            f"{len(states)} of shapes {', '.join(str(tuple(state.shape)) for state in states)}. "
            f"Bridge(units={self.cell.units}, state_count={len(names)}) makes one from the states of any encoder."
        )

    def compute_mask(self, inputs, previous_mask=None):
        return RecurrentOutput(previous_mask, None, None)

    def compute_output_shape(self, inputs_shape, value_shape, key_shape=None):
        inputs, value, key = (
            None if shape is None else keras.KerasTensor(shape, self.compute_dtype)
            for shape in (inputs_shape, value_shape, key_shape)
        )
        return tree.map_structure(lambda tensor: tensor.shape, self.compute_output_spec(inputs, value, key))

    def compute_output_spec(self, inputs, value, key=None, **kwargs):
        self.build(inputs.shape, value.shape, None if key is None else key.shape)
        step = keras.KerasTensor((inputs.shape[0], 1, inputs.shape[2]), inputs.dtype)
        output, state, weights = keras.Operation.compute_output_spec(self, step, value, key)
        output, weights = (
            keras.KerasTensor((tensor.shape[0], inputs.shape[1], *tensor.shape[2:]), tensor.dtype)
            for tensor in (output, weights)
        )
        return RecurrentOutput(output, state, weights)

    def get_config(self):
        return super().get_config() | {"cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})


def _are_as_wide(state, wanted):
    sizes = state.shape[-1], wanted.shape[-1]
    return None in sizes or sizes[0] == sizes[1]


def _named(output, name):
    """The symbolic outputs of a layer, each through a layer with a name of its own; others as they are."""
    if not isinstance(output.output, keras.KerasTensor):
        return output

    def through(tensor, part):
        return keras.layers.Identity(name=f"{name}_{part}", dtype=tensor.dtype)(tensor)

    states = tuple(through(tensor, f"state_{index}") for index, tensor in enumerate(output.state))
    return RecurrentOutput(through(output.output, "output"), states, through(output.weights, "weights"))
