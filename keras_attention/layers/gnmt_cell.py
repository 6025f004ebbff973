"""GNMT's decoder cell: it attends for all the layers above it."""

import functools

import keras
from keras import ops

from keras_attention.layers.attention import BahdanauAttention
from keras_attention.layers.decoder_cell import DecoderCell, RecurrentOutput
from keras_attention.layers.masks import cleaned
from keras_attention.layers.unroll import unroll

CONTEXTS = ("current", "previous")


@keras.saving.register_keras_serializable(package="keras_attention")
class GNMTCell(DecoderCell):
    """The bottom layer of GNMT's decoder: it attends for all the layers above.

    `h_t = LSTM([x_t ; c_{t-1}], h_{t-1})`, then `c_t` is the context that `h_t`
    asks for, and the output is `[h_t ; c]`, of which a `RecurrentDecoder` with
    `context_above=True` gives `c` to every layer above.

    Args:
        units: width of the state.
        context: which `c` goes up: `"current"`, `c_t` (`gnmt_v2` of
            TensorFlow's NMT code), or `"previous"`, `c_{t-1}` (the paper, and
            `gnmt`), which lets layers run side by side on several devices.
        cell: `"gru"`, `"lstm"` (the paper), or a `RecurrentCell`.
        attention: an attention layer. Defaults to the normed additive one.

    Call args and Returns: see `DecoderCell`.

    Example:

    >>> AttentionRNN(GNMTCell(8))(np.ones((2, 3, 5)), np.ones((2, 7, 4))).output.shape
    TensorShape([2, 3, 12])

    Reference: Wu et al. 2016, "Google's Neural Machine Translation System", 3.
    """

    def __init__(self, units, context="current", cell="lstm", attention=None, **kwargs):
        if context not in CONTEXTS:
            raise ValueError(f"GNMTCell: context must be 'current' or 'previous'. Received {context!r}.")
        self._check_attention(attention)
        super().__init__(units, cell, attention, functools.partial(BahdanauAttention, units, normed=True), **kwargs)
        self.context = context

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        context = self._context_dim(value_shape, key_shape)
        self.output_dim = self.units + context
        self.fed_widths = (context,)
        self.context_projection = self._dense("context_projection", self.recurrent.projected_dim, context)

    def read(self, inputs, memory, state, mask=None, training=False, sharers=1):
        def step(projected_t, state):
            before, (previous,), attention_state = self.split_state(state)
            h, after = self.recurrent.step(projected_t + self.context_projection(previous), before)
            context, weights, attention_state = self._attend_once(h, memory, attention_state, sharers, training)
            up = context if self.context == "current" else previous
            return (ops.concatenate([h, up], axis=-1), weights), (*after, context, *attention_state)

        projected = self.recurrent.project(cleaned(ops.cast(inputs, self.compute_dtype), mask))
        (output, weights), state = unroll(step, projected, state, mask=mask)
        return RecurrentOutput(output, state, cleaned(weights, mask))

    def get_config(self):
        return super().get_config() | {"context": self.context}
