"""Recurrent decoder cells: which state queries the source, when, and where the context goes.

    BahdanauCell    the previous state asks, the context enters the recurrence
    LuongCell       the current state asks, the context enters the output
    PlainCell       nobody asks: the bottleneck that attention removed

Like every attention layer of the library a cell has `prepare`, for what
depends on the source alone, and `read`, for target steps, any number at once:
two calls on the halves of a target give what one call on the whole gives.
`AttentionRNN`, in `attention_rnn.py`, makes a layer of a cell that fits into any
Keras model.
"""

import functools

import keras
from keras import ops

from keras_attention.layers.attention import BahdanauAttention, LuongAttention
from keras_attention.layers.core import Memory
from keras_attention.layers.decoder_cell import DecoderCell, RecurrentOutput
from keras_attention.layers.masks import cleaned
from keras_attention.layers.recurrent import run_recurrence
from keras_attention.layers.sizes import size_of
from keras_attention.layers.unroll import unroll


@keras.saving.register_keras_serializable(package="keras_attention")
class BahdanauCell(DecoderCell):
    """Bahdanau's decoder: the previous state asks, the context enters the cell.

    At step `i`: `c_i` is the context that `s_{i-1}` asks for, and
    `s_i = GRU([E y_{i-1} ; c_i], s_{i-1})`. Most published "Bahdanau" decoders
    ask with `s_i`, which is Luong's order. Prefer it to `LuongCell` where what
    is read should steer the state; it cannot read all steps in parallel.

    The output is `[s_i ; c_i]`, or with `deep_output=l` the paper's maxout
    layer of `l` units over `U s + V E y_{i-1} + C c_i`.

    Args:
        units: width of the state, n in the paper.
        attention_units: width of the comparison. Defaults to `units`.
        cell: `"gru"` (the paper; the reset gate acts before the product) or
            `"lstm"`.
        deep_output: units l of the maxout output layer, or None.
        output_state: `"current"` (s_i: the main text and most toolkits) or
            `"previous"` (s_{i-1}: the paper's appendix).
        normed: use the weight-normed score; see `AdditiveScore`.
        dropout: fraction of the attention weights dropped in training.
        attention: any attention layer instead of the paper's, such as
            `MonotonicAttention()` or one of your own; `attention_units`,
            `normed` and `dropout` are its business then.

    Call args and Returns: see `DecoderCell`.

    Example:

    >>> rnn = AttentionRNN(BahdanauCell(8))
    >>> rnn(np.ones((2, 3, 5)), np.ones((2, 7, 4))).output.shape
    TensorShape([2, 3, 12])

    Reference: Bahdanau et al. 2015, A.1.2 and A.2.2.
    """

    def __init__(
        self,
        units,
        attention_units=None,
        cell="gru",
        deep_output=None,
        output_state="current",
        normed=False,
        dropout=0.0,
        attention=None,
        **kwargs,
    ):
        if output_state not in ("current", "previous"):
            raise ValueError(f"BahdanauCell: output_state must be 'current' or 'previous'. Received {output_state!r}.")
        self._check_attention(
            attention, attention_units=(attention_units, None), normed=(normed, False), dropout=(dropout, 0.0)
        )
        own = functools.partial(BahdanauAttention, attention_units or units, normed=normed, dropout=dropout)
        cell_arguments = {"reset_after": False} if cell == "gru" else {}
        super().__init__(units, cell, attention, own, cell_arguments, **kwargs)
        self.attention_units = attention_units
        self.deep_output = deep_output
        self.output_state = output_state
        self.normed = normed
        self.dropout = dropout

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        gates = self.recurrent.projected_dim
        context = self._context_dim(value_shape, key_shape)
        self.context_projection = self._dense("context_projection", gates, context)
        self.output_dim = self.deep_output or self.units + context
        if self.deep_output:
            joined = self.units + inputs_shape[-1] + context
            self.output_projection = self._dense("output_projection", 2 * self.deep_output, joined)

    def read(self, inputs, memory, state, mask=None, training=False, sharers=1):
        def step(projected_t, state):
            before, _, attention_state = self.split_state(state)
            context, weights, attention_state = self._attend_once(before[0], memory, attention_state, sharers, training)
            current, after = self.recurrent.step(projected_t + self.context_projection(context), before)
            asked = current if self.output_state == "current" else before[0]
            return (asked, context, weights), (*after, *attention_state)

        inputs = cleaned(ops.cast(inputs, self.compute_dtype), mask)
        (states, contexts, weights), state = unroll(step, self.recurrent.project(inputs), state, mask=mask)
        return RecurrentOutput(self._output(inputs, states, contexts), state, cleaned(weights, mask))

    def _output(self, inputs, states, contexts):
        if not self.deep_output:
            return ops.concatenate([states, contexts], axis=-1)
        pairs = self.output_projection(ops.concatenate([states, inputs, contexts], axis=-1))
        return ops.maximum(pairs[..., 0::2], pairs[..., 1::2])

    def get_config(self):
        return super().get_config() | {
            "attention_units": self.attention_units,
            "deep_output": self.deep_output,
            "output_state": self.output_state,
            "normed": self.normed,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class LuongCell(DecoderCell):
    """Luong's decoder: the current state asks, the context enters the output.

    `h_t = RNN(x_t, h_{t-1})`, then `c_t` is the context that `h_t` asks for and
    the output is the attentional vector `h~_t = tanh(W [c_t ; h_t])`. With
    input feeding `x_t` is `[E y_{t-1} ; h~_{t-1}]`, so that a step knows what
    was read before; without it no step waits for another's context, and all
    target steps are read in parallel, which trains a third faster.

    Args:
        units: width of the state, and of the attentional vector.
        score: `"dot"`, `"general"`, `"concat"`, a `Score`, or a function of a
            query and a key; see `LuongAttention`.
        cell: `"gru"` or `"lstm"` (the paper).
        input_feeding: see above.
        attentional_vector: with False the output is `[c_t ; h_t]` itself, as
            in the book "Deep Learning from Scratch 2", chapter 8.
        learned_scale: multiply the score by a learned scalar.
        dropout: fraction of the attention weights dropped in training.
        attentional_units: width of the attentional vector. Defaults to `units`.
        attentional_activation: any activation of Keras. With None, input
            feeding and `attentional_units=attention_layer_size` the cell is
            TensorFlow Addons' `AttentionWrapper`; see docs/migration.md.
        attention: any attention layer instead of the paper's global one, such
            as its local one, `LocalAttention("general", half_width=5)`;
            `score`, `learned_scale` and `dropout` are its business then.

    Call args and Returns: see `DecoderCell`.

    Example:

    >>> rnn = AttentionRNN(LuongCell(8, score="general", input_feeding=False))
    >>> rnn(np.ones((2, 3, 5)), np.ones((2, 7, 4))).output.shape
    TensorShape([2, 3, 8])

    Reference: Luong et al. 2015, 3, eq. 5-6, and 3.3 for input feeding.
    """

    def __init__(
        self,
        units,
        score="general",
        cell="gru",
        input_feeding=True,
        attentional_vector=True,
        learned_scale=False,
        dropout=0.0,
        attentional_units=None,
        attentional_activation="tanh",
        attention=None,
        **kwargs,
    ):
        self._check_attention(
            attention, score=(score, "general"), learned_scale=(learned_scale, False), dropout=(dropout, 0.0)
        )
        own = functools.partial(LuongAttention, score, learned_scale=learned_scale, dropout=dropout)
        super().__init__(units, cell, attention, own, **kwargs)
        self.attentional_units = attentional_units
        self.attentional_activation = keras.activations.get(attentional_activation)
        self.input_feeding = input_feeding
        self.attentional_vector = attentional_vector
        self.learned_scale = learned_scale
        self.dropout = dropout

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        joined = self._context_dim(value_shape, key_shape) + self.units
        self.output_dim = (self.attentional_units or self.units) if self.attentional_vector else joined
        if self.attentional_vector:
            self.attentional_projection = self._dense(
                "attentional_projection", self.output_dim, joined, activation=self.attentional_activation
            )
        if self.input_feeding:
            self.fed_widths = (self.output_dim,)
            gates = self.recurrent.projected_dim
            self.feed_projection = self._dense("feed_projection", gates, self.output_dim)

    @property
    def score(self):
        """The score by its name, or the `Score` itself; None of an attention that has none."""
        return getattr(self.attention, "score_name", None) or getattr(self.attention, "score", None)

    def read(self, inputs, memory, state, mask=None, training=False, sharers=1):
        projected = self.recurrent.project(cleaned(inputs, mask))
        if not self.input_feeding:
            before, _, attention_state = self.split_state(state)
            states, after = run_recurrence(self.recurrent, projected, before, mask)
            contexts, weights, attention_state = self._attend(states, memory, attention_state, sharers, training, mask)
            return RecurrentOutput(self._output(contexts, states), (*after, *attention_state), weights)

        def step(projected_t, state):
            before, (fed,), attention_state = self.split_state(state)
            h, after = self.recurrent.step(projected_t + self.feed_projection(fed), before)
            context, weights, attention_state = self._attend_once(h, memory, attention_state, sharers, training)
            output = self._output(context, h)
            return (output, weights), (*after, output, *attention_state)

        (output, weights), state = unroll(step, projected, state, mask=mask)
        return RecurrentOutput(output, state, cleaned(weights, mask))

    def _output(self, context, h):
        joined = ops.concatenate([context, h], axis=-1)
        return self.attentional_projection(joined) if self.attentional_vector else joined

    def get_config(self):
        return super().get_config() | {
            "score": "general" if self._attention_is_given else self.attention.get_config()["score"],
            "input_feeding": self.input_feeding,
            "attentional_vector": self.attentional_vector,
            "learned_scale": self.learned_scale,
            "dropout": self.dropout,
            "attentional_units": self.attentional_units,
            "attentional_activation": keras.activations.serialize(self.attentional_activation),
        }


@keras.saving.register_keras_serializable(package="keras_attention")
class PlainCell(DecoderCell):
    """A decoder without attention: all it knows of the source is its first state.

    It is the baseline that shows what attention is for. Its weights are zeros.

    Args:
        units: width of the state, and of the output.
        cell: `"gru"` or `"lstm"`.

    Call args and Returns: see `DecoderCell`.

    Example:

    >>> AttentionRNN(PlainCell(8))(np.ones((2, 3, 5)), np.ones((2, 7, 4))).weights.shape
    TensorShape([2, 3, 7])

    Reference: Sutskever et al. 2014, "Sequence to Sequence Learning with
        Neural Networks"; Cho et al. 2014.
    """

    def __init__(self, units, cell="gru", **kwargs):
        super().__init__(units, cell=cell, **kwargs)

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        self.output_dim = self.units

    def prepare(self, value, key=None, value_mask=None):
        return Memory(value, value, value_mask)

    def read(self, inputs, memory, state, mask=None, training=False, sharers=1):
        output, state = run_recurrence(self.recurrent, self.recurrent.project(cleaned(inputs, mask)), state, mask)
        rows, target = ops.shape(inputs)[:2]
        source = size_of(memory.value, 1)
        return RecurrentOutput(output, state, ops.zeros((rows, target, source), self.compute_dtype))


DECODER_CELLS = {"bahdanau": BahdanauCell, "luong": LuongCell, None: PlainCell}


def get_decoder_cell(attention, units, **kwargs):
    """A decoder cell by the name of its attention.

    Args:
        attention: `"bahdanau"`, `"luong"`, None, or a `DecoderCell`.
        units: width of the state.
        **kwargs: arguments of the cell's constructor.

    Raises:
        ValueError: for another name.
    """
    if isinstance(attention, DecoderCell):
        return attention
    if attention not in DECODER_CELLS:
        known = ", ".join(map(repr, DECODER_CELLS))
        raise ValueError(f"get_decoder_cell: attention must be one of {known}. Received {attention!r}.")
    return DECODER_CELLS[attention](units, **kwargs)
