"""A seed of random draws is one: the same results in every call, and other tokens at every step."""

import tensorflow as tf

from keras_attention.decoding import Sample, search

ROWS, VOCABULARY, LENGTH = 4, 50, 6


def ids_of(strategy):
    """Ids that a search draws where every token is as probable as any other."""

    def step(last, memory, state):
        return tf.zeros([ROWS, VOCABULARY]), state, tf.zeros([ROWS, 1])

    state = tf.zeros([ROWS, 1])
    return search(step, (), state, strategy, start=1, end=0, max_length=LENGTH + 1, forbidden=(0,)).ids.numpy()[:, 0]


def test_seed_gives_the_same_draws_in_every_call():
    first = ids_of(Sample(seed=3))
    assert (ids_of(Sample(seed=3)) == first).all()


def test_without_a_seed_every_call_draws_anew():
    assert (ids_of(Sample()) != ids_of(Sample())).any()


def test_steps_and_rows_and_seeds_draw_on_their_own():
    ids = ids_of(Sample(seed=3))
    assert (ids[:, 0] != ids[:, 1]).any()
    assert (ids[0] != ids[1]).any()
    assert (ids != ids_of(Sample(seed=4))).any()
