"""Columns of dates: what is read, what is not sure, none or missing, and in which rows."""

import numpy as np
import pandas
import pytest

from keras_attention.conversion import Conversion
from keras_attention.dates import to_datetime

KNOWN = {
    "3 May 1979": [("1979-05-03", 0.99)],
    "3/4/2021": [("2021-04-03", 0.75), ("2021-03-04", 0.25)],
    "hello": [("", 0.98)],
    "5 June 1705": [("1705-06-05", 0.95)],
}


class Reader:
    """Knows a few texts, and notes the hints."""

    def __call__(self, texts, **hints):
        self.hints = hints
        readings = [[(text, np.log(probability)) for text, probability in KNOWN[text]] for text in texts]
        return [Conversion(*best[0], [], [], None, best) for best in readings]


COLUMN = pandas.Series(["3 May 1979", None, "3/4/2021", "hello", "5 June 1705"], index=list("abcde"), name="born")


def test_a_column_becomes_dates_with_its_index_and_name():
    dates = to_datetime(COLUMN, reader=Reader())
    assert dates.name == "born" and list(dates.index) == list("abcde")
    assert dates.dtype == "datetime64[s]"
    assert [None if pandas.isna(date) else str(date.date()) for date in dates] == [
        "1979-05-03", None, None, None, "1705-06-05",
    ]  # fmt: skip
    assert dates.attrs["outcomes"] == {"date": 2, "no date": 1, "not sure": 1, "missing": 1}


def test_the_report_says_what_became_of_each_row():
    dates, report = to_datetime(COLUMN, reader=Reader(), report=True)
    assert list(report.index) == list(dates.index)
    assert list(report["outcome"]) == ["date", "missing", "not sure", "no date", "date"]
    assert report.loc["c", "reading"] == "2021-04-03" and report.loc["c", "other"] == "2021-03-04"
    assert report.loc["c", "other_probability"] == pytest.approx(0.25)
    assert to_datetime(COLUMN, min_confidence=0.7, reader=Reader()).notna().sum() == 3


def test_hints_go_to_the_rows_that_are_there():
    reader = Reader()
    to_datetime(COLUMN, locale=["en", "en", "de", "fr", None], day_first=True, reader=reader)
    assert reader.hints == {"locale": ["en", "de", "fr", None], "day_first": [True] * 4}


@pytest.mark.parametrize("column", [[], [None, np.nan]])
def test_a_column_without_a_text_is_no_error(column):
    assert to_datetime(column, reader=Reader()).isna().all()


def test_wrong_arguments_are_told():
    with pytest.raises(ValueError, match="one for all strings, or one for each of the 5\\. Received 2"):
        to_datetime(COLUMN, locale=["en", "de"], reader=Reader())
    with pytest.raises(ValueError, match=r"min_confidence must lie between 0 and 1\. Received 90"):
        to_datetime(COLUMN, min_confidence=90, reader=Reader())
