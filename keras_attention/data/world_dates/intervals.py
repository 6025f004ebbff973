"""What is less than a date, or more: a month, a week, a quarter, some days together, days before Christ."""

import calendar

from keras_attention.data.world_dates.locales import locale_of, month_names, weekday_names
from keras_attention.data.world_dates.surroundings import time_of_day
from keras_attention.data.world_dates.writers import english_ordinal

_WITHIN = ("end of {m} {y}", "beginning of {m} {y}", "mid-{m} {y}", "mid {m} {y}", "early {m} {y}", "late {m} {y}", "{m} of {y}",
           "start of {m} {y}", "Ende {m} {y}", "Anfang {m} {y}", "Mitte {m} {y}", "fin {m} {y}", "début {m} {y}", "mi-{m} {y}",
           "fine {m} {y}", "finales de {m} de {y}", "конец {m} {y}", "koniec {m} {y}", "eind {m} {y}", "in {m} {y}", "{m} '{s}",
           "middle of {m}, {y}", "late {y}", "early {y}", "mid-{y}", "since {y}", "{y}s", "{c}th century", "the {s}s",
           "{m}, {y}", "{m}-{y}", "{m}/{y}", "{y}-{m}", "{m}. {y}")  # fmt: skip
_SEASONS = ("Christmas", "Christmas Eve", "New Year's Eve", "New Year's Day", "Easter", "Easter Monday", "Thanksgiving",
            "Halloween", "Good Friday", "Labor Day", "spring", "summer", "autumn", "fall", "winter", "Ostern", "Weihnachten",
            "Silvester", "Pfingsten", "Noël", "Pâques", "Navidad", "Nochebuena", "Semana Santa", "Natal", "Pasqua",
            "Ferragosto", "Рождество", "Пасха", "春节", "クリスマス", "추석", "Diwali", "Hanukkah", "Passover")  # fmt: skip
_PERIODS = ("{y}-W{w:02d}-{k}", "{y}W{w:02d}{k}", "{y}-W{w:02d}", "{y}W{w:02d}", "week {w}, {y}", "week {w} {y}", "W{w} {y}",
            "week {w} of {y}", "KW {w} {y}", "KW{w}/{y}", "CW {w} {y}", "{w}. KW {y}", "semaine {w} {y}", "semana {w} de {y}",
            "uke {w} {y}", "vecka {w}, {y}", "{y}年第{w}周", "wk {w} {y}", "wk{w:02d}", "{y}-{j:03d}", "{y}{j:03d}", "{y}/{j:03d}",
            "{y}.{j:03d}", "day {j} of {y}", "{y} day {j}", "Q{q} {y}", "{q}Q {y}", "Q{q}/{y}", "{y}Q{q}", "{y}-Q{q}", "{q}Q{s}",
            "H{h} {y}", "{h}H {y}", "FY{y}", "FY {y}", "FY{s}", "FY{y}/{n}", "T{q} {y}", "{q}. Quartal {y}", "{y}/{n}",
            "first quarter of {y}", "third quarter {y}", "second half of {y}", "{q}º trimestre de {y}", "{y}-{n}",
            "{e} {y}", "{e} {y}", "{e} {y}", "{e} '{s}", "{y} {e}")  # fmt: skip


def part(generator, identifier, date):
    """A part of a date: month and year, day and month, a weekday, a month, a time; `end of March 2024`."""
    months, weekdays = month_names(identifier)[date.month], weekday_names(identifier)[date.weekday()]
    month = generator.choice(months or ["March"])
    weekday = generator.choice(weekdays or ["Monday"])
    if generator.random() < 0.25:
        return generator.choice(_WITHIN).format(
            m=month, y=date.year, s=f"{date.year % 100:02d}", c=date.year // 100 + 1
        )
    form = generator.choice(("{m} {y}", "{d} {m}", "{m} {d}", "{w}", "{m}", "{w} {c}", "{c}", "{w}, {d} {m}", "{y}", "{d}",
                             "{y} {m}", "{d}. {m}", "{w} {d}", "{m} {c}", "{w}, {m} {d}"))  # fmt: skip
    return form.format(m=month, y=date.year, d=date.day, w=weekday, c=time_of_day(generator))


def interval(generator, identifier, date):
    """Some days of a month, or some months: `5-7 March 2024`, `March 5 and 6, 2024`, `March/April 2024`."""
    last = calendar.monthrange(date.year, date.month)[1]
    first, second = sorted(generator.sample(range(1, last + 1), 2))
    if generator.random() < 0.3:
        second = min(first + generator.randint(1, 3), last)
        first = min(first, second - 1)
    names, others = month_names(identifier)[date.month], month_names(identifier)[date.month % 12 + 1]
    name, other = generator.choice(names or ["March"]), generator.choice(others or ["April"])
    days = [first, second]
    if locale_of(identifier).language == "en" and generator.random() < 0.3:
        days = [english_ordinal(day) for day in days]
    elif generator.random() < 0.15:
        days = [f"{day}." for day in days]
    between = generator.choice(("-", "-", "–", " - ", " – ", "/", " and ", " & ", " to ", ", ", " or ", "-", " bis ", " au ", " al ",
                                " a ", " y ", " et ", " und ", " e ", "~", "～", "至", " до ", "—", " through ", "+", " / "))  # fmt: skip
    form = generator.choice(("{a}{b}{c} {m} {y}",) * 4 + ("{m} {a}{b}{c}, {y}",) * 4 + ("{m} {a}{b}{c} {y}", "between {a} and {c} {m} {y}",
                             "from {a} to {c} {m} {y}", "{m} {a}{b}{m} {c}, {y}", "{a} {m}{b}{c} {m} {y}", "{a} {m}{b}{c} {n} {y}",
                             "{m} {a}{b}{n} {c}, {y}", "{m}{b}{n} {y}", "du {a} au {c} {m} {y}", "del {a} al {c} de {m} de {y}",
                             "vom {a} bis {c} {m} {y}", "с {a} по {c} {m} {y}", "{y} {m} {a}{b}{c}", "{a}{b}{c}/{o}/{y}", "{a}{b}{c}.{o:02d}.{y}",
                             "{y}年{o}月{a}日{b}{c}日", "{a}{b}{c} {m}"))  # fmt: skip
    if form in ("{a}{b}{c}/{o}/{y}", "{a}{b}{c}.{o:02d}.{y}") and between.strip() in (
        "/",
        "",
        ",",
        ".",
        "-",
        "–",
        "—",
        "+",
        "~",
        "～",
    ):
        between = "-"  # `5-7/3/2024` has four numbers
    return form.format(a=days[0], b=between, c=days[1], m=name, n=other, o=date.month, y=date.year)


def week_or_quarter(generator, identifier, date):
    """A week, a day of the year, a quarter, a season, a holiday: `2024-W10-2`, `2024-065`, `Q1 2024`, `Easter 2024`."""
    year = date.year if date.year >= 1000 else 2024
    return generator.choice(_PERIODS).format(
        y=year,
        n=year + 1,
        s=f"{year % 100:02d}",
        w=generator.randint(1, 53),
        k=generator.randint(1, 7),
        j=generator.randint(1, 366),
        q=generator.randint(1, 4),
        h=generator.randint(1, 2),
        e=generator.choice(_SEASONS),
    )


def before_christ(generator, identifier, date):
    """A date before Christ: `15 March 44 BC`."""
    eras = locale_of(identifier).eras
    own = [eras[width][0] for width in ("abbreviated", "wide") if 0 in eras.get(width, {})]
    era = generator.choice((*own, *own, "BC", "BC", "B.C.", "BCE", "v. Chr.", "av. J.-C.", "a. C.", "до н. э.", "a.C."))
    month = generator.choice(month_names(identifier)[date.month] or ["March"])
    form = generator.choice(("{d} {m} {y} {e}", "{m} {d}, {y} {e}", "{y} {e}", "{d}. {m} {y} {e}", "{d}/{n}/{y} {e}", "{y} {m} {d} {e}",
                             "{m} {y} {e}", "{e} {y}"))  # fmt: skip
    return form.format(d=date.day, m=month, n=date.month, y=generator.randint(1, 3000), e=era)
