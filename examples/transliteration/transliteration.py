"""Learns to write Khmer words that are typed in Latin letters, from a file of pairs, and measures it on other words.

Run it: `python examples/transliteration/transliteration.py FILE`; each line of the file has a Khmer word, a colon and
the word in Latin letters. A word belongs to the test by a checksum of its Latin letters, so that the split is the same
everywhere.
"""

import argparse
import gzip
import re
import time
import zlib

from keras_attention import Beam, Greedy
from keras_attention.recipes import train_converter


def read_words(file):
    """`(latin, khmer)` of each line: small letters a to z, and the Khmer block of Unicode."""
    opened = gzip.open if str(file).endswith(".gz") else open
    with opened(file, "rt", encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").partition(":") for line in lines)
        words = [(re.sub("[^a-z]", "", latin.lower()), re.sub("[^ក-៿]", "", khmer)) for khmer, _, latin in pairs]
    return [pair for pair in words if all(pair)]


def split(words):
    """Words to learn, to measure on while learning (one in twenty), and to test on (another)."""
    parts = {"train": [], "validation": [], "test": []}
    for latin, khmer in words:
        part = {0: "test", 1: "validation"}.get(zlib.crc32(latin.encode()) % 20, "train")
        parts[part].append((latin, khmer))
    return parts


def edits(one, other):
    """Characters to insert, delete or replace between two words (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for place, its in enumerate(other, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (letter != its))
    return row[-1]


def measure(answers, words):
    """Fraction of words that are right, and edits a character."""
    right = sum(answer == khmer for answer, (_, khmer) in zip(answers, words, strict=True)) / len(words)
    wrong = sum(edits(answer, khmer) for answer, (_, khmer) in zip(answers, words, strict=True))
    return right, wrong / sum(len(khmer) for _, khmer in words)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--run", default="runs/transliteration")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args(arguments)
    parts = split(read_words(options.file))
    sizes = {"units": options.units, "encoder_units": options.units, "dropout": 0.3}
    task = train_converter(parts["train"], parts["validation"], options.run, epochs=options.epochs, **sizes)
    for name, strategy in (("greedy", Greedy()), ("beam of 5", Beam(5))):
        searching, words = task.with_strategy(strategy), parts["test"]
        searching(words[0][0])  # the first call makes the graph
        begin = time.perf_counter()
        answers = [searching(latin).text for latin, _ in words]
        milliseconds = 1000 * (time.perf_counter() - begin) / len(words)
        right, error = measure(answers, words)
        print(
            f"{name}: {right:.1%} of {len(words)} words right, {error:.2%} wrong characters, {milliseconds:.1f} ms each"
        )


if __name__ == "__main__":
    main()
