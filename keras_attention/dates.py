"""Columns of dates, as people wrote them, for pandas."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_attention.date_reading import ReadsDates, one_each
from keras_attention.tasks import load

if TYPE_CHECKING:
    import pandas

# What may have become of a row.
DATE, NO_DATE, NOT_SURE, MISSING = OUTCOMES = ("date", "no date", "not sure", "missing")


def to_datetime(
    series: pandas.Series | Sequence[str | None],
    locale: str | Sequence[str | None] | None = None,
    day_first: bool | Sequence[bool | None] | None = None,
    two_digit_from: int | Sequence[int | None] | None = None,
    min_confidence: float = 0.9,
    reader: ReadsDates | None = None,
    report: bool = False,
) -> pandas.Series | tuple[pandas.Series, pandas.DataFrame]:
    """Reads a column of dates with the reader that comes with the package, or another.

    Args:
        series: a `pandas.Series` of strings, or what it can be made of; missing
            values stay missing.
        locale: a locale of CLDR, such as `"de"`, for all or one for each; None
            is not known.
        day_first: whether `3/4/2021` is in April, for all or for each; None is
            not known.
        two_digit_from: a year of two digits is one of the hundred years from
            here on; 1950 by default.
        min_confidence: an answer of a lower probability is not given.
        reader: a `DateReader`, or an export of one; None is the package's.
        report: whether to return a table of what became of each row, too.

    Returns:
        A `pandas.Series` of `datetime64[s]` with the index and the name of
        `series`: `NaT` where there is no date, or the reader is not sure. Its
        `attrs["outcomes"]` counts the rows by outcome. With `report` also a
        `pandas.DataFrame` with the same index: `text`, `outcome` (`"date"`,
        `"no date"`, `"not sure"` or `"missing"`), `reading`, its `probability`,
        and the second best, `other` and `other_probability`.

    Raises:
        ModuleNotFoundError: without pandas.
        TypeError: if there is anything but strings and missing values.
        ValueError: for hints that are not one for each row, or a confidence
            that is no probability.
    """
    import pandas

    if not 0 <= min_confidence <= 1:
        raise ValueError(f"to_datetime: min_confidence must lie between 0 and 1. Received {min_confidence}.")
    series = pandas.Series(series)
    given = ~series.isna().to_numpy()
    hints = {
        name: list(itertools.compress(one_each("to_datetime", name, value, len(given)), given))
        for name, value in (("locale", locale), ("day_first", day_first), ("two_digit_from", two_digit_from))
        if value is not None
    }
    readings = iter((reader or load())(list(series[given]), **hints) if given.any() else [])
    rows = [
        _row(text, next(readings), min_confidence) if there else _missing()
        for text, there in zip(series, given, strict=True)
    ]
    table = pandas.DataFrame(rows, index=series.index, columns=list(_missing()))
    sure = (table["outcome"] == DATE).to_numpy()
    dates = np.array(np.where(sure, table["reading"], "NaT"), "datetime64[s]")
    result = pandas.Series(dates, index=series.index, name=series.name)
    result.attrs["outcomes"] = {name: int((table["outcome"] == name).sum()) for name in OUTCOMES}
    return (result, table) if report else result


def _row(text, reading, min_confidence):
    (best, log_prob), *others = reading.n_best
    other, other_log_prob = others[0] if others else (None, -np.inf)
    probability = float(np.exp(log_prob))
    outcome = NOT_SURE if probability < min_confidence else DATE if best else NO_DATE
    values = (text, outcome, best, probability, other, float(np.exp(other_log_prob)))
    return dict(zip(_missing(), values, strict=True))


def _missing():
    return {
        "text": None,
        "outcome": MISSING,
        "reading": None,
        "probability": np.nan,
        "other": None,
        "other_probability": np.nan,
    }
