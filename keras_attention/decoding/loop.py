"""The one loop over unknown inputs: a step function, a state, a strategy.

The loop knows no model. It keeps `width` hypotheses for each item, asks the
strategy which tokens each may go on with, keeps the best, and re-orders every
tensor of the state by one rule. It runs in graph, on TensorFlow.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_attention.decoding import beams
from keras_attention.decoding.hypotheses import Beams, Candidates, Line
from keras_attention.decoding.scoring import barred, is_one_of, log_sum_exp


class SearchResult(NamedTuple):
    """What a search found, best first.

    Attributes:
        ids: `(batch, n_best, length)`, the end id included, 0 after it.
        log_probs: `(batch, n_best)`, the model's log-probability of those ids,
            without any penalty. Minus infinity where there are fewer
            hypotheses than `n_best`.
        emissions: what the steps put out, `(batch, n_best, length, ...)`.
        finished: bool `(batch, n_best)`, whether the hypothesis ended by
            itself. One that did not was ended by `max_length`; its
            log-probability is that of ending there.
    """

    ids: Any
    log_probs: Any
    emissions: Any
    finished: Any


def search(step, memory, state, strategy, start, end, max_length, forbidden=(), prefix=None, constraint=None):
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
        max_length: most tokens a hypothesis may have, the end included: the
            token of this number is the end, whatever the model says.
        forbidden: ids that no hypothesis may hold.
        prefix: ids that every hypothesis of an item begins with, `(batch,
            length)`, 0 where it is free; or None.
        constraint: `ConstraintTables` of what a hypothesis may be; or None. The
            probabilities are those of the model among what is allowed.

    Returns:
        `SearchResult(ids, log_probs, emissions, finished)`. With a strategy
        that asks for coverage the emissions must be attention weights,
        `(rows, ..., source)`.
    """
    width = strategy.width
    rules = strategy.rules
    if constraint is not None:
        step, state = constraint.around(step, state)
    if rules is not None:
        step, state = rules.around(step, state)
        forbidden = (*forbidden, *rules.barred)
    batch = tf.shape(tf.nest.flatten(state)[0])[0]
    state = beams.growing(beams.repeat(state, width))

    def body(time, last, state, kept, history):
        logits, new_state, emission = step(last, memory, state)
        ranks.append(emission.shape.rank)
        emission = beams.unfolded(tf.cast(emission, tf.float32), width)
        candidates = _candidates(
            strategy,
            tf.cast(logits, tf.float32),
            time,
            end,
            time == max_length - 1,
            forbidden,
            prefix,
            past=None if rules is None else new_state[1],
        )
        ids, parents, new_kept = kept.advance(strategy, candidates, emission, time, end, max_length)
        if width > 1:
            new_state = beams.reorder(new_state, parents)
        written = (ids, emission) if width == 1 else (ids, emission, parents)
        history = [record.write(time, tensor) for record, tensor in zip(history, written, strict=True)]
        carry = beams.shaped_like((last, state, kept), (tf.reshape(ids, [-1]), new_state, new_kept))
        return time + 1, *carry, history

    def goes_on(time, last, state, kept, history):
        return (time == 0) | ((time < max_length) & ~tf.reduce_all(kept.done))

    ranks = []  # of what the steps put out, which is known when the first has been traced
    history = [  # of ids, emissions and parents; one hypothesis is its own parent
        tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=shape)
        for dtype, shape in ((tf.int32, [None, width]), (tf.float32, None), (tf.int32, [None, width]))
    ][: 2 if width == 1 else 3]
    first_ids = tf.repeat(tf.broadcast_to(start, [batch]), width)
    first = (Line if width == 1 else Beams).first(batch, strategy)
    _, _, _, kept, history = tf.while_loop(goes_on, body, (0, first_ids, state, first, history))
    ids, emissions, *parents = (record.stack() for record in history)
    emissions = tf.ensure_shape(emissions, [None] * (ranks[0] + 2))
    return SearchResult(*kept.collect(strategy, end, ids, emissions, *parents))


def _candidates(strategy, logits, time, end, is_last, forbidden, prefix, past=None):
    """What each hypothesis may go on with.

    The log-probabilities are the model's, whatever is forbidden or forced, but
    where a strategy compares what rules have changed.
    """
    rules, chosen, denominators = strategy.rules, logits, log_sum_exp(logits)
    if rules is not None and strategy.compares_ruled:
        logits = rules.applied(logits - denominators, past, time, end)
        if rules.renormalize:
            logits = tf.nn.log_softmax(barred(logits, forbidden))
        chosen, denominators = logits, 0.0
    elif rules is not None:
        chosen = rules.applied(logits, past, time, end)
    ids = strategy.candidates(chosen, forbidden, time)
    log_probs = tf.gather(logits, ids, batch_dims=1) - denominators
    if forbidden:
        log_probs = tf.where(is_one_of(ids, forbidden), -float("inf"), log_probs)
    count = ids.shape[1]
    the_first = tf.constant([0.0] + [-float("inf")] * (count - 1))
    if prefix is not None:
        forced = _forced(prefix, time, strategy.width)[:, None]
        forced_log_probs = tf.gather(logits, forced, batch_dims=1) - denominators + the_first
        log_probs = tf.where(forced == 0, log_probs, forced_log_probs)
        ids = tf.where(forced == 0, ids, forced)
    if strategy.ends > 1:
        ids = tf.where(is_one_of(ids, rules.more_ends), end, ids)
    free = tf.logical_not(is_last) | (ids[:, 0] == end)
    of_end = logits[:, end : end + 1] - denominators if rules is None or rules.limit == "end" else 0.0
    log_probs = tf.where(is_last, of_end + the_first, log_probs)
    ids = tf.where(is_last, end, ids)
    shape = [-1, strategy.width, count]
    return Candidates(tf.reshape(ids, shape), tf.reshape(log_probs, shape), tf.reshape(free, shape[:2]))


def _forced(prefix, time, width):
    """The id that each row must take in this step, 0 where it is free: `(batch * width,)`."""
    free_at_last = tf.pad(prefix, [[0, 0], [0, 1]])
    return tf.repeat(free_at_last[:, tf.minimum(time, tf.shape(prefix)[1])], width)
