"""Finite automata of characters, and the regular expressions that they are made of."""

import dataclasses

_SPECIAL = set("\\[](){}|*+?.")
_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
    "s": " \t\n\r\f\v",
}
ANY = None  # the symbol of a dot: any character


def states_of(states):
    """The keys of a dict that grows while they are looked at."""
    seen = 0
    while seen < len(states):
        some = list(states)[seen:]
        seen += len(some)
        yield from some


@dataclasses.dataclass
class Deterministic:
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


class Fragment:
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
        around = Fragment.node()
        around["empty"].append(self.first)
        self.last["empty"].append(around)
        return Fragment(around, around)


def _closure(nodes):
    found, left = {id(node): node for node in nodes}, list(nodes)
    while left:
        for node in left.pop()["empty"]:
            if id(node) not in found:
                found[id(node)] = node
                left.append(node)
    return found


def determined(fragment):
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
    return Deterministic(transitions, accepting)


class Parser:
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
        return parts[0] if len(parts) == 1 else Fragment.either(parts)

    def _sequence(self):
        parts = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._times())
        return Fragment.sequence(parts)

    def _times(self):
        begin = self.at
        part = self._one()
        end = self.at
        low, high = self._count()

        def again():  # the part is read once more for each time that it comes
            other = Parser(self.pattern[:end])
            other.at = begin
            return other._one()

        if (low, high) == (1, 1):
            return part
        parts = [again() for _ in range(low)]
        if high is None:
            return Fragment.sequence([*parts, again().repeated()])
        optional = Fragment.nothing()
        for _ in range(high - low):
            optional = Fragment.sequence([again(), optional]).optional()
        return Fragment.sequence([*parts, optional])

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
            return Fragment.symbol((), complement=True)
        if letter == "\\":
            return Fragment.symbol(self._escaped())
        if letter in _SPECIAL:
            self._fail(f"{letter!r} has nothing before it")
        return Fragment.symbol(letter)

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
        return Fragment.symbol(letters, complement)

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
