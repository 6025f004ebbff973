"""The one loop over unknown inputs: a step function, a state, a strategy.

The loop knows no model. It keeps `width` hypotheses for each item, asks the
strategy which candidates go on, and re-orders every tensor of the state by one
rule. It runs in graph, on TensorFlow.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_attention.decoding import beams
from keras_attention.decoding.scoring import forbid

PAD_ID = 0  # what stands after the end of a hypothesis


class SearchResult(NamedTuple):
    """What a search found, best first.

    Attributes:
        ids: `(batch, n_best, length)`, the end id included, 0 after it.
        log_probs: `(batch, n_best)`, the model's log-probability of those ids,
            without any penalty. Minus infinity where there are fewer
            hypotheses than `n_best`.
        emissions: what the steps put out, `(batch, n_best, length, ...)`.
    """

    ids: Any
    log_probs: Any
    emissions: Any


class Hypotheses(NamedTuple):
    """What the loop knows of each hypothesis; all `(batch, width)`."""

    log_probs: Any
    lengths: Any
    finished: Any


def search(step, memory, state, strategy, start, end, max_length, forbidden=()):
    """Finds outputs that a step function finds probable.

    Args:
        step: `step(ids, memory, state) -> (logits, state, emission)`: one step
            for `rows` of one id each; `(rows,)` to `(rows, vocabulary)`, a
            state of the structure it was given, and `(rows, ...)`.
        memory: structure of `(batch, ...)` that no step changes. It is
            repeated for the beams and never re-ordered, since they share it.
        state: structure of `(batch, ...)`, before the first step.
        strategy: `Greedy()`, `Beam(...)` or another.
        start: id given to the first step.
        end: id that finishes a hypothesis.
        max_length: most tokens a hypothesis may have, the end included.
        forbidden: ids that no hypothesis may hold.

    Returns:
        `SearchResult(ids, log_probs, emissions)`.
    """
    width = strategy.width
    batch = tf.shape(tf.nest.flatten(state)[0])[0]
    memory, state = beams.repeat(memory, width), beams.repeat(state, width)

    def body(time, last, state, hypotheses, history):
        logits, new_state, emission = step(last, memory, state)
        log_probs = forbid(tf.nn.log_softmax(tf.cast(logits, tf.float32)), forbidden)
        log_probs = tf.reshape(log_probs, [batch, width, tf.shape(log_probs)[-1]])
        ids, parents, new_hypotheses = _advance(strategy, log_probs, hypotheses, end)
        if width > 1:
            new_state = beams.reorder(new_state, parents)
        emission = tf.cast(emission, tf.float32)
        emission = tf.reshape(emission, tf.concat([[batch, width], tf.shape(emission)[1:]], axis=0))
        written = [record.write(time, tensor) for record, tensor in zip(history, (ids, parents, emission), strict=True)]
        carry = beams.shaped_like((last, state, hypotheses), (tf.reshape(ids, [-1]), new_state, new_hypotheses))
        return time + 1, *carry, written

    def goes_on(time, last, state, hypotheses, history):
        return (time == 0) | ((time < max_length) & ~tf.reduce_all(hypotheses.finished))

    history = [
        tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=shape)
        for dtype, shape in ((tf.int32, [None, width]), (tf.int32, [None, width]), (tf.float32, None))
    ]
    carry = (0, tf.fill([batch * width], start), state, _first(batch, width), history)
    _, _, _, hypotheses, history = tf.while_loop(goes_on, body, carry)
    return _collect(strategy, hypotheses, *(record.stack() for record in history))


def _first(batch, width):
    """Before the first step an item has one hypothesis; the others cost everything."""
    one_alive = tf.where(tf.range(width) == 0, 0.0, -float("inf"))
    return Hypotheses(
        log_probs=tf.repeat(one_alive[None, :], batch, axis=0),
        lengths=tf.zeros([batch, width], tf.int32),
        finished=tf.zeros([batch, width], tf.bool),
    )


def _advance(strategy, log_probs, hypotheses, end):
    """The chosen ids, the beams they go on from, and what is known of them then."""
    vocabulary = tf.shape(log_probs)[-1]
    frozen = tf.where(tf.range(vocabulary) == PAD_ID, 0.0, -float("inf"))  # a finished one can only stay as it is
    totals = hypotheses.log_probs[..., None] + tf.where(hypotheses.finished[..., None], frozen, log_probs)
    lengths = hypotheses.lengths + tf.cast(~hypotheses.finished, tf.int32)
    scores = strategy.score(totals, lengths[..., None])

    def flat(tensor):  # batch, width * vocabulary
        return tf.reshape(tensor, [tf.shape(tensor)[0], strategy.width * vocabulary])

    chosen = strategy.select(flat(scores))
    parents, ids = chosen // vocabulary, chosen % vocabulary
    finished = tf.gather(hypotheses.finished, parents, batch_dims=1)
    return (
        ids,
        parents,
        Hypotheses(
            log_probs=tf.gather(flat(totals), chosen, batch_dims=1),
            lengths=tf.gather(lengths, parents, batch_dims=1),
            finished=finished | (ids == end),
        ),
    )


def _collect(strategy, hypotheses, ids, parents, emissions):
    """The `n_best` hypotheses by score, from the records of all steps, `(length, batch, width, ...)`."""
    if strategy.width == 1:
        ids, emissions = (tf.experimental.numpy.moveaxis(tensor, 0, 2) for tensor in (ids, emissions))
        return SearchResult(ids, hypotheses.log_probs, emissions)
    slots = tf.math.top_k(strategy.score(hypotheses.log_probs, hypotheses.lengths), k=strategy.n_best).indices
    ids, emissions = beams.back_track(ids, parents, emissions, slots)
    return SearchResult(ids, tf.gather(hypotheses.log_probs, slots, batch_dims=1), emissions)
