"""Dates of all locales: answers are right by construction, refusals are no dates, tests are apart."""

import datetime
import itertools
import random
import re
import string
import unicodedata
from urllib.parse import unquote

import pytest

from keras_attention import date_reading
from keras_attention.data.world_dates import (
    HELD_OUT,
    all_locales,
    babel_dates,
    eras,
    generate,
    generate_world_dates,
    hint_of,
    hints,
    learned_locales,
    locale_hints,
    phrases,
    refusals,
    split_of,
    surroundings,
    writers,
)
from keras_attention.data.world_dates.locales import (
    abbreviations,
    accents_may_go,
    digits_of,
    in_digits,
    month_names,
    months_by_name,
    order_of,
    without_accents,
)
from keras_attention.data.world_dates.surroundings import in_other_characters, mistyped
from keras_attention.tasks.date_reader import VALID


@pytest.fixture(scope="module")
def pairs():
    return generate_world_dates(6000, seed=3)


def test_a_seed_fixes_the_pairs(pairs):
    assert generate_world_dates(500, seed=3) == pairs[:500]
    assert generate_world_dates(500, seed=4) != pairs[:500]


@pytest.mark.parametrize("identifier", ["en", "de", "fr", "ru", "tr", "lb"])
def test_an_abbreviation_begins_one_month_alone(identifier):
    names = month_names(identifier)
    assert abbreviations(identifier)[2] and not abbreviations(identifier)[5]
    for month, starts in abbreviations(identifier).items():
        for start in starts:
            begun = {other for other, forms in names.items() for form in forms if form.startswith(start)}
            assert begun == {month}
            assert months_by_name().get(start.lower(), {month}) == {month}


def test_every_answer_is_a_valid_date_or_the_refusal(pairs):
    assert all(VALID.allows(answer) for _, answer in pairs)
    refused = sum(answer == "?" for _, answer in pairs) / len(pairs)
    assert 0.15 < refused < 0.25


def test_what_is_left_to_tests_is_not_learned(pairs):
    marks = re.compile("^[\ue000\ue001]?(\ue002.*?\ue003)?")
    learned = {marks.sub("", text) for text, _ in pairs}
    assert set(map(split_of, learned)) == {"train"}
    for split in ("validation", "test"):
        apart = generate_world_dates(300, seed=3, split=split)
        assert {split_of(marks.sub("", text)) for text, _ in apart} == {split}
    assert {split_of(text) for text, _, _ in babel_dates(50)} == {"test"}
    assert split_of("3 May 2024") == split_of("３ MAY 2024")  # noqa: RUF001  case and width do not matter
    with pytest.raises(ValueError, match="one of"):
        generate_world_dates(1, split="tests")


def test_held_out_locales_are_of_cldr_and_not_learned():
    assert set(HELD_OUT) < set(all_locales())
    assert set(learned_locales()) == set(all_locales()) - set(HELD_OUT)


def test_every_locale_is_there_and_they_can_be_chosen():
    assert len(all_locales()) > 1000
    some = generate_world_dates(300, seed=1, locales=["de"], refusals=0.0, hints=0.0)
    german = [
        text.lower()
        for text, _ in some
        if re.search("januar|februar|märz|mai|juni|juli|oktober|dezember", text.lower())
    ]
    assert len(german) > 50


DATES = [datetime.date(2024, 3, 5), datetime.date(1999, 12, 31), datetime.date(1950, 2, 28), datetime.date(2008, 2, 29)]


@pytest.mark.parametrize("date", DATES, ids=str)
@pytest.mark.parametrize("identifier", ["en_US", "de", "ko", "hu", "en_GB"])
def test_numbers_are_in_an_order_that_gives_the_date(identifier, date):
    generator = random.Random(0)
    for _ in range(300):
        text, two_digits = writers.by_numbers(generator, identifier, date)
        numbers = re.findall(r"\d+", text)
        assert len(numbers) == 3, text
        year = f"{date.year % 100:02d}" if two_digits else str(date.year)
        orders = ("dmy", "mdy", "ymd", "ydm") if date.day > 12 else ("dmy", "mdy", "ymd")
        readings = {order for order in orders
                    if all(int(number) == {"d": date.day, "m": date.month, "y": int(year)}[letter]
                           for letter, number in zip(order, numbers, strict=True))}  # fmt: skip
        assert readings, text
        if not text[0].isdecimal():
            assert two_digits and readings >= {"ymd"}, text
        elif date.day <= 12 and not text.startswith(year):
            assert order_of(identifier) in readings or order_of(identifier) == "ymd"


def dates_in(text):
    """Every way in which three numbers of a text are a date."""
    found = []
    numbers = re.findall(r"\d+", text)
    for three in zip(numbers, numbers[1:], numbers[2:], strict=False):
        for order in itertools.permutations(three):
            year, month, day = order
            if order[0] not in (three[0], three[2]) or len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
                continue
            for century in ("", "19", "20") if len(year) == 2 else ("",):
                try:
                    if 1500 < int(century + year) < 2400:
                        found.append(datetime.date(int(century + year), int(month), int(day)))
                except ValueError:
                    pass
    return found


def test_the_oracle_of_the_next_test_sees_dates():
    assert dates_in("5/3/2024")
    assert dates_in("on 24-03-05 at")
    assert not dates_in("31/02/2024")


@pytest.mark.parametrize("date", [datetime.date.min, datetime.date.max], ids=str)
def test_every_locale_writes_the_first_and_the_last_year(date):
    generator = random.Random(0)
    for identifier in all_locales():
        for pattern in writers._skeletons(identifier):
            writers.by_babel(generator, identifier, date, [pattern])


def test_no_year_is_also_that_of_another_calendar():
    generator = random.Random(0)
    years = {generate._random_date(generator).year for _ in range(60_000)}
    assert years & set(range(1000, 1280)) and years & set(range(2644, 5600))
    assert not years & {year for others in generate._OF_OTHER_CALENDARS for year in others}


def test_languages_that_are_not_widely_read_are_learned_alike_whatever_their_number_of_locales():
    locales = [name for name in all_locales() if name.split("_")[0] in ("ff", "ee")]
    assert sum(name.startswith("ff") for name in locales) > 20
    pairs = generate_world_dates(2000, locales=locales, hints=1.0)
    hinted = re.findall("\ue002(.*?)\ue003", "".join(text for text, _ in pairs))
    few, many = hinted.count("ee"), hinted.count("ff")
    assert few + many > 500 and 0.4 < few / (few + many) < 0.6


def test_the_last_days_of_a_month_are_seldom_no_date_where_its_name_is_seldom_learned():
    generator, found = random.Random(0), {}
    for language in ("en", "de", "ee", "sg"):
        texts = [refusals.impossible(generator, language, datetime.date(2023, 5, 9)) for _ in range(3000)]
        found[language] = sum(
            bool(re.search(r"[^\W\d_]{3}", text) and re.search(r"\b(29|30|31)\D", text)) for text in texts
        )
    assert 4 * max(found["ee"], found["sg"]) < min(found["en"], found["de"])
    assert found["ee"] > 50


def test_the_last_days_of_a_month_are_dates_far_more_often_than_no_dates():
    generator = random.Random(0)
    dates = [generate._random_date(generator) for _ in range(20_000)]
    last = sum((date + datetime.timedelta(days=1)).day == 1 for date in dates if date < datetime.date.max)
    assert 0.1 < last / len(dates) < 0.16  # by chance 0.03
    texts = [
        (text, answer) for text, answer in generate_world_dates(30_000, seed=6, locales=["de", "en", "pt"], hints=0.0)
        if re.search(r"\b31\b", text) and re.search(r"[^\W\d_]{3}", text)
    ]  # fmt: skip
    refused = sum(answer == "?" for _, answer in texts)
    assert len(texts) > 1000 and 0.05 < refused / len(texts) < 0.25


def test_a_month_that_is_another_elsewhere_comes_with_its_language_more_often():
    assert hints.is_of_two_months("15 OUT. 2014") and not hints.is_of_two_months("15 outubro 2014")
    texts = [text for text, _ in generate_world_dates(20_000, seed=7, locales=["pt", "ee"], refusals=0.0)]
    told = {
        two: [text.count("\ue002") for text in texts if hints.is_of_two_months(text) == two] for two in (True, False)
    }
    assert len(told[True]) > 300
    assert sum(told[True]) / len(told[True]) > 0.4 and sum(told[False]) / len(told[False]) < 0.15
    assert not any("\ue002" in text for text, _ in generate_world_dates(500, locales=["pt"], hints=0.0))


def test_days_in_words_have_the_cases_of_german():
    texts = {writers.by_words(random.Random(seed), "de", datetime.date(2024, 5, 1))[0] for seed in range(200)}
    assert {"erste Mai 2024", "erster Mai 2024", "ersten Mai 2024", "eins Mai 2024"} <= texts


def test_what_is_shortened_is_written_without_its_dot_too():
    found = {in_other_characters(random.Random(seed), "pt", "15. de out. 2014, 9 a.m. (v1.2)") for seed in range(300)}
    assert {"15. de out. 2014, 9 a.m. (v1.2)", "15. de out 2014, 9 a.m (v1.2)"} <= found


def test_a_day_that_is_told_by_another_is_no_date():
    texts = {refusals.relative(random.Random(seed), "en", datetime.date(2024, 3, 5)) for seed in range(2000)}
    told = {text for text in texts if "2024" in text}
    assert 0.05 < len(told) / len(texts) < 0.5
    assert all(re.search("after|before|from|nach|lendemain|après|después|antes", text) for text in told), told


def test_what_is_impossible_is_no_date():
    generator = random.Random(1)
    for _ in range(4000):
        text = refusals.impossible(generator, generator.choice(["en", "de", "ru"]), generate._random_date(generator))
        if not re.search(r"[^\W\d_]", text):
            assert not dates_in(text), text
        else:
            day = int(min(re.findall(r"\d+", text), key=len))
            names = {name: month for month, forms in month_names("en").items() for name in forms}
            for name, month in names.items():
                if re.search(rf"\b{name}\b", text):
                    year = int(max(re.findall(r"\d+", text), key=len))
                    with pytest.raises(ValueError, match=r"day|month"):
                        datetime.date(year, month, day)


# The others have years of another calendar, times, and several dates.
WITHOUT_DATES = set(refusals.REFUSALS) - {refusals.of_another_calendar, refusals.part, refusals.interval}


@pytest.mark.parametrize("kind", sorted(WITHOUT_DATES, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_no_refusal_is_a_date_of_three_numbers(kind):
    generator = random.Random(2)
    for _ in range(1500):
        text = kind(generator, generator.choice(all_locales()), generate._random_date(generator))
        if not re.search(r"[^\W\d_]", text) and not re.fullmatch(r"\d{4,}|[\d.]+\.[\d.]+\.[\d.]+\.\d+", text):
            assert not dates_in(text), text


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ((2024, 3, 5), ("令和", 6)),
        ((2019, 5, 1), ("令和", 1)),
        ((2019, 4, 30), ("平成", 31)),
        ((1989, 1, 7), ("昭和", 64)),
        ((1926, 12, 25), ("昭和", 1)),
        ((1912, 7, 29), ("明治", 45)),
        ((1912, 7, 30), ("大正", 1)),
        ((1873, 1, 1), ("明治", 6)),
        ((1872, 12, 31), None),
    ],
)
def test_eras_of_japan_begin_and_end_on_their_days(date, expected):
    assert eras.japanese_year(datetime.date(*date)) == expected


def test_dates_of_other_calendars_have_years_that_no_date_has():
    generator, kinds = random.Random(0), set()
    for _ in range(600):
        text = refusals.of_another_calendar(generator, "en", datetime.date(2024, 3, 5))
        year = next(number for number in re.findall(r"\d+", text) if len(number) == 4)
        assert any(int(year) in years for years in generate._OF_OTHER_CALENDARS), text
        kinds.add((int(year) // 1000, year.isascii(), any(letter.isalpha() for letter in text)))
    assert {(1, False, False), (1, False, True), (2, False, False), (2, True, False), (5, True, True)} <= kinds


@pytest.mark.parametrize("language", sorted(phrases.PHRASES))
def test_phrases_of_a_language_say_day_month_and_year(language):
    date = datetime.date(2024, 3, 25)
    for phrase in phrases.PHRASES[language]:
        fields = {name for _, name, _, _ in string.Formatter().parse(phrase) if name}
        assert fields in [set(kinds) for kinds in itertools.product("do", "mn", "ybs")], phrase
    generator, short = random.Random(0), set()
    for _ in range(200):
        text, two_digits = phrases.by_phrase(generator, language, date)
        assert "25" in text and two_digits != ("2024" in text or "2567" in text), text
        short.add(two_digits)
    assert short == ({True, False} if language in ("ko", "zh", "yue") else {False})


def test_years_of_an_era_by_its_letter():
    generator = random.Random(0)
    found = {eras.by_era_letter(generator, "ja", datetime.date(2013, 8, 13))[0] for _ in range(300)}
    assert {"H25.8.13", "平成25/8/13", "H25年08月13日"} <= found
    assert eras.by_era_letter(generator, "ja", datetime.date(1850, 1, 1)) is None


def test_numbers_near_a_date_have_words_or_marks_between():
    for form in (*surroundings._COUNTED, *surroundings._COUNTED_WORDS):
        assert form.count("{t}") == 1 and not re.search(r"(?<!\S){[nm]} ?{t}|{t} ?{[nm]}", form), form
    generator = random.Random(0)
    found = [surroundings.with_numbers(generator, "5 May 2024", lambda count: "x " * count) for _ in range(300)]
    assert all("5 May 2024" in text for text in found) and any("x x" in text for text in found)
    assert surroundings.with_numbers(generator, "25/3/24", str) == "25/3/24"


def test_a_date_in_a_long_text_has_no_numbers_beside_it():
    generator = random.Random(0)
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    for date in ("5 May 2024", "5/3/24"):
        texts = [
            surroundings.in_a_long_text(generator, date, lambda count: " ".join(words.split()[:count]))
            for _ in range(300)
        ]
        for text in texts:
            before, behind = text.split(date)
            assert not re.search(r"\d\W*$", before) and not re.match(r"\W*\d", behind), text
        assert any(re.search(r"\d", text.replace(date, "")) for text in texts)
        years = [number for text in texts for number in re.findall(r"\b\d\d?\b|\b\d{4}\b", text.replace(date, ""))]
        assert bool(years) == (date == "5 May 2024")  # a date without a year would be given one


def test_some_texts_are_long_with_a_date_and_without(pairs):
    long = [(text, answer) for text, answer in pairs if len(text) > 100]
    assert 0.01 < len(long) / len(pairs) < 0.05 and max(len(text) for text, _ in long) < date_reading.LONGEST
    assert 0.1 < sum(answer == "?" for _, answer in long) / len(long) < 0.5


def test_months_that_people_write_beside_those_of_cldr():
    assert "tháng mười" in month_names("vi")[10] and "Maerz" in month_names("de_AT")[3]
    assert "Pebruari" in month_names("id")[2] and "Pebruari" not in month_names("de")[2]
    assert month_names("vi")[1][-2:] == ["tháng một", "tháng giêng"]


def test_other_ways_to_count():
    assert [eras._han(number) for number in (3, 10, 11, 20, 31)] == ["三", "十", "十一", "二十", "三十一"]
    text, _ = eras.by_buddhist_year(random.Random(0), "th", datetime.date(2024, 3, 5))
    assert "2567" in text or in_digits("2567", digits_of("th")) in text
    assert writers.english_ordinal(11) == "11th"
    assert [writers.english_ordinal(number) for number in (1, 2, 3, 13, 21, 22)] == [
        "1st",
        "2nd",
        "3rd",
        "13th",
        "21st",
        "22nd",
    ]
    assert without_accents("février") == "fevrier"


def test_a_mistyped_month_is_no_other_month():
    names = {"march", "mars", "merch"}
    generator = random.Random(0)
    for _ in range(300):
        text = mistyped(generator, "5 march 2024", names.__contains__)
        word = text.split()[1]
        assert text.split()[::2] == ["5", "2024"]
        assert word == "march" or word not in names


@pytest.mark.parametrize("locale", ["en_US", "de", "ko"])
def test_a_hint_never_says_another_order_than_the_answer(locale):
    for text, answer in generate_world_dates(4000, seed=5, locales=[locale], refusals=0.0, hints=1.0):
        marks, rest = re.fullmatch("([\ue000\ue001]?)(?:\ue002.*?\ue003)?(.*)", text, re.DOTALL).groups()
        numbers = re.findall(r"\d+", rest)
        if len(numbers) == 3 and marks and not re.search(r"[^\W\d_]|:", rest):
            month, day = map(int, answer.split("-")[1:])
            if month != day and day <= 12 and [int(number) for number in numbers[:2]] in ([day, month], [month, day]):
                assert (marks == "\ue000") == (int(numbers[0]) == day), (text, answer)


def test_months_stay_apart_without_accents_or_keep_them():
    assert accents_may_go("fr")
    assert not accents_may_go("dyo")  # Sú and Su
    assert not accents_may_go("hi")  # whose signs are vowels
    for identifier in filter(accents_may_go, all_locales()):
        bare = {}
        for month, forms in month_names(identifier).items():
            for form in forms:
                assert bare.setdefault(without_accents(form).lower(), month) == month


def test_numbers_stay_apart_where_spaces_go():
    generator = random.Random(0)
    for _ in range(3000):
        text = in_other_characters(generator, "en", "5 3 2024 at 10:30")
        numbers = [int(number) for number in re.findall(r"\d+", unicodedata.normalize("NFKC", unquote(text)))]
        assert numbers == [5, 3, 2024, 10, 30], text


def test_hints_are_those_of_the_locale():
    known = locale_hints()
    assert known["en_US"] == ("en", False)
    assert known["de_AT"] == ("de", True)
    assert known["ko"] == ("ko", None)
    assert hint_of("en_US") == "\ue001\ue002en\ue003"
    assert hint_of("en_US", day_first=True) == "\ue000\ue002en\ue003"
    assert hint_of(day_first=False) == "\ue001"
    assert hint_of("hu") == "\ue002hu\ue003"
