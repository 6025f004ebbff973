"""The reader of dates that comes with the package, beside dateparser and dateutil.

`python benchmarks/world_dates.py` (after `pip install dateparser python-dateutil num2words`) asks all three the same
texts: Babel's dates of all locales, of the twenty most spoken languages, of locales that were held out, texts of the
test split of `generate_world_dates`, and the strings of `../shared/data/dates/real_dates.tsv`, if they are there. No
text was learned, and nothing was chosen by them. `--model FOLDER` takes another reader, `--only` some contestants.
"""

import argparse
import csv
import re
import sys
import time
import unicodedata

import numpy as np
from harness import ROOT, measure, one_core, report, save

REAL = ROOT.parent / "shared/data/dates/real_dates.tsv"
CONTESTANTS = ("ours", "dateparser", "dateutil")
SEED = 20_000


def sets():
    """Texts and their answers by the name of the set: dict of lists of `(text, answers, group)`."""
    from keras_attention.data import world_dates
    from keras_attention.date_reading import date_of

    def babel(count, seed, locales):
        found = [(text, date_of(answer), name) for text, answer, name in world_dates.babel_dates(count, seed, locales)]
        return [(text, [date], name, is_ambiguous(text, date)) for text, date, name in found]

    def apart(rows, ambiguous):
        return [row[:3] for row in rows if row[3] == ambiguous]

    locales = {}
    for name in world_dates.all_locales():
        locales.setdefault(name.split("_")[0], []).append(name)
    everywhere = babel(6000, SEED, world_dates.learned_locales())
    spoken = [
        (text, answers, language)
        for language in world_dates.LANGUAGES
        for text, answers, _ in apart(babel(2000, SEED + 1, locales[language]), False)
    ]
    mixed = world_dates.generate_world_dates(6000, SEED + 2, hints=0.0, split="test")
    none = world_dates.generate_world_dates(2000, SEED + 3, refusals=1.0, hints=0.0, split="test")
    found = {
        "babel": apart(everywhere, False),
        "babel_ambiguous": apart(everywhere, True),
        "spoken": spoken,
        "held_out": apart(babel(2000, SEED + 4, world_dates.HELD_OUT), False),
        "mixed": [(text, [date_of(answer)], "") for text, answer in mixed],
        "none": [(text, [""], "") for text, _ in none],
    }
    if REAL.is_file():
        with open(REAL, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        for row in rows:
            # A report has a number; what else there is are suites of tests.
            origin = "report" if re.search(r"#\d|PR\d", row["source"]) else "suite"
            kind = f"real_{row['class'].replace('-', '_')}"
            found.setdefault(kind, []).append((row["text"], row["iso"].split("|"), origin))
    return found


def is_ambiguous(text, date):
    """Whether numbers alone say a date, and in another order they would say another."""
    text = unicodedata.normalize("NFKC", text)
    numbers = re.findall(r"\d+", text)
    if any(letter.isalpha() for letter in text) or len(numbers) != 3 or len(numbers[0]) > 2:
        return False
    one, two, three = map(int, numbers)
    readings = {(one, two), (two, one)} | ({(three, two)} if len(numbers[2]) <= 2 else set())
    return len({each for each in readings if 1 <= each[0] <= 31 and 1 <= each[1] <= 12}) > 1


def contestant(name, model):
    """A function from a list of texts to a list of `(date, probability)`, the date empty where there is none."""
    if name == "ours":
        from keras_attention import load

        reader = load(model)
        return lambda texts: [(found.text, float(np.exp(found.log_prob))) for found in reader(texts)]
    if name == "dateparser":
        import warnings

        import dateparser

        warnings.simplefilter("ignore")
        parse = dateparser.parse
    else:
        from dateutil.parser import parse

    def read(text):
        try:
            found = parse(text)
        except Exception:  # whatever it raises, it has no answer
            return "", 1.0
        return (found.date().isoformat() if found else ""), 1.0

    return lambda texts: [read(text) for text in texts]


def work(name, model):
    one_core()
    asked = sets()
    read = contestant(name, model)
    answers = {kind: read([text for text, _, _ in rows]) for kind, rows in asked.items()}
    texts = [text for text, _, _ in asked["babel"]][:3000]
    some = texts[:100] if name == "dateparser" else texts[:300]
    begin = time.process_time()
    for start in range(0, 3000, 1000):
        read(texts[start : start + 1000])
    cpu = time.process_time() - begin
    singles = []
    for text in some:
        begin = time.perf_counter()
        read([text])
        singles.append(time.perf_counter() - begin)
    report(answers=answers, per_cpu_second=3000 / cpu, milliseconds=1000 * float(np.median(singles)))


def scores(rows, answers):
    """Of a set: fraction right, wrong, and without an answer where there is one."""
    right = np.array([date in expected for (_, expected, _), (date, _) in zip(rows, answers, strict=True)])
    none = np.array([not date for date, _ in answers]) & ~right
    return {"count": len(rows), "right": right.mean(), "wrong": (~right & ~none).mean(), "no_answer": none.mean()}


def by_group(rows, answers):
    pairs = {}
    for row, answer in zip(rows, answers, strict=True):
        pairs.setdefault(row[2], []).append((row, answer))
    return {group: scores(*zip(*some, strict=True)) for group, some in pairs.items()}


def wrong_at(rows, answers, coverage):
    """Fraction of the wrong among the most probable answers, `coverage` of all texts."""
    order = np.argsort([-probability for _, probability in answers], kind="stable")[: round(coverage * len(rows))]
    return float(np.mean([bool(answers[i][0]) and answers[i][0] not in rows[i][1] for i in order]))


def figures_of(asked, found):
    from keras_attention.training.calibration import expected_calibration_error

    answers = found["answers"]
    figures = {kind: scores(rows, answers[kind]) for kind, rows in asked.items()}
    for kind in ("spoken", "held_out", "real_unambiguous"):
        if kind in asked:
            figures[f"{kind}_by_group"] = by_group(asked[kind], answers[kind])
    figures["wrong_at_95"] = {kind: wrong_at(asked[kind], answers[kind], 0.95) for kind in ("babel", "mixed")}
    probabilities = [probability for _, probability in answers["mixed"]]
    right = [date in row[1] for row, (date, _) in zip(asked["mixed"], answers["mixed"], strict=True)]
    figures["calibration_error"] = expected_calibration_error(probabilities, right)
    return figures | {name: found[name] for name in ("per_cpu_second", "milliseconds")}


def plot(asked, found, path):
    """Accuracy of what is answered against the fraction that is answered, of Babel's dates and of all kinds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    titles = {"babel": "Babel's dates of 1,131 locales", "mixed": "all kinds: typos, times, words, no date"}
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        rows = asked[kind]
        for index, (name, each) in enumerate(found.items()):
            answers = each["answers"][kind]
            right = np.array([date in row[1] for row, (date, _) in zip(rows, answers, strict=True)])
            if name == "ours":
                order = np.argsort([-probability for _, probability in answers], kind="stable")
                accuracy = np.cumsum(right[order]) / np.arange(1, len(rows) + 1)
                coverage = np.arange(1, len(rows) + 1) / len(rows)
                keep = coverage > 0.02
                axis.plot(100 * coverage[keep], 100 * accuracy[keep], color=f"C{index}", label="keras_attention")
            else:
                answered = np.array([bool(date) for date, _ in answers])
                axis.plot(100 * answered.mean(), 100 * right[answered].mean(), "o", color=f"C{index}", label=name)
        axis.set(title=title, xlabel="answered, %", xlim=(0, 101))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("of these right, %")
    axes[0].legend(loc="center left")
    figure.savefig(path, dpi=150)


def shown(name, figures):
    print(
        f"\n{name}: {figures['per_cpu_second']:,.0f} a CPU second, one at a time {figures['milliseconds']:.2f} ms; "
        f"wrong at 95 % {figures['wrong_at_95']}; calibration error {figures['calibration_error']:.4f}"
    )
    for kind, score in figures.items():
        if isinstance(score, dict) and "right" in score:
            parts = (f"{part.replace('_', ' ')} {score[part]:.2%}" for part in ("right", "wrong", "no_answer"))
            print(f"  {kind:20} {score['count']:6,} ", *parts)
        elif kind.endswith("_by_group"):
            print(f"  {kind}:", ", ".join(f"{group} {of['right']:.1%}" for group, of in score.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a reader of dates; by default the package's")
    parser.add_argument("--save", metavar="NAME", help="results/NAME.json to write, where not all are asked")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--work", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    more = ["--model", options.model] if options.model else []
    if options.work:
        work(options.work, options.model)
        return
    asked = sets()
    found = {name: measure(__file__, name, *more) for name in options.only}
    figures = {name: figures_of(asked, each) for name, each in found.items()}
    for name, each in figures.items():
        shown(name, each)
    command = f"python benchmarks/world_dates.py {' '.join(sys.argv[1:])}".strip()
    if options.save:
        save(options.save, command, figures)
    elif tuple(options.only) == CONTESTANTS and not options.model:
        save("world_dates", command, figures)
        plot(asked, found, ROOT / "docs/images/world_dates.png")


if __name__ == "__main__":
    main()
