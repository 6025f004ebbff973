"""Our own speed at another commit and at this one, in turns: `python benchmarks/before_after.py COMMIT`.

The work is that of `dates.py`, `training.py` and `decoding.py`, without the peers; each figure is the best of the
rounds, and the ratio is above one where this commit is the faster. The other commit is checked out beside.
"""

import argparse
import os
import subprocess
import tempfile

from harness import ROOT, measure, save

# Script, arguments, figure, and whether more of it is better.
WORK = {
    "dates, training": ("dates.py", ("ours", "--seed", 0), "cpu_seconds", False),
    "dates, SavedModel, 1,000 at once": ("dates.py", ("convert",), "dates_per_second", True),
    "transformer of 128, training": ("training.py", (128, "--contestant", "ours"), "tokens_per_cpu_s", True),
    "greedy, batch 64": (
        "decoding.py",
        ("greedy, batch 64", "--contestant", "ours", "--count", 640),
        "sentences_per_cpu_s",
        True,
    ),
    "beam 4, batch 64": (
        "decoding.py",
        ("beam 4, batch 64", "--contestant", "ours", "--count", 320),
        "sentences_per_cpu_s",
        True,
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="to compare with")
    parser.add_argument("--rounds", type=int, default=2, help="how often both are measured, in turns")
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK), help="not all the work")
    parser.add_argument("--save", default="before_after", metavar="NAME", help="file in results/")
    options = parser.parse_args()
    found = {name: {"before": [], "after": []} for name in options.only}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "worktree", "add", "--detach", folder, options.commit], cwd=ROOT, check=True)
        try:
            for _ in range(options.rounds):
                for name in options.only:
                    script, arguments, figure, _ = WORK[name]
                    for side, tree in (("before", folder), ("after", str(ROOT))):
                        os.environ["PYTHONPATH"] = tree
                        found[name][side].append(measure(str(ROOT / "benchmarks" / script), *arguments)[figure])
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=True)
    figures = {}
    for name in options.only:
        _, _, figure, more = WORK[name]
        best = {side: (max if more else min)(values) for side, values in found[name].items()}
        ratio = best["after"] / best["before"] if more else best["before"] / best["after"]
        print(f"{name:34} before {best['before']:10.2f}  after {best['after']:10.2f} {figure:20} {ratio:.3f}")
        figures[name] = found[name] | {"figure": figure, "ratio": ratio}
    command = f"python benchmarks/before_after.py {options.commit} --rounds {options.rounds}"
    save(
        options.save,
        command + "".join(f" --only '{name}'" for name in options.only if options.only != list(WORK)),
        figures,
    )


if __name__ == "__main__":
    main()
