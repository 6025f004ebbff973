"""Khmer words from Latin letters: ours beside the package `netra-transliterate`, on words that ours has not learned.

`python benchmarks/khmer.py` trains examples/transliteration on `../shared/data/khmer`, unless `--run` holds the result,
and asks both test words, one at a time, on one core: ours all of them, and both the first `--shared`, since the package
takes seconds a word. The package (its wheel, by `--wheel`, with `pip install khmerspell levenshtein`) may have learned
them: its split is not published. Answers and targets are compared in the form of `khmerspell.khnormal`, which it was
trained with.
"""

import argparse
import pathlib
import subprocess
import sys
import time

from harness import ROOT, measure, one_core, report, save

sys.path.insert(0, str(ROOT / "examples/transliteration"))
import transliteration as example

DATA = ROOT.parent / "shared/data/khmer/eng_khm_data.txt.gz"
CONTESTANTS = ("ours", "netra-transliterate")


def contestant(name, options):
    """A function of a beam's width that gives a function from a word to a word."""
    if name == "ours":
        from keras_attention import Beam, Greedy, load

        task = load(options.run)

        def ours(width):
            searching = task.with_strategy(Greedy() if width == 1 else Beam(width))
            return lambda word: searching(word).text

        return ours
    sys.path.insert(0, options.wheel)
    from khmer_transliterator import transliterate

    return lambda width: lambda word: transliterate(word, beam_width=width)


def work(name, options):
    one_core()
    from khmerspell import khnormal

    words = example.split(example.read_words(DATA))["test"]
    words = words[: options.shared] if options.count is None else words[: options.count]
    words = [(latin, khnormal(khmer)) for latin, khmer in words]
    make, figures = contestant(name, options), {}
    for width in (1, 5):
        answer = make(width)
        answer(words[0][0])
        begin = time.perf_counter()
        answers = [khnormal(answer(latin)) for latin, _ in words]
        milliseconds = 1000 * (time.perf_counter() - begin) / len(words)
        right, error = example.measure(answers, words)
        figures[f"beam {width}"] = {"right": right, "character_error": error, "milliseconds": milliseconds}
    report(words=len(words), **figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=str(ROOT / "runs/khmer"))
    parser.add_argument("--wheel", help="the package's wheel, or the folder that it was unpacked into")
    parser.add_argument("--shared", type=int, default=60, help="words that both are asked")
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options)
        return
    if not (pathlib.Path(options.run) / "task.json").is_file():
        subprocess.run([sys.executable, example.__file__, str(DATA), "--run", options.run], check=True)
    flags = ["--run", options.run, *(["--wheel", options.wheel] if options.wheel else []), "--shared", options.shared]
    found = {"ours, all words": measure(__file__, "ours", *flags, "--count", 10**6)}
    found |= {name: measure(__file__, name, *flags) for name in CONTESTANTS if name == "ours" or options.wheel}
    for name, figures in found.items():
        for width in ("beam 1", "beam 5"):
            row = figures[width]
            print(
                f"{name}, {width}: {row['right']:.1%} of {figures['words']} right, {row['character_error']:.2%} wrong "
                f"characters, {row['milliseconds']:.1f} ms a word"
            )
    save("khmer", "python benchmarks/khmer.py --wheel WHEEL", found)


if __name__ == "__main__":
    main()
