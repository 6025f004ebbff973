"""Hypotheses are followed from where they ended to their first tokens."""

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.decoding.beams import back_track

END, PAD = 1, 0


def followed(ids, parents, times, slots):
    """The same step by step."""
    length = len(ids)
    tokens, beams = (np.full((length, *times.shape), fill) for fill in (PAD, -1))
    for item, place in np.ndindex(times.shape):
        beam = slots[item, place]
        for time in reversed(range(length)):
            last = times[item, place]
            if time < last:
                tokens[time, item, place] = ids[time, item, beam]
                beam = parents[time, item, beam]
            elif time == last:
                tokens[time, item, place] = END
            beams[time, item, place] = beam
    return tokens, beams


@pytest.mark.parametrize(("length", "width"), [(1, 2), (2, 3), (5, 1), (8, 4), (13, 3), (40, 2)])
def test_hypotheses_are_followed_back_as_step_by_step(length, width):
    random = np.random.default_rng(length)
    batch, count = 3, width
    ids = random.integers(2, 9, (length, batch, width))
    parents, slots = random.integers(0, width, (length, batch, width)), random.integers(0, width, (batch, count))
    times = random.integers(-1, length, (batch, count))  # before the first: there is none
    times[0, 0] = length - 1
    arrays = [array.astype("int32") for array in (ids, parents, times, slots)]
    unknown = [tf.TensorSpec([None] * array.ndim, tf.int32) for array in arrays]
    for run in (back_track, tf.function(back_track, input_signature=[*unknown, *[tf.TensorSpec([], tf.int32)] * 2])):
        received = run(*arrays, END, PAD)
        for one, other in zip(received, followed(*arrays), strict=True):
            np.testing.assert_array_equal(one, other)
