"""The one loop over unknown inputs: a step function, a state, a strategy.

The loop knows no model. It keeps `width` hypotheses for each item, asks the
strategy which tokens each may go on with, keeps the best, and re-orders every
tensor of the state by one rule. It runs in graph, on TensorFlow.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_attention.decoding import beams
from keras_attention.decoding.scoring import bars, coverage_penalty, log_sum_exp

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
    """What the loop knows of each hypothesis; all `(batch, width)`.

    Attributes:
        log_probs: of its tokens, summed.
        lengths: its tokens, the end among them.
        finished: whether it has ended.
        coverage: how much each source position was attended to, summed,
            `(batch, width, source)`; nothing where no strategy asks.
    """

    log_probs: Any
    lengths: Any
    finished: Any
    coverage: Any = ()


def search(step, memory, state, strategy, start, end, max_length, forbidden=(), prefix=None):
    """Finds outputs that a step function finds probable.

    Args:
        step: `step(ids, memory, state) -> (logits, state, emission)`: one step
            for `rows` of one id each; `(rows,)` to `(rows, vocabulary)`, a
            state of the structure it was given, and `(rows, ...)`. There are
            `width` rows for each item of the memory, one after another.
        memory: structure of `(batch, ...)` that no step changes. It is never
            repeated for the hypotheses, since they share it.
        state: structure of `(batch, ...)`, before the first step. An axis of
            static length zero may grow.
        strategy: `Greedy()`, `Beam(...)` or `Sample(...)`.
        start: id given to the first step; or one for each item, `(batch,)`.
        end: id that finishes a hypothesis.
        max_length: most tokens a hypothesis may have, the end included.
        forbidden: ids that no hypothesis may hold.
        prefix: ids that every hypothesis of an item begins with, `(batch,
            length)`, 0 where it is free; or None.

    Returns:
        `SearchResult(ids, log_probs, emissions)`. With a strategy that asks for
        coverage the emissions must be attention weights, `(rows, ..., source)`.
    """
    width = strategy.width
    batch = tf.shape(tf.nest.flatten(state)[0])[0]
    state = beams.growing(beams.repeat(state, width))

    def body(time, last, state, hypotheses, history):
        logits, new_state, emission = step(last, memory, state)
        ranks.append(emission.shape.rank)
        emission = beams.unfolded(tf.cast(emission, tf.float32), width)
        before = hypotheses
        if strategy.coverage_penalty:
            attended = tf.reduce_mean(emission, axis=list(range(2, emission.shape.rank - 1)))
            hypotheses = hypotheses._replace(coverage=_covered(hypotheses, attended))
        logits = tf.cast(logits, tf.float32)
        forced = None if prefix is None else _forced(prefix, time, width)
        ids, parents, new_hypotheses = _advance(strategy, logits, time, forbidden, forced, hypotheses, end)
        if width > 1:
            new_state = beams.reorder(new_state, parents)
        written = (ids, emission) if width == 1 else (ids, emission, parents)
        history = [record.write(time, tensor) for record, tensor in zip(history, written, strict=True)]
        carry = beams.shaped_like((last, state, before), (tf.reshape(ids, [-1]), new_state, new_hypotheses))
        return time + 1, *carry, history

    def goes_on(time, last, state, hypotheses, history):
        return (time == 0) | ((time < max_length) & ~tf.reduce_all(hypotheses.finished))

    ranks = []  # of what the steps put out, which is known when the first has been traced
    history = [  # of ids, emissions and parents; one hypothesis is its own parent
        tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=shape)
        for dtype, shape in ((tf.int32, [None, width]), (tf.float32, None), (tf.int32, [None, width]))
    ][: 2 if width == 1 else 3]
    first_ids = tf.repeat(tf.broadcast_to(start, [batch]), width)
    carry = (0, first_ids, state, _first(batch, strategy), history)
    _, _, _, hypotheses, history = tf.while_loop(goes_on, body, carry)
    ids, emissions, *parents = (record.stack() for record in history)
    emissions = tf.ensure_shape(emissions, [None] * (ranks[0] + 2))
    return _collect(strategy, hypotheses, ids, emissions, *parents)


def _first(batch, strategy):
    """Before the first step an item has one hypothesis; the others cost everything."""
    width = strategy.width
    one_alive = tf.where(tf.range(width) == 0, 0.0, -float("inf"))
    return Hypotheses(
        log_probs=tf.repeat(one_alive[None, :], batch, axis=0),
        lengths=tf.zeros([batch, width], tf.int32),
        finished=tf.zeros([batch, width], tf.bool),
        coverage=beams.growing(tf.zeros([batch, width, 0])) if strategy.coverage_penalty else (),
    )


def _forced(prefix, time, width):
    """The id that each row must take in this step, 0 where it is free: `(batch * width,)`."""
    free_at_last = tf.pad(prefix, [[0, 0], [0, 1]])
    return tf.repeat(free_at_last[:, tf.minimum(time, tf.shape(prefix)[1])], width)


def _advance(strategy, logits, time, forbidden, forced, hypotheses, end):
    """The chosen ids, the beams they go on from (None of one), and what is known of them then."""
    candidates, log_probs = _candidates(strategy, logits, time, forbidden, forced, hypotheses)
    totals = tf.expand_dims(hypotheses.log_probs, -1) + log_probs
    lengths = hypotheses.lengths + tf.cast(~hypotheses.finished, tf.int32)
    if strategy.width == 1:
        parents = None
        ids, totals = (tf.squeeze(tensor, 2) for tensor in (candidates, totals))
        chosen = hypotheses._replace(lengths=lengths)
    else:
        scores = strategy.score(totals, lengths[..., None])
        if strategy.coverage_penalty:  # a hypothesis pays when it ends for what it did not read
            ends = hypotheses.finished[..., None] | (candidates == end)
            penalty = coverage_penalty(hypotheses.coverage, strategy.coverage_penalty)
            scores += tf.where(ends, penalty[..., None], 0.0)
        flat = (tf.shape(scores)[0], scores.shape[1] * scores.shape[2])
        places = tf.math.top_k(tf.reshape(scores, flat), k=strategy.width).indices
        parents = places // scores.shape[2]
        ids, totals = (tf.gather(tf.reshape(tensor, flat), places, batch_dims=1) for tensor in (candidates, totals))
        chosen = tf.nest.map_structure(
            lambda tensor: tf.gather(tensor, parents, batch_dims=1), hypotheses._replace(lengths=lengths)
        )
    return ids, parents, chosen._replace(log_probs=totals, finished=chosen.finished | (ids == end))


def _candidates(strategy, logits, time, forbidden, forced, hypotheses):
    """What each hypothesis may go on with: ids and log-probabilities, `(batch, width, candidates)`.

    The log-probabilities are the model's, as if nothing were forbidden or forced.
    """
    ids = strategy.candidates(logits, forbidden, time)
    denominators = log_sum_exp(logits)
    log_probs = tf.gather(logits, ids, batch_dims=1) - denominators
    if forbidden:
        log_probs += tf.gather(bars(logits.shape[-1], forbidden), ids)
    count = ids.shape[1]
    the_first = tf.constant([0.0] + [-float("inf")] * (count - 1))
    if forced is not None:
        forced = forced[:, None]
        ids, free = tf.where(forced == 0, ids, forced), log_probs
        log_probs = tf.gather(logits, forced, batch_dims=1) - denominators + the_first
        log_probs = tf.where(forced == 0, free, log_probs)
    shape = [-1, strategy.width, count]
    ids, log_probs = tf.reshape(ids, shape), tf.reshape(log_probs, shape)
    # A finished hypothesis can only stay as it is.
    finished = tf.expand_dims(hypotheses.finished, -1)
    return tf.where(finished, PAD_ID, ids), tf.where(finished, the_first, log_probs)


def _covered(hypotheses, attended):
    """The coverage after a step, in which finished hypotheses read nothing."""
    attended = tf.where(hypotheses.finished[..., None], 0.0, attended)
    before = hypotheses.coverage
    return attended + tf.pad(before, [[0, 0], [0, 0], [0, tf.shape(attended)[-1] - tf.shape(before)[-1]]])


def _collect(strategy, hypotheses, ids, emissions, parents=None):
    """The `n_best` hypotheses by score, from the records of all steps, `(length, batch, width, ...)`."""
    if strategy.width == 1:
        ids, emissions = (tf.experimental.numpy.moveaxis(tensor, 0, 2) for tensor in (ids, emissions))
        return SearchResult(ids, hypotheses.log_probs, emissions)
    scores = strategy.score(hypotheses.log_probs, hypotheses.lengths)
    if strategy.coverage_penalty:
        scores += coverage_penalty(hypotheses.coverage, strategy.coverage_penalty)
    slots = tf.math.top_k(scores, k=strategy.n_best).indices
    ids, emissions = beams.back_track(ids, parents, emissions, slots)
    return SearchResult(ids, tf.gather(hypotheses.log_probs, slots, batch_dims=1), emissions)
