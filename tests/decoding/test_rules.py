"""Rules hold in every strategy: what is barred never comes, what is forced does, nothing repeats."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.decoding import Beam, Greedy, NormalizedBeam, Rules, Sample, search

START, END, SIZE, LONGEST = 1, 2, 12, 9
STRATEGIES = {
    "greedy": Greedy,
    "beam": lambda rules: Beam(3, n_best=3, rules=rules),
    "normalized beam": lambda rules: NormalizedBeam(3, n_best=3, rules=rules),
    "sample": lambda rules: Sample(seed=4, rules=rules),
}


def found_by(strategy, seed=0, **more):
    """The hypotheses of four items: lists of ids, the end cut off; and the result."""
    table = tf.constant(np.random.default_rng(seed).normal(0, 2, (4, SIZE, SIZE)).astype("float32"))

    def step(ids, memory, state):
        return tf.gather_nd(table, tf.stack([state, ids], axis=-1)), state, tf.zeros([tf.size(ids), 1])

    result = search(step, (), tf.range(4), strategy, START, END, LONGEST, forbidden=(0, START), **more)
    rows = [
        list(itertools.takewhile(lambda index: index not in (0, END), ids))
        for item in result.ids.numpy()
        for ids in item
    ]
    return rows, result


@pytest.fixture(params=STRATEGIES)
def of(request):
    return STRATEGIES[request.param]


def test_without_rules_there_is_something_for_them_to_change(of):
    rows, _ = found_by(of(None))
    assert any(len(set(row)) < len(row) for row in rows)
    assert {4, 5} & {index for row in rows for index in row} and any(len(row) < 4 for row in rows)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_sequence_of_tokens_comes_twice(of, size):
    for row in found_by(of(Rules(no_repeat_ngram=size)))[0]:
        grams = list(zip(*(row[begin:] for begin in range(size)), strict=False))
        assert len(set(grams)) == len(grams)


def test_barred_tokens_never_come_and_some_not_at_first(of):
    rows, _ = found_by(of(Rules(barred=(4, 5), barred_first=(6, 7, 8))))
    assert not {4, 5} & {index for row in rows for index in row}
    assert not {6, 7, 8} & {row[0] for row in rows if row}


def test_a_first_token_is_forced_and_a_beam_does_not_pay_for_it(of):
    rows, result = found_by(of(Rules(first=9)))
    assert all(row[0] == 9 for row in rows)
    table = np.random.default_rng(0).normal(0, 2, (4, SIZE, SIZE)).astype("float32")
    log_probs = table - np.log(np.exp(table).sum(-1, keepdims=True))
    for number, row in enumerate(rows):
        steps = list(itertools.pairwise([START, *row, END]))
        paid = steps[1:] if of(None).compares_ruled else steps
        item, rank = divmod(number, result.ids.shape[1])
        expected = sum(log_probs[item][step] for step in paid)
        np.testing.assert_allclose(result.log_probs.numpy()[item, rank], expected, atol=1e-4)


def test_nothing_ends_before_its_shortest_length(of):
    rows, _ = found_by(of(Rules(min_length=4)))
    assert min(map(len, rows)) >= 4


def test_several_tokens_end_a_hypothesis(of):
    rows, result = found_by(of(Rules(more_ends=(4, 5, 6))))
    assert not {4, 5, 6} & {index for row in rows for index in row}
    one_end = found_by(of(None))[0]
    assert sum(map(len, rows)) < sum(map(len, one_end))
    assert result.finished.numpy().any()


def test_a_strong_penalty_keeps_tokens_from_coming_again(of):
    if of is STRATEGIES["sample"]:
        pytest.skip("a draw may take what is improbable")
    counts = [sum(len(row) - len(set(row)) for row in found_by(of(rules))[0]) for rules in (None, Rules(50.0))]
    assert counts[1] < counts[0]


@pytest.mark.parametrize(("limit", "cost"), [("forced", 0.0), ("cut", 0.0), ("end", None)])
def test_the_limit_costs_what_it_says(limit, cost):
    rows, result = found_by(Greedy(Rules(min_length=LONGEST, limit=limit)))
    plain = found_by(Greedy(Rules(min_length=LONGEST)))[1]
    assert all(len(row) == LONGEST - 1 for row in rows) and not result.finished.numpy().any()
    difference = result.log_probs.numpy() - plain.log_probs.numpy()
    assert (difference > 0.01).all() if cost == 0.0 else (difference == 0).all()


def test_a_rule_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="repetition_penalty must be above 0"):
        Rules(repetition_penalty=0)
    with pytest.raises(ValueError, match=r"limit must be one of 'end', 'forced', 'cut'. Received 'never'"):
        Rules(limit="never")
    with pytest.raises(ValueError, match="early_stopping must be True, False or 'never'"):
        NormalizedBeam(early_stopping="perhaps")
