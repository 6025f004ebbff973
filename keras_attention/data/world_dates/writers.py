"""Ways to write a date. Each writer is given random numbers, a locale and a date, and gives `(text, two_digits)`.

`two_digits` says that the year is written with two, so that which century is
meant is not in the text. A writer that cannot write the date gives None.
"""

import calendar
import contextlib
import functools
import re

from babel.dates import format_date

from keras_attention.data.world_dates.locales import (
    abbreviations,
    locale_of,
    month_names,
    order_of,
    weekday_names,
)

NAMED = ("short", "medium", "long", "full")
# The formats of "datalogue", with `y`, the year, where it has `Y`, that of the ISO week.
DATALOGUE = (
    *NAMED,
    *("d MMM y", "d MMMM y", "dd MMM y", "d MMM, y", "d MMMM, y", "dd, MMM y", "d MM yy", "MMMM d y", "MMMM d, y"),
    "dd.MM.yy",
)
_MORE = ("EEE, d MMM y", "EEEE d MMMM y", "EEE d MMM yy", "d. MMMM y", "d MMM yy", "MMM d, y", "MMM d yy", "y MMM d",
         "y MMMM d", "d-MMM-y", "d-MMM-yy", "dd-MMM-y", "d/MMM/y", "dMMMy", "ddMMMyy", "y-MMM-dd", "MMM-d-y", "d.MMM.y",
         "EEEE, MMMM d, y", "MMM d y", "dd/MM/yy", "dd.MM.y", "y/MM/dd", "MMMM dd, y", "EEE MMM d y")  # fmt: skip
_SEPARATORS = ("/", "/", "/", ".", ".", "-", "-", " ", ". ", " / ", " - ", "．", "／", "－", "，", "⁄", "·", "_", ", ",
               "\\", "|", "—", "–", ":", "//", "--", " . ", "~", "*", " | ", " | ", " · ", " • ", " – ", " / ", " - ")  # fmt: skip
# What is written in English beside the names of CLDR.
_MORE_WEEKDAYS = (
    ("Mo", "Tues", "Weds", "Thurs", "Fr", "Sa", "Su"),
    ("Mond", "Tue", "Wednes", "Thur", "Frid", "Satur", "Sund"),
)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
# How the languages write a day as an ordinal number.
_ORDINALS = {
    "fr": lambda day: "1er" if day == 1 else str(day),
    "es": lambda day: f"{day}º" if day == 1 else str(day),
    "pt": lambda day: f"{day}º",
    "it": lambda day: f"{day}º",
    "ca": lambda day: f"{day}",
    "de": lambda day: f"{day}.",
    "nl": lambda day: f"{day}e",
    "ru": lambda day: f"{day}-го",
    "uk": lambda day: f"{day}-го",
    "sv": lambda day: f"{day}:e",
    "ga": lambda day: f"{day}ú",
    "el": lambda day: f"{day}η",
}


def english_ordinal(number):
    """`1st`, `2nd`, `3rd`, `4th`."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


@functools.cache
def two_digits_in(pattern, identifier):
    """Whether a format writes the year with two digits in a locale."""
    if pattern in NAMED:
        pattern = locale_of(identifier).date_formats[pattern].pattern
    return re.sub(r"'[^']*'", "", pattern).count("y") == 2


def by_babel(generator, identifier, date, patterns=DATALOGUE):
    """One of Babel's formats."""
    pattern = generator.choice(patterns)
    return format_date(date, pattern, locale_of(identifier)), two_digits_in(pattern, identifier)


def by_another_pattern(generator, identifier, date):
    """A pattern that people use."""
    return by_babel(generator, identifier, date, _MORE)


@functools.cache
def _skeletons(identifier):
    skeletons = locale_of(identifier).datetime_skeletons
    return [
        skeletons[name].pattern.replace("Y", "y")  # that of the ISO week, in one locale
        for name in ("yMMMd", "yMMMEd", "yMd", "yMEd", "GyMMMd", "GyMMMEd", "GyMd", "yMMMMd", "yMMMMEEEEd")
        if name in skeletons
    ]


def by_skeleton(generator, identifier, date):
    """A pattern that CLDR has for the locale beside the four named ones, some of them with an era."""
    patterns = _skeletons(identifier)
    return by_babel(generator, identifier, date, patterns) if patterns else None


def by_numbers(generator, identifier, date):
    """Numbers in the order of the locale, or of any other where the day tells it from the month."""
    order = order_of(identifier)
    if generator.random() < 0.25:
        order = "ymd"
    elif date.day > 12 and generator.random() < 0.3:
        order = generator.choice(("dmy", "mdy"))
    short = generator.random() < (0.08 if order == "ymd" else 0.3)
    separator = "/" if identifier == "en_US" and generator.random() < 0.8 else generator.choice(_SEPARATORS)
    if separator in "_:" and short:
        separator = "-"
    pad = generator.choice(("02d", "02d", "d"))
    year = f"{date.year % 100:02d}" if short else f"{date.year:04d}"
    if short and (order == "ymd" or generator.random() < 0.1):  # without its mark a year is not known in front
        year = generator.choice("'’‘") + year
    parts = {"d": format(date.day, pad), "m": format(date.month, pad), "y": year}
    if not short and date.day > 12 and generator.random() < 0.03:
        order = "ydm"
    text = separator.join(parts[letter] for letter in order)
    if not short and order[2] == "y" and generator.random() < 0.04:  # `25/12-2023`
        text = generator.choice("/.- ").join(text.rsplit(separator, 1))
    if generator.random() < 0.05:
        text += separator.strip()
    return text, short


def by_eight_digits(generator, identifier, date):
    """`20240305`."""
    return (f"{date:%Y%m%d}", False) if date.year >= 1900 else None


def by_iso(generator, identifier, date):
    """`2024-03-05`, or with another stroke."""
    stroke = generator.choice("---−–‐")
    return f"{date.year:04d}{stroke}{date:%m}{stroke}{date:%d}", False


def by_name(generator, identifier, date):
    """Day, a form of the month's name, and year, in any order that people use, with whatever between."""
    forms = month_names(identifier)[date.month]
    if not forms:
        return None
    name = generator.choice(forms)
    if name.endswith(".") and generator.random() < 0.6:
        name = name[:-1]
    shortened = abbreviations(identifier)[date.month]
    if shortened and generator.random() < 0.06:
        name = generator.choice(shortened) + generator.choice(("", "."))
    short = generator.random() < 0.12
    year = f"{date.year % 100:02d}" if short else str(date.year)
    if short and generator.random() < 0.5:
        year = "'" + year
    language = locale_of(identifier).language
    day = str(date.day) if generator.random() < 0.75 else f"{date.day:02d}"
    if generator.random() < 0.35:
        if language == "en":  # `22th` is written, too
            day = english_ordinal(date.day) if generator.random() < 0.95 else f"{date.day}th"
        elif language in _ORDINALS:
            day = _ORDINALS[language](date.day)
    forms = ["{d} {m} {y}", "{d} {m} {y}", "{m} {d}, {y}", "{m} {d} {y}", "{y} {m} {d}", "{d}-{m}-{y}", "{d}/{m}/{y}",
             "{d}{m}{y}", "{d}.{m}.{y}", "{d} {m}, {y}", "{y}-{m}-{d}", "{m}-{d}-{y}", "{d}, {m} {y}", "{m}/{d}/{y}",
             "{d} / {m} / {y}", "{m}{d}{y}", "{d} {m} {y}.", "{m} {d} , {y}", "{d},{m},{y}", "{y}, {m} {d}",
             "{m} {d},{y}", "{d} {m},{y}", "{m}{d}, {y}", "{m}, {d} {y}", "{m}. {d} {y}", "{d}. {m} {y}", "{d}_{m}_{y}",
             "{d} - {m} - {y}", "{d}-{m} {y}", "{m} {d} - {y}", "{d}{m} {y}", "{y} {d} {m}"]  # fmt: skip
    form = generator.choice(forms)
    if short and (form.startswith("{y}") or "{d}{y}" in form):
        return None  # 24 March 5, March524: which is the day?
    if any(letter.isdecimal() for letter in name) and ("{d}{m}" in form or "{m}{d}" in form):
        form = "{d} {m} {y}"
    if language == "en" and generator.random() < 0.12:
        form = generator.choice(("the {d} of {m}, {y}", "{d} of {m} {y}", "{m} the {d}, {y}", "the {d} of {m} {y}"))
        day = english_ordinal(date.day)
    if language == "en" and generator.random() < 0.02:
        day = f"{date.day} {english_ordinal(date.day)[-2:]}"
    if language in ("es", "pt", "gl", "ast") and generator.random() < 0.3:
        form = generator.choice(
            (
                "{d} de {m} de {y}",
                "{d} de {m} del {y}",
                "{d} de {m}, {y}",
                "{d} {m} de {y}",
                "{d} de {m} {y}",
                "{d} {m} del {y}",
                "{m} {d} de {y}",
            )
        )
    return form.format(d=day, m=name, y=year), short


def by_clock(generator, identifier, date):
    """As computers print it, with the time before the year: `Thu Sep 25 10:36:28 UTC 2003`."""
    months, weekdays = month_names(identifier)[date.month], weekday_names(identifier)[date.weekday()]
    if not months or not weekdays:
        return None
    hour, minute, second = generator.randrange(24), generator.randrange(60), generator.randrange(60)
    time = f"{hour:02d}:{minute:02d}:{second:02d}"
    if generator.random() < 0.25:
        time = generator.choice(
            (f"{hour:02d}:{minute:02d}", f"{hour % 12 or 12}:{minute:02d} PM", f"{time}.{second:03d}")
        )
    zone = generator.choice(("", "", " UTC", " GMT", " CET", " EST", " +0200", " PDT", " BRT"))
    form = generator.choice(("{w} {m} {d} {c}{z} {y}", "{w} {m} {d:>2} {c}{z} {y}", "{m} {d} {c}{z} {y}", "{w} {d} {m} {c}{z} {y}",
                             "{m} {d}, {c}{z}, {y}", "{d:02}/{m}/{y}:{c}{z}", "[{d:02}/{m}/{y}:{c} +0000]",
                             "{w} {m} {d:02} {y} {c} GMT+0100 (Central European Standard Time)",
                             "{w} {m} {d:02} {y} {c} GMT-0400 (EDT)", "{w}, {d:02} {m} {y} {c} GMT", "{w} {m} {d} {c} {y}{z}",
                             "{m} {d} {y} {c}{z}", "{d:02}{m}{y}:{c}", "{d:02}-{m}-{y} {c}", "{y} {m} {d} {c}{z}"))  # fmt: skip
    text = form.format(
        w=weekdays[-1].rstrip("."), m=months[-1].rstrip("."), d=date.day, c=time, z=zone,
        y=date.year,
    )  # fmt: skip
    return text, False


def by_stamp(generator, identifier, date):
    """As programs name files and log: `2024-03-05_10-30-15`, `2024:03:05 10:30:15`, `051030ZMAR24`."""
    hour, minute, second = generator.randrange(24), generator.randrange(60), generator.randrange(60)
    if generator.random() < 0.16 and 1950 <= date.year < 2050:
        name = calendar.month_abbr[date.month].upper()
        if generator.random() < 0.6:  # Oracle's
            digits = generator.choice((3, 6, 9))
            time = f"{hour % 12 or 12:02d}.{minute:02d}.{second:02d}.{generator.randrange(10**digits):0{digits}d}"
            zone = generator.choice(("", "", " +00:00", " UTC", " -05:00"))
            return f"{date.day:02d}-{name}-{date.year % 100:02d} {time} {generator.choice(('AM', 'PM'))}{zone}", True
        return (
            f"{date.day:02d}{hour:02d}{minute:02d}{generator.choice(('Z', 'Z ', ''))}{name}{date.year % 100:02d}",
            True,
        )
    if generator.random() < 0.06:
        form = generator.choice(("datetime.date({y}, {m}, {d})", "datetime.datetime({y}, {m}, {d}, {h}, {n})", "date({y},{m},{d})",
                                 "datetime({y}, {m}, {d}, {h}, {n}, {s})", "LocalDate.of({y}, {m}, {d})"))  # fmt: skip
        return form.format(y=date.year, m=date.month, d=date.day, h=hour, n=minute, s=second), False
    if generator.random() < 0.3 and date.year >= 1900:
        day, mark = f"{date.year:04d}{date:%m%d}", generator.choice(("", "", "", "-", ":"))
        between = generator.choice(("", "", "_", "-", " ", "T", "."))
    else:
        stroke = generator.choice("--:/._ ")
        day = f"{date.year:04d}{stroke}{date:%m}{stroke}{date:%d}"
        mark = generator.choice((stroke, ":", "-", ".", "_"))
        between = generator.choice((stroke, " ", "_", "T", "-", " at "))
    time = mark.join((f"{hour:02d}", f"{minute:02d}", f"{second:02d}")[: generator.choice((2, 3, 3))])
    fraction = generator.choice(
        ("", "", "", f".{generator.randrange(1000):03d}", "Z", "+01'00'", f"{mark}{second:03d}")
    )
    return f"{day}{between}{time}{fraction}", False


def with_weekday(generator, identifier, date, text):
    """The text with a weekday before or behind it, sometimes a wrong one."""
    number = date.weekday() if generator.random() < 0.85 else generator.randrange(7)
    foreign = generator.random() < 0.04  # the weekday in English
    forms = weekday_names("en" if foreign else identifier)[number]
    if not forms:
        return text
    name = generator.choice(forms)
    if locale_of(identifier).language == "en" and generator.random() < 0.15:
        name = generator.choice(_MORE_WEEKDAYS)[number]
    if name.endswith(".") and generator.random() < 0.6:
        name = name[:-1]
    form = generator.choice(
        ("{w}, {t}", "{w} {t}", "{w}, {t}", "{w} {t}", "{t} {w}", "{t}, {w}", "{t} ({w})", "{t}({w})")
    )
    return form.format(w=name, t=text)


@functools.cache
def _in_words(number, language, kind):
    from num2words import num2words

    with contextlib.suppress(NotImplementedError, AttributeError, TypeError, ValueError, IndexError, KeyError):
        return str(num2words(number, lang=language, to=kind))
    return None


WORD_LANGUAGES = ("am", "ar", "az", "be", "ca", "cs", "da", "de", "en", "es", "fa", "fi", "fr", "he", "hu",
                  "id", "it", "ko", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tg", "tr",
                  "uk", "vi")  # fmt: skip


def by_words(generator, identifier, date):
    """The day, and perhaps the year, in words: `november fourth 2019`, `twenty-first of May nineteen seventy-nine`."""
    language = locale_of(identifier).language
    if language not in WORD_LANGUAGES:
        return None
    forms = month_names(identifier)[date.month]
    day = _in_words(date.day, language, generator.choice(("ordinal", "ordinal", "cardinal")))
    if not forms or day is None:
        return None
    year = str(date.year)
    if generator.random() < 0.5 and 1900 <= date.year < 2100:
        year = _in_words(date.year, language, generator.choice(("year", "cardinal"))) or year
    if language == "en":
        form = generator.choice(("{m} {d} {y}", "{m} {d}, {y}", "{d} of {m} {y}", "the {d} of {m}, {y}", "{d} {m} {y}"))
    elif language in ("es", "pt"):
        form = generator.choice(("{d} de {m} de {y}", "{d} de {m} del {y}", "{d} {m} {y}"))
    elif language == "vi":
        form = generator.choice(("ngày {d} {m} năm {y}", "{d} {m} năm {y}", "{d} {m} {y}"))
    else:
        form = "{y} {m} {d}" if order_of(identifier) == "ymd" else "{d} {m} {y}"
    if language == "en" and generator.random() < 0.5:
        day = day.replace("-", " ")
    elif language == "de" and day.endswith("te"):  # the cases of an ordinal
        day += generator.choice(("", "r", "n"))
    return form.format(d=day, m=generator.choice(forms), y=year), False


def by_roman_month(generator, identifier, date):
    """`5.III.2024`."""
    separator = generator.choice((".", ". ", " ", "/", "-"))
    month = _ROMAN[date.month - 1]
    return separator.join((str(date.day), month, str(date.year))), False
