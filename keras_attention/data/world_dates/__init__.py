"""Dates as people write them in any locale of CLDR, and what is no date, each with its answer, right by construction."""

from keras_attention.data.world_dates.generate import (
    HELD_OUT,
    LANGUAGES,
    SPLITS,
    all_locales,
    babel_dates,
    generate_world_dates,
    learned_locales,
    split_of,
)
from keras_attention.data.world_dates.hints import hint_of, locale_hints

__all__ = [
    "HELD_OUT",
    "LANGUAGES",
    "SPLITS",
    "all_locales",
    "babel_dates",
    "generate_world_dates",
    "hint_of",
    "learned_locales",
    "locale_hints",
    "split_of",
]
