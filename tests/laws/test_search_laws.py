"""The laws of search, over every strategy: on a table of conditional probabilities, and on every model."""

import copy
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_attention.decoding import Beam, Greedy, Sample, search
from tests.laws.cases import MODELS, RANDOM, REPEATED, REPEATED_COMPILED, SOURCE_IDS, STRATEGIES
from tests.laws.tools import once, only_tensorflow

pytestmark = only_tensorflow

PAD, START, END = 0, 2, 3
FORBIDDEN = (0, 1, 2)
VOCABULARY, MAX_LENGTH, BATCH = 6, 4, 2  # three tokens that a hypothesis may hold: the end, 4 and 5
EVERY_STRATEGY = pytest.mark.parametrize("name", STRATEGIES)
# Every strategy with some models. Others that repeat none, with several hypotheses, which share its memory and change
# places; and with one, those of them that repeat none where each is compiled.
OF_EVERY_STRATEGY = {"luong feeding, LSTM, one direction", "transformer, rotary"}


def repeats(model_name, name):
    if model_name in OF_EVERY_STRATEGY:
        return False
    left = {"beam of 3 with both penalties": REPEATED, "greedy": REPEATED_COMPILED}
    return name not in left or model_name in left[name]


class Table:
    """A step function whose probabilities depend on the last two tokens and the item, from a seed."""

    arrays = ("logits",)

    def __init__(self, seed, sharpness=2.0):
        generator = np.random.default_rng(seed)
        self.logits = (generator.normal(size=(BATCH, VOCABULARY, VOCABULARY, VOCABULARY)) * sharpness).astype("float32")

    def start(self):
        return tf.constant(np.arange(BATCH)), (tf.zeros([BATCH], tf.int64) + PAD,)

    def step(self, ids, memory, state):
        ids = tf.cast(ids, tf.int64)
        memory = tf.repeat(memory, tf.shape(ids)[0] // BATCH)
        rows = tf.stack([memory, state[0], ids], axis=1)
        return tf.gather_nd(self.logits, rows), (ids,), tf.cast(rows[:, 1:], tf.float32)

    def search(self, strategy, max_length=MAX_LENGTH, prefix=None):
        """In a graph, which is made once for all tables of a class, unless each search draws at random."""
        if strategy in [STRATEGIES[name] for name in RANDOM]:
            return self.search_at_once(strategy, max_length, prefix=prefix)
        prefix = None if prefix is None else tf.constant(prefix)
        return graph_of_search(type(self), strategy, max_length)(
            [tf.constant(getattr(self, name)) for name in self.arrays], prefix
        )

    def search_at_once(self, strategy, max_length=MAX_LENGTH, step=None, prefix=None):
        return search(step or self.step, *self.start(), strategy, START, END, max_length, FORBIDDEN, prefix)

    def log_prob(self, item, ids):
        """Sum of the log-probabilities of `ids`, up to and with the end."""
        total, before, last = 0.0, PAD, START
        for token in ids:
            row = self.logits[item, before, last].astype("float64")
            total += row[token] - np.log(np.exp(row).sum())
            before, last = last, token
            if token == END:
                break
        return total

    def all_hypotheses(self, item):
        for length in range(1, MAX_LENGTH + 1):
            for ids in itertools.product((4, 5), repeat=length - 1):
                yield (*ids, END), self.log_prob(item, (*ids, END))


@functools.cache
def graph_of_search(table_class, strategy, max_length):
    """A function of the arrays of a table, and of a prefix or None, to the result of a search."""
    any_table = table_class(seed=0)

    def run(arrays, prefix):
        table = copy.copy(any_table)
        vars(table).update(zip(table_class.arrays, arrays, strict=True))
        return table.search_at_once(strategy, max_length, prefix=prefix)

    return tf.function(run, autograph=False)


class Reader(Table):
    """A table that attends to three positions, and to one of padding: how, depends on the item and the last token."""

    arrays = ("logits", "attention")

    def __init__(self, seed, sharpness=2.0):
        super().__init__(seed, sharpness)
        attention = np.random.default_rng(seed).dirichlet(np.ones(3) / 3, size=(BATCH, VOCABULARY))
        self.attention = np.concatenate([attention, np.zeros((BATCH, VOCABULARY, 1))], axis=-1).astype("float32")

    def step(self, ids, memory, state):
        logits, state, _history = super().step(ids, memory, state)
        rows = tf.stack([tf.repeat(memory, tf.shape(ids)[0] // BATCH), tf.cast(ids, tf.int64)], axis=1)
        return logits, state, tf.gather_nd(self.attention, rows)

    def score(self, strategy, item, ids):
        """What a hypothesis is worth to a strategy, from equation 14 itself."""
        score = self.log_prob(item, ids) / ((5 + len(ids)) / 6) ** getattr(strategy, "length_penalty", 0.0)
        coverage = self.attention[item, [START, *ids[:-1]]].sum(axis=0)[:3]
        return score + strategy.coverage_penalty * np.log(np.minimum(coverage, 1.0)).sum()


def trimmed(ids):
    """The tokens of one hypothesis, the end included, the padding not."""
    ids = [int(token) for token in ids]
    return tuple(ids[: ids.index(END) + 1]) if END in ids else tuple(ids)


@EVERY_STRATEGY
@settings(max_examples=15)
@given(seed=st.integers(0, 999))
def test_log_probability_is_the_one_that_re_scoring_gives(name, seed):
    table = Table(seed)
    result = table.search(STRATEGIES[name])
    for item in range(BATCH):
        for ids, log_prob in zip(result.ids.numpy()[item], result.log_probs.numpy()[item], strict=True):
            assert_allclose(log_prob, table.log_prob(item, trimmed(ids)), atol=1e-4)


@EVERY_STRATEGY
@settings(max_examples=10)
@given(seed=st.integers(0, 999))
def test_emissions_are_those_of_the_steps_that_made_the_hypothesis(name, seed):
    table = Table(seed)
    result = table.search(STRATEGIES[name])
    for item in range(BATCH):
        for ids, emissions in zip(result.ids.numpy()[item], result.emissions.numpy()[item], strict=True):
            history = (PAD, START, *trimmed(ids))
            for time in range(len(trimmed(ids))):
                assert tuple(emissions[time]) == history[time : time + 2]


@EVERY_STRATEGY
def test_hypotheses_are_distinct_best_first_hold_no_forbidden_token_and_stop_at_their_end(name):
    strategy = STRATEGIES[name]
    for seed in range(10):
        result = Table(seed).search(strategy)
        ids, log_probs = result.ids.numpy(), result.log_probs.numpy()
        assert ids.shape[:2] == log_probs.shape == (BATCH, strategy.n_best)
        for item in range(BATCH):
            found = [trimmed(row) for row in ids[item]]
            assert len(set(found)) == len(found)
            assert not {token for row in found for token in row} & set(FORBIDDEN)
            for row, tokens in zip(ids[item], found, strict=True):
                assert_array_equal(row[len(tokens) :], PAD)
            scores = strategy.score(log_probs[item], np.array([len(tokens) for tokens in found]))
            assert (np.diff(scores) <= 1e-6).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 999), alpha=st.sampled_from([0.0, 0.6, 1.0]), beta=st.sampled_from([0.0, 0.2, 2.0]))
def test_wide_beam_finds_what_exhaustive_search_finds(seed, alpha, beta):
    table, strategy = Reader(seed), Beam(16, length_penalty=alpha, coverage_penalty=beta, n_best=16)
    result = table.search_at_once(strategy)  # nine, of which each would be a graph
    for item in range(BATCH):
        expected = {ids: table.score(strategy, item, ids) for ids, _ in table.all_hypotheses(item)}
        found = [
            trimmed(ids)
            for ids, log_prob in zip(result.ids.numpy()[item], result.log_probs.numpy()[item], strict=True)
            if np.isfinite(log_prob)
        ]
        assert set(found) == set(expected)
        assert_allclose([expected[ids] for ids in found], sorted(expected.values(), reverse=True), atol=1e-4)


# Few pairs of penalties, each under many tables: sharp ones, and ones that hardly prefer anything.
@pytest.mark.parametrize("strategy", [each for each in STRATEGIES.values() if each.keeps_greedy], ids=str)
@settings(max_examples=12)
@given(seed=st.integers(0, 9999), sharpness=st.sampled_from([0.3, 2.0, 6.0]))
def test_no_result_is_worse_by_its_own_score_than_that_of_greedy_search(strategy, seed, sharpness):
    table = Reader(seed, sharpness)
    received, greedy = (
        [trimmed(ids) for ids in table.search(each, max_length=7).ids.numpy()[:, 0]] for each in (strategy, Greedy())
    )
    for item in range(BATCH):
        assert table.score(strategy, item, received[item]) >= table.score(strategy, item, greedy[item]) - 1e-4


@EVERY_STRATEGY
def test_result_of_an_item_does_not_depend_on_the_others(name):
    if name in RANDOM:
        pytest.skip("a draw depends on the place in the batch")
    for seed in range(3):
        table = Reader(seed)
        together = table.search(STRATEGIES[name], max_length=7)
        for item in range(BATCH):

            def alone(ids, memory, state, table=table, item=item):  # the same item in every row
                return table.step(ids, tf.fill([BATCH], tf.constant(item, tf.int64)), state)

            result = table.search_at_once(STRATEGIES[name], max_length=7, step=alone)
            for rank in range(STRATEGIES[name].n_best):
                assert trimmed(result.ids.numpy()[0, rank]) == trimmed(together.ids.numpy()[item, rank])
            assert_allclose(result.log_probs[0], together.log_probs[item], atol=1e-5)


@EVERY_STRATEGY
def test_hypothesis_that_did_not_end_by_itself_ends_at_the_limit_and_says_so(name):
    both = set()
    for seed in range(10):
        table = Table(seed)
        result = table.search(STRATEGIES[name])
        for item in range(BATCH):
            for ids, finished, log_prob in zip(
                *(part.numpy()[item] for part in (result.ids, result.finished, result.log_probs)), strict=True
            ):
                if not np.isfinite(log_prob):
                    continue
                tokens = trimmed(ids)
                assert tokens[-1] == END and len(tokens) <= MAX_LENGTH
                logits = table.logits[item][(PAD, START, *tokens)[-3], (PAD, START, *tokens)[-2]].copy()
                logits[list(FORBIDDEN)] = -np.inf
                if len(tokens) < MAX_LENGTH:
                    assert finished
                elif name not in RANDOM:
                    assert finished == (logits.argmax() == END)
                both.add(bool(finished))
    assert both == {True, False}


@EVERY_STRATEGY
@settings(max_examples=10)
@given(seed=st.integers(0, 999))
def test_hypotheses_begin_with_the_prefix_and_keep_the_log_probability_of_the_model(name, seed):
    table, prefix = Table(seed), [[5, 4], [4, PAD]]
    result = table.search(STRATEGIES[name], prefix=prefix)
    for item, expected in enumerate(((5, 4), (4,))):
        for ids, log_prob in zip(result.ids.numpy()[item], result.log_probs.numpy()[item], strict=True):
            assert trimmed(ids)[: len(expected)] == expected
            assert_allclose(log_prob, table.log_prob(item, trimmed(ids)), atol=1e-4)


def test_draws_are_as_frequent_as_the_model_says():
    logits = np.log(np.array([1e-9, 1e-9, 1e-9, 0.5, 0.4, 0.1], "float32"))

    def draws(strategy):
        def step(ids, memory, state):
            return (
                tf.repeat(tf.constant(logits)[None], tf.shape(ids)[0], axis=0),
                state,
                tf.zeros([tf.shape(ids)[0], 1]),
            )

        result = search(step, (), (tf.zeros([4000, 1]),), strategy, START, END, max_length=2)
        return np.bincount(result.ids.numpy()[:, 0, 0], minlength=6) / 4000

    assert_allclose(draws(Sample(seed=1)), np.exp(logits), atol=0.04)
    assert_allclose(draws(Sample(seed=1, temperature=0.5))[3:], np.array([25, 16, 1]) / 42, atol=0.04)
    assert_allclose(draws(Sample(seed=1, top_k=2))[3:], np.array([5, 4, 0]) / 9, atol=0.04)
    assert_allclose(draws(Sample(seed=1, top_p=0.6))[3:], np.array([5, 4, 0]) / 9, atol=0.04)


def test_fewer_hypotheses_than_asked_for_are_told_by_minus_infinity():
    result = Table(0).search(Beam(8, n_best=8), max_length=2)  # there are three: the end, 4 and 5 before it
    assert np.isfinite(result.log_probs.numpy()).sum(axis=1).tolist() == [3, 3]


@settings(max_examples=25)
@given(seed=st.integers(0, 999))
def test_beam_of_one_is_greedy(seed):
    table = Table(seed)
    beam, greedy = table.search(Beam(1)), table.search(Greedy())
    assert_array_equal(beam.ids, greedy.ids)
    assert_allclose(beam.log_probs, greedy.log_probs, atol=1e-6)


def test_search_stops_when_every_hypothesis_is_finished():
    steps = []

    def step(ids, memory, state):
        steps.append(1)
        return tf.one_hot(tf.fill(tf.shape(ids), END), VOCABULARY) * 50, state, tf.zeros([tf.shape(ids)[0], 1])

    result = search(step, (), (tf.zeros([BATCH, 1]),), Greedy(), START, END, max_length=1000)
    assert len(steps) == 1
    assert result.ids.shape == (BATCH, 1, 1)


def model_search(model, source, strategy):
    memory, state = model.encode(source)

    def step(ids, memory, state):
        logits, state, weights = model.decode(ids[:, None], memory, state, sharers=strategy.width)
        return logits[:, 0], state, weights[:, 0]

    return search(step, memory, state, strategy, START, END, MAX_LENGTH, FORBIDDEN), memory, state


@pytest.fixture(scope="module")
def model_of():
    return once(lambda name: MODELS[name]())


@pytest.mark.parametrize(
    ("model_name", "name"),
    [
        pytest.param(model_name, name, marks=[pytest.mark.thorough] * repeats(model_name, name))
        for model_name in MODELS
        for name in STRATEGIES
    ],
)
def test_search_over_a_model_agrees_with_teacher_forcing(model_of, model_name, name):
    model = model_of(model_name)
    source = np.random.default_rng(0).integers(2, SOURCE_IDS, size=(BATCH, 7)).astype("int32")
    source[0, 4:] = PAD
    result, memory, state = model_search(model, source, STRATEGIES[name])
    for rank in range(STRATEGIES[name].n_best):
        ids = result.ids.numpy()[:, rank]
        given_ids = np.concatenate([np.full((BATCH, 1), START), ids[:, :-1]], axis=1)
        forced = model.decode(given_ids, memory, state)
        log_probs = tf.nn.log_softmax(forced.logits).numpy()
        for item in range(BATCH):
            tokens = trimmed(ids[item])
            expected = sum(log_probs[item, time, token] for time, token in enumerate(tokens))
            assert_allclose(result.log_probs[item, rank], expected, atol=1e-4)
            assert_allclose(result.emissions[item, rank, : len(tokens)], forced.weights[item, : len(tokens)], atol=1e-5)
            if STRATEGIES[name].width == 1 and name not in RANDOM:
                allowed = log_probs[item, : len(tokens)].copy()
                allowed[:, list(FORBIDDEN)] = -np.inf
                chosen = tuple(allowed.argmax(-1))
                assert chosen[:-1] == tokens[:-1]
                assert (chosen[-1] == END) == result.finished.numpy()[item, rank]


@pytest.mark.parametrize("name", ["greedy", "beam of 3 with both penalties", "sample of the best"])
@pytest.mark.parametrize("model_name", ["luong feeding, LSTM, one direction", "transformer"])
def test_search_in_graph_equals_eager(model_of, model_name, name):
    model = model_of(model_name)
    source = np.random.default_rng(1).integers(2, SOURCE_IDS, size=(BATCH, 7)).astype("int32")
    eager = model_search(model, source, STRATEGIES[name])[0]
    for shape in ([None, None], [BATCH, 7]):
        graph = tf.function(
            lambda source: model_search(model, source, STRATEGIES[name])[0],
            input_signature=[tf.TensorSpec(shape, tf.int32)],
        )
        received = graph(source)
        assert_array_equal(received.ids, eager.ids)
        assert_allclose(received.log_probs, eager.log_probs, atol=1e-5)
        assert_allclose(received.emissions, eager.emissions, atol=1e-5)
