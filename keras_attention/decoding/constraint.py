"""Search among the strings of a language alone: a finite automaton, as tables, around any step function.

    constraint = Constraint.from_regex(r"\\d{4}-\\d\\d|none")      or from_strings(["yes", "no"])
    search(..., constraint=constraint.over(tokens, end))

The automaton's state goes along with each hypothesis as a part of its state,
so that every strategy, model and loop takes a constraint as it is.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from keras_attention.decoding.automaton import Fragment, Parser, determined, states_of


@dataclasses.dataclass(frozen=True)
class Constraint:
    """The strings that a search may find.

    Make one with `from_strings` or `from_regex`; `over` makes tables of it for
    a vocabulary.

    Args:
        kind: `"strings"` or `"regex"`.
        value: a tuple of strings, or a pattern.

    Reference: Willard and Louf 2023, "Efficient Guided Generation for Large
        Language Models", 3, for automata over the tokens of a vocabulary.
    """

    kind: str
    value: Any

    @classmethod
    def from_strings(cls, strings):
        """One of these strings.

        Raises:
            ValueError: if there is none.

        Example:

        >>> Constraint.from_strings(["yes", "no"]).allows("yes")
        True
        """
        strings = tuple(strings)
        if not strings:
            raise ValueError("Constraint.from_strings: expected at least one string, received none.")
        constraint = cls("strings", strings)
        constraint._automaton  # noqa: B018  so that a mistake is found here
        return constraint

    @classmethod
    def from_regex(cls, pattern):
        """A string that a regular expression matches as a whole.

        Args:
            pattern: a regular expression of characters, `.`, classes `[a-z]` and `[^a-z]`, `\\d`,
                `\\w`, `\\s`, groups `(...)` and `(?:...)`, `|`, `*`, `+`, `?`,
                `{m}`, `{m,}`, `{m,n}`; anything else with a backslash before it
                is itself.

        Raises:
            ValueError: for a pattern that is not of that form; the message says
                where.

        Example:

        >>> Constraint.from_regex(r"\\d\\d-(?:0[1-9]|1[0-2])").allows("24-13")
        False
        """
        constraint = cls("regex", pattern)
        constraint._automaton  # noqa: B018  so that a mistake is found here
        return constraint

    @functools.cached_property
    def _automaton(self):
        if self.kind == "strings":
            return determined(Fragment.either([Fragment.sequence(map(Fragment.symbol, text)) for text in self.value]))
        return determined(Parser(self.value).parse())

    def allows(self, text):
        """Whether a string is one of them."""
        state = self._automaton.run(0, text)
        return state is not None and state in self._automaton.accepting

    def over(self, tokens, end, first=None):
        """The tables for a vocabulary.

        Args:
            tokens: what each id adds to a string, a list, such as a tokenizer's
                `added_texts`; an id that adds an empty string never comes.
            end: id that ends a string.
            first: the same where it is the first of a string, before which a
                tokenizer of words has no space; None: no other.

        Returns:
            `ConstraintTables`.

        Raises:
            ValueError: if no string of the tokens is allowed.
        """
        automaton = self._automaton
        states = {(0, True): 0}  # of the automaton, and whether it is the beginning
        rows = []
        for state, is_first in states_of(states):
            row = np.full(len(tokens), -1, "int32")
            for id, token in enumerate(first if first and is_first else tokens):
                after = automaton.run(state, token) if token and id != end else None
                if after is not None:
                    row[id] = states.setdefault((after, False), len(states))
            rows.append(row)
        transitions = np.array(rows)
        accepting = np.array([state in automaton.accepting for state, _ in states])
        leads_on = _co_accessible(transitions, accepting)
        if not leads_on[0]:
            raise ValueError(
                f"Constraint: no string of this vocabulary is allowed by {self.value!r:.80}. Characters that the "
                "vocabulary does not have cannot come."
            )
        transitions[(transitions >= 0) & ~leads_on[transitions]] = -1
        return ConstraintTables.of(transitions, accepting, end)

    def get_config(self):
        """What makes it again, with `from_config`: a dict of what JSON can hold."""
        return {"kind": self.kind, "value": list(self.value) if self.kind == "strings" else self.value}

    @classmethod
    def from_config(cls, config):
        """The constraint that `get_config` described."""
        return cls.from_strings(config["value"]) if config["kind"] == "strings" else cls.from_regex(config["value"])


class ConstraintTables:
    """An automaton over ids: what `search` takes.

    Attributes:
        transitions: int32 `(states, vocabulary)`; 0 is the state before the
            first id, which any id, the start, leads from to state 1.
        bars: float32 `(states, vocabulary)`: 0, or minus infinity.
    """

    def __init__(self, transitions, bars):
        self.transitions = transitions
        self.bars = bars

    @classmethod
    def of(cls, transitions, accepting, end):
        """From transitions without the state before the first id, -1 where there is none."""
        allowed = transitions >= 0
        allowed[:, end] = accepting
        # Where nothing comes any more, behind the end, all may: it is not read.
        bars = np.where(allowed | ~allowed.any(1, keepdims=True), 0.0, -np.inf)
        first = np.ones((1, transitions.shape[1]), "int32")
        return cls(
            np.concatenate([first, np.maximum(transitions, 0) + 1]).astype("int32"),
            np.concatenate([np.zeros_like(first), bars]).astype("float32"),
        )

    def around(self, step, state):
        """A step function and a state that know where in the automaton each hypothesis is.

        The logits of what may not come are minus infinity, so that the
        probabilities are those of the model among what is allowed.
        """
        transitions, bars = tf.constant(self.transitions), tf.constant(self.bars)

        def constrained(ids, memory, state):
            inner, place = state
            place = tf.gather_nd(transitions, tf.stack([place, ids], axis=-1))
            logits, inner, emission = step(ids, memory, inner)
            return tf.cast(logits, tf.float32) + tf.gather(bars, place), (inner, place), emission

        batch = tf.shape(tf.nest.flatten(state)[0])[0]
        return constrained, (state, tf.zeros([batch], tf.int32))


def _co_accessible(transitions, accepting):
    """Which states an end can be reached from: bool `(states,)`."""
    found = accepting.copy()
    while True:
        reaches = found | ((transitions >= 0) & found[transitions]).any(1)
        if (reaches == found).all():
            return found
        found = reaches
