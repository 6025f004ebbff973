"""Recurrent decoder cells: who asks, when, and where the context goes.

    BahdanauCell    the previous state asks, the context enters the recurrence
    LuongCell       the current state asks, the context enters the output
    GNMTCell        the current state asks, the context enters the next step and all layers above
    PlainCell       nobody asks: the bottleneck that attention removed

Like every attention layer of the library a cell has `prepare`, for what
depends on the source alone, and `read`, for target steps, any number at once:
two calls on the halves of a target give what one call on the whole gives.
`AttentionRNN`, in `attention_rnn.py`, makes a layer of a cell that fits into any
Keras model.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_attention.layers.attention import BahdanauAttention, LuongAttention
from keras_attention.layers.attention_layer import AttentionLayer
from keras_attention.layers.core import AttentionRead, Memory
from keras_attention.layers.layer import Layer, deserialized, serialized
from keras_attention.layers.masks import cleaned
from keras_attention.layers.recurrent import get_recurrent_cell, run_recurrence
from keras_attention.layers.unroll import unroll


class RecurrentOutput(NamedTuple):
    """What a recurrent decoder returns.

    Attributes:
        output: what the vocabulary is read from: `(batch, target, dim)`.
        state: tuple of `(batch, units)`, to be given to the next call.
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
        cell_arguments: for the recurrent cell's constructor.

    Once built, `output_dim` is the width of the output, and `fed_widths` those
    of what a step feeds the next beside its states.

    Call args:
        inputs: one step, `(batch, input_dim)`.
        states: tuple of tensors, as `initial_state`, `start` or the last call
            returned it.
        memory: what `prepare` returned.

    Returns:
        `RecurrentOutput` of one step, without the target axis.
    """

    def __init__(self, units, cell="gru", attention=None, cell_arguments=None, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"{type(self).__name__}: units must be at least 1. Received units={units}.")
        self.units = units
        self.cell = cell
        self.recurrent = get_recurrent_cell(cell, units, dtype=self.dtype_policy, **(cell_arguments or {}))
        self.attention = attention
        self.fed_widths = ()

    @property
    def state_count(self):
        """Number of tensors in the recurrent state: 1 for a GRU, 2 for an LSTM."""
        return self.recurrent.state_count

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
            recurrent_state: tuple of `state_count` tensors `(batch, units)`.
            memory: what `prepare` returned.

        Returns:
            Tuple of tensors `(batch, any)`.
        """
        recurrent_state = tuple(recurrent_state)
        fed = tuple(
            ops.zeros((ops.shape(recurrent_state[0])[0], width), self.compute_dtype) for width in self.fed_widths
        )
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
        return super().get_config() | {"units": self.units, "cell": serialized(self.cell)}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: deserialized(value) for name, value in config.items()})

    def _given_attention(self):
        """The config of an attention that was given as an object, the same before and after it is built; or None."""
        return serialized(self.attention) if self._attention_is_given else None

    def _context_dim(self, value_shape, key_shape):
        return self.attention.context_dim((None, None, self.units), value_shape, key_shape)

    def _dense(self, name, units, input_dim, **kwargs):
        """A built linear map without bias, in the cell's dtype."""
        dense = keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy, name=name, **kwargs)
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
        """Raises an error unless an attention that was given can be used, and nothing else says what it should be."""
        owner = cls.__name__
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
        return attention


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
        given_attention = attention is not None
        if attention is None:
            attention = BahdanauAttention(
                attention_units or units, normed=normed, dropout=dropout, dtype=kwargs.get("dtype"), name="attention"
            )
        else:
            given = {"attention_units": (attention_units, None), "normed": (normed, False), "dropout": (dropout, 0.0)}
            self._check_attention(attention, **given)
        cell_arguments = {"reset_after": False} if cell == "gru" else {}
        super().__init__(units, cell=cell, attention=attention, cell_arguments=cell_arguments, **kwargs)
        self._attention_is_given = given_attention
        self.attention_units = attention_units
        self.deep_output = deep_output
        self.output_state = output_state
        self.normed = normed
        self.dropout = dropout

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        gates = self.recurrent.gate_count * self.units
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
            "attention": self._given_attention(),
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
        given_attention = attention is not None
        if attention is None:
            attention = LuongAttention(
                score, learned_scale=learned_scale, dropout=dropout, dtype=kwargs.get("dtype"), name="attention"
            )
        else:
            given = {"score": (score, "general"), "learned_scale": (learned_scale, False), "dropout": (dropout, 0.0)}
            self._check_attention(attention, **given)
        super().__init__(units, cell=cell, attention=attention, **kwargs)
        self._attention_is_given = given_attention
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
            gates = self.recurrent.gate_count * self.units
            self.feed_projection = self._dense("feed_projection", gates, self.output_dim)

    @property
    def score(self):
        """The score by its name, or the `Score` itself."""
        return self.attention.score_name or self.attention.score

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
            "attention": self._given_attention(),
        }


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
        given_attention = attention is not None
        if attention is None:
            attention = BahdanauAttention(units, normed=True, dtype=kwargs.get("dtype"), name="attention")
        self._check_attention(attention)
        super().__init__(units, cell=cell, attention=attention, **kwargs)
        self._attention_is_given = given_attention
        self.context = context

    def build(self, inputs_shape, value_shape, key_shape=None):
        super().build(inputs_shape, value_shape, key_shape)
        context = self._context_dim(value_shape, key_shape)
        self.output_dim = self.units + context
        self.fed_widths = (context,)
        self.context_projection = self._dense("context_projection", self.recurrent.gate_count * self.units, context)

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
        return super().get_config() | {"context": self.context, "attention": self._given_attention()}


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
        source = ops.shape(memory.value)[1]
        return RecurrentOutput(output, state, ops.zeros((rows, target, source), self.compute_dtype))


DECODER_CELLS = {"bahdanau": BahdanauCell, "luong": LuongCell, "gnmt": GNMTCell, None: PlainCell}


def get_decoder_cell(attention, units, **kwargs):
    """A decoder cell by the name of its attention.

    Args:
        attention: `"bahdanau"`, `"luong"`, `"gnmt"`, None, or a `DecoderCell`.
        units: width of the state.
        **kwargs: of the cell's constructor.

    Raises:
        ValueError: for another name.
    """
    if isinstance(attention, DecoderCell):
        return attention
    if attention not in DECODER_CELLS:
        known = ", ".join(map(repr, DECODER_CELLS))
        raise ValueError(f"get_decoder_cell: attention must be one of {known}. Received {attention!r}.")
    return DECODER_CELLS[attention](units, **kwargs)
