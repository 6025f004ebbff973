"""Pairs of a text and its answer: a date as it is written, the refusal, in proportions that can be said."""

import calendar
import datetime
import functools
import random
import unicodedata
import zlib
from collections.abc import Sequence

from keras_attention.data.world_dates import eras, writers
from keras_attention.data.world_dates.hints import hinted, is_of_two_months
from keras_attention.data.world_dates.intervals import interval
from keras_attention.data.world_dates.locales import (
    LANGUAGES,
    MORE_LANGUAGES,
    all_locales,
    locale_of,
    months_by_name,
)
from keras_attention.data.world_dates.phrases import by_phrase
from keras_attention.data.world_dates.refusals import REFUSALS, WORDS, impossible, several
from keras_attention.data.world_dates.surroundings import (
    cased,
    in_a_long_text,
    in_other_characters,
    long_text,
    mistyped,
    with_iso_time,
    with_numbers,
    with_time,
    with_words,
    with_zone,
)
from keras_attention.date_reading import LONGEST, REFUSAL

# Locales that are left out of a training by default, so that it can be measured on them: three languages as a whole, and
# countries of languages that are known.
HELD_OUT = ("ast", "ast_ES", "gv", "gv_IM", "lb", "lb_LU", "ar_QA", "de_LI", "en_MY", "es_PY", "ff_Latn_LR", "fr_WF",
            "pt_MZ", "ru_KZ", "se_SE", "sw_UG")  # fmt: skip
# For a hint, and for characters that normalization makes two of.
_ROOM = 16
# A text belongs to one of these by its characters: one in fifty to each of the last two.
SPLITS = ("train", "validation", "test")

_WRITERS = (
    (0.3, writers.by_babel),
    (0.08, writers.by_another_pattern),
    (0.06, writers.by_skeleton),
    (0.16, writers.by_numbers),
    (0.02, writers.by_eight_digits),
    (0.05, writers.by_iso),
    (0.2, writers.by_name),
    (0.05, by_phrase),
    (0.08, writers.by_words),
    (0.02, writers.by_clock),
    (0.02, writers.by_stamp),
    (0.01, writers.by_roman_month),
    (0.02, eras.by_han),
    (0.008, eras.by_era_letter),
    (0.01, eras.by_buddhist_year),
)
# Words that a date may stand among; those of the refusals that are names of months do not.
_PLAIN_WORDS = [word for word in WORDS if word not in ("march", "may", "august", "june", "mars", "mai")]
# Of words that no dictionary has, such as names.
_SYLLABLES = ("an", "ba", "be", "ber", "bo", "ca", "che", "con", "da", "de", "del", "do", "el", "en", "er", "es", "fa", "fi",
              "ga", "ge", "go", "ha", "he", "in", "is", "ka", "ki", "ko", "la", "le", "li", "lo", "ma", "me", "mi", "mo",
              "na", "ne", "ni", "no", "nt", "o", "pa", "pe", "po", "ra", "re", "ri", "ro", "sa", "se", "sh", "si", "so",
              "st", "ta", "te", "ti", "to", "tra", "u", "un", "va", "ve", "vi", "vo", "wa", "we", "y", "za", "ze",
              "zo")  # fmt: skip
# Years that are also those of other calendars, Islamic and Persian, Thai, and Hebrew: of numbers alone nobody can say which.
_OF_OTHER_CALENDARS = (range(1280, 1461), range(2443, 2644), range(5600, 5801))
# What programs write where there is no date.
_SENTINELS = (datetime.date.max, datetime.date.min, datetime.date(1900, 1, 1), datetime.date(1970, 1, 1),
              datetime.date(2000, 1, 1), datetime.date(9999, 1, 1), datetime.date(2099, 12, 31))  # fmt: skip
# Numbers with a year of four digits, whichever it is.
_PADDED = (writers.by_numbers, writers.by_iso)
# These write numbers alone, so that a mistyped word or another script is not theirs.
_OWN_SCRIPT = {eras.by_han, eras.by_era_letter, eras.by_buddhist_year}
# What computers write has a time of its own.
_TIMED = {writers.by_clock, writers.by_stamp}


def learned_locales():
    """Those of `all_locales` that are not held out."""
    return tuple(name for name in all_locales() if name not in HELD_OUT)


@functools.cache
def _locales_by_language(locales):
    found = {}
    for name in locales:
        found.setdefault(locale_of(name).language, []).append(name)
    return found


def split_of(text):
    """Which of `SPLITS` a text belongs to, by its characters, whatever their case and width."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return {0: "test", 1: "validation"}.get(zlib.crc32(normal.encode("utf-8", "surrogatepass")) % 50, "train")


@functools.cache
def _place_names(identifier):
    """Names of countries and languages in a locale's language, those with a month's name in them aside."""
    locale = locale_of(identifier)
    names = [*locale.territories.values(), *locale.languages.values()]
    return [
        name
        for name in names
        if not any(letter.isdecimal() for letter in name)
        and not {word.rstrip(".,") for word in name.lower().split()} & months_by_name().keys()
    ]


def _sentence(generator, locale, count):
    """Words of a language, of others, and of none, that are no part of a date."""
    words = []
    for _ in range(count):
        kind, names = generator.random(), _place_names(locale)
        if kind < 0.3 and names:
            words.append(generator.choice(names))
        elif kind < 0.6:
            word = "".join(generator.choice(_SYLLABLES) for _ in range(generator.randint(1, 4)))
            words.append(word if word not in months_by_name() else "the")
        else:
            words.append(generator.choice(_PLAIN_WORDS))
    return " ".join(words)


def answer_of(date, two_digits):
    """`2024-03-05`, or `24-03-05` of a year that is written with two digits."""
    return f"{date.year % 100:02d}-{date:%m-%d}" if two_digits else f"{date.year:04d}-{date:%m-%d}"


def generate_world_dates(
    count: int,
    seed: int = 0,
    locales: Sequence[str] | None = None,
    refusals: float = 0.2,
    hints: float = 0.2,
    split: str = "train",
):
    """Pairs of a text and its answer, as people of all locales may write it.

    A language is drawn of the twenty most spoken (four texts in ten, one in ten
    English, half of these of the United States), of 50 more (one in six) or of
    all alike, then a locale of it, a date and a way to write it; then perhaps
    a weekday, sometimes wrong, a time, words of the language and of none around
    it, up to 240 characters, digits of the script, missing accents, and in one of
    25 a mistyped letter. Years are those from 1 to 9999, nearly all from 1950 to
    2049, none of other calendars. What is no date is refused: words, numbers,
    parts of dates, weeks and quarters, days before Christ, impossible and
    relative ones, those of calendars that are not known, intervals, two dates.

    Args:
        count: number of pairs.
        seed: random seed of the draws.
        locales: identifiers; None has all of CLDR.
        refusals: fraction that is no date.
        hints: fraction that begins with the marks of `hint_of`; three times as
            many of those whose month is another one in another language.
        split: one of `SPLITS`, whose texts are wanted; see `split_of`.

    Returns:
        List of `(text, answer)`; the answer is an ISO date, the same with two
        digits of the year where the text has but two, `24-03-05`, or `REFUSAL`.

    Raises:
        ValueError: for another split.

    Needs the package `num2words`, for numbers in words.
    """
    if split not in SPLITS:
        raise ValueError(f"generate_world_dates: split must be one of {SPLITS}. Received {split!r}.")
    generator = random.Random(seed)
    locales = all_locales() if locales is None else tuple(locales)
    by_language = _locales_by_language(locales)
    spoken, more = ([name for name in names if name in by_language] for names in (LANGUAGES, MORE_LANGUAGES))
    languages = list(by_language)
    pairs = []
    while len(pairs) < count:
        kind = generator.random()
        if kind < 0.1 and "en" in by_language:
            american = "en_US" in locales and generator.random() < 0.5  # as many as of all other countries together
            locale = "en_US" if american else generator.choice(by_language["en"])
        elif kind < 0.42 and spoken:
            locale = generator.choice(by_language[generator.choice(spoken)])
        elif kind < 0.58 and more:
            locale = generator.choice(by_language[generator.choice(more)])
        else:
            locale = generator.choice(by_language[generator.choice(languages)])
        pair = _no_date(generator, locale) if generator.random() < refusals else _date(generator, locale)
        if pair is None:
            continue
        text, answer, locale = pair
        if split_of(text) != split or len(text) > LONGEST - _ROOM:
            continue
        # Where a month's name is that of two, a locale tells which.
        share = min(1.0, 3 * hints) if is_of_two_months(text) else hints
        if locale is not None and generator.random() < share:
            text = hinted(generator, locale, text, answer)
        pairs.append((text, answer))
    return pairs


def babel_dates(count, seed=0, locales=None, first=datetime.date(1970, 1, 1), last=datetime.date(2025, 12, 31)):
    """What Babel writes of dates in its formats and those of "datalogue", one in four in upper or in lower case.

    Args:
        count: number of texts.
        seed: random seed of the draws.
        locales: identifiers; None has all of CLDR.
        first, last: the dates.

    Returns:
        List of `(text, answer, locale)`; the texts are of the test split.
    """
    generator = random.Random(seed)
    locales = all_locales() if locales is None else tuple(locales)
    found = []
    while len(found) < count:
        locale, date = generator.choice(locales), _day(generator, first, last)
        text, two_digits = writers.by_babel(generator, locale, date)
        text = generator.choice((str, str, str.upper, str.lower))(text)
        if split_of(text) == "test":
            found.append((text, answer_of(date, two_digits), locale))
    return found


def _day(generator, first, last):
    return first + datetime.timedelta(days=generator.randint(0, (last - first).days))


def _random_date(generator):
    kind = generator.random()
    if kind < 0.01:
        return generator.choice(_SENTINELS)
    ends = ((0.02, (1, 999)), (0.04, (1000, 1699)), (0.05, (2200, 9999)), (0.14, (1700, 1949)), (0.17, (2050, 2199)),
            (0.43, (1990, 2035)), (1.0, (1950, 2049)))  # fmt: skip
    years = next(years for end, years in ends if kind < end)
    special = generator.random()
    if special < 0.03:  # a leap day, of which there are few
        leap = [year for year in range(years[0], years[1] + 1) if calendar.isleap(year)]
        date = datetime.date(generator.choice(leap), 2, 29)
    elif special < 0.12:  # so that `31 dez` is a date far more often than no date, whatever is known of `dez`
        year, month = generator.randint(*years), generator.randint(1, 12)
        date = datetime.date(year, month, calendar.monthrange(year, month)[1])
    else:
        date = _day(generator, datetime.date(years[0], 1, 1), datetime.date(years[1], 12, 31))
    return _random_date(generator) if any(date.year in years for years in _OF_OTHER_CALENDARS) else date


def _date(generator, locale):
    """`(text, answer, locale)`: who wrote it, None where a hint would not fit; or None."""
    date = _random_date(generator)
    (write,) = generator.choices([each for _, each in _WRITERS], [share for share, _ in _WRITERS])
    if write is writers.by_words and generator.random() < 0.35:
        locale = "en"
    if date.year < (100 if write in (writers.by_name, writers.by_babel) else 1000):
        write = generator.choice(_PADDED)
    written = write(generator, locale, date)
    if written is None:
        return None
    text, two_digits = written
    if write not in _OWN_SCRIPT and generator.random() < 0.08:
        text = writers.with_weekday(generator, locale, date, text)
    timed = generator.random()
    if write in (writers.by_iso, writers.by_eight_digits) and timed < 0.35:
        text = with_iso_time(generator, text)
    elif timed < 0.12 and write not in _TIMED:
        text = with_time(generator, text)
    elif timed < 0.13 and write not in (*_TIMED, writers.by_words):
        text = with_zone(generator, text)
    around = generator.random()
    if around < 0.12:
        text = with_words(generator, text, lambda count: _sentence(generator, locale, count))
    elif around < 0.2:
        text = with_numbers(generator, text, lambda count: _sentence(generator, locale, count))
    elif around < 0.24:
        text = in_a_long_text(generator, text, lambda count: _sentence(generator, locale, count))
    text = cased(generator, text)
    # A letter makes another number of a number in words.
    if write not in (*_OWN_SCRIPT, writers.by_words) and generator.random() < 0.04:
        text = mistyped(generator, text, months_by_name().__contains__)
    if write not in _OWN_SCRIPT and generator.random() < 0.3:
        text = in_other_characters(generator, locale, text)
    return text, answer_of(date, two_digits), None if write in _OWN_SCRIPT else locale


def _no_date(generator, locale):
    date = _random_date(generator)
    if generator.random() < 0.1:

        def write():
            written = None
            while written is None:
                written = generator.choice((writers.by_babel, writers.by_name, writers.by_iso))(
                    generator, locale, _random_date(generator)
                )
            return written[0]

        text = several(generator, locale, date, write)
    elif generator.random() < 0.08:
        long = generator.random() < 0.3
        text = _sentence(generator, locale, generator.randint(1, 30 if long else 6))
        text = long_text(generator, text) if long else text
        if generator.random() < 0.4:
            text = f"{generator.randrange(10 ** generator.randint(1, 6))} {text}"
    else:
        refusal = generator.choice(REFUSALS)
        text = refusal(generator, locale, date)
        if refusal in (impossible, interval) and generator.random() < 0.08:
            text = with_time(generator, text)
    if generator.random() < 0.1:
        around = in_a_long_text if generator.random() < 0.3 else with_words
        text = around(generator, text, lambda count: _sentence(generator, locale, count))
    return cased(generator, text), REFUSAL, locale
