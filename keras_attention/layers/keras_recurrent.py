"""Keras' recurrent layers and wrappers, which keep the mask of their input.

From 3.16 on Keras' `RNN`, `Bidirectional` and `TimeDistributed` still skip what
a mask excludes, but do not pass the mask on, so that an attention behind them
attends to padding. The layers here are Keras' own, with Keras' arguments,
weights and results, and pass it on with every version.
"""

import keras
from keras import ops


class _KeepsMask:
    """Mixin, before a layer of Keras, whose constructor may say otherwise."""

    @property
    def supports_masking(self):
        return True

    @supports_masking.setter
    def supports_masking(self, value):
        pass  # Keras 3.16 sets it to False


class _Recurrent(_KeepsMask):
    """A `_KeepsMask` for `keras.layers.RNN` and what derives from it."""

    def compute_mask(self, inputs, mask=None):
        """The mask of the outputs: in the order of the outputs, None without `return_sequences` and for states."""
        masks = super().compute_mask(inputs, mask)
        if not (self.go_backwards and self.return_sequences):
            return masks
        # Keras hands on the mask of the inputs, whose order is the other one.
        flipped = [None if part is None else ops.flip(part, axis=1) for part in keras.tree.flatten(masks)]
        return flipped if self.return_state else flipped[0]


@keras.saving.register_keras_serializable(package="keras_attention")
class RNN(_Recurrent, keras.layers.RNN):
    """`keras.layers.RNN`, which passes on the mask of its input.

    Call args and Returns: those of `keras.layers.RNN`. What is padding is
    skipped: the state goes through it as it is, wherever it stands. With
    `go_backwards` and `return_sequences` the mask is turned round as the
    outputs are, which Keras forgets.

    Args:
        cell: a Keras cell, or a list of them.
        **kwargs: arguments of `keras.layers.RNN`.

    Example:

    >>> ids = np.array([[5, 6, 0]])
    >>> encoded = RNN(keras.layers.GRUCell(4), return_sequences=True)(keras.layers.Embedding(9, 3, mask_zero=True)(ids))
    >>> BahdanauAttention(4)(np.ones((1, 2, 3)), encoded).weights.numpy()[0, :, 2]
    array([0., 0.], dtype=float32)
    """


@keras.saving.register_keras_serializable(package="keras_attention")
class SimpleRNN(_Recurrent, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, which passes on the mask of its input; see `RNN`.

    Args:
        units: width of the state.
        **kwargs: arguments of `keras.layers.SimpleRNN`.

    Example:

    >>> model = keras.Sequential([keras.layers.Embedding(9, 3, mask_zero=True), SimpleRNN(4, return_sequences=True)])
    >>> model(np.array([[5, 6, 0]])).shape
    TensorShape([1, 3, 4])
    """


@keras.saving.register_keras_serializable(package="keras_attention")
class GRU(_Recurrent, keras.layers.GRU):
    """`keras.layers.GRU`, which passes on the mask of its input; see `RNN`.

    Args:
        units: width of the state.
        **kwargs: arguments of `keras.layers.GRU`.

    Example:

    >>> model = keras.Sequential([keras.layers.Embedding(9, 3, mask_zero=True), GRU(4, return_sequences=True)])
    >>> model(np.array([[5, 6, 0]])).shape
    TensorShape([1, 3, 4])
    """


@keras.saving.register_keras_serializable(package="keras_attention")
class LSTM(_Recurrent, keras.layers.LSTM):
    """`keras.layers.LSTM`, which passes on the mask of its input; see `RNN`.

    Args:
        units: width of the state.
        **kwargs: arguments of `keras.layers.LSTM`.

    Example:

    >>> model = keras.Sequential([keras.layers.Embedding(9, 3, mask_zero=True), LSTM(4, return_sequences=True)])
    >>> model(np.array([[5, 6, 0]])).shape
    TensorShape([1, 3, 4])
    """


@keras.saving.register_keras_serializable(package="keras_attention")
class Bidirectional(_KeepsMask, keras.layers.Bidirectional):
    """`keras.layers.Bidirectional`, which passes on the mask of its input.

    Args:
        layer: a recurrent layer, of Keras or of ours, for the forward direction.
        merge_mode: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for both.
        weights: initial weights of both directions, or None.
        backward_layer: a layer with `go_backwards=True`. Defaults to a copy of
            the forward one.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> encoder = Bidirectional(GRU(4, return_sequences=True))
    >>> encoded = encoder(keras.layers.Embedding(9, 3, mask_zero=True)(np.array([[5, 6, 0]])))
    >>> encoded.shape, BahdanauAttention(4)(np.ones((1, 2, 3)), encoded).weights.numpy()[0, 0, 2]
    (TensorShape([1, 3, 8]), np.float32(0.0))
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        super().__init__(layer, merge_mode, weights, backward_layer, **kwargs)
        for direction in (self.forward_layer, self.backward_layer):
            direction.supports_masking = True  # or Keras warns that these, its own, lose what this one passes on


@keras.saving.register_keras_serializable(package="keras_attention")
class TimeDistributed(_KeepsMask, keras.layers.TimeDistributed):
    """`keras.layers.TimeDistributed`, which passes on the mask of its input.

    A mask of more than two axes, such as that of the words of sentences,
    `(batch, sentences, words)`, becomes what the layer within makes of it. If
    that is none, because it gives one vector a sentence, a sentence counts that
    has a word.

    Args:
        layer: a layer that is applied to each step.
        **kwargs: arguments of `keras.layers.TimeDistributed`.

    Example: sentences of words that are read one after another.

    >>> words = keras.layers.Embedding(9, 3, mask_zero=True)(np.array([[[5, 6], [7, 0], [0, 0]]]))
    >>> sentences = TimeDistributed(LSTM(4))(words)
    >>> BahdanauAttention(4)(np.ones((1, 1, 3)), sentences).weights.numpy()[0, 0, 2]
    np.float32(0.0)

    Reference: Yang et al. 2016, "Hierarchical Attention Networks for Document
        Classification", for the example.
    """

    def compute_mask(self, inputs, mask=None):
        """The mask of the outputs, `(batch, steps)` or of more axes."""
        if mask is None or len(mask.shape) == 2:
            return mask
        within = self.layer.compute_mask(inputs, mask) if self.layer.supports_masking else None
        return ops.any(mask, axis=tuple(range(2, len(mask.shape)))) if within is None else within
