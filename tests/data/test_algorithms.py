"""Sequences of bits: what is shown, what should be said, and that it is the algorithm's result."""

import numpy as np
import pytest

from keras_attention.data import (
    ALGORITHMS,
    make_associative_recall,
    make_copy,
    make_priority_sort,
    make_repeat_copy,
    wrong_bits,
)

EVERY = pytest.mark.parametrize("name", ALGORITHMS)


@EVERY
def test_a_seed_fixes_the_sequences_and_shapes_do_not_depend_on_it(name):
    one, same, other = (ALGORITHMS[name](20, seed=seed) for seed in (1, 1, 2))
    for part, array in zip(one[:3], same[:3], strict=True):
        np.testing.assert_array_equal(part, array)
    assert not np.array_equal(one.targets, other.targets)
    assert [array.shape for array in one[:3]] == [array.shape for array in other[:3]]
    assert {array.dtype for array in one[:3]} == {np.dtype("float32")}


@EVERY
def test_nothing_is_shown_while_it_answers_and_nothing_counts_before(name):
    inputs, targets, counts, _ = ALGORITHMS[name](50)
    assert not inputs[counts == 1].any()
    assert not targets[counts == 0].any()
    for row in counts:  # one stretch
        assert set(np.diff(np.flatnonzero(row))) <= {1}


def test_a_copy_is_the_sequence():
    inputs, targets, counts, kept = make_copy(100, lengths=(2, 5), bits=3)
    lengths = counts.sum(1).astype(int)
    assert set(lengths) == {2, 3, 4, 5}
    assert kept == (5, 3)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(targets[row, length + 1 : 2 * length + 1], inputs[row, :length, :3])
        np.testing.assert_array_equal(np.flatnonzero(inputs[row, :, 3]), [length])


def test_a_repeat_copy_says_it_as_often_as_asked_and_ends():
    inputs, targets, _, _ = make_repeat_copy(100, lengths=(2, 3), repeats=(1, 4), bits=3)
    asked = inputs[inputs[..., 3] == 1][:, 4]
    for row in range(100):
        length, end = np.flatnonzero(inputs[row, :, 3])[0], np.flatnonzero(targets[row, :, 3])
        times = (end[0] - length - 1) // length
        assert len(end) == 1
        np.testing.assert_array_equal(
            targets[row, length + 1 : end[0], :3], np.tile(inputs[row, :length, :3], (times, 1))
        )
        assert asked[row] == pytest.approx((times - 2.5) / np.std([1, 2, 3, 4]))


def test_recall_is_the_item_after_the_one_that_was_asked():
    inputs, targets, counts, _ = make_associative_recall(100, items=(2, 5))
    for row in range(100):
        shown, (begin, end) = inputs[row], np.flatnonzero(inputs[row, :, 7])
        items = [shown[at + 1 : at + 4, :6] for at in np.flatnonzero(shown[:, 6])]
        asked = next(index for index, item in enumerate(items) if np.array_equal(item, shown[begin + 1 : end, :6]))
        np.testing.assert_array_equal(targets[row][counts[row] == 1], items[asked + 1])
        assert len(np.unique(items, axis=0)) == len(items)


def test_a_sort_begins_with_the_highest_priority():
    inputs, targets, _, _ = make_priority_sort(20, given=6, kept=4, bits=3)
    for row in range(20):
        order = np.argsort(inputs[row, :6, 3])[::-1][:4]
        np.testing.assert_array_equal(targets[row, 7:], inputs[row, order, :3])


@EVERY
def test_wrong_bits_are_counted_where_they_count(name):
    sequences = ALGORITHMS[name](5)
    right = np.where(sequences.counts[..., None] == 1, sequences.targets, 1)
    assert not wrong_bits(right, sequences).any()
    at = np.flatnonzero(sequences.counts[3])[-1]
    right[3, at, :2] = 1 - right[3, at, :2]
    assert wrong_bits(right, sequences).tolist() == [0, 0, 0, 2, 0]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (make_copy, {"lengths": (0, 4)}, r"make_copy: lengths must be at least 1.*Received \(0, 4\)"),
        (make_repeat_copy, {"repeats": (5, 4)}, r"repeats must be at least 1, the smaller first. Received \(5, 4\)"),
        (make_associative_recall, {"items": (1, 4)}, "items must be at least 2"),
        (make_priority_sort, {"given": 3, "kept": 4}, r"kept and given must be at least 1.*Received \(4, 3\)"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(2, **arguments)
