"""Pairs of strings, from files or made from CLDR data, and batches of them."""

from keras_attention.data.batches import TokenBatches, make_batches, make_text_batches
from keras_attention.data.dates import generate_dates
from keras_attention.data.pairs import read_corpus, read_lines, read_pairs, split_by_target, write_pairs

__all__ = [
    "TokenBatches",
    "generate_dates",
    "make_batches",
    "make_text_batches",
    "read_corpus",
    "read_lines",
    "read_pairs",
    "split_by_target",
    "write_pairs",
]
