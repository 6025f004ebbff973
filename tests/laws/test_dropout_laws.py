"""Dropout of every path: another in each call, the same for a seed, in whatever way the weights are computed."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from keras_attention import layers
from tests.laws.tools import array, begin_anew, normal, tensor

PATHS = {
    "heads as a whole": lambda **kw: layers.MultiHeadAttention(2, 4, dropout=0.5, blockwise=False, **kw),
    "heads in blocks": lambda **kw: layers.MultiHeadAttention(2, 4, dropout=0.5, blockwise=True, **kw),
    "one head as a whole": lambda **kw: layers.BahdanauAttention(4, dropout=0.5, blockwise=False, **kw),
    "one head in chunks": lambda **kw: layers.BahdanauAttention(4, dropout=0.5, blockwise=True, **kw),
    "local": lambda **kw: layers.LocalAttention("dot", dropout=0.5, **kw),
}


@pytest.mark.parametrize("name", PATHS)
def test_dropout_follows_its_seed_and_no_call_repeats_another(name):
    query, value = tensor(normal(2, 3, 5)), tensor(normal(2, 6, 5, seed=1))

    def three_calls(seed):
        begin_anew()
        layer = PATHS[name](seed=seed)
        begin_anew(np.random.randint(100))  # torch's own generator is nobody's seed
        outputs = [layer(query, value, training=True) for _ in range(3)]
        return [array(output[0] if isinstance(output, tuple) else output) for output in outputs]

    first = three_calls(seed=1)
    for one, other in zip(first, three_calls(seed=1), strict=True):
        assert_array_equal(one, other)
    assert all(np.abs(first[i] - first[j]).max() > 0 for i, j in ((0, 1), (0, 2), (1, 2)))
    assert np.abs(first[0] - three_calls(seed=2)[0]).max() > 0
