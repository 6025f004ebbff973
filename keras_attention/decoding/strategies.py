"""How a search chooses: strategies, each a small record of its settings.

A strategy says how many hypotheses an item keeps (`width`), how many it returns
(`n_best`), what a hypothesis is worth (`score`) and which candidates go on
(`select`). The loop does everything else.
"""

import dataclasses

import tensorflow as tf

from keras_attention.decoding.scoring import length_penalty


@dataclasses.dataclass(frozen=True)
class Greedy:
    """The most probable token at each step.

    Example:

    >>> Greedy().width
    1
    """

    width = 1
    n_best = 1

    def score(self, log_probs, lengths):
        """What is compared between hypotheses: the log-probability itself."""
        return log_probs

    def select(self, scores):
        """Index of the best candidate: `(batch, candidates)` to `(batch, 1)`."""
        return tf.argmax(scores, axis=-1, output_type=tf.int32)[:, None]


@dataclasses.dataclass(frozen=True)
class Beam:
    """The `width` best hypotheses at each step.

    A finished hypothesis is frozen: it keeps its place and its score, and goes
    on competing with those that grow.

    Args:
        width: hypotheses kept for each item.
        length_penalty: alpha in Wu et al. 2016, eq. 14. With 0 hypotheses
            compete by log-probability, which favours short ones.
        n_best: hypotheses returned for each item, best first.

    Raises:
        ValueError: if `width` or `n_best` is below 1, or `n_best` above
            `width`.

    Example:

    >>> Beam(width=4, n_best=2)
    Beam(width=4, length_penalty=0.0, n_best=2)

    Reference: Graves 2012, "Sequence Transduction with Recurrent Neural
        Networks"; Sutskever et al. 2014, 3.2.
    """

    width: int = 4
    length_penalty: float = 0.0
    n_best: int = 1

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"Beam: width must be at least 1. Received width={self.width}.")
        if not 1 <= self.n_best <= self.width:
            raise ValueError(
                f"Beam: n_best must lie between 1 and the width. Received n_best={self.n_best}, width={self.width}."
            )

    def score(self, log_probs, lengths):
        """Log-probability divided by the length penalty."""
        if not self.length_penalty:
            return log_probs
        return log_probs / length_penalty(lengths, self.length_penalty)

    def select(self, scores):
        """Indices of the best candidates: `(batch, candidates)` to `(batch, width)`."""
        return tf.math.top_k(scores, k=self.width).indices


STRATEGIES = {"greedy": Greedy, "beam": Beam}


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
