"""Dates as people write them in any locale of CLDR, and what is no date, each with its answer, right by construction."""

from keras_attention.data.world_dates.generate import (
    LANGUAGES,
    all_locales,
    babel_dates,
    generate_world_dates,
    hint_of,
    is_for_test,
    locale_hints,
)

__all__ = [
    "LANGUAGES",
    "all_locales",
    "babel_dates",
    "generate_world_dates",
    "hint_of",
    "is_for_test",
    "locale_hints",
]
