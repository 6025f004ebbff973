"""How a search chooses: strategies, each a small record of its settings.

A strategy says how many hypotheses an item keeps (`width`), how many it returns
(`n_best`), which tokens a hypothesis may go on with (`candidates`, best first, at
step `time` of the search), what one that has ended is worth (`score`), and when
nothing that grows is worth going on with (`hopeless`). The loop does everything
else.
"""

import dataclasses

import tensorflow as tf

from keras_attention.decoding.rules import Rules
from keras_attention.decoding.scoring import barred, best, coverage_penalty, length_penalty


class Strategy:
    """What every strategy has: among its settings `rules`, of what a hypothesis may not hold and must, or None."""

    width = 1
    n_best = 1
    coverage_penalty = 0.0
    # Whether rules change log-probabilities, which hypotheses are then compared by, or logits, of which one is chosen.
    compares_ruled = False
    # Whether greedy search's hypothesis always has a place, so that no result is worse than it.
    keeps_greedy = False

    def __post_init__(self):
        if isinstance(self.rules, dict):  # as JSON has them
            object.__setattr__(self, "rules", Rules(**self.rules))

    @property
    def ends(self):
        """Number of ids that end a hypothesis."""
        return 1 + (len(self.rules.more_ends) if self.rules else 0)

    def score(self, log_probs, lengths, coverage=None):
        """What is compared between hypotheses: the log-probability itself."""
        return log_probs


@dataclasses.dataclass(frozen=True)
class Greedy(Strategy):
    """The most probable token at each step.

    Args:
        rules: `Rules` of what a result may not hold and must; or None.

    Example:

    >>> Greedy().width
    1
    """

    rules: Rules | None = None

    def candidates(self, logits, forbidden, time):
        """Id of the best token: `(rows, vocabulary)` to `(rows, 1)`."""
        return best(logits, 1, forbidden)


class _Beams(Strategy):
    """What the two searches of several hypotheses share."""

    compares_ruled = True

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        if self.width < 1:
            raise ValueError(f"{name}: width must be at least 1. Received width={self.width}.")
        if not 1 <= self.n_best <= self.width:
            raise ValueError(
                f"{name}: n_best must lie between 1 and the width. Received n_best={self.n_best}, width={self.width}."
            )

    def candidates(self, logits, forbidden, time):
        """Ids of the best tokens: `(rows, vocabulary)` to `(rows, candidates)`."""
        # Some of them may be ends, which do not grow.
        return best(logits, min(self.width + self.ends, logits.shape[-1] or self.width + self.ends), forbidden)


@dataclasses.dataclass(frozen=True)
class Beam(_Beams):
    """The `width` best hypotheses at each step.

    Hypotheses that have ended are kept apart from those that grow, and compared
    with each other by `score`. One that ends must be among the `width` best of
    its step. Greedy search's hypothesis always has one of the places, so that no
    result is worse, by its score, than greedy's.

    Args:
        width: hypotheses kept for each item.
        length_penalty: alpha in Wu et al. 2016, eq. 14. With 0 hypotheses
            compete by log-probability, which favours short ones.
        coverage_penalty: beta in the same equation: what a hypothesis pays,
            when it has ended, for source positions that it did not attend to.
        n_best: hypotheses returned for each item, best first.
        rules: `Rules` of what a result may not hold and must; or None.

    Raises:
        ValueError: if `width` or `n_best` is below 1, `n_best` above `width`,
            or a penalty below 0.

    Example:

    >>> Beam(width=4, n_best=2)
    Beam(width=4, length_penalty=0.0, coverage_penalty=0.0, n_best=2, rules=None)

    Reference: Graves 2012, "Sequence Transduction with Recurrent Neural
        Networks"; Sutskever et al. 2014, 3.2; Wu et al. 2016, 7.
    """

    width: int = 4
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    n_best: int = 1
    rules: Rules | None = None

    keeps_greedy = True

    def __post_init__(self):
        super().__post_init__()
        for name in ("length_penalty", "coverage_penalty"):
            if getattr(self, name) < 0:
                raise ValueError(f"Beam: {name} must not be below 0. Received {name}={getattr(self, name)}.")

    def score(self, log_probs, lengths, coverage=None):
        """Log-probability divided by the length penalty, and the coverage penalty if there is a coverage."""
        scores = log_probs / length_penalty(lengths, self.length_penalty) if self.length_penalty else log_probs
        if self.coverage_penalty and coverage is not None:
            scores += coverage_penalty(coverage, self.coverage_penalty)
        return scores

    def hopeless(self, ended, growing, greedy, length, max_length):
        """Of each item, whether what grows is no better than what has ended.

        Without a length penalty a hypothesis can only get worse, so this is certain
        once there are `n_best`; with one it is judged by the present length, once
        there are `width`. Greedy's hypothesis is judged by the longest it may get.

        Args:
            ended: scores of what has ended, best first, `(batch, width)`.
            growing: log-probabilities of what grows, `(batch, width)`.
            greedy: bool `(batch,)`, whether the first of them is greedy's.
            length: tokens of what grows.
            max_length: most tokens.
        """
        worst = ended[:, self.width - 1 if self.length_penalty else self.n_best - 1]
        others = self.score(tf.reduce_max(growing, axis=1), length) <= worst
        return others & (~greedy | (self.score(growing[:, 0], max_length) <= ended[:, 0]))


@dataclasses.dataclass(frozen=True)
class NormalizedBeam(_Beams):
    """The `width` best hypotheses at each step, those that ended compared by `log_prob / length ** length_penalty`.

    It is the search of `transformers`, for checkpoints that were chosen with it.
    Prefer `Beam` otherwise: its penalty is the published one, and its results
    are never worse, by their score, than greedy's.

    Args:
        width: hypotheses kept for each item.
        length_penalty: the exponent; 1 compares means of a token, 0 sums.
        early_stopping: when an item is done: True, as soon as `width` have
            ended; False, when what grows is no better than the worst of them
            were it to end now; `"never"`, were it to end at any length.
        n_best: hypotheses returned for each item, best first.
        rules: `Rules` of what a result may not hold and must; or None.

    Raises:
        ValueError: if `width` or `n_best` is below 1, `n_best` above `width`,
            or for another `early_stopping`.

    Example:

    >>> NormalizedBeam(width=6).length_penalty
    1.0
    """

    width: int = 4
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    n_best: int = 1
    rules: Rules | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.early_stopping not in (True, False, "never"):
            raise ValueError(
                f"NormalizedBeam: early_stopping must be True, False or 'never'. Received {self.early_stopping!r}."
            )

    def score(self, log_probs, lengths, coverage=None):
        """Log-probability divided by a power of the length."""
        return log_probs / tf.cast(lengths, tf.float32) ** self.length_penalty

    def hopeless(self, ended, growing, greedy, length, max_length):
        """Of each item, whether it is done; see `early_stopping` and `Beam.hopeless`."""
        full = tf.math.is_finite(ended[:, -1])
        if self.early_stopping is True:
            return full
        reached = max_length if self.early_stopping == "never" and self.length_penalty > 0 else length
        return full & (self.score(growing[:, 0], reached) <= ended[:, -1])


@dataclasses.dataclass(frozen=True)
class Sample(Strategy):
    """A token drawn at random at each step, as probable as the model says.

    Args:
        temperature: below 1 makes probable tokens more probable.
        top_k: draw among so many of the most probable tokens; None for all.
        top_p: draw among the fewest most probable tokens that together have
            this probability; 1 for all.
        seed: seed of the draws, an integer: the same batch of sources gives the
            same results in every call, whatever was drawn before; a row draws
            otherwise at another place in the batch. None draws anew in each
            call.
        rules: `Rules` of what a result may not hold and must; or None.

    Raises:
        ValueError: for values that leave nothing to draw from.

    Example:

    >>> Sample(temperature=0.7, top_k=10).n_best
    1

    Reference: Fan et al. 2018, "Hierarchical Neural Story Generation", for
        `top_k`; Holtzman et al. 2020, "The Curious Case of Neural Text
        Degeneration", for `top_p`.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None
    rules: Rules | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.temperature <= 0 or (self.top_k is not None and self.top_k < 1) or not 0 < self.top_p <= 1:
            raise ValueError(
                "Sample: temperature must be above 0, top_k at least 1, top_p above 0 and at most 1. Received "
                f"temperature={self.temperature}, top_k={self.top_k}, top_p={self.top_p}."
            )

    def candidates(self, logits, forbidden, time):
        """Id of a random token: `(rows, vocabulary)` to `(rows, 1)`."""
        vocabulary = logits.shape[-1] or tf.shape(logits)[-1]
        count = vocabulary if self.top_k is None else tf.minimum(self.top_k, vocabulary)
        values, ids = tf.math.top_k(barred(logits, forbidden) / self.temperature, k=count)
        if self.top_p < 1.0:
            probabilities = tf.nn.softmax(values)
            before = tf.cumsum(probabilities, axis=-1, exclusive=True)
            values = tf.where(before < self.top_p, values, -float("inf"))
        # The largest of values with Gumbel noise is a draw from their softmax.
        if self.seed is None:
            uniform = tf.random.uniform(tf.shape(values), minval=1e-20)
        else:  # of the step too, or every step would draw alike
            uniform = tf.random.stateless_uniform(tf.shape(values), [self.seed, time], minval=1e-20)
        drawn = tf.argmax(values - tf.math.log(-tf.math.log(uniform)), axis=-1, output_type=tf.int32)
        return tf.gather(ids, drawn[:, None], batch_dims=1)


STRATEGIES = {"greedy": Greedy, "beam": Beam, "normalized_beam": NormalizedBeam, "sample": Sample}


def serialize_strategy(strategy):
    """A strategy as a dict of its name and settings."""
    (name,) = [name for name, strategy_class in STRATEGIES.items() if type(strategy) is strategy_class]
    return {"name": name, **dataclasses.asdict(strategy)}


def deserialize_strategy(config):
    """The strategy that `serialize_strategy` described.

    Raises:
        ValueError: for an unknown name.
    """
    settings = dict(config)
    name = settings.pop("name")
    if name not in STRATEGIES:
        raise ValueError(f"deserialize_strategy: name must be one of {', '.join(STRATEGIES)}. Received {name!r}.")
    return STRATEGIES[name](**settings)
