"""From what an encoder knows at its end to how a decoder starts."""

import keras
from keras import ops

from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Layer
from keras_attention.layers.sizes import size_of

BRIDGES = ("dense", "backward", "copy", "zeros")


@keras.saving.register_keras_serializable(package="keras_attention")
class Bridge(Layer):
    """Turns the last states of an encoder into the first state of a decoder.

    Args:
        units: width of the decoder's state.
        state_count: tensors in the decoder's state: 1 for a GRU, 2 for an LSTM.
        kind: `"dense"`: `tanh(W s)` of the joined last states of all
            directions; `"backward"`: `tanh(W s)` of the last direction's, which
            for a bidirectional encoder is Bahdanau's; `"copy"`: the joined
            states themselves, whose width must be `units`; `"zeros"`: nothing.
        direction: read only this one of the summary's directions, counted from
            zero; None reads all.

    Call args:
        summary: one tuple of `(batch, encoder_units)` a direction, as
            `RecurrentEncoder` returns it; or, of an encoder of one direction,
            what Keras' layers return: `h`, `(h,)` or `(h, c)`. A decoder with
            two tensors after an encoder with one gets both from that one. Of a
            `Bidirectional` LSTM write `((h, c), (backward_h, backward_c))`.

    Returns:
        Tuple of `state_count` tensors `(batch, units)`.

    Raises:
        ValueError: for an unknown kind, or for `"copy"` between widths that
            differ.

    Example:

    >>> forward, backward = (np.ones((2, 3)),), (np.ones((2, 3)),)
    >>> [state.shape for state in Bridge(units=5)((forward, backward))]
    [TensorShape([2, 5])]

    Reference: Bahdanau et al. 2015, A.2.2, for `"backward"`; Sutskever et al.
        2014 for `"copy"`.
    """

    def __init__(self, units, state_count=1, kind="dense", direction=None, **kwargs):
        super().__init__(**kwargs)
        if kind not in BRIDGES:
            raise ValueError(f"Bridge: kind must be one of {', '.join(map(repr, BRIDGES))}. Received {kind!r}.")
        self.units = units
        self.state_count = state_count
        self.kind = kind
        self.direction = direction

    def build(self, summary_shape):
        joined = sum(direction[0][-1] for direction in self._directions(_by_direction(summary_shape, _is_shape)))
        if self.kind == "copy" and joined != self.units:
            raise ValueError(
                f"Bridge: kind='copy' needs an encoder as wide as the decoder. Received {joined} units from the "
                f"encoder for a decoder of {self.units}. Use kind='dense', or units={joined}."
            )
        self.projections = []
        if self.kind in ("dense", "backward"):
            for index in range(self.state_count):
                dense = PositionsDense(
                    self.units,
                    activation="tanh",
                    use_bias=self.kind == "dense",
                    dtype=self.dtype_policy,
                    name=f"projection_{index}",
                )
                dense.build((None, joined))
                self.projections.append(dense)

    def call(self, summary):
        summary = _by_direction(summary, _is_tensor)
        if self.kind == "zeros":
            batch = size_of(summary[0][0], 0)
            return tuple(ops.zeros((batch, self.units), self.compute_dtype) for _ in range(self.state_count))
        states = []
        for index in range(self.state_count):
            tensors = [direction[min(index, len(direction) - 1)] for direction in self._directions(summary)]
            joined = ops.concatenate(tensors, axis=-1)
            states.append(self.projections[index](joined) if self.projections else joined)
        return tuple(states)

    def _directions(self, summary):
        if self.direction is not None:
            if self.direction >= len(summary):
                raise ValueError(
                    f"Bridge: direction={self.direction} needs a summary of as many directions, or layers, and one "
                    f"more. Received {len(summary)}."
                )
            return summary[self.direction : self.direction + 1]
        return summary[-1:] if self.kind == "backward" else summary

    def get_config(self):
        own = {"units": self.units, "state_count": self.state_count, "kind": self.kind, "direction": self.direction}
        return super().get_config() | own


def _by_direction(summary, is_leaf):
    """A summary in any form, as one tuple a direction."""
    if is_leaf(summary):
        return ((summary,),)
    return (tuple(summary),) if is_leaf(summary[0]) else tuple(tuple(direction) for direction in summary)


def _is_shape(thing):
    return thing[-1] is None or isinstance(thing[-1], int)


def _is_tensor(thing):
    return not isinstance(thing, (tuple, list))
