"""Attention pooling: a sequence becomes one vector, the sum of its positions weighted by what they matter.

This file owns the query, which is a weight or the last token; scores, mask and
sum are those of the `Attention` within.
"""

import keras
from keras import ops

from keras_attention.layers.attention import Attention
from keras_attention.layers.dense import PositionsDense
from keras_attention.layers.layer import Layer, serialized
from keras_attention.layers.masks import check_mask, cleaned, counted_from_here
from keras_attention.layers.scores import get_score
from keras_attention.layers.sizes import size_of

QUERIES = ("learned", "last")
ADDITIVE = ("additive", "concat")
WITH_UNITS = (*ADDITIVE, "normed_bahdanau")


@keras.saving.register_keras_serializable(package="keras_attention")
class AttentionPooling(Layer):
    """Turns a sequence into one vector, by attention with one query.

    With the default arguments, of the sequence `h`:

        u_t = tanh(W h_t + b)
        weights = softmax(u_t . u_w) where the mask allows
        context = sum of weights_t h_t

    `W` is `(dim, units)`; `b` and the learned query `u_w`, the paper's "word
    context vector", are `(units,)`. This is the paper's form, weight by weight.
    It is also additive attention, `v . tanh(W_q q + U h)`, with a query that is
    the same for all sequences: `W_q q` is the bias `b`, and `v` is `u_w`.

    Prefer it to the last state of a recurrent network for long sequences, and
    to an average or a maximum over time where few positions decide; the
    weights say which. Unlike `keras.layers.GlobalAveragePooling1D` it learns
    the weights of the positions; unlike an attention layer it needs no query
    and stacks in `Sequential`.

    Args:
        units: width of the comparison, the length of `u_t`; for the scores
            `"additive"`, `"concat"` and `"normed_bahdanau"` only. Defaults to
            the width of the sequence.
        query: `"learned"`, one vector for all sequences; or `"last"`, the last
            token of each sequence, which is the last position that the mask
            allows. The last token is itself one of the keys.
        score: `"additive"`, or any other that `Attention` takes. With
            `query="learned"`, `"additive"` is the formula above, and any
            other score compares a learned vector of the width of the
            sequence. With `query="last"` all scores are those of
            `Attention`.
        dropout: fraction of the weights dropped in training, before the sum.
            Defaults to 0.
        seed: seed of the dropout.

    Call args:
        inputs: `(batch, length, dim)`.
        mask: bool `(batch, length)`, True = a token. Keras' implicit mask
            arrives here.
        return_attention_scores: whether to return the weights too. Defaults
            to False.
        training: whether to drop weights.

    Returns:
        The context, `(batch, dim)`; with `return_attention_scores=True`
        `(context, weights)`, the weights `(batch, length)`, before dropout.
        A sequence without a token gets zeros for both.

    Raises:
        ValueError: for an unknown query or score, `units` below 1 or with a
            score that has none, inputs that are not of rank 3 or of another
            width than before, and a mask that is not bool `(batch, length)`.
        TypeError: for ragged inputs.

    Example: sentiment of a text, with what it was read from.

    >>> model = keras.Sequential(
    ...     [
    ...         keras.layers.Embedding(9, 4, mask_zero=True),
    ...         LSTM(5, return_sequences=True),
    ...         AttentionPooling(6),
    ...         keras.layers.Dense(1, "sigmoid"),
    ...     ]
    ... )
    >>> model(np.array([[5, 6, 0], [7, 0, 0]])).shape
    TensorShape([2, 1])
    >>> sequence = np.array([[[0.0, 2.0], [4.0, 0.0]]], "float32")
    >>> mask = np.array([[True, False]])
    >>> context, weights = AttentionPooling()(sequence, mask=mask, return_attention_scores=True)
    >>> context.numpy().tolist(), weights.numpy().tolist()
    ([[0.0, 2.0]], [[1.0, 0.0]])

    Reference: Yang et al. 2016, "Hierarchical Attention Networks for Document
        Classification", 2.2, eq. 5-7.
    """

    def __init__(self, units=None, query="learned", score="additive", dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if units is not None and units < 1:
            raise ValueError(f"AttentionPooling: units must be at least 1. Received units={units}.")
        if query not in QUERIES:
            raise ValueError(
                f"AttentionPooling: query must be 'learned' or 'last'. Received {query!r}. "
                "A query of your own is one for Attention: `Attention(score)(query, value)`."
            )
        if units is not None and not (isinstance(score, str) and score in WITH_UNITS):
            raise ValueError(
                f"AttentionPooling: units is the width of the scores {', '.join(map(repr, WITH_UNITS))}. Received "
                f"units={units} with score {score!r}. Drop units, or drop score."
            )
        self.units = units
        self.query = query
        self.score_name = score if isinstance(score, str) else None
        self.dropout = dropout
        self.seed = seed
        self.has_hidden_layer = query == "learned" and score in ADDITIVE
        arguments = {} if units is None else {"units": units}
        inner = "dot" if self.has_hidden_layer else get_score(score, **arguments)
        self.attention = Attention(inner, dropout=dropout, seed=seed, dtype=self.dtype_policy, name="attention")

    def build(self, inputs_shape):
        self._check_inputs(inputs_shape)
        dim = inputs_shape[-1]
        width, key_shape = dim, inputs_shape
        if self.has_hidden_layer:
            width = self.units or dim
            self.hidden = PositionsDense(width, "tanh", dtype=self.dtype_policy, name="hidden")
            self.hidden.build(inputs_shape)
            key_shape = (*inputs_shape[:-1], width)
        if self.query == "learned":
            self.learned_query = self.add_weight(name="query", shape=(width,), initializer="glorot_uniform")
        self.attention.build((inputs_shape[0], 1, width), inputs_shape, key_shape)
        self.dim = dim

    def call(self, inputs, mask=None, return_attention_scores=False, training=False):
        self._check_inputs(inputs.shape)
        check_mask(mask, "AttentionPooling", "mask", "(batch, length)", inputs.shape[:2])
        sequence = cleaned(ops.cast(inputs, self.compute_dtype), mask)
        key = self.hidden(sequence) if self.has_hidden_layer else None
        context, weights = self.attention(
            self._query(sequence, mask), sequence, key, value_mask=mask, training=training
        )
        return (context[:, 0], weights[:, 0]) if return_attention_scores else context[:, 0]

    def _query(self, sequence, mask):
        """The one query of each sequence: `(batch, 1, query_dim)`."""
        if self.query == "last":
            return last_token(sequence, mask)
        query = ops.cast(self.learned_query, self.compute_dtype)
        return ops.broadcast_to(query, (size_of(sequence, 0), 1, query.shape[0]))

    def compute_mask(self, inputs, previous_mask=None):
        """None: one vector a sequence has no padding."""
        return None

    def compute_output_shape(self, inputs_shape):
        self._check_inputs(inputs_shape)
        return (inputs_shape[0], inputs_shape[2])

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=False):
        context = keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
        weights = keras.KerasTensor(inputs.shape[:2], dtype=self.compute_dtype)
        return (context, weights) if return_attention_scores else context

    def _check_inputs(self, shape):
        if len(shape) != 3:
            hints = {
                2: " A recurrent layer before it needs return_sequences=True.",
                4: " Sequences of sequences take keras_attention.layers.TimeDistributed(AttentionPooling(...)).",
            }
            raise ValueError(
                "AttentionPooling: inputs must have 3 dimensions, (batch, length, dim). "
                f"Received shape {tuple(shape)}.{hints.get(len(shape), '')}"
            )
        known = self.dim if self.built else None
        if shape[2] is None or known not in (None, shape[2]):
            raise ValueError(
                f"AttentionPooling: inputs must be (batch, length, {known or 'dim'}), of a known width. Received shape "
                f"{tuple(shape)}. " + (f"The layer was built for width {known}: make another." if known else "")
            )

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "query": self.query,
            "score": self.score_name or serialized(self.attention.score),
            "dropout": self.dropout,
            "seed": self.seed,
        }


def last_token(sequence, mask=None):
    """The last position of each sequence that its mask allows, wherever padding stands.

    Args:
        sequence: `(batch, length, dim)`.
        mask: bool `(batch, length)`, True = a token, or None.

    Returns:
        `(batch, 1, dim)`; zeros where the mask allows nothing.

    Example:

    >>> last_token(np.array([[[1.0], [2.0], [3.0]]]), np.array([[True, True, False]])).numpy().tolist()
    [[[2.0]]]
    """
    if mask is None:
        return ops.sum(sequence[:, -1:], axis=1, keepdims=True)  # of one position, or of none where the length is 0
    tokens_from_here = counted_from_here(mask)
    last = ops.logical_and(mask, tokens_from_here == 1)
    # A sum with one term is that term, to the last digit, which a product of matrices would round on a GPU.
    return ops.sum(ops.where(last[..., None], sequence, ops.zeros((), sequence.dtype)), axis=1, keepdims=True)
