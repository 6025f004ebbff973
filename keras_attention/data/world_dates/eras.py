"""Years that are counted from something else: of an emperor, of the Republic of China, since Buddha; in Chinese numbers."""

from keras_attention.data.world_dates.locales import digits_of, in_digits, month_names

_HAN = "〇一二三四五六七八九"


def _han(number):
    """A number below a hundred as it is counted: 二十一."""
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else _HAN[tens] + "十") + (_HAN[ones] if ones else "")


def by_han(generator, identifier, date):
    """`二〇二四年三月五日`, and years of an era: `令和6年3月5日`, `民國113年3月5日`."""
    marks = generator.choice((("年", "月", "日"), ("年", "月", "日"), ("年", "月", "号"), ("年", "月", "號")))
    of_era = japanese_year(date)
    kind = generator.random()
    if kind < 0.35:
        year, month, day = "".join(_HAN[int(digit)] for digit in f"{date.year:04d}"), _han(date.month), _han(date.day)
    elif kind < 0.75 and of_era is not None:
        era, number = of_era
        year = era + ("元" if number == 1 and generator.random() < 0.7 else str(number))
        month, day = date.month, date.day
    elif kind < 0.9 and 1945 < date.year < 2200:
        year, month, day = f"{generator.choice(('民國', '民国', '中華民國'))}{date.year - 1911}", date.month, date.day
    else:
        year, month, day = date.year, date.month, date.day
    between = generator.choice(("", "", "", " "))
    return between.join((f"{year}{marks[0]}", f"{month}{marks[1]}", f"{day}{marks[2]}")), False


def by_era_letter(generator, identifier, date):
    """A Japanese year by the first letter of its era, or by its name with numbers: `R6.3.5`, `平成25/8/13`."""
    of_era = japanese_year(date)
    if of_era is None:
        return None
    era, year = of_era
    if generator.random() < 0.7:
        era = {"令和": "R", "平成": "H", "昭和": "S", "大正": "T", "明治": "M"}[era]
    pad = generator.choice(("02d", "d", "d"))
    numbers = [format(number, pad) for number in (year, date.month, date.day)]
    if generator.random() < 0.15:
        return era + "".join(number + mark for number, mark in zip(numbers, "年月日", strict=True)), False
    return era + generator.choice(".../-").join(numbers), False


def japanese_year(date):
    """Era and year of a date in Japan since 1873, until 2199: `("令和", 6)`; None before and after."""
    if date.year > 2199:
        return None
    eras = (("令和", (2019, 5, 1)), ("平成", (1989, 1, 8)), ("昭和", (1926, 12, 25)), ("大正", (1912, 7, 30)),
            ("明治", (1873, 1, 1)))  # fmt: skip
    for era, begin in eras:
        if (date.year, date.month, date.day) >= begin:
            return era, date.year - (1867 if era == "明治" else begin[0] - 1)
    return None


def by_buddhist_year(generator, identifier, date):
    """In Thai, with the year since Buddha: `5 มีนาคม 2567`, `5 มี.ค. พ.ศ. 2567`."""
    name = generator.choice(month_names("th")[date.month])
    era = generator.choice(("", "", "พ.ศ. ", "พ.ศ.", "พุทธศักราช "))
    text = f"{date.day} {name} {era}{date.year + 543}"
    return (in_digits(text, digits_of("th")) if generator.random() < 0.3 else text), False
