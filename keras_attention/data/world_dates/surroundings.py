"""What stands around a date: times, words, brackets; and how it is mistyped."""

import re
import urllib.parse

from keras_attention.data.world_dates.locales import accents_may_go, digits_of, in_digits, without_accents

_BEFORE = ("Date: {}", "date {}", "Due: {}", "due {}", "DOB: {}", "born {}", "Born on {}", "on {}", "On {}", "since {}",
           "Posted {}", "posted on {}", "Published: {}", "Published on {}", "Updated {}", "Last updated: {}", "as of {}",
           "until {}", "by {}", "from {}", "Invoice date: {}", "Expires {}", "Valid until {}", "Created: {}", "Modified: {}",
           "Released: {}", "Release date: {}", "Joined {}", "Meeting on {}", "Deadline: {}", "Event: {}", "le {}", "Le {}",
           "du {}", "publié le {}", "Date : {}", "am {}", "vom {}", "Datum: {}", "den {}", "ab dem {}", "bis {}", "el {}",
           "El {}", "Fecha: {}", "desde el {}", "em {}", "Data: {}", "del {}", "il {}", "op {}", "Datum {}", "от {}", "с {}",
           "Дата: {}", "до {}", "dnia {}", "z dnia {}", "dne {}", "den {}", "Tanggal {}", "pada {}", "Tarih: {}", "ngày {}",
           "Ngày {}", "วันที่ {}", "日期：{}", "日付：{}", "날짜: {}", "تاريخ: {}", "بتاريخ {}", "תאריך: {}", "दिनांक {}",
           "Updated: {}", "Effective {}", "{} -", "- {}", "* {}", "# {}", "~{}", "({})", "[{}]", "<{}>", "\"{}\"", "'{}'",
           "  {}  ", "{}.", "{},", "{};", "{}:", "{} |", "| {}", "/{}", "=> {}", "{}\t", "Version of {}", "Report {}",
           "photo {}", "The contract of {}", "signed {}", "Berlin, {}", "London, {}", "Paris, le {}", "Wien, am {}",
           "before {}", "after {}", "around {}", "ca. {}", "week of {}", "© {}", "(c) {}", "Mis à jour le {}",
           "Created on: {}", "Last-Modified: {}", "Expires={}", "Opublikowano {}", "Опубликовано {}", "投稿日：{}")  # fmt: skip
_MARKUP = ("<b>{}</b>", "<td>{}</td>", "<p>{}</p>", "{{\"date\": \"{}\"}}", "date={}", "date: '{}'", "Date({})", "/{}/", "/blog/{}/",
           "https://example.com/{}/title", "file_{}.txt", "IMG_{}.jpg", "backup-{}.tar.gz", "report-{}.csv", "log.{}",
           "Screenshot {}", "<time datetime=\"{}\">", "@{}", "`{}`", "**{}**", "_{}_", "?d={}", "{}&", "D:{}", "\\{}\\")  # fmt: skip
# With numbers of their own, which cannot be taken for a part of a date whose month is a word.
_COUNTED = ("Vol. {n}, {t}", "Vol {n}, {t}", "No {n}, {t}", "No. {n}, {t}", "Chapter {n}, {t}", "Part {n}, {t}", "p. {n}, {t}", "{n} days ago - {t}", "{n} hours ago, {t}", "Vol. {n} - {t}", "Issue {n} ({t})", "Ep. {n} – {t}", "S{n}E{m} {t}", "Day {n}: {t}", "Room {n}, {t}", "Nr. {n} - {t}", "{n}) {t}", "#{n} {t}", "#{n}: {t}", "Vol. {n}, No. {m}, {t}", "Chapter {n}: {t}",
            "{n} items shipped {t}", "{n} comments | {t}", "{t}, {n} comments", "{t} ({n})", "{t} - {n} min read", "Age {n}, born {t}",
            "Flight BA{n}{m} {t}", "{n} Main Street, {t}", "call 555-{m}{n}{m}{n} on {t}", "{n} of {m}: {t}", "page {n}, {t}",
            "{t}, page {n}", "{t} [{n}]", "(c) {y} {t}", "Copyright {y}, updated {t}", "© {y} Foo. {t}", "FY{y}: {t}",
           "Copyright {y} {s}. {t}", "{s} {n} stars - {t}", "{t} - {n} stars", "{n}. {t}", "{n}: {t}", "{s}, {n} years old, {t}",
           "{t} (v{n}.{m})", "{t} -- {n}", "({n}) {t}", "[{n}] {t}", "{t} by {n} users", "{t} +{n}")  # fmt: skip
# The same with words, `{s}`, between.
_COUNTED_WORDS = ("{n} {s}, {t}", "{s} {n}, {t}", "{n} {s} - {t}", "{s} {n} - {t}", "{s} {n} | {t}", "{n} {s} | {t}", "{s} {n}: {t}",
                  "{n} {s} {t}", "{s} {n} {s} {t}", "{s} {n} {s}, {t}", "{n}. {s} {t}", "{n}. {s}, {t}", "{s} ({n}) {t}", "{s} #{n} {t}",
                  "{t} - {n} {s}", "{t}, {n} {s}", "{t} {s} {n}", "{t}, {s} {n}", "{t} | {s} {n}", "{t}: {n} {s}", "{t} ({n} {s})",
                  "{s} {n}.{m} {s} {t}", "{s} {n}, {s} {m}, {t}", "{s}, {t}, {n} {s}", "{s} {t} ({n})")  # fmt: skip
# Likewise, around a date whose year has four digits.
_LOGGED = ("id={n}&date={t}", "{n}.{m}.{n} - {t}", "v{n}.{m} ({t})", "version {n}.{m}.{n} {t}", "[{t}] INFO {n}", "{t} ERROR foo", "{t},{n}.{m},foo",
           "foo;{t};bar", "-rw-r--r-- {n} root root {m}{n}{m} {t} file", "commit ab{n}c{m}{n} {t}", "{t} host sshd[{m}{n}]:", "{{\"id\": {n}, \"date\": \"{t}\"}}",
           "row {n}: {t}", "{t}\t{n}.{m}", "user{n} {t}", "#{m}{n}{m} {t}", "Order {m}{n}{m}{n}{m} on {t}")  # fmt: skip
_BEHIND = ("{} (updated)", "{} by admin", "{} - present", "{} onwards", "{} edition", "{} meeting", "{} at noon", "{} um",
           "{} г.", "{} года", "{} р.", "{} Uhr", "{} kl.", "{} in London", "{}, London", "{} issue", "{} report",
           "{} (Monday)", "{} gegen Mittag", "{} UTC", "{} GMT", "{} r.", "{} AD", "{} CE", "{} n. Chr.")  # fmt: skip
_ZONES = ("", "", "", "Z", " UTC", " GMT", " EST", " PST", "+00:00", "+02:00", "-05:00", " +0200", " -0300", " CET",
          " (UTC)", " GMT+2", "+0530", " PDT", " MSK", "-0700", " EDT", " BST", " IST", " CEST", " AEST", " UTC+3",
          " GMT+0200", " GMT-05:00", " (GMT+1)", " GMT+0200 (CEST)", " Eastern Time", " America/New_York")  # fmt: skip
# Where a time stands.
_TIME_BEHIND = ("[{t}, {c}]", "[{t}, {c}]", "[{t} {c}]", "({t}, {c})", "[{t}, {c}] John: hello", "{t}, {c} - ", "{t} {c}", "{t} {c}", "{t} {c}", "{t} {c}", "{t} {c}", "{t}, {c}", "{t} - {c}", "{t} at {c}",
                "{t} @ {c}", "{t} um {c}", "{t} à {c}", "{t} a las {c}", "{t} в {c}", "{t}  {c}", "{t} ({c})",
                "{t} | {c}", "{t} às {c}", "{t} alle {c}", "{t} kl {c}", "{t},{c}", "{t}, at {c}", "{t} de {c}",
                "{t}; {c}", "{t}/ {c}", "{t} – {c}", "{t} · {c}", "{t} • {c}", "{t} om {c}", "{t} o {c}",
                "{t} kello {c}", "{t} pukul {c}", "{t} saat {c}", "{t} lúc {c}", "{t} ore {c}", "{t} ob {c}")  # fmt: skip
_TIME_BEFORE = ("{c} {t}", "{c}, {t}", "{c} on {t}", "{c} - {t}", "{c} · {t}")  # fmt: skip
# Behind a date without a time.
_ZONES_OF_DAYS = ("Z", " Z", " UTC", " GMT", "+00:00", "+01:00", "-05:00", " +0000", " -0700", " EST", " CET", " (UTC)",
                  " America/New_York", " Europe/Berlin", " PST", " GMT+2", " IST")  # fmt: skip
_HALVES = ("AM", "PM", "am", "pm", "a.m.", "p.m.", " AM", " PM", " a.m.", "a. m.")


def time_of_day(generator):
    """A time, such as `10:30`, `10:30:15.123+02:00`, `10.30.15`, `3 PM`, `15 Uhr 30`, `noon`."""
    hour, minute, second = generator.randrange(24), generator.randrange(60), generator.randrange(60)
    kind = generator.random()
    if kind < 0.35:
        text = f"{hour:02d}:{minute:02d}"
    elif kind < 0.6:
        text = f"{hour:02d}:{minute:02d}:{second:02d}"
    elif kind < 0.68:
        fraction = generator.randrange(10 ** generator.choice((1, 3, 6)))
        text = f"{hour:02d}:{minute:02d}:{second:02d}{generator.choice('.,')}{fraction}"
    elif kind < 0.85:
        colon = "." if generator.random() < 0.15 else ":"
        minutes = f"{colon}{minute:02d}" if generator.random() < 0.8 else ""
        seconds = f"{colon}{second:02d}" if minutes and generator.random() < 0.2 else ""
        return f"{hour % 12 or 12}{minutes}{seconds} {generator.choice(_HALVES).strip()}".replace(
            " ", generator.choice(("", " "))
        )
    elif kind < 0.93:
        return generator.choice(("{h} Uhr", "{h} Uhr {m:02d}", "{h}u{m:02d}", "{h} heures {m:02d}", "{h} ч. {m:02d} мин.", "{h}h{m:02d}", "{h}.{m:02d}", "{h}時{m:02d}分", "{h}시 {m:02d}분", "{h}点{m:02d}分",
                                 "kl. {h}.{m:02d}", "{h} h", "{h}:{m:02d} Uhr", "{h}:{m:02d} hs", "{h}h{m:02d}m", "{h}:{m:02d} hrs", "{h:02d}{m:02d} hours",
                                 "{h}:{m:02d} o'clock", "{h:02d}:{m:02d} ч", "午後{h}時", "오후 {h}시", "{h}:{m:02d}:00 GMT+0100 (CET)",
                                 "{h} h {m:02d} min", "{h} h {m:02d}", "{h}h{m:02d}m{s:02d}s", "{h:02d}:{m:02d}:{s:02d}:123", "{h:02d}{m:02d}hrs", "{h:02d}{m:02d}Z", "{h} noon", "noon", "midnight", "12 midnight", "{h} o'clock",
                                 "下午{h}点", "午前{h}時{m:02d}分", "오전 {h}:{m:02d}", "{h} giờ {m:02d}", "{h}:{m:02d} น.", "{h}:{m:02d} uur")).format(h=hour, m=minute, s=second)  # fmt: skip
    elif kind < 0.965:  # with another mark than a colon
        mark = generator.choice("..--h_")
        pad = generator.choice(("02d", "02d", "d"))
        text = mark.join(format(part, pad) for part in (hour, minute, second)[: 2 if mark == "h" else 3])
        if mark == "." and generator.random() < 0.2:
            text += f".{generator.randrange(10**6):06d}"
        return text
    else:
        text = f"{hour}:{minute:02d}"
    return text + generator.choice(_ZONES)


def with_time(generator, text):
    """The date with a time behind it, or before."""
    time = time_of_day(generator)
    if generator.random() < 0.04 and re.search(r"\d{4}", text):  # beside a year of two digits it would be the year
        time = f"{generator.randrange(24):02d}{generator.randrange(60):02d}"
    if generator.random() < 0.06:
        time = generator.choice(("{a} - {b}", "{a}-{b}", "{a} to {b}", "from {a} to {b}", "{a}–{b}")).format(
            a=time, b=time_of_day(generator)
        )
    # `10-30-15` stands behind, where it is not taken for the date.
    forms = _TIME_BEHIND if re.search(r"\d[._-]\d", time) else _TIME_BEHIND + _TIME_BEFORE
    form = generator.choice(forms)
    return form.format(t=text, c=time)


def with_iso_time(generator, text):
    """`2024-03-05T10:30:00Z`, for a date that is written so."""
    hour, minute, second = generator.randrange(24), generator.randrange(60), generator.randrange(60)
    colon = ":" if "-" in text else ""
    fraction = generator.choice(("", "", f".{generator.randrange(1000):03d}", f".{generator.randrange(10**6):06d}"))
    zone = generator.choice(("", "Z", "Z", "+00:00", "+02:00", "-0500", "+0000"))
    seconds = "" if generator.random() < 0.2 else f"{colon}{second:02d}{fraction}"
    between = generator.choice(("T", "T", "T", "t", " ", *(("-", "_", "") if not colon else ("_",))))
    return f"{text}{between}{hour:02d}{colon}{minute:02d}{seconds}{zone}"


def with_numbers(generator, text, sentence):
    """The date with numbers near it that are no part of it, such as of a page, where they cannot be taken for one.

    Args:
        generator: random numbers.
        text: the date.
        sentence: `sentence(count)` gives words that are none of the date's.
    """
    forms = ()
    if re.search(r"\d{4}", text):
        named = re.search(r"[^\W\d_]{3}", text)
        forms = generator.choice((_COUNTED, _COUNTED_WORDS, _COUNTED_WORDS, _LOGGED)) if named else _LOGGED
    if not forms:
        return text
    numbers = {"n": generator.randrange(1, 60), "m": generator.randrange(1, 60), "y": generator.randrange(1950, 2060)}
    return generator.choice(forms).format(t=text, s=sentence(generator.choice((1, 1, 2, 2, 3))), **numbers)


def with_zone(generator, text):
    """The date with a zone behind it, and no time: `2024-03-05+01:00`."""
    return text + generator.choice(_ZONES_OF_DAYS)


def with_words(generator, text, sentence):
    """The date with words, a label or brackets around it.

    Args:
        generator: random numbers.
        text: the date.
        sentence: `sentence(count)` gives words that may stand before or behind
            it.
    """
    kind = generator.random()
    if kind < 0.08:
        return generator.choice(_MARKUP).format(text)
    if kind < 0.45:
        return generator.choice(_BEFORE).format(text)
    if kind < 0.55:
        return generator.choice(_BEHIND).format(text)
    before, behind = sentence(generator.randint(0, 4)), sentence(generator.randint(0, 4))
    if generator.random() < 0.25:  # a number that cannot be one of the date's, not beside it
        some = [generator.randrange(100, 1000), generator.randrange(10_000, 1_000_000)]
        if re.search(r"\d{4}", text):
            some.append(generator.randrange(1900, 2100))  # the date has a year
        number = str(generator.choice(some))
        if before and generator.random() < 0.7:
            before = f"{number} {before}"
        elif behind:
            behind = f"{behind} {number}"
    form = generator.choice(("{b} {t} {e}",) * 4 + ("{b}: {t} {e}", "{b}, {t}, {e}", "{b} ({t}) {e}", "{b} - {t} {e}",
                             "{b} {t}. {e}", "{b} | {t} | {e}"))  # fmt: skip
    return form.format(b=before, t=text, e=behind).strip(" ,:|")


def in_a_long_text(generator, text, sentence):
    """The date in a sentence or more, with numbers in them, but none beside it.

    Args:
        generator: random numbers.
        text: the date.
        sentence: `sentence(count)` gives words that may stand before or behind it.
    """
    before, behind = (long_text(generator, sentence(generator.randint(0, 18)), text) for _ in range(2))
    form = generator.choice(("{b} {t} {e}",) * 4 + ("{b}, {t}, {e}", "{b} ({t}) {e}", "{b} {t}. {e}", "{b}: {t}, {e}"))
    return form.format(b=before, t=text, e=behind).strip(" ,:")


def long_text(generator, words, date=""):
    """Words with marks between some, and between others numbers that cannot be a part of the date beside them."""
    words = words.split(" ")
    for place in range(len(words) - 1, 0, -1):
        kind = generator.random()
        if kind < 0.06:
            some = [generator.randrange(100, 1000), generator.randrange(10_000, 1_000_000)]
            if re.search(r"\d{4}", date):
                four = generator.randrange(1000, 10_000)
                some += [generator.randrange(1900, 2100), generator.randrange(100), f"{four}-{generator.randrange(10_000):04d}",
                         f"#{four}", f"{four}%", f"{four / 100:.2f}", f"{four:,}.00"]  # fmt: skip
            words.insert(place, str(generator.choice(some)))
        elif kind < 0.2:
            words[place - 1] += generator.choice((",", ",", ",", ".", ".", ":", ";", " -", "?"))
    return " ".join(words)


def cased(generator, text):
    """The text in another case, one time in three."""
    return generator.choice((str, str, str, str, str.upper, str.lower, str.lower, str.title))(text)


def in_other_characters(generator, identifier, text):
    """Digits of the locale's script, full width, missing accents and dots of what is shortened, odd spaces."""
    kind = generator.random()
    digits = digits_of(identifier)
    if digits and kind < 0.5:
        text = in_digits(text, digits)
    elif kind < 0.015:
        text = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)
    if accents_may_go(identifier) and generator.random() < 0.5:
        text = without_accents(text)
    if generator.random() < 0.3:  # `15 out 2014` is October for many more people than write `out.`
        text = re.sub(r"(?<=[^\W\d_])\.(?!\w)", "", text)
    if generator.random() < 0.03:
        text = text.replace(" ", generator.choice(("\u00a0", "  ", "\u202f", "_", "&nbsp;", "\n")))
    elif generator.random() < 0.02 and text.isascii():
        text = generator.choice((urllib.parse.quote_plus, urllib.parse.quote))(text, safe="")
    elif generator.random() < 0.01:  # not between numbers, which would become others
        text = re.sub(r"(?<=[^\W\d_]) (?=\d)|(?<=\d) (?=[^\W\d_])", "", text)
    return text


def mistyped(generator, text, is_name):
    """The text with one letter of one long word left out, doubled, replaced or exchanged with the next.

    Args:
        generator: random numbers.
        text: what is written.
        is_name: whether a word in lower case is the name of a month somewhere:
            no name becomes another's.
    """
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if not long:
        return text
    place = generator.choice(long)
    word = words[place]
    at = generator.randrange(1, len(word) - 1)
    kind = generator.randrange(4)
    if kind == 0:
        new = word[:at] + word[at + 1 :]
    elif kind == 1:
        new = word[:at] + word[at] + word[at:]
    elif kind == 2:
        new = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    else:
        new = word[:at] + generator.choice(word) + word[at + 1 :]
    if is_name(new.lower()):
        return text
    words[place] = new
    return " ".join(words)
