"""What may be known of a text beside it: the language of its locale, the order of day and month."""

import functools
import itertools
import re

from keras_attention.data.world_dates.locales import all_locales, day_first_in, locale_of, months_by_name
from keras_attention.date_reading import DAY_FIRST, LANGUAGE, LANGUAGE_END, MONTH_FIRST, REFUSAL


def hint_of(locale=None, day_first=None):
    """The marks before a text of a locale, or of an order of day and month; both may be known.

    Args:
        locale: identifier; None is not known.
        day_first: True, False; None is the locale's, or not known.
    """
    if day_first is None and locale is not None:
        day_first = day_first_in(locale)
    order = "" if day_first is None else DAY_FIRST if day_first else MONTH_FIRST
    return order + ("" if locale is None else f"{LANGUAGE}{locale_of(locale).language}{LANGUAGE_END}")


def locale_hints():
    """What is known of every locale: dict of `(language, day_first)` by identifier, as `DateReader` takes it."""
    return {name: (locale_of(name).language, day_first_in(name)) for name in all_locales()}


def hinted(generator, locale, text, answer):
    """The text with a hint that is right: of the locale, or of the order of day and month."""
    day_first, written = day_first_in(locale), _order_in(text, answer)
    if written is not None and written != day_first:
        return hint_of(day_first=written) + text
    told = is_of_two_months(text) or generator.random() < 0.5
    return hint_of(locale if told else None, day_first) + text


def is_of_two_months(text):
    """Whether a word of a text names one month in a language and another in another: `out` is August and October."""
    return not _of_two_months().isdisjoint(re.findall(r"[^\W\d_]+", text.lower()))


@functools.cache
def _of_two_months():
    return {name for name, months in months_by_name().items() if len(months) > 1}


def _order_in(text, answer):
    """Whether the day stands before the month, True, or behind it, False, in the first numbers that tell; else None."""
    if answer == REFUSAL:
        return None
    month, day = map(int, answer.split("-")[1:])
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    told = (pair == (day, month) for pair in itertools.pairwise(numbers) if pair in ((day, month), (month, day)))
    return None if day == month else next(told, None)
