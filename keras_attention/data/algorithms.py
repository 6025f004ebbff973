"""Sequences of bits to learn an algorithm from: copy, repeat copy, associative recall, priority sort."""

from typing import Any, NamedTuple

import numpy as np

ITEM_LENGTH, ITEM_BITS = 3, 6


class BitSequences(NamedTuple):
    """What a machine is shown, and what it should say.

    Attributes:
        inputs: `(count, time, channels)`, float32: bits, then channels of
            delimiters; zeros while the machine answers, and behind its answer.
        targets: `(count, time, bits)`, float32 of 0 and 1.
        counts: `(count, time)`, float32: 1 where a target counts, else 0.
        kept: `(vectors, bits)` that have to be remembered, at most.
    """

    inputs: Any
    targets: Any
    counts: Any
    kept: Any


def make_copy(count, lengths=(1, 20), bits=8, seed=0):
    """Sequences to say again after a delimiter.

    Args:
        count: how many.
        lengths: smallest and largest number of vectors; one is drawn for each.
        bits: number of bits of a vector.
        seed: random seed.

    Returns:
        `BitSequences` of `bits + 1` channels, all as long as the longest may be.

    Raises:
        ValueError: unless the lengths are at least 1 and in order.

    Example:

    >>> inputs, targets, counts, kept = make_copy(2, lengths=(3, 3))
    >>> inputs.shape, targets.shape, counts[0].tolist()
    ((2, 7, 9), (2, 7, 8), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])

    Reference: Graves et al. 2014, "Neural Turing Machines", 4.1.
    """
    _check("make_copy", lengths=lengths)
    generator, (_, longest) = np.random.default_rng(seed), lengths
    length = generator.integers(lengths[0], longest + 1, count)
    vectors = _vectors(generator, count, longest, bits)
    inputs, targets, counts = _empty(count, 2 * longest + 1, bits + 1, bits)
    for row in range(count):
        of_row, at = vectors[row, : length[row]], length[row]
        inputs[row, :at, :bits] = of_row
        inputs[row, at, bits] = 1
        _answer(targets, counts, row, at + 1, of_row)
    return BitSequences(inputs, targets, counts, (longest, bits))


def make_repeat_copy(count, lengths=(1, 10), repeats=(1, 10), bits=8, seed=0):
    """Sequences to say several times, and then an end.

    Args:
        count: how many.
        lengths: smallest and largest number of vectors.
        repeats: smallest and largest number of times. The delimiter's channel
            holds it, with mean 0 and deviation 1 over those numbers.
        bits: number of bits of a vector.
        seed: random seed.

    Returns:
        `BitSequences` of `bits + 2` channels, and of `bits + 1` in the targets,
        the last of which is 1 at the end alone.

    Raises:
        ValueError: unless lengths and repeats are at least 1 and in order.

    Example:

    >>> make_repeat_copy(2, lengths=(3, 3), repeats=(2, 2)).targets[0, :, -1].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]

    Reference: Graves et al. 2014, "Neural Turing Machines", 4.2.
    """
    _check("make_repeat_copy", lengths=lengths, repeats=repeats)
    generator = np.random.default_rng(seed)
    length, times = (generator.integers(low, high + 1, count) for low, high in (lengths, repeats))
    numbers = np.arange(repeats[0], repeats[1] + 1)
    vectors = _vectors(generator, count, lengths[1], bits)
    inputs, targets, counts = _empty(count, lengths[1] * (1 + repeats[1]) + 2, bits + 2, bits + 1)
    for row in range(count):
        of_row, at = vectors[row, : length[row]], length[row]
        inputs[row, :at, :bits] = of_row
        inputs[row, at, bits:] = 1, (times[row] - numbers.mean()) / (numbers.std() or 1.0)
        said = np.zeros((at * times[row] + 1, bits + 1), "float32")
        said[:-1, :bits] = np.tile(of_row, (times[row], 1))
        said[-1, bits] = 1
        _answer(targets, counts, row, at + 1, said)
    return BitSequences(inputs, targets, counts, (lengths[1], bits))


def make_associative_recall(count, items=(2, 6), seed=0):
    """Items of three vectors of six bits, one of them again, after which the one that followed it is to be said.

    Args:
        count: how many.
        items: smallest and largest number of items, of which no two are alike.
        seed: random seed.

    Returns:
        `BitSequences` of 8 channels; the last two delimit items and the
        question.

    Raises:
        ValueError: unless the numbers of items are at least 2 and in order.

    Example:

    >>> make_associative_recall(2, items=(2, 2)).inputs.shape
    (2, 16, 8)

    Reference: Graves et al. 2014, "Neural Turing Machines", 4.3.
    """
    _check("make_associative_recall", at_least=2, items=items)
    generator = np.random.default_rng(seed)
    number = generator.integers(items[0], items[1] + 1, count)
    inputs, targets, counts = _empty(count, 4 * items[1] + 5 + ITEM_LENGTH, ITEM_BITS + 2, ITEM_BITS)
    for row in range(count):
        of_row = _different_items(generator, number[row])
        at = 4 * number[row]
        inputs[row, 0:at:4, ITEM_BITS] = 1
        for place in range(ITEM_LENGTH):
            inputs[row, place + 1 : at : 4, :ITEM_BITS] = of_row[:, place]
        asked = generator.integers(number[row] - 1)
        inputs[row, [at, at + 4], ITEM_BITS + 1] = 1
        inputs[row, at + 1 : at + 4, :ITEM_BITS] = of_row[asked]
        _answer(targets, counts, row, at + 5, of_row[asked + 1])
    return BitSequences(inputs, targets, counts, (items[1], ITEM_BITS))


def make_priority_sort(count, given=20, kept=16, bits=8, seed=0):
    """Vectors with a priority each, the highest of which are to be said in order.

    Args:
        count: how many.
        given: vectors that are shown.
        kept: vectors that are to be said, the one of the highest priority
            first.
        bits: number of bits of a vector.
        seed: random seed.

    Returns:
        `BitSequences` of `bits + 2` channels: the bits, the priority, from -1
        to 1, and the delimiter.

    Raises:
        ValueError: unless `1 <= kept <= given`.

    Example:

    >>> make_priority_sort(2, given=4, kept=3).counts[0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]

    Reference: Graves et al. 2014, "Neural Turing Machines", 4.5.
    """
    _check("make_priority_sort", kept_and_given=(kept, given))
    generator = np.random.default_rng(seed)
    vectors, priority = _vectors(generator, count, given, bits), generator.uniform(-1, 1, (count, given))
    inputs, targets, counts = _empty(count, given + 1 + kept, bits + 2, bits)
    inputs[:, :given, :bits] = vectors
    inputs[:, :given, bits] = priority
    inputs[:, given, bits + 1] = 1
    first = np.argsort(-priority, axis=1)[:, :kept]
    targets[:, given + 1 :] = np.take_along_axis(vectors, first[..., None], axis=1)
    counts[:, given + 1 :] = 1
    return BitSequences(inputs, targets, counts, (kept, bits))


def wrong_bits(said, sequences):
    """How many bits of each sequence are wrong.

    Args:
        said: `(count, time, bits)`: the probability that each is 1.
        sequences: `BitSequences`.

    Returns:
        `(count,)`.

    Example:

    >>> sequences = make_copy(2, lengths=(3, 3))
    >>> wrong_bits(1 - sequences.targets, sequences)
    array([24., 24.])
    """
    wrong = (np.asarray(said) > 0.5) != (sequences.targets > 0.5)
    return (wrong.sum(-1) * sequences.counts).sum(-1)


ALGORITHMS = {
    "copy": make_copy,
    "repeat_copy": make_repeat_copy,
    "associative_recall": make_associative_recall,
    "priority_sort": make_priority_sort,
}


def _check(owner, at_least=1, **ranges):
    for name, (low, high) in ranges.items():
        if not at_least <= low <= high:
            raise ValueError(
                f"{owner}: {name.replace('_', ' ')} must be at least {at_least}, the smaller first. Received "
                f"{(low, high)}."
            )


def _vectors(generator, count, length, bits):
    return generator.integers(0, 2, (count, length, bits)).astype("float32")


def _different_items(generator, number):
    while True:
        items = _vectors(generator, number, ITEM_LENGTH, ITEM_BITS)
        if len(np.unique(items, axis=0)) == number:
            return items


def _empty(count, time, channels, bits):
    return (np.zeros(shape, "float32") for shape in ((count, time, channels), (count, time, bits), (count, time)))


def _answer(targets, counts, row, begin, vectors):
    targets[row, begin : begin + len(vectors)] = vectors
    counts[row, begin : begin + len(vectors)] = 1
