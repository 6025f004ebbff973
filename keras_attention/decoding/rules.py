"""What a result may not hold and what it must, beside what the model says: the options of published checkpoints."""

import dataclasses

import tensorflow as tf

from keras_attention.decoding.scoring import is_one_of

LIMITS = ("end", "forced", "cut")


@dataclasses.dataclass(frozen=True)
class Rules:
    """Changes to what a search chooses from, by what a hypothesis holds already.

    They are those of `transformers`, in its order: repetition penalty, repeated
    n-grams, shortest length, the first token, the last one.

    Args:
        repetition_penalty: by which the log-probability of a token that the
            hypothesis holds is multiplied (its logit, in greedy search; one
            above zero is divided). 1 changes nothing, more avoids repetition.
        no_repeat_ngram: no sequence of so many tokens occurs twice; 0 for any.
        min_length: tokens before a hypothesis may end.
        barred: ids that no hypothesis holds.
        barred_first: ids that are not the first.
        first: id that is the first, at no cost in a beam; None leaves it free.
            With one, `barred_first` are not the second.
        more_ends: ids that end a hypothesis as the end id does.
        start: id that the start counts as, where repetition is looked for; None
            is its own.
        limit: what a hypothesis pays that is as long as it may be: `"end"`, the
            log-probability of its end; `"forced"`, nothing; `"cut"`, nothing,
            and it has no end that would count in its length.
        renormalize: whether what is left is made to sum to one again, where
            log-probabilities are compared.

    Raises:
        ValueError: for values that mean nothing.

    Example:

    >>> Greedy(Rules(no_repeat_ngram=3)).rules.no_repeat_ngram
    3

    Reference: Keskar et al. 2019, "CTRL", 4.1, for the repetition penalty;
        Paulus et al. 2018, "A Deep Reinforced Model for Abstractive
        Summarization", 2.5, for repeated n-grams.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    min_length: int = 0
    barred: tuple = ()
    barred_first: tuple = ()
    first: int | None = None
    more_ends: tuple = ()
    start: int | None = None
    limit: str = "end"
    renormalize: bool = False

    def __post_init__(self):
        for name in ("barred", "barred_first", "more_ends"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        if self.repetition_penalty <= 0 or self.no_repeat_ngram < 0 or self.min_length < 0:
            raise ValueError(
                "Rules: repetition_penalty must be above 0, no_repeat_ngram and min_length not below 0. Received "
                f"repetition_penalty={self.repetition_penalty}, no_repeat_ngram={self.no_repeat_ngram}, "
                f"min_length={self.min_length}."
            )
        if self.limit not in LIMITS:
            raise ValueError(f"Rules: limit must be one of {', '.join(map(repr, LIMITS))}. Received {self.limit!r}.")

    @property
    def ids(self):
        """Ids that a search must know, whatever else it chooses from."""
        named = (*self.barred_first, *self.more_ends, self.first, self.start)
        return [index for index in named if index is not None]

    def renumbered(self, number):
        """The same where ids have other numbers, by a function; those that are barred have none."""
        changed = {name: tuple(map(number, getattr(self, name))) for name in ("barred_first", "more_ends")}
        changed |= {name: number(getattr(self, name)) for name in ("first", "start") if getattr(self, name) is not None}
        return dataclasses.replace(self, barred=(), **changed)

    def around(self, step, state):
        """The step function and the state of a search, with what each hypothesis holds as a part of the state.

        Args:
            step: as in `search`.
            state: as in `search`, before the first step.
        """
        batch = tf.shape(tf.nest.flatten(state)[0])[0]

        def remembering(ids, memory, state):
            state, past = state
            logits, state, emission = step(ids, memory, state)
            counted = ids if self.start is None else tf.where(tf.shape(past)[1] == 0, self.start, ids)
            return logits, (state, tf.concat([past, counted[:, None]], axis=1)), emission

        return remembering, (state, tf.zeros([batch, 0], tf.int32))

    def applied(self, scores, past, time, end):
        """Scores as they are chosen from: `(rows, vocabulary)`, of hypotheses that hold `past`, `(rows, length)`."""
        if self.repetition_penalty != 1.0:
            penalised = tf.where(scores < 0, scores * self.repetition_penalty, scores / self.repetition_penalty)
            scores = tf.where(_marked(past, tf.ones_like(past, tf.bool), scores), penalised, scores)
        if self.no_repeat_ngram:
            scores = tf.where(self._repeated(past, scores), -float("inf"), scores)
        if self.min_length:
            scores = _barred(scores, (end, *self.more_ends), time < self.min_length)
        if self.first is not None:
            forced = tf.where(tf.range(tf.shape(scores)[-1]) == self.first, 0.0, -float("inf"))
            scores = tf.where(time == 0, forced, scores)
        if self.barred_first:
            scores = _barred(scores, self.barred_first, time == (0 if self.first is None else 1))
        return scores

    def _repeated(self, past, scores):
        """Which tokens would end an n-gram that the hypothesis holds."""
        size = self.no_repeat_ngram
        grams = tf.signal.frame(past, size, 1, axis=1)
        last = past[:, tf.shape(past)[1] - size + 1 :] if size > 1 else past[:, :0]
        long_enough = tf.shape(past)[1] >= size
        last = tf.cond(long_enough, lambda: last, lambda: tf.zeros([tf.shape(past)[0], size - 1], tf.int32))
        same = tf.reduce_all(grams[:, :, :-1] == last[:, None, :], axis=-1)
        return _marked(grams[:, :, -1], same, scores)


def _marked(ids, where, scores):
    """Whether an id stands among those of its row where a condition holds: bool, shaped like the scores."""
    rows = tf.broadcast_to(tf.range(tf.shape(ids)[0])[:, None], tf.shape(ids))
    counts = tf.scatter_nd(tf.stack([rows, ids], axis=-1), tf.cast(where, tf.int32), tf.shape(scores))
    return counts > 0


def _barred(scores, ids, when):
    """The scores, minus infinity at some ids when a condition holds."""
    return tf.where(is_one_of(tf.range(tf.shape(scores)[-1]), ids) & when, -float("inf"), scores)
