"""What is no date: words, numbers, impossible dates, relative ones, other calendars, several dates."""

import calendar

from keras_attention.data.world_dates.intervals import before_christ, interval, part, week_or_quarter
from keras_attention.data.world_dates.locales import (
    LANGUAGES,
    MORE_LANGUAGES,
    digits_of,
    in_digits,
    locale_of,
    month_names,
)
from keras_attention.data.world_dates.surroundings import time_of_day
from keras_attention.data.world_dates.writers import english_ordinal

WORDS = """
    hello world thank you main street avenue road order number invoice total price item page chapter version
    test foo bar none null unknown n/a nan tbd pending yes no maybe please contact info about home search login
    user name address phone email city country state code id ref amount qty size color blue red green one two
    three first second last next summer winter spring autumn the a of and in for with from quick brown fox jumps
    over lazy dog lorem ipsum dolor sit amet bonjour merci rue avenue hola gracias calle guten tag danke strasse
    ciao grazie via привет спасибо улица 你好 谢谢 街道 こんにちは ありがとう 안녕하세요 감사합니다 مرحبا شكرا שלום תודה नमस्ते धन्यवाद
    สวัสดี ขอบคุณ xin chào cảm ơn merhaba teşekkürler march may august june mars mai decade century year month
    day week hour minute birthday anniversary deadline
""".split()  # noqa: SIM905  a line of each would be longer than all else here
_RELATIVE = """today|tomorrow|yesterday|now|in {n} days|{n} days ago|{n} weeks ago|next week|last month|next Monday|last
Friday|this morning|{n} hours ago|{n} minutes ago|a week ago|the day after tomorrow|tonight|in an hour|end of month|next
year|heute|morgen|gestern|vor {n} Tagen|in {n} Wochen|nächste Woche|letzten Monat|übermorgen|aujourd'hui|demain|hier|il y a
{n} jours|dans {n} jours|la semaine prochaine|hoy|mañana|ayer|hace {n} días|en {n} semanas|la próxima semana|hoje|amanhã|
ontem|há {n} dias|oggi|domani|ieri|{n} giorni fa|vandaag|gisteren|{n} dagen geleden|сегодня|завтра|вчера|{n} дней назад|
через {n} дня|dziś|jutro|wczoraj|{n} dni temu|bugün|yarın|dün|{n} gün önce|今天|明天|昨天|{n}天前|今日|明日|昨日|{n}日前|오늘|
내일|어제|{n}일 전|اليوم|غدا|أمس|منذ {n} أيام|היום|מחר|אתמול|आज|कल|วันนี้|พรุ่งนี้|เมื่อวาน|hôm nay|ngày mai|hôm qua|hari ini|besok|
kemarin|i dag|i morgen|i går|idag|igår|tänään|huomenna|eilen|dnes|zítra|včera|σήμερα|αύριο|χθες|ma|holnap|tegnap""".replace(
    "\n", " "
).split("|")
# A day that is told by another.
_FROM_A_DATE = ("the day after {t}", "the day before {t}", "day after {t}", "{n} days after {t}", "{n} days before {t}", "{n} days from {t}",
                "{n} weeks after {t}", "a week before {t}", "am Tag nach dem {t}", "{n} Tage nach dem {t}", "le lendemain du {t}",
                "{n} jours après le {t}", "el día después del {t}", "{n} días antes del {t}")  # fmt: skip
_HIJRI = ("محرم", "صفر", "ربيع الأول", "ربيع الآخر", "جمادى الأولى", "جمادى الآخرة", "رجب", "شعبان", "رمضان", "شوال",
          "ذو القعدة", "ذو الحجة", "Muharram", "Safar", "Rajab", "Shaban", "Ramadan", "Shawwal", "Dhu al-Hijjah",
          "Ramazan", "Zilhicce", "Rabi al-Awwal")  # fmt: skip
_JALALI = ("فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
           "Farvardin", "Ordibehesht", "Khordad", "Tir", "Mordad", "Shahrivar", "Mehr", "Aban", "Azar", "Dey", "Bahman",
           "Esfand", "حمل", "ثور", "جوزا", "سرطان")  # fmt: skip
_HEBREW = ("תשרי", "חשוון", "כסלו", "טבת", "שבט", "אדר", "ניסן", "אייר", "סיוון", "תמוז", "אב", "אלול", "Tishri", "Kislev",
           "Shevat", "Adar", "Nisan", "Iyar", "Sivan", "Tammuz", "Elul")  # fmt: skip
_DAY_OF_A_MONTH = ("{d} {m} {y}", "{m} {d}, {y}", "{d}. {m} {y}", "{d}-{m}-{y}", "{d} de {m} de {y}", "{o} {m} {y}", "{m} {o}, {y}",
                   "{m} {o} {y}", "{m} {d} {y}", "{o} of {m} {y}", "{m}-{d}-{y}", "{y} {m} {d}")  # fmt: skip
# Lists, sums, sizes, angles, colours, durations, sections, versions.
_TOLD = ("{a}, {b} and {c}", "{a}, {b}, {h}", "[{a}, {h}, {b}]", "({a},{b})", "{a} + {b} = {h}", "{h} - {a} = {b}", "{a} x {b} x {c}", "{a} x {b} x {c} cm", "{a}x{b}x{c}", "{a}GB / {c}GB", "{a} MB of {c} MB",
         "{a} kg, {b} cm", "{a}°{b}'{c}\"N", "{a}° {b}' {c}\" E", "rgb({a}, {b}, {c})", "PT{a}H{b}M", "{a}h {b}m {c}s", "{a}h{b}m", "§ {a} Abs. {b}", "Art. {a}, {b}", "Python {b}.{a}.{c}", "Version {b}.{a}.{c}",
         "{w} {a} {w} {b} {w} {c}", "{a} {w}s, {b} {w}s", "{a} of {b} {w}s", "{h}.{h}.{b}.{a}:{y}", "{a}/{b}/{c} mm", "{h}/{a}R{b}", "{a} or {b} or {c}", "{a}% of {h}, {b}%")  # fmt: skip
_MARKS = "/.-:,;#!?&*()[]{}<>|~+=%$€@_\"'"


def words(generator, identifier, date):
    """A few words, some with numbers."""
    some = [generator.choice(WORDS) for _ in range(generator.randint(1, 5))]
    if generator.random() < 0.4:
        some.insert(generator.randrange(len(some) + 1), str(generator.randrange(10 ** generator.randint(1, 5))))
    return " ".join(some)


def letters(generator, identifier, date):
    """Letters and marks at random."""
    alphabet = generator.choice(("abcdefghijklmnopqrstuvwxyz", _MARKS, "abcdefghij0123456789", _MARKS + "0123456789"))
    text = "".join(generator.choice(alphabet) for _ in range(generator.randint(0, 14)))
    return text if sum(letter.isdecimal() for letter in text) < 4 else "".join(x for x in text if not x.isdecimal())


def numbers(generator, identifier, date):
    """Numbers that are no dates: of telephones, versions, amounts, addresses of the internet, seconds since 1970."""
    n = generator.randrange
    if generator.random() < 0.35:
        some = {"a": n(1, 100), "b": n(60), "c": n(10 ** n(1, 4)), "h": n(100, 1000), "y": n(1000, 10_000)}
        return generator.choice(_TOLD).format(w=generator.choice(WORDS), **some)
    return generator.choice(
        (
            lambda: str(n(10 ** generator.randint(1, 7))),
            lambda: str(n(10**9, 2 * 10**9)),
            lambda: f"{n(1000)}-{n(1000):03d}-{n(10000):04d}",
            lambda: f"+{n(1, 99)} {n(100, 1000)} {n(10**6)}",
            lambda: f"({n(100, 1000)}) {n(100, 1000)}-{n(1000, 10000)}",
            lambda: f"{n(10)}.{n(30)}.{n(10)}",
            lambda: f"v{n(10)}.{n(30)}.{n(100)}",
            lambda: f"{n(256)}.{n(256)}.{n(256)}.{n(256)}",
            lambda: f"${n(1000)}.{n(100):02d}",
            lambda: f"{n(1000)},{n(1000):03d}.{n(100):02d}",
            lambda: f"{n(100)}%",
            lambda: (
                f"{n(1, 1000)} {generator.choice(WORDS)} {generator.choice(('Street', 'St.', 'Rd', 'Ave', 'straße'))}"
            ),
            lambda: f"{n(1, 100)}/{n(1, 100)}",
            lambda: f"{n(1, 32)}.{n(1, 13)}.",
            lambda: f"{n(1900, 2100)}",
            lambda: f"{n(1900, 2100)}-{n(1, 13):02d}",
            lambda: f"{n(1, 13):02d}/{n(1900, 2100)}",
            lambda: f"{n(1900, 2100)}-W{n(1, 54):02d}",
            lambda: f"{n(1900, 2100)}/{n(1900, 2100)}",
            lambda: f"{n(10)} {n(10)} {n(10)}",
            lambda: f"{n(100)}:{n(60):02d}",
            lambda: f"#{n(10**6)}",
            lambda: f"{n(100)}.{n(1000)}",
            lambda: f"{n(100, 1000)}-{n(10, 100)}-{n(10000):04d}",
            lambda: f"{n(10)}-{n(10000)}-{n(10000):04d}-{n(10)}",
            lambda: f"{n(1, 13)}/{n(1, 32)}",
            lambda: f"{n(1900, 2100)}{generator.choice(',.;')}{n(1, 32)}",
            lambda: f"{n(13, 100)}:{n(60, 100)}",
            lambda: f"{n(10**11, 10**13)}",
            lambda: f"{n(2200, 10000)}{n(13, 100)}{n(32, 100)}",
            lambda: f"{n(32):02d}{n(13):02d}{n(1950, 2050)}",
        )
    )()


def impossible(generator, identifier, date):
    """A date that is none: 31 February, month 13, day 0 or 32."""
    year = date.year if date.year >= 1000 else date.year + 1000  # of less, one might be the day
    kind = generator.random()
    if kind < 0.45:  # a day that its month has not
        month = generator.choice((2, 2, 2, 4, 6, 9, 11))
        last = calendar.monthrange(year, month)[1]
        day = generator.randint(last + 1, 31)
        if month == 2 and generator.random() < 0.05:  # years that four divides, and that have no such day all the same
            year, day = generator.choice((1700, 1800, 1900, 2100)), 29
    elif kind < 0.7:
        month, day = (
            generator.randint(1, 12),
            generator.choice((0, 0, 0, 32, 33, 34, 35, 36, 38, 40, 45, 50, 56, 61, 77, 99)),
        )
    else:
        month, day = (
            generator.choice((0, 13, 14, 15, 16, 17, 18, 19, 20, 24, 28, 30, 31, 50)),
            generator.randint(13, 31),
        )
    forms = month_names(identifier).get(month)
    # Of a language of which little is learned, `31 ngberere` would otherwise as well be no date as one.
    widely_read = locale_of(identifier).language in (*LANGUAGES, *MORE_LANGUAGES)
    if forms and generator.random() < (0.6 if widely_read or not 0 < day < 32 else 0.1):
        return _named(generator, day, generator.choice(forms), year)
    separator = generator.choice("/.-- ")
    if generator.random() < 0.25 and month > 12 and day > 12:
        return separator.join((str(month), str(day), f"{year % 100:02d}")) if year % 100 > 12 else "13/13/13"
    pad = generator.choice(("02d", "02d", "d"))
    day, month, year = format(day, pad), format(month, pad), f"{year:04d}"
    if int(month) == 0 or int(month) > 12 or generator.random() < 0.5:
        return (separator if pad == "d" or generator.random() < 0.8 else "").join((year, month, day))
    return separator.join((day, month, year) if generator.random() < 0.6 else (month, day, year))


def _named(generator, day, month, year):
    """A day of a month that is a word."""
    ordinal = english_ordinal(day) if generator.random() < 0.3 else day
    return generator.choice(_DAY_OF_A_MONTH).format(d=day, o=ordinal, m=month, y=year)


def relative(generator, identifier, date):
    """`tomorrow`, `vor 3 Tagen`, with or without a time; `the day after 5 March 2024`."""
    number, names = generator.randint(1, 30), month_names(identifier)[date.month]
    if names and generator.random() < 0.12:
        text = _named(generator, date.day, generator.choice(names), date.year)
        return generator.choice(_FROM_A_DATE).format(n=number, t=text)
    text = generator.choice(_RELATIVE).format(n=number).strip()
    return f"{text} {time_of_day(generator)}" if generator.random() < 0.15 else text


def of_another_calendar(generator, identifier, date):
    """A date of a calendar that is not answered: Islamic, Persian, Hebrew, and of the Buddhist one in numbers alone."""
    months, years, eras, language = generator.choice(
        (
            (_HIJRI, (1300, 1460), ("", "", " هـ", " AH", " H"), "ar"),
            (_JALALI, (1280, 1420), ("", "", " ه.ش", " AP", " SH"), "fa"),
            (_HEBREW, (5600, 5800), ("", "", " AM"), "he"),
            (None, (2443, 2643), ("",), "th"),
        )
    )
    forms = ("{y}/{n}/{d}{e}", "{d}/{n}/{y}{e}", "{y}-{n}-{d}{e}", "{y}/{n:02}/{d:02}{e}", "{y}-{n:02}-{d:02}", "{d:02}/{n:02}/{y}",
             "{d}.{n}.{y}", "{d}-{n}-{y}{e}", "{y}.{n}.{d}")  # fmt: skip
    if months is not None and generator.random() < 0.6:
        forms = ("{d} {m} {y}{e}", "{d} {m} {y}{e}", "{m} {d}, {y}{e}", "{y} {m} {d}")
    text = generator.choice(forms).format(
        d=generator.randint(1, 30),
        m=generator.choice(months or [""]),
        y=generator.randint(*years),
        e=generator.choice(eras),
        n=generator.randint(1, 12),
    )
    digits = digits_of(language)
    return text if digits is None or generator.random() < 0.5 else in_digits(text, digits)


def several(generator, identifier, date, write):
    """Two dates, which is one too many: `write` writes one."""
    between = generator.choice((" - ", "–", " to ", " and ", " bis ", " until ", " / ", ", ", " au ", " al ", " — ", " & ",
                                " или ", " or ", "~", "至", "から", " a ", ";", "/", "--", " -> ", " through ", " thru "))  # fmt: skip
    return f"{write()}{between}{write()}"


REFUSALS = (
    words,
    words,
    letters,
    numbers,
    numbers,
    numbers,
    impossible,
    impossible,
    part,
    interval,
    interval,
    week_or_quarter,
    before_christ,
    relative,
    of_another_calendar,
    of_another_calendar,
)
