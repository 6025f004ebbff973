"""What a reader of dates gives back, and what every one has in common."""

import datetime

from babel import Locale, UnknownLocaleError

from keras_attention.conversion import Converter

# Marks before a text that say how it is to be read. They are of Unicode's private use area, so that no text has them.
DAY_FIRST, MONTH_FIRST, LANGUAGE, LANGUAGE_END = "\ue000", "\ue001", "\ue002", "\ue003"
# What a converter says where there is no date.
REFUSAL = "?"

# Characters that are read of a text with its marks; what stands behind them is not.
LONGEST = 256

NOT_KNOWN = -1
# A year of two digits is one of the hundred years from here on, if nothing else is said.
TWO_DIGITS_FROM = 1950


def date_of(answer: str, two_digit_from: int = TWO_DIGITS_FROM) -> str:
    """What a reader gives where a converter says `answer`: an ISO date, or an empty text.

    Args:
        answer: `2024-03-05`, `24-03-05`, or `REFUSAL`.
        two_digit_from: the first of the years that two digits may mean.
    """
    if answer == REFUSAL:
        return ""
    year, rest = answer.split("-", 1)
    if len(year) == 2:
        year = f"{two_digit_from + (int(year) - two_digit_from) % 100:04d}"
    try:
        return datetime.date.fromisoformat(f"{year}-{rest}").isoformat()
    except ValueError:  # 29 February of another year
        return ""


class ReadsDates(Converter):
    """What every reader of dates is: callable on strings, with hints about each.

    A date comes back as its ISO form, `2024-03-05`; where a string has none, or
    one that is not possible, relative, in part, or of a calendar that is not
    known, or has two dates, the text is empty. That is an answer, too, with its
    probability.
    """

    def __call__(self, texts, locale=None, day_first=None, two_digit_from=None, batch_size=128):
        """Reads dates; the order stays.

        Args:
            texts: a string, or a list, tuple, array or tensor of strings; str
                or bytes.
            locale: a locale of CLDR, such as `"de"` or `"en_US"`, whose people
                wrote it: for all strings, or one for each. It decides between
                the languages that mean different months by one word, and in
                which order numbers are. None, or an empty one: not known.
            day_first: whether `3/4/2021` is in April, for all strings, or for
                each; comes before the locale's. None: not known.
            two_digit_from: a year of two digits is one of the hundred years from
                here on; 1950 by default, so that `49` is 2049.
            batch_size: most strings that go through the model at once.

        Returns:
            A `Conversion` for one string, a list of them for several. Its
            `text` is empty where there is no date; `n_best` has the readings,
            with their log-probabilities.

        Raises:
            TypeError: if there is anything but strings in `texts`.
            ValueError: for a locale that CLDR does not have, or hints that are
                not one for each string.
        """
        flat, is_one = self._flat(texts)
        given = {
            "locale": (locale, _locale, ""),
            "day_first": (day_first, int, NOT_KNOWN),
            "two_digit_from": (two_digit_from, int, TWO_DIGITS_FROM),
        }
        hints = {
            name: [missing if each is None else convert(each) for each in one_each(self, name, value, len(flat))]
            for name, (value, convert, missing) in given.items()
            if value is not None
        }
        readings = self._convert(flat, hints, batch_size)
        return readings[0] if is_one else readings


def one_each(owner, name, value, count):
    """A hint for each of `count` strings, of one for all or one for each."""
    if isinstance(value, str | bool | int):
        return [value] * count
    values = list(value)
    if len(values) != count:
        owner = owner if isinstance(owner, str) else type(owner).__name__
        raise ValueError(
            f"{owner}: {name} must be one for all strings, or one for each of the {count}. Received {len(values)}."
        )
    return values


def _locale(identifier):
    """The identifier of a locale as CLDR has it; an empty one stays so."""
    if not identifier:
        return ""
    try:
        return str(Locale.parse(str(identifier).replace("-", "_")))
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(
            f"DateReader: CLDR has no locale {identifier!r}. Give one such as 'en_US', 'de' or 'ko'."
        ) from error
