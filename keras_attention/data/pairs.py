"""Pairs of strings from files, and their division into training and held-out."""

import codecs
import csv
import gzip
import itertools
import os
import pathlib
import random
import re
import warnings
import zlib
from collections.abc import Iterable, Sequence

# What the first line of a file of pairs is made of where it names its columns.
_HEADERS = {
    "source",
    "target",
    "src",
    "tgt",
    "input",
    "output",
    "from",
    "to",
    "x",
    "y",
    "text",
    "label",
    "raw",
    "clean",
}


def read_pairs(file: str | os.PathLike, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Reads pairs of strings, in the form that the file's name and first line show.

    Three forms are known, plain or gzipped (`.gz`):

    - tab-separated: source, tab, target, as they are; further columns are
      ignored, with a warning;
    - comma-separated, in a file whose name ends in `.csv` or `.csv.gz`: with
      quotes where a text needs them, and commas, semicolons or tabs between;
    - that of the book "Deep Learning from Scratch 2": a source padded with
      spaces, then `_` and the target, `may 3, 1979      _1979-05-03`.

    Warns of a first line that looks like a header: it is a pair like any other.

    Args:
        file: path.
        encoding: name of the file's encoding, as Python knows it.

    Returns:
        List of `(source, target)`.

    Raises:
        FileNotFoundError: if there is no such file.
        LookupError: for an encoding that is not known.
        ValueError: for an empty file, a line that is no pair, or text of
            another encoding; the message names file and line.
    """
    path = pathlib.Path(file)
    rows = _rows_of(path, encoding)
    columns = max(len(row) for row in rows)
    if columns > 2:
        warnings.warn(f"read_pairs: {path} has {columns} columns; the first two are read.", stacklevel=2)
    if {text.strip().lower() for text in rows[0][:2]} <= _HEADERS:
        warnings.warn(
            f"read_pairs: the first line of {path}, {rows[0][:2]}, looks like a header and is read as a pair. Remove "
            "it from the file.",
            stacklevel=2,
        )
    return [(row[0], row[1]) for row in rows]


def _rows_of(path, encoding="utf-8"):
    """The columns of each line of a file, two at least."""
    if not path.is_file():
        raise FileNotFoundError(
            f"read_pairs: there is no file {path}. Give the path of one with source, tab, target on each line."
        )
    is_csv = ".csv" in path.suffixes[-2:]
    rows = list((_csv_rows if is_csv else _rows)(path, _lines(path, encoding)))
    if not rows:
        raise ValueError(f"read_pairs: {path} holds no pair: expected one on each line. Write source, tab, target.")
    return rows


def _rows(path, lines):
    """The columns of each line of a file with tabs, or `_`, between them."""
    separator = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        separator = separator or ("\t" if "\t" in line else "_")
        row = line.split("\t") if separator == "\t" else [part.strip() for part in line.split("_", 1)]
        if len(row) < 2:
            form = "a tab" if separator == "\t" else "a tab or '_'"
            fix = (
                "If the columns are separated by commas or semicolons, name it .csv."
                if re.search("[,;]", line)
                else "Put a tab between the two, or remove the line."
            )
            raise ValueError(
                f"read_pairs: {path}, line {number}: expected source and target with {form} between them. "
                f"Received {line[:60]!r}. {fix}"
            )
        yield row


def _csv_rows(path, lines):
    """The columns of each row of a file with commas, semicolons or tabs between them."""
    first = next(lines, "")
    separator = max(",;\t", key=re.sub('"[^"]*"', "", first).count)
    for number, row in enumerate(csv.reader(itertools.chain([first], lines), delimiter=separator), start=1):
        if not any(row):
            continue
        if len(row) < 2:
            raise ValueError(
                f"read_pairs: {path}, row {number}: expected source and target with {separator!r} between them. "
                f"Received {row}. Put the separator between the two, or remove the row."
            )
        yield row


def read_corpus(
    source: str | os.PathLike, target: str | os.PathLike | None = None, encoding: str = "utf-8"
) -> list[tuple[str, str]]:
    """Reads a parallel corpus.

    Args:
        source: a file of one sentence a line; or, without `target`, a file of
            pairs, see `read_pairs`: source, tab, target, and whatever else, as
            Tatoeba and ManyThings have them.
        target: the file of the translations, line by line.
        encoding: name of the files' encoding, as Python knows it.

    Returns:
        List of `(source, target)`. A line may be empty.

    Raises:
        FileNotFoundError: if a file is not there.
        LookupError: for an encoding that is not known.
        ValueError: for files of different lengths, without a line, or with text
            of another encoding; the message names file and line, or both
            lengths.
    """
    if target is None:
        return [(row[0], row[1]) for row in _rows_of(pathlib.Path(source), encoding)]
    sides = [read_lines(file, encoding=encoding) for file in (source, target)]
    counts = [len(side) for side in sides]
    if not any(counts):
        raise ValueError(f"read_corpus: {source} and {target} hold no line.")
    if counts[0] != counts[1]:
        raise ValueError(
            f"read_corpus: the files must have as many lines as each other. Received {counts[0]:,} in {source} and "
            f"{counts[1]:,} in {target}. Their lines do not belong together."
        )
    return list(zip(*sides, strict=True))


def read_lines(file: str | os.PathLike, strip: bool = True, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file, plain or gzipped (`.gz`).

    Args:
        file: path.
        strip: whether to leave out the spaces around each line.
        encoding: name of the file's encoding, as Python knows it.

    Raises:
        FileNotFoundError: if there is no such file.
        LookupError: for an encoding that is not known.
        ValueError: for text of another encoding; the message names the line.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"read_lines: there is no file {path}. Give the path of one with a text on each line.")
    return [line.strip() if strip else line for line in _lines(path, encoding)]


def write_pairs(pairs: Iterable[tuple[str, str]], file: str | os.PathLike) -> None:
    """Writes pairs tab-separated, as `read_pairs` reads them.

    Raises:
        ValueError: for a pair that a line cannot hold; nothing is written then.
    """
    for pair in pairs:
        if any(mark in text for text in pair for mark in "\t\r\n"):
            raise ValueError(f"write_pairs: a text must not hold a tab or a line break. Received {pair!r}.")
    with open(file, "w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{source}\t{target}\n" for source, target in pairs)


def split_by_target(
    pairs: Sequence[tuple[str, str]], fraction: float, seed: int = 0
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Divides pairs so that no held-out target occurs in training.

    A random division would let a model meet most held-out targets in training,
    and what it then shows is partly memory.

    Args:
        pairs: list of `(source, target)`.
        fraction: fraction of the distinct targets, to be held out.
        seed: random seed of the choice.

    Returns:
        `(training, held_out)`, in the order of `pairs`.

    Raises:
        ValueError: if one of the two would be empty.

    Example:

    >>> training, held_out = split_by_target([("a", "1"), ("A", "1"), ("b", "2")], fraction=0.5)
    >>> {target for _, target in training} & {target for _, target in held_out}
    set()
    """
    targets = sorted({target for _, target in pairs})
    count = round(len(targets) * fraction)
    if not 0 < count < len(targets):
        raise ValueError(
            f"split_by_target: a fraction of {fraction} of {len(targets)} distinct targets leaves nothing on one side. "
            "Give more pairs, another fraction, or a validation file."
        )
    held_out = set(random.Random(seed).sample(targets, count))
    return (
        [pair for pair in pairs if pair[1] not in held_out],
        [pair for pair in pairs if pair[1] in held_out],
    )


def lines_as_they_come(stream, name, errors="strict", encoding="utf-8"):
    """The lines of a file or of standard input: the one way in which this package reads text.

    A line ends with a line feed, or with a carriage return and a line feed; a
    carriage return within a line is read as a space, and a byte-order mark
    before the first line is no part of it.

    Args:
        stream: binary, with `read1`.
        name: what an error calls it.
        errors: what becomes of bytes that are not of the encoding: `"strict"` is
            an error, `"replace"` puts U+FFFD.
        encoding: one in which a line feed is one byte, as in UTF-8.

    Yields:
        Lists of lines, without their ends, each list as soon as it is there.

    Raises:
        LookupError: for an encoding that is not known.
        ValueError: for text of another encoding; the message names the line.
    """
    _check_encoding(encoding)
    number, rest = 0, b""
    while chunk := stream.read1(1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        if whole:
            yield [_line(line, name, number + index, errors, encoding) for index, line in enumerate(whole, start=1)]
            number += len(whole)
    if rest:
        yield [_line(rest, name, number + 1, errors, encoding)]


def _line(line, name, number, errors, encoding):
    try:
        text = line.decode(encoding, errors)
    except UnicodeDecodeError as error:
        shown = "UTF-8" if encoding == "utf-8" else encoding
        looks = _hint(line) if encoding == "utf-8" else ""
        raise ValueError(
            f"{name}, line {number}: not {shown} ({error.reason} at byte {error.start}).{looks}"
        ) from error
    if number == 1:
        text = text.removeprefix("\ufeff")
    return text.removesuffix("\r").replace("\r", " ")


def _hint(line):
    """What encoding a line that is not UTF-8 may have: that of Windows in the West, if not UTF-16."""
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return " It looks like UTF-16. Save it as UTF-8."
    text = line.decode("cp1252", "replace").strip()
    return f" In Windows-1252 it is {text[:40]!r}: if that is right, the encoding is cp1252 (--encoding cp1252)."


def _check_encoding(encoding):
    fix = f"Received {encoding!r}. Give one such as utf-8, cp1252 or cp949 (--encoding)"
    try:
        fits = b"\n".decode(encoding, "replace") == "\n"
    except LookupError as error:
        raise LookupError(f"encoding must be one that Python knows. {fix}.") from error
    if not fits:
        raise ValueError(f"encoding must be one in which a line feed is one byte. {fix}, or save the file as UTF-8.")


def _lines(path, encoding="utf-8"):
    """The lines of a file, plain or gzipped."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            for lines in lines_as_they_come(file, path, encoding=encoding):
                yield from lines
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is not a whole gzip file ({error}).") from error
