"""Dates as people write them, with their ISO form, from Babel's CLDR data."""

import datetime
import random
from collections.abc import Sequence

from babel import Locale, UnknownLocaleError
from babel.dates import format_date

# The pattern letter for the year is `y`. `Y` is the year of the ISO week, which differs around New Year.
NAMED_FORMATS = ("short", "medium", "long", "full")
PATTERNS = (
    "d MMM y",
    "d MMMM y",
    "dd MMM y",
    "d MMM, y",
    "d MMMM, y",
    "dd, MMM y",
    "d MM yy",
    "MMMM d y",
    "MMMM d, y",
    "dd.MM.yy",
)

FIRST_DATE = datetime.date(1950, 1, 1)
LAST_DATE = datetime.date(2049, 12, 31)


def generate_dates(
    count: int,
    seed: int = 0,
    locales: Sequence[str] = ("en_US",),
    formats: Sequence[str] = NAMED_FORMATS + PATTERNS,
    first: datetime.date = FIRST_DATE,
    last: datetime.date = LAST_DATE,
    two_digit_from: int = 1950,
) -> list[tuple[str, str]]:
    """Pairs of a date as written somewhere and its ISO form.

    A date is drawn uniformly between `first` and `last`, then a locale and a
    format, and one time in four each it is written in upper or in lower case.

    Args:
        count: number of pairs.
        seed: random seed of the draws; the same arguments give the same pairs.
        locales: CLDR locale identifiers, such as `"en_US"` or `"ko"`.
        formats: `"short"`, `"medium"`, `"long"`, `"full"` and CLDR patterns,
            with `y` for the year.
        first: earliest date.
        last: latest date.
        two_digit_from: a year of two digits means the one in the hundred years
            from here on: with 1950, `49` is 2049 and `50` is 1950. A date
            outside of them is never written with two digits.

    Returns:
        List of `(text, iso)`, such as `("May 3, 1979", "1979-05-03")`.

    Raises:
        ValueError: for a locale that CLDR does not have, a pattern with `Y`,
            an empty list, or `first` after `last`.

    Example:

    >>> generate_dates(2, formats=("d MMMM y",), first=datetime.date(1979, 5, 3), last=datetime.date(1979, 5, 3))
    [('3 MAY 1979', '1979-05-03'), ('3 may 1979', '1979-05-03')]
    """
    if first > last:
        raise ValueError(f"generate_dates: first must not be after last. Received first={first}, last={last}.")
    for name, values in (("locales", locales), ("formats", formats)):
        if not values:
            raise ValueError(f"generate_dates: {name} must not be empty.")
    for pattern in formats:
        if "Y" in pattern:
            raise ValueError(
                f"generate_dates: the pattern {pattern!r} holds Y, the year of the ISO week, which differs around New "
                "Year. Use y."
            )
    generator = random.Random(seed)
    parsed = [_locale(identifier) for identifier in locales]
    days = (last - first).days
    window = range(two_digit_from, two_digit_from + 100)
    reached = first.year <= window[-1] and window[0] <= last.year
    if not reached and all(_has_two_digits(pattern, locale) for pattern in formats for locale in parsed):
        raise ValueError(
            f"generate_dates: no date between {first} and {last} can be written: every format has a year of two "
            f"digits, which with two_digit_from={two_digit_from} reaches from {window[0]} to {window[-1]}."
        )
    pairs = []
    while len(pairs) < count:
        date = first + datetime.timedelta(days=generator.randint(0, days))
        locale = generator.choice(parsed)
        pattern = generator.choice(formats)
        case = generator.choice((str, str, str.upper, str.lower))
        if _has_two_digits(pattern, locale) and date.year not in window:
            continue
        pairs.append((case(format_date(date, format=pattern, locale=locale)), date.isoformat()))
    return pairs


def _locale(identifier):
    try:
        return Locale.parse(identifier)
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(
            f"generate_dates: CLDR has no locale {identifier!r}. Use an identifier such as 'en_US', 'de' or 'ko'."
        ) from error


def _has_two_digits(pattern, locale):
    """Whether a format writes the year with two digits in a locale."""
    if pattern in NAMED_FORMATS:
        pattern = locale.date_formats[pattern].pattern
    return pattern.count("y") == 2
