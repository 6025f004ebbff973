"""Pairs of strings, from files or made from CLDR data, windows of series, and batches of them."""

from keras_attention.data.algorithms import (
    ALGORITHMS,
    BitSequences,
    make_associative_recall,
    make_copy,
    make_priority_sort,
    make_repeat_copy,
    wrong_bits,
)
from keras_attention.data.batches import make_batches, make_text_batches
from keras_attention.data.dates import generate_dates
from keras_attention.data.histories import HeldOut, HistoryBatches, leave_one_out, read_histories
from keras_attention.data.ordered_batches import ArrayBatches, MadeBatches, PairBatches
from keras_attention.data.pairs import read_corpus, read_lines, read_pairs, split_by_target, write_pairs
from keras_attention.data.series import make_windows, seasonal_naive
from keras_attention.data.stories import Story, make_story_arrays, read_stories
from keras_attention.data.token_batches import TokenBatches

__all__ = [
    "ALGORITHMS",
    "ArrayBatches",
    "BitSequences",
    "HeldOut",
    "HistoryBatches",
    "MadeBatches",
    "PairBatches",
    "Story",
    "TokenBatches",
    "generate_dates",
    "leave_one_out",
    "make_associative_recall",
    "make_batches",
    "make_copy",
    "make_priority_sort",
    "make_repeat_copy",
    "make_story_arrays",
    "make_text_batches",
    "make_windows",
    "read_corpus",
    "read_histories",
    "read_lines",
    "read_pairs",
    "read_stories",
    "seasonal_naive",
    "split_by_target",
    "write_pairs",
    "wrong_bits",
]
