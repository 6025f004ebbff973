"""What a search keeps between two steps: one hypothesis an item, or several growing and several ended ones."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_attention.decoding import beams

PAD_ID = 0  # what stands after the end of a hypothesis


class Candidates(NamedTuple):
    """What the hypotheses of a step may go on with.

    Attributes:
        ids: `(batch, width, candidates)`, best first.
        log_probs: log-probabilities of those ids, shaped alike.
        free: bool `(batch, width)`, whether one that ends here does so by
            itself, not because it must.
    """

    ids: Any
    log_probs: Any
    free: Any


class Line(NamedTuple):
    """One hypothesis an item; all `(batch, 1)`.

    Attributes:
        log_probs: log-probabilities of its tokens, summed.
        done: whether it has ended.
        finished: whether it has ended by itself.
    """

    log_probs: Any
    done: Any
    finished: Any

    @classmethod
    def first(cls, batch, strategy):
        """Before the first step."""
        return cls(tf.zeros([batch, 1]), *[tf.zeros([batch, 1], tf.bool)] * 2)

    def advance(self, strategy, candidates, emission, time, end, max_length):
        """`(ids, None, line)` after a step."""
        ids = tf.where(self.done, PAD_ID, candidates.ids[..., 0])
        log_probs = self.log_probs + tf.where(self.done, 0.0, candidates.log_probs[..., 0])
        line = Line(log_probs, self.done | (ids == end), self.finished | ((ids == end) & candidates.free))
        return ids, None, line

    def collect(self, strategy, end, ids, emissions):
        """Ids, log-probabilities, emissions and whether it ended by itself, from the records of all steps."""
        ids, emissions = (tf.experimental.numpy.moveaxis(tensor, 0, 2) for tensor in (ids, emissions))
        return ids, self.log_probs, emissions, self.finished


class Ended(NamedTuple):
    """The best hypotheses that have ended, best first; all `(batch, width)`.

    Attributes:
        scores: what they are compared by; minus infinity where there is none.
        log_probs: log-probabilities of their tokens, summed.
        times: the step in which each ended.
        parents: the growing hypothesis that it was until then.
        finished: whether it ended by itself.
    """

    scores: Any
    log_probs: Any
    times: Any
    parents: Any
    finished: Any


class Beams(NamedTuple):
    """Hypotheses that grow, and, apart from them, the best of those that have ended.

    What grows is compared with what grows, by log-probability, since all are of
    one length; what has ended with what has ended, by the strategy's score. The
    hypothesis that greedy search would have is always among the growing, as the
    first, so that no result is worse by its score than greedy's.

    Attributes:
        log_probs: log-probabilities of the growing, `(batch, width)`.
        coverage: how much each source position was attended to by each of
            them, summed, `(batch, width, source)`; nothing where no strategy
            asks.
        greedy: bool `(batch,)`, whether greedy's is still growing.
        done: bool `(batch,)`, whether nothing that grows can be among the
            results any more.
        ended: `Ended`.
    """

    log_probs: Any
    coverage: Any
    greedy: Any
    done: Any
    ended: Any

    @classmethod
    def first(cls, batch, strategy):
        """Before the first step an item has one hypothesis; the others cost everything."""
        width = strategy.width
        shape = [batch, width]
        impossible, none = tf.fill(shape, -float("inf")), tf.zeros(shape, tf.int32)
        return cls(
            log_probs=tf.repeat(tf.where(tf.range(width) == 0, 0.0, -float("inf"))[None, :], batch, axis=0),
            coverage=beams.growing(tf.zeros([batch, width, 0])) if strategy.coverage_penalty else (),
            greedy=tf.fill([batch], strategy.keeps_greedy),
            done=tf.zeros([batch], tf.bool),
            ended=Ended(impossible, impossible, none - 1, none, tf.zeros(shape, tf.bool)),
        )

    def advance(self, strategy, candidates, emission, time, end, max_length):
        """`(ids, parents, beams)` after a step: what each growing hypothesis took, and which it went on from."""
        width, count = strategy.width, candidates.ids.shape[2]
        coverage = self._covered(emission) if strategy.coverage_penalty else ()
        totals = tf.reshape(self.log_probs[..., None] + candidates.log_probs, [-1, width * count])
        flat_ids = tf.reshape(candidates.ids, [-1, width * count])
        # Greedy's goes on, whatever it is worth: it is the first candidate of the first hypothesis.
        ranks = tf.concat([tf.where(self.greedy[:, None], float("inf"), totals[:, :1]), totals[:, 1:]], axis=1)
        # Of each hypothesis one candidate is the end, or a few, so among twice as many enough go on.
        ranks, places = tf.math.top_k(ranks, k=min((1 + strategy.ends) * width, width * count))
        parents = places // count
        ids, totals = (tf.gather(tensor, places, batch_dims=1) for tensor in (flat_ids, totals))
        ends = ids == end
        ended = tf.cond(
            tf.reduce_any(ends),
            lambda: self._with_new(strategy, candidates, coverage, totals, ends, parents, time, max_length),
            lambda: self.ended,
        )
        growing = tf.math.top_k(tf.where(ends, -float("inf"), ranks), k=width).indices
        ids, parents, log_probs, ends = (
            tf.gather(tensor, growing, batch_dims=1) for tensor in (ids, parents, totals, ends)
        )
        log_probs = tf.where(ends, -float("inf"), log_probs)
        greedy = self.greedy & (flat_ids[:, 0] != end)
        done = self.done | strategy.hopeless(ended.scores, log_probs, greedy, time + 1, max_length)
        if strategy.coverage_penalty:
            coverage = tf.gather(coverage, parents, batch_dims=1)
        return ids, parents, Beams(log_probs, coverage, greedy, done, ended)

    def _covered(self, emission):
        """The coverage after a step, from its attention weights, `(batch, width, ..., source)`."""
        attended = tf.reduce_mean(emission, axis=list(range(2, emission.shape.rank - 1)))
        return attended + tf.pad(
            self.coverage, [[0, 0], [0, 0], [0, tf.shape(attended)[-1] - tf.shape(self.coverage)[-1]]]
        )

    def _with_new(self, strategy, candidates, coverage, totals, ends, parents, time, max_length):
        """The best of those that had ended and of those that end now, which are among the best `width` candidates."""
        width = strategy.width
        totals, parents = totals[:, :width], parents[:, :width]
        if strategy.coverage_penalty:
            coverage = tf.gather(coverage, parents, batch_dims=1)
        cut = strategy.rules is not None and strategy.rules.limit == "cut"
        scores = strategy.score(totals, tf.minimum(time + 1, max_length - 1) if cut else time + 1, coverage)
        ends = ends[:, :width] & ~self.done[:, None]
        finished = tf.gather(candidates.free, parents, batch_dims=1)
        new = Ended(tf.where(ends, scores, -float("inf")), totals, tf.fill(tf.shape(parents), time), parents, finished)
        both = tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=1), self.ended, new)
        best = tf.math.top_k(both.scores, k=width).indices
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, best, batch_dims=1), both)

    def collect(self, strategy, end, ids, emissions, parents):
        """Ids, log-probabilities, emissions and whether they ended by themselves, of the `n_best` that ended."""
        ended = tf.nest.map_structure(lambda tensor: tensor[:, : strategy.n_best], self.ended)
        log_probs = tf.where(tf.math.is_finite(ended.scores), ended.log_probs, -float("inf"))
        ids, places = beams.back_track(ids, parents, ended.times, ended.parents, end, PAD_ID)
        emissions = tf.gather(emissions, places, batch_dims=2)
        ids, emissions = (tf.experimental.numpy.moveaxis(tensor, 0, 2) for tensor in (ids, emissions))
        return ids, log_probs, emissions, ended.finished
