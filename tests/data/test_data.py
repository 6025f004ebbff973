"""Dates, files of pairs, held-out targets, batches."""

import datetime
import gzip
import io
import pathlib

import numpy as np
import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_attention.data import (
    PairBatches,
    TokenBatches,
    generate_dates,
    make_batches,
    read_corpus,
    read_lines,
    read_pairs,
    split_by_target,
    write_pairs,
)
from keras_attention.data.pairs import lines_as_they_come
from keras_attention.text import END_ID, START_ID, CharacterTokenizer, SentencePieceTokenizer

BOOK = pathlib.Path(__file__).parents[3] / "shared/data/date.txt.gz"


def test_same_seed_gives_the_same_dates_and_another_others():
    assert generate_dates(50, seed=3) == generate_dates(50, seed=3)
    assert generate_dates(50, seed=3) != generate_dates(50, seed=4)


@given(st.dates(datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)), st.sampled_from(["en_US", "de", "ko", "ar"]))
@settings(max_examples=20)
def test_text_is_what_babel_writes_for_the_date(date, locale):
    ((text, iso),) = generate_dates(1, locales=(locale,), formats=("long",), first=date, last=date)
    expected = format_date(date, "long", locale=locale)
    assert text in (expected, expected.upper(), expected.lower())
    assert iso == date.isoformat()


def test_year_around_new_year_is_the_calendars():
    for date in (datetime.date(2018, 12, 31), datetime.date(2021, 1, 1)):
        pairs = generate_dates(60, first=date, last=date)
        assert all(str(date.year)[-2:] in text for text, _ in pairs)


def test_two_digits_are_written_only_inside_the_window():
    pairs = generate_dates(
        300,
        formats=("short", "d MMMM y"),
        first=datetime.date(1900, 1, 1),
        last=datetime.date(2100, 12, 31),
        two_digit_from=1970,
    )
    short = [iso for text, iso in pairs if "/" in text]
    assert short
    assert all("1970" <= iso[:4] <= "2069" for iso in short)
    assert any(iso[:4] < "1970" for _, iso in pairs)


def test_every_locale_and_case_turns_up():
    pairs = generate_dates(400, locales=("en_US", "de", "ko"), formats=("full",))
    text = " ".join(text for text, _ in pairs)
    assert "MONTAG" in text
    assert "montag" in text
    assert "Montag" in text
    assert "월요일" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"locales": ("xx_XX",)}, "CLDR has no locale 'xx_XX'"),
        ({"locales": ()}, "locales must not be empty"),
        ({"formats": ("d MMM YYY",)}, r"holds Y, the year of the ISO week.*Use y"),
        ({"first": datetime.date(2000, 1, 2), "last": datetime.date(2000, 1, 1)}, "first must not be after last"),
        (
            {"formats": ("short",), "first": datetime.date(1800, 1, 1), "last": datetime.date(1801, 1, 1)},
            r"no date between 1800-01-01 and 1801-01-01 can be written.*two_digit_from=1950",
        ),
    ],
)
def test_dates_that_cannot_be_made_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_dates(1, **arguments)


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_pairs_survive_a_file(tmp_path, name):
    pairs = [("3 May 1979", "1979-05-03"), ("2_1", "한"), ("", "empty")]
    write_pairs(pairs, tmp_path / "plain.tsv")
    content = (tmp_path / "plain.tsv").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_pairs(tmp_path / name) == pairs


def test_further_columns_blank_lines_and_carriage_returns_are_ignored(tmp_path):
    (tmp_path / "pairs.tsv").write_bytes(b"a\tb\tCC-BY\r\n\r\nc\td\r\n")
    with pytest.warns(UserWarning, match="has 3 columns; the first two are read"):
        assert read_pairs(tmp_path / "pairs.tsv") == [("a", "b"), ("c", "d")]


def test_a_line_that_names_columns_is_warned_of(tmp_path):
    (tmp_path / "pairs.tsv").write_text("Source\ttarget\na\tb\n")
    with pytest.warns(UserWarning, match="looks like a header and is read as a pair"):
        assert len(read_pairs(tmp_path / "pairs.tsv")) == 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_of_a_spreadsheet_is_read_by_its_rules(tmp_path, separator):
    rows = [['"May 3, 1979; noon"', "1979-05-03"], ['"said ""now"""', "x"]]
    (tmp_path / "pairs.csv").write_text("\n".join(map(separator.join, rows)) + "\n")
    assert read_pairs(tmp_path / "pairs.csv") == [("May 3, 1979; noon", "1979-05-03"), ('said "now"', "x")]


def test_another_encoding_is_read_where_it_is_named_and_guessed_at_where_it_is_not(tmp_path):
    (tmp_path / "pairs.tsv").write_bytes("März\t3\n".encode("cp1252"))
    assert read_pairs(tmp_path / "pairs.tsv", "cp1252") == [("März", "3")]
    with pytest.raises(ValueError, match=r"not UTF-8 .* In Windows-1252 it is 'März.*--encoding cp1252"):
        read_pairs(tmp_path / "pairs.tsv")
    assert read_corpus(tmp_path / "pairs.tsv", encoding="cp1252") == [("März", "3")]
    assert read_corpus(*[tmp_path / "pairs.tsv"] * 2, "cp1252") == [("März\t3", "März\t3")]
    with pytest.raises(LookupError, match="nonsense"):
        read_pairs(tmp_path / "pairs.tsv", "nonsense")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "cp037"])
def test_an_encoding_whose_line_feed_is_not_one_byte_is_refused(tmp_path, encoding):
    (tmp_path / "lines.txt").write_text("März\n", encoding="utf-16")
    with pytest.raises(ValueError, match=f"a line feed is one byte. Received '{encoding}'.*save the file as UTF-8"):
        read_lines(tmp_path / "lines.txt", encoding=encoding)
    with pytest.raises(ValueError, match=r"It looks like UTF-16\. Save it as UTF-8"):
        read_lines(tmp_path / "lines.txt")


@pytest.mark.parametrize(("encoding", "text"), [("cp949", "3월"), ("utf-8-sig", "März"), ("shift_jis", "表示ソ")])
def test_lines_of_other_encodings(tmp_path, encoding, text):
    (tmp_path / "lines.txt").write_text(f"{text}\n{text}\n", encoding=encoding)
    assert read_lines(tmp_path / "lines.txt", encoding=encoding) == [text, text]


def test_the_books_form_is_known_by_its_underscore(tmp_path):
    (tmp_path / "date.txt").write_text("september 27, 1994           _1994-09-27\n2/10/93   _1993-02-10\n")
    assert read_pairs(tmp_path / "date.txt") == [("september 27, 1994", "1994-09-27"), ("2/10/93", "1993-02-10")]


@pytest.mark.skipif(not BOOK.is_file(), reason="the book's date.txt is not here; a file in its form is tested above")
def test_the_books_file_has_fifty_thousand_pairs():
    pairs = read_pairs(BOOK)
    assert len(pairs) == 50_000
    assert pairs[0] == ("september 27, 1994", "1994-09-27")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nno tab here\n", r"pairs.tsv, line 2: expected source and target with a tab between.*'no tab here'"),
        (b"neither\n", "line 1: expected source and target with a tab or '_' between"),
        (b"a,b\n", r"Received 'a,b'\. If the columns are separated by commas or semicolons, name it \.csv"),
        (b"", "pairs.tsv holds no pair"),
        (b"\n  \n", "pairs.tsv holds no pair"),
        (b"a\tb\nc\xff\td\n", "pairs.tsv, line 2: not UTF-8"),
    ],
)
def test_broken_file_is_refused_by_name_and_line(tmp_path, content, message):
    (tmp_path / "pairs.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "pairs.tsv")


class InPieces(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe does."""

    def read1(self, size=-1):
        return super().read1(3)


@pytest.mark.parametrize("make", [io.BytesIO, InPieces])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\n\r\nb", ["a", "", "b"]),
        (b"one\rtwo\nthree\r\r\n", ["one two", "three "]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("é\u2028\x0b\x85x\n".encode(), ["é\u2028\x0b\x85x"]),
        (b"", []),
        (b"\n\n", ["", ""]),
    ],
)
def test_lines_are_the_same_from_a_file_and_from_a_stream(make, content, expected, tmp_path):
    assert [line for lines in lines_as_they_come(make(content), "it") for line in lines] == expected
    for name, opened in (("lines", open), ("lines.gz", gzip.open)):
        with opened(tmp_path / name, "wb") as file:
            file.write(content)
        assert read_lines(tmp_path / name) == [line.strip() for line in expected]


def test_lines_come_as_soon_as_they_are_there():
    lines = lines_as_they_come(InPieces(b"a\nb\ncd\n"), "it")
    assert [next(lines), next(lines), next(lines)] == [["a"], ["b"], ["cd"]]
    with pytest.raises(ValueError, match=r"it, line 3: not UTF-8"):
        list(lines_as_they_come(InPieces(b"a\nb\n\xff\n"), "it"))


def test_targets_are_read_as_they_are(tmp_path):
    (tmp_path / "pairs.tsv").write_bytes("\ufeffa\t  ½  x \nb\t\u2026\r\n".encode())
    assert read_pairs(tmp_path / "pairs.tsv") == [("a", "  ½  x "), ("b", "\u2026")]


@pytest.mark.parametrize("pair", [("a\tb", "c"), ("a", "b\nc"), ("a\r", "b")])
def test_pair_that_a_line_cannot_hold_is_not_written(pair, tmp_path):
    with pytest.raises(ValueError, match="must not hold a tab or a line break"):
        write_pairs([("a", "b"), pair], tmp_path / "pairs.tsv")
    assert not (tmp_path / "pairs.tsv").exists()


def test_empty_files_are_refused_by_name(tmp_path):
    for name in ("source", "target"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"source and .*target hold no line"):
        read_corpus(tmp_path / "source", tmp_path / "target")
    with pytest.raises(ValueError, match="holds no pair"):
        read_corpus(tmp_path / "source")


@pytest.mark.parametrize("count", [1, 5, 12])
def test_pairs_come_in_an_order_that_goes_on_after_any_batch(count):
    pairs = [("a" * (1 + index % 3), "b" * (1 + index % 4)) for index in range(count)]
    batches = PairBatches(pairs, TOKENIZER, TOKENIZER, batch_size=5, seed=1)

    def first(number, start=0):
        taken = batches.dataset(start).take(number)
        return [labels.numpy().tolist() for _, labels in taken]

    whole = first(3 * batches.steps_per_epoch)
    for start in range(1, 2 * batches.steps_per_epoch):
        assert first(2, start) == whole[start : start + 2]
    for epoch in range(3):
        begin = epoch * batches.steps_per_epoch
        rows = [row for labels in whole[begin : begin + batches.steps_per_epoch] for row in labels]
        lengths = sorted(sum(id == 4 for id in row) for row in rows)
        assert lengths == sorted(len(target) for _, target in pairs)
    assert (
        count < 12 or whole[: batches.steps_per_epoch] != whole[batches.steps_per_epoch : 2 * batches.steps_per_epoch]
    )


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"there is no file nowhere.tsv"):
        read_pairs("nowhere.tsv")


def test_damaged_gzip_is_refused_by_name(tmp_path):
    (tmp_path / "pairs.tsv.gz").write_bytes(b"not gzip")
    with pytest.raises(ValueError, match=r"pairs.tsv.gz is not a whole gzip file"):
        read_pairs(tmp_path / "pairs.tsv.gz")


@given(st.lists(st.sampled_from("abcdefg"), min_size=5, max_size=30), st.integers(0, 5))
@settings(max_examples=30)
def test_no_held_out_target_is_in_training(targets, seed):
    if len(set(targets)) < 3:
        return
    pairs = [(f"{target}{index}", target) for index, target in enumerate(targets)]
    training, held_out = split_by_target(pairs, 0.4, seed)
    assert not {target for _, target in training} & {target for _, target in held_out}
    assert sorted(training + held_out) == sorted(pairs)


def test_division_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"a fraction of 0.05 of 2 distinct targets leaves nothing on one side"):
        split_by_target([("a", "1"), ("b", "2")], 0.05)


PAIRS = [("ab", "a"), ("b", "ba"), ("abab", "b")]
TOKENIZER = CharacterTokenizer.train(["ab", "b"])  # b is 4, a is 5


@pytest.mark.parametrize("fixed_shapes", [False, True])
def test_target_is_shifted_by_one_against_the_labels(fixed_shapes):
    for inputs, labels in make_batches(PAIRS, TOKENIZER, TOKENIZER, batch_size=2, fixed_shapes=fixed_shapes):
        for target, label in zip(inputs["target"].numpy(), labels.numpy(), strict=True):
            length = np.count_nonzero(label)
            assert target[0] == START_ID
            assert label[length - 1] == END_ID
            np.testing.assert_array_equal(target[1:length], label[: length - 1])
            np.testing.assert_array_equal(target[length:], 0)


def test_batches_are_padded_to_their_longest_or_to_the_longest_of_all():
    def shapes(**arguments):
        return [
            (tuple(inputs["source"].shape), tuple(labels.shape))
            for inputs, labels in make_batches(PAIRS, TOKENIZER, TOKENIZER, batch_size=2, **arguments)
        ]

    assert shapes() == [((2, 2), (2, 3)), ((1, 4), (1, 2))]
    assert shapes(fixed_shapes=True) == [((2, 4), (2, 3)), ((1, 4), (1, 3))]
    spec = make_batches(PAIRS, TOKENIZER, TOKENIZER, fixed_shapes=True).element_spec
    assert spec[0]["source"].shape.as_list() == [None, 4]


def test_shuffled_batches_hold_every_pair_in_a_new_order_each_epoch():
    pairs = [("a" * length, "b") for length in range(1, 30)]
    batches = make_batches(pairs, TOKENIZER, TOKENIZER, batch_size=4, shuffle_seed=1)
    epochs = [[length for inputs, _ in batches for length in np.count_nonzero(inputs["source"], axis=1)] for _ in "12"]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(1, 30))
    assert epochs[0] != epochs[1]


def test_no_pair_is_refused():
    with pytest.raises(ValueError, match="at least one pair, received none"):
        make_batches([], TOKENIZER, TOKENIZER)


CORPUS = [("a" * (1 + number % 9), "b" * (1 + number * 7 % 11)) for number in range(60)]


def pairs_in(batches):
    """Source and target lengths of all pairs of some batches."""
    found = []
    for inputs, labels in batches:
        sources, targets = (inputs["source"].numpy() != 0).sum(1), (labels.numpy() != 0).sum(1) - 1
        found += list(zip(sources.tolist(), targets.tolist(), strict=True))
    return found


def lengths_of(pairs):
    return sorted((len(source), len(target)) for source, target in pairs)


def test_each_epoch_has_every_pair_once_in_batches_under_the_budget():
    batches = TokenBatches(CORPUS, TOKENIZER, TOKENIZER, tokens=50)
    for epoch in range(2):
        taken = list(batches.dataset(start=epoch * batches.steps_per_epoch).take(batches.steps_per_epoch))
        assert sorted(pairs_in(taken)) == lengths_of(CORPUS)
        for inputs, labels in taken:
            assert max(inputs["source"].shape[1], labels.shape[1]) * labels.shape[0] <= 50
            assert inputs["source"].shape[1] % 4 == labels.shape[1] % 4 == 0
            assert inputs["target"][0, 0] == START_ID


def test_order_goes_on_after_any_batch_as_if_nothing_had_happened():
    batches = TokenBatches(CORPUS, TOKENIZER, TOKENIZER, tokens=50, seed=3)
    steps = 2 * batches.steps_per_epoch + 1
    whole = [labels.numpy() for _, labels in batches.dataset().take(steps)]
    for start in (1, batches.steps_per_epoch, steps - 2):
        rest = [labels.numpy() for _, labels in batches.dataset(start).take(steps - start)]
        for expected, received in zip(whole[start:], rest, strict=True):
            np.testing.assert_array_equal(received, expected)


def test_order_differs_between_epochs_and_seeds():
    def order(seed, epoch):
        batches = TokenBatches(CORPUS, TOKENIZER, TOKENIZER, tokens=50, seed=seed)
        return pairs_in(batches.dataset(epoch * batches.steps_per_epoch).take(batches.steps_per_epoch))

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_pairs_to_measure_on_come_once():
    batches = TokenBatches(CORPUS, TOKENIZER, TOKENIZER, tokens=50)
    assert sorted(pairs_in(batches.once())) == lengths_of(CORPUS)
    assert batches.once().cardinality() == batches.steps_per_epoch > 1


def test_long_unequal_and_empty_pairs_are_left_out():
    batches = TokenBatches(CORPUS + [("", "b")], TOKENIZER, TOKENIZER, tokens=50, max_length=8, max_ratio=2.0)
    kept = [(a, b) for a, b in CORPUS if max(len(a), len(b)) <= 8 and max(len(a), len(b)) <= 2 * min(len(a), len(b))]
    assert batches.dropped == 61 - len(kept)
    assert sorted(pairs_in(batches.once())) == lengths_of(kept)


SENTENCES = [(f"the cat number {number} sat", f"le chat {number * 7} est assis là") for number in range(40)]


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceTokenizer.train([text for pair in SENTENCES for text in pair], vocabulary_size=340)


def texts_in(tokenizer, batches):
    """Pairs of some batches, as texts."""
    found = []
    for inputs, labels in batches:
        sides = [tokenizer.detokenize(ids).numpy() for ids in (inputs["source"], labels)]
        found += [tuple(text.decode() for text in pair) for pair in zip(*sides, strict=True)]
    return sorted(found)


def test_subword_dropout_cuts_the_same_texts_into_other_pieces_each_epoch(pieces):
    batches = TokenBatches(SENTENCES, pieces, pieces, tokens=100, seed=3, subword_dropout=0.3)
    steps = batches.steps_per_epoch
    epochs = [list(batches.dataset(epoch * steps).take(steps)) for epoch in range(2)]
    plain = list(batches.once())
    for taken in (*epochs, plain):
        assert len(taken) == steps
        assert texts_in(pieces, taken) == sorted(SENTENCES)
    counts = [sum(int((labels.numpy() != 0).sum()) for _, labels in taken) for taken in (*epochs, plain)]
    assert min(counts[:2]) > 1.1 * counts[2]
    assert counts[0] != counts[1]
    again = TokenBatches(SENTENCES, pieces, pieces, tokens=100, seed=3, subword_dropout=0.3)
    for expected, received in zip(epochs[1][2:], again.dataset(steps + 2).take(steps - 2), strict=True):
        np.testing.assert_array_equal(received[1], expected[1])


def test_subword_dropout_leaves_no_batch_empty_where_one_pair_is_long(pieces):
    pairs = [("ein", "a")] * 3 + [(" ".join(SENTENCES[0][0] for _ in range(8)), "a")]
    batches = TokenBatches(pairs, pieces, pieces, tokens=4, subword_dropout=0.1)
    assert batches.steps_per_epoch == 4
    assert [len(labels) for _, labels in batches.dataset().take(4)] == [1] * 4


def test_subword_dropout_that_is_not_possible_is_an_error(pieces):
    with pytest.raises(ValueError, match=r"needs a tokenizer that has `sample`.*CharacterTokenizer"):
        TokenBatches(CORPUS, TOKENIZER, TOKENIZER, subword_dropout=0.1)
    with pytest.raises(ValueError, match=r"from 0 to below 1. Received 1.0"):
        TokenBatches(SENTENCES, pieces, pieces, subword_dropout=1.0)


def test_nothing_left_is_an_error_that_says_why():
    with pytest.raises(ValueError, match=r"none of 1 pairs is left.*max_length=2"):
        TokenBatches([("aaa", "bbb")], TOKENIZER, TOKENIZER, max_length=2)


def test_two_files_make_pairs_plain_or_gzipped(tmp_path):
    (tmp_path / "a").write_text("one\n\ntwo \n", encoding="utf-8")
    with gzip.open(tmp_path / "b.gz", "wt", encoding="utf-8") as file:
        file.write("eins\nnichts\nzwei\n")
    assert read_corpus(tmp_path / "a", tmp_path / "b.gz") == [("one", "eins"), ("", "nichts"), ("two", "zwei")]


def test_tatoebas_third_column_is_left_out(tmp_path):
    (tmp_path / "deu.txt").write_text("Go.\tGeh.\tCC-BY 2.0 (France) Attribution: tatoeba.org\n", encoding="utf-8")
    assert read_corpus(tmp_path / "deu.txt") == [("Go.", "Geh.")]


def test_files_of_different_lengths_are_refused_with_both_counts(tmp_path):
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("eins\n")
    with pytest.raises(ValueError, match=r"Received 2 in .*a and 1 in .*b"):
        read_corpus(tmp_path / "a", tmp_path / "b")


def test_line_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"one\n\xff\n")
    with pytest.raises(ValueError, match=r"a, line 2: not UTF-8"):
        read_lines(tmp_path / "a")
