"""A decoder cell over a known target, as a layer for any Keras model."""

import keras
from keras import ops

from keras_attention.layers.cells import DecoderCell, RecurrentOutput


@keras.saving.register_keras_serializable(package="keras_attention")
class AttentionRNN(keras.layers.Layer):
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
        initial_state: tuple of tensors from an earlier call or from
            `cell.start`. Defaults to zeros.

    Returns:
        `RecurrentOutput(output, state, weights)`. The output carries the mask
        of the inputs.

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

    def read(self, inputs, memory, state, training=False):
        """Target steps over a prepared memory; see `DecoderCell.read`."""
        return self.cell.read(inputs, memory, state, training=training)

    def call(self, inputs, value, key=None, value_mask=None, initial_state=None, training=False):
        if initial_state is None:
            initial_state = self.cell.initial_state(ops.shape(inputs)[0])
        memory = self.prepare(value, key, value_mask)
        return self.read(inputs, memory, tuple(initial_state), training=training)

    def compute_mask(self, inputs, previous_mask=None):
        return RecurrentOutput(previous_mask, None, None)

    def get_config(self):
        return super().get_config() | {"cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})
