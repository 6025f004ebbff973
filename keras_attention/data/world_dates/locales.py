"""What is known of a locale: names of months and weekdays, the order of numbers, digits of its own."""

import functools
import re
import unicodedata

from babel import Locale, localedata

# The languages that most people speak, first and second language together (Ethnologue 2024), as CLDR calls them.
LANGUAGES = ("en", "zh", "hi", "es", "ar", "fr", "bn", "pt", "ru", "ur", "id", "de", "ja", "mr", "te", "tr", "ta", "vi",
             "ko", "it")  # fmt: skip

# More that many people write dates in.
MORE_LANGUAGES = ("pl", "uk", "nl", "th", "fa", "cs", "el", "hu", "sv", "ro", "he", "da", "fi", "nb", "no", "bg", "sk", "hr",
                  "sr", "sl", "lt", "lv", "et", "ca", "eu", "gl", "ms", "fil", "ka", "hy", "az", "kk", "uz", "mn", "is",
                  "sq", "mk", "be", "af", "sw", "ne", "si", "km", "my", "gu", "ml", "kn", "pa", "am", "or")  # fmt: skip

# The digit zero of CLDR's numbering systems that count as ASCII does.
ZEROS = {
    "arab": "٠",
    "arabext": "۰",
    "beng": "০",
    "deva": "०",
    "gujr": "૦",
    "guru": "੦",
    "khmr": "០",
    "knda": "೦",
    "laoo": "໐",
    "mlym": "൦",
    "mymr": "၀",
    "orya": "୦",
    "tamldec": "௦",
    "telu": "౦",
    "thai": "๐",
    "tibt": "༠",
    "nkoo": "߀",
    "olck": "᱐",
    "adlm": "\U0001e950",
    "cakm": "\U00011136",
    "mtei": "꯰",
    "hmnp": "\U0001e140",
}
# What people of a language write beside, or instead of, the digits that CLDR has for it.
_MORE_DIGITS = {
    "ar": "arab", "fa": "arabext", "ur": "arabext", "ps": "arabext", "ckb": "arab", "sd": "arab", "bn": "beng",
    "as": "beng", "hi": "deva", "mr": "deva", "ne": "deva", "gu": "gujr", "pa": "guru", "km": "khmr", "kn": "knda",
    "lo": "laoo", "ml": "mlym", "my": "mymr", "or": "orya", "ta": "tamldec", "te": "telu", "th": "thai", "dz": "tibt",
}  # fmt: skip

# What people of a language write for a month beside the names of CLDR.
_MORE_MONTHS = {
    "vi": {1: ("tháng một", "tháng giêng"), 2: ("tháng hai",), 3: ("tháng ba",), 4: ("tháng tư",), 5: ("tháng năm",),
           6: ("tháng sáu",), 7: ("tháng bảy",), 8: ("tháng tám",), 9: ("tháng chín",), 10: ("tháng mười",),
           11: ("tháng mười một",), 12: ("tháng mười hai",)},
    "de": {1: ("Jaenner",), 2: ("Feber",), 3: ("Maerz", "Mrz")},
    "es": {9: ("setiembre", "set")},
    "id": {2: ("Pebruari",), 8: ("Agt", "Ags"), 11: ("Nopember", "Nop")},
}  # fmt: skip


@functools.cache
def locale_of(identifier):
    """The `Locale` of an identifier."""
    return Locale.parse(identifier)


@functools.cache
def all_locales():
    """Every locale of CLDR that Babel has and that is a language: identifiers, sorted."""
    return tuple(name for name in sorted(localedata.locale_identifiers()) if name != "root")


@functools.cache
def month_names(identifier):
    """Forms of the name of each month, from 1: a dict of lists; one that is a number is none."""
    names = _names(locale_of(identifier).months, range(1, 13))
    for month, more in _MORE_MONTHS.get(locale_of(identifier).language, {}).items():
        names[month] += [name for name in more if name not in names[month]]
    return names


@functools.cache
def weekday_names(identifier):
    """Forms of the name of each weekday, from 0, Monday: a dict of lists."""
    return _names(locale_of(identifier).days, range(7))


@functools.cache
def months_by_name():
    """The months that a name is that of in any locale: dict of sets, by the name in lower case, with its dot or without."""
    found = {}
    for identifier in all_locales():
        for month, forms in month_names(identifier).items():
            for form in forms:
                for name in (form.lower(), form.lower().rstrip(".")):
                    found.setdefault(name, set()).add(month)
    return found


@functools.cache
def abbreviations(identifier):
    """First letters of each month's name that CLDR does not have, and that begin no other month: a dict of lists."""
    names = month_names(identifier)
    found = {}
    for month, forms in names.items():
        others = [form.lower() for other, some in names.items() if other != month for form in some]
        starts = {form[:count] for form in forms for count in (3, 4, 5) if form.isalpha() and len(form) > count + 1}
        found[month] = sorted(
            start
            for start in starts
            if not any(other.startswith(start.lower()) for other in others)
            and months_by_name().get(start.lower(), {month}) == {month}
        )
    return found


def _names(names, numbers):
    found = {}
    for number in numbers:
        forms = []
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                name = names.get(context, {}).get(width, {}).get(number)
                if name and name not in forms and re.search(r"[^\W\d_]", name):
                    forms.append(name)
        found[number] = forms
    return found


@functools.cache
def order_of(identifier):
    """The order of day, month and year in the locale's short format: `"dmy"`, `"mdy"` or `"ymd"`."""
    pattern = locale_of(identifier).date_formats["short"].pattern
    letters = re.sub(r"'[^']*'", "", pattern)
    order = "".join(dict.fromkeys(letter.lower() for letter in letters if letter in "dMyL")).replace("l", "m")
    return order if order in ("dmy", "mdy", "ymd") else "dmy"


def day_first_in(identifier):
    """Whether a locale's people write the day before the month, True, after it, False, or begin with the year, None."""
    return {"dmy": True, "mdy": False}.get(order_of(identifier))


@functools.cache
def accents_may_go(identifier):
    """Whether a locale's months are written in an alphabet with accents, and stay apart without them."""
    bare = {}
    for month, forms in month_names(identifier).items():
        for form in forms:
            letters = (unicodedata.name(letter, "") for letter in form if letter.isalpha())
            if not all(name.startswith(("LATIN", "GREEK")) for name in letters):
                return False  # the signs of other scripts are vowels
            if bare.setdefault(without_accents(form).casefold().rstrip("."), month) != month:
                return False
    return True


@functools.cache
def digits_of(identifier):
    """Digits of a script of its own that the locale's people write: a string of ten; None where they have none."""
    system = locale_of(identifier).default_numbering_system
    if system == "hanidec":
        return "〇一二三四五六七八九"
    zero = ZEROS.get(system) or ZEROS.get(_MORE_DIGITS.get(locale_of(identifier).language))
    return None if zero is None else "".join(chr(ord(zero) + number) for number in range(10))


def in_digits(text, digits):
    """A text with its ASCII digits replaced."""
    return text.translate({ord("0") + number: digit for number, digit in enumerate(digits)})


def without_accents(text):
    """A text as it is typed where the keyboard has no accents."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn")
