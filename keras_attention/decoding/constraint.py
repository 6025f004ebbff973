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

_SPECIAL = set("\\[](){}|*+?.")
_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    "s": " \t\n\r\f\v",
}
ANY = None  # the symbol of a dot: any character


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
            pattern: of characters, `.`, classes `[a-z]` and `[^a-z]`, `\\d`,
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
            return _determined(
                _Fragment.either([_Fragment.sequence(map(_Fragment.symbol, text)) for text in self.value])
            )
        return _determined(_Parser(self.value).parse())

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


def states_of(states):
    """The keys of a dict that grows while they are looked at."""
    seen = 0
    while seen < len(states):
        some = list(states)[seen:]
        seen += len(some)
        yield from some


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


@dataclasses.dataclass
class _Deterministic:
    """An automaton of characters: a dict of dicts, in which `ANY` stands for all others."""

    transitions: list
    accepting: set

    def run(self, state, text):
        """The state after a text; None if it may not come."""
        for letter in text:
            row = self.transitions[state]
            state = row.get(letter, row.get(ANY))
            if state is None:
                return None
        return state


class _Fragment:
    """A part of an automaton that may be in several states at once: Thompson's construction.

    Reference: Thompson 1968, "Regular Expression Search Algorithm".
    """

    def __init__(self, first, last):
        self.first, self.last = first, last

    @staticmethod
    def node():
        return {"empty": [], "on": []}  # steps without a character; (set of characters or its complement, node)

    @classmethod
    def symbol(cls, letters, complement=False):
        first, last = cls.node(), cls.node()
        first["on"].append((frozenset(letters), complement, last))
        return cls(first, last)

    @classmethod
    def nothing(cls):
        node = cls.node()
        return cls(node, node)

    @classmethod
    def sequence(cls, parts):
        whole = cls.nothing()
        for part in parts:
            whole.last["empty"].append(part.first)
            whole = cls(whole.first, part.last)
        return whole

    @classmethod
    def either(cls, parts):
        first, last = cls.node(), cls.node()
        for part in parts:
            first["empty"].append(part.first)
            part.last["empty"].append(last)
        return cls(first, last)

    def optional(self):
        self.first["empty"].append(self.last)
        return self

    def repeated(self):
        """Any number of times, none too."""
        around = _Fragment.node()
        around["empty"].append(self.first)
        self.last["empty"].append(around)
        return _Fragment(around, around)


def _closure(nodes):
    found, left = {id(node): node for node in nodes}, list(nodes)
    while left:
        for node in left.pop()["empty"]:
            if id(node) not in found:
                found[id(node)] = node
                left.append(node)
    return found


def _determined(fragment):
    """The automaton that is in one state at a time."""
    first = _closure([fragment.first])
    numbers, sets, transitions = {frozenset(first): 0}, [first], []
    accepting = set()
    for state in states_of(numbers):
        nodes = sets[numbers[state]]
        if id(fragment.last) in nodes:
            accepting.add(numbers[state])
        edges = [edge for node in nodes.values() for edge in node["on"]]
        letters = set().union(*(edge[0] for edge in edges)) if edges else set()
        row = {}
        for letter in [*sorted(letters), ANY]:
            # A letter of no set is in every complement.
            after = [node for known, complement, node in edges if (letter in known) != complement]
            if after:
                closed = _closure(after)
                key = frozenset(closed)
                if key not in numbers:
                    numbers[key] = len(numbers)
                    sets.append(closed)
                row[letter] = numbers[key]
            elif letter is not ANY:
                row[letter] = None  # not what a complement allows to others
        transitions.append(row)
    return _Deterministic(transitions, accepting)


def _co_accessible(transitions, accepting):
    """Which states an end can be reached from: bool `(states,)`."""
    found = accepting.copy()
    while True:
        reaches = found | ((transitions >= 0) & found[transitions]).any(1)
        if (reaches == found).all():
            return found
        found = reaches


class _Parser:
    """Reads a regular expression, of those of `Constraint.from_regex`."""

    def __init__(self, pattern):
        self.pattern = pattern
        self.at = 0

    def parse(self):
        whole = self._either()
        if self.at < len(self.pattern):
            self._fail("a parenthesis closes that was not opened")
        return whole

    def _either(self):
        parts = [self._sequence()]
        while self._takes("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Fragment.either(parts)

    def _sequence(self):
        parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._times())
        return _Fragment.sequence(parts)

    def _times(self):
        begin = self.at
        part = self._one()
        end = self.at
        low, high = self._count()

        def again():  # the part is read once more for each time that it comes
            other = _Parser(self.pattern[:end])
            other.at = begin
            return other._one()

        if (low, high) == (1, 1):
            return part
        parts = [again() for _ in range(low)]
        if high is None:
            return _Fragment.sequence([*parts, again().repeated()])
        optional = _Fragment.nothing()
        for _ in range(high - low):
            optional = _Fragment.sequence([again(), optional]).optional()
        return _Fragment.sequence([*parts, optional])

    def _count(self):
        for mark, count in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._takes(mark):
                return count
        if not self._takes("{"):
            return 1, 1
        close = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at : max(close, 0)].partition(",")
        if close < 0 or not low.isdecimal() or not (high.isdecimal() or not high):
            self._fail("a count must be {m}, {m,} or {m,n}")
        self.at = close + 1
        low, high = int(low), (int(high) if high else None if comma else int(low))
        if high is not None and high < low:
            self._fail("a count must be {m,n} with n at least m")
        return low, high

    def _one(self):
        letter = self._next()
        if letter == "(":
            if self._takes("?") and not self._takes(":"):
                self._fail("of the groups with a question mark only (?:...) is known")
            inside = self._either()
            if not self._takes(")"):
                self._fail("a parenthesis is not closed")
            return inside
        if letter == "[":
            return self._class()
        if letter == ".":
            return _Fragment.symbol((), complement=True)
        if letter == "\\":
            return _Fragment.symbol(self._escaped())
        if letter in _SPECIAL:
            self._fail(f"{letter!r} has nothing before it")
        return _Fragment.symbol(letter)

    def _class(self):
        complement, letters = self._takes("^"), []
        while not (letters and self._takes("]")):
            letter = self._next()
            some = self._escaped() if letter == "\\" else letter
            if len(some) == 1 and self.pattern[self.at : self.at + 1] == "-" and self.pattern[self.at + 1 :][:1] != "]":
                self.at += 1
                last = self._next()
                some = "".join(map(chr, range(ord(some), ord(last) + 1)))
                if not some:
                    self._fail("a range must go upwards")
            letters.extend(some)
        return _Fragment.symbol(letters, complement)

    def _escaped(self):
        letter = self._next()
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter.isalnum():
            self._fail(f"\\{letter} is not known")
        return letter

    def _takes(self, mark):
        found = self.pattern[self.at : self.at + 1] == mark
        self.at += found
        return found

    def _next(self):
        if self.at >= len(self.pattern):
            self._fail("it ends too early")
        self.at += 1
        return self.pattern[self.at - 1]

    def _fail(self, what):
        raise ValueError(f"Constraint.from_regex: {what}, at character {self.at} of {self.pattern!r}.")
