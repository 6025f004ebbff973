"""Pairs of strings, from files or made from CLDR data, windows of series, and batches of them."""

from keras_attention.data.batches import PairBatches, TokenBatches, make_batches, make_text_batches
from keras_attention.data.dates import generate_dates
from keras_attention.data.pairs import read_corpus, read_lines, read_pairs, split_by_target, write_pairs
from keras_attention.data.series import make_windows, seasonal_naive

__all__ = [
    "PairBatches",
    "TokenBatches",
    "generate_dates",
    "make_batches",
    "make_text_batches",
    "make_windows",
    "read_corpus",
    "read_lines",
    "read_pairs",
    "seasonal_naive",
    "split_by_target",
    "write_pairs",
]
