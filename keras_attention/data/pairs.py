"""Pairs of strings from files, and their division into training and held-out."""

import gzip
import pathlib
import random
import zlib


def read_pairs(file):
    """Reads pairs of strings, in the form that the file's first line shows.

    Two forms are known, both UTF-8, plain or gzipped (`.gz`):

    - tab-separated: source, tab, target, as they are; further columns are
      ignored;
    - that of the book "Deep Learning from Scratch 2": a source padded with
      spaces, then `_` and the target, `may 3, 1979      _1979-05-03`.

    Args:
        file: path.

    Returns:
        List of `(source, target)`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an empty file, or a line that is no pair; the message
            names file and line.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"read_pairs: there is no file {path}.")
    pairs = []
    separator = None
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        separator = separator or ("\t" if "\t" in line else "_")
        source, found, target = line.partition(separator)
        if not found:
            form = "a tab" if separator == "\t" else "a tab or '_'"
            raise ValueError(
                f"read_pairs: {path}, line {number}: expected source and target with {form} between them. "
                f"Received {line[:60]!r}."
            )
        pairs.append((source, target.partition("\t")[0]) if separator == "\t" else (source.strip(), target.strip()))
    if not pairs:
        raise ValueError(f"read_pairs: {path} holds no pair: expected one a line, source and target.")
    return pairs


def read_corpus(source, target=None):
    """Reads a parallel corpus.

    Args:
        source: a file of one sentence a line; or, without `target`, a file of
            pairs, see `read_pairs`: source, tab, target, and whatever else, as
            Tatoeba and ManyThings have them.
        target: the file of the translations, line by line.

    Returns:
        List of `(source, target)`. A line may be empty.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: for files of different lengths, without a line, or with text
            that is not UTF-8; the message names file and line, or both lengths.
    """
    if target is None:
        return read_pairs(source)
    sides = [read_lines(file) for file in (source, target)]
    counts = [len(side) for side in sides]
    if not any(counts):
        raise ValueError(f"read_corpus: {source} and {target} hold no line.")
    if counts[0] != counts[1]:
        raise ValueError(
            f"read_corpus: the files must have as many lines as each other. Received {counts[0]:,} in {source} and "
            f"{counts[1]:,} in {target}. Their lines do not belong together."
        )
    return list(zip(*sides, strict=True))


def read_lines(file, strip=True):
    """The lines of a text file, plain or gzipped (`.gz`).

    Args:
        file: path.
        strip: whether to leave out the spaces around each line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for text that is not UTF-8; the message names the line.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"read_lines: there is no file {path}.")
    return [line.strip() if strip else line for line in _lines(path)]


def write_pairs(pairs, file):
    """Writes pairs tab-separated, as `read_pairs` reads them.

    Raises:
        ValueError: for a pair that a line cannot hold; nothing is written then.
    """
    for pair in pairs:
        if any(mark in text for text in pair for mark in "\t\r\n"):
            raise ValueError(f"write_pairs: a text must not hold a tab or a line break. Received {pair!r}.")
    with open(file, "w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{source}\t{target}\n" for source, target in pairs)


def split_by_target(pairs, fraction, seed=0):
    """Divides pairs so that no held-out target occurs in training.

    A random division would let a model meet most held-out targets in training,
    and what it then shows is partly memory.

    Args:
        pairs: list of `(source, target)`.
        fraction: of the distinct targets, to be held out.
        seed: of the choice.

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


def lines_as_they_come(stream, name, errors="strict"):
    """The lines of a file or of standard input: the one way in which this package reads text.

    A line ends with a line feed, or with a carriage return and a line feed; a
    carriage return within a line is read as a space, and a byte-order mark
    before the first line is no part of it.

    Args:
        stream: binary, with `read1`.
        name: what an error calls it.
        errors: what becomes of bytes that are not UTF-8: `"strict"` is an
            error, `"replace"` puts U+FFFD.

    Yields:
        Lists of lines, without their ends, each list as soon as it is there.

    Raises:
        ValueError: for text that is not UTF-8; the message names the line.
    """
    number, rest = 0, b""
    while chunk := stream.read1(1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        if whole:
            yield [_line(line, name, number + index, errors) for index, line in enumerate(whole, start=1)]
            number += len(whole)
    if rest:
        yield [_line(rest, name, number + 1, errors)]


def _line(line, name, number, errors):
    try:
        text = line.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}, line {number}: not UTF-8 ({error.reason} at byte {error.start}).") from error
    if number == 1:
        text = text.removeprefix("\ufeff")
    return text.removesuffix("\r").replace("\r", " ")


def _lines(path):
    """The lines of a file, plain or gzipped."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            for lines in lines_as_they_come(file, path):
                yield from lines
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is not a whole gzip file ({error}).") from error
