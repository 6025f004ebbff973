"""Models at their papers' own tasks, beside the published figures; every training goes on where it was stopped.

`python benchmarks/literature.py babi --runs FOLDER` trains a memory network on each of bAbI's twenty tasks of 1,000
questions (`../shared/data/babi`), of which a tenth is held out; of several seeds the one that is best there is tested.
`--joint` learns all twenty together. Each training leaves its scores in its folder, so that several processes may share
the tasks; what is in the folder at the end goes into `results/babi.json` or `results/babi_joint.json`.
"""

import argparse
import json
import pathlib
import time

from harness import ROOT, environment, save

DATA = ROOT.parent / "shared/data/babi"
# Sukhbaatar et al. 2015, table 1: three hops, position encoding, linear start, random noise; 1,000 questions a task.
PUBLISHED = [
    0.0,
    8.3,
    40.3,
    2.8,
    13.1,
    7.6,
    17.3,
    10.0,
    13.2,
    15.1,
    0.9,
    0.2,
    0.4,
    1.7,
    0.0,
    1.3,
    51.0,
    11.1,
    82.8,
    0.0,
]
PUBLISHED_JOINT = [0.0, 11.4, 21.9, 13.4, 14.4, 2.8, 18.3, 9.3, 1.9, 6.5, 0.3, 0.1, 0.2, 6.9, 0.0, 2.7, 40.4, 9.7, 88.0]
PUBLISHED_JOINT += [0.0]
JOINT = {"units": 50, "epochs": 60, "halve_every": 15, "linear_epochs": 30}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("babi",))
    parser.add_argument(
        "--runs", type=pathlib.Path, default=pathlib.Path("runs/literature"), help="folder of trainings"
    )
    parser.add_argument("--tasks", type=int, nargs="+", default=list(range(1, 21)))
    parser.add_argument("--seeds", type=int, default=10, help="trainings of each task")
    parser.add_argument("--joint", action="store_true", help="all tasks together")
    options = parser.parse_args()
    for seed in range(options.seeds):  # all tasks with one seed before any with two
        for tasks in [options.tasks] if options.joint else [[task] for task in options.tasks]:
            name = "joint" if options.joint else str(tasks[0])
            folder = options.runs / name / f"seed-{seed}"
            if not (folder / "scores.json").is_file():
                scores = train(folder, name, tasks, seed, options.joint) | {"commit": environment()["commit"]}
                (folder / "scores.json").write_text(json.dumps(scores) + "\n")
    name = "babi_joint" if options.joint else "babi"
    files = sorted(options.runs.glob(f"{'joint' if options.joint else '[0-9]*'}/seed-*/scores.json"))
    trainings = [json.loads(file.read_text()) for file in files]
    save(name, "python benchmarks/literature.py babi" + " --joint" * options.joint, trainings)
    show(trainings, options.joint)


def train(folder, name, tasks, seed, joint):
    from keras_attention.data.stories import hold_out, read_stories
    from keras_attention.recipes import train_answerer

    learned, held_out, tested = [], [], {}
    for task in tasks:
        (train_file,), (test_file,) = (DATA.glob(f"qa{task}_*_{part}.txt.gz") for part in ("train", "test"))
        some, others = hold_out(read_stories(train_file), 0.1)
        learned, held_out, tested[task] = learned + some, held_out + others, read_stories(test_file)
    began = time.process_time()
    answerer = train_answerer(learned, held_out, folder, seed=seed, verbose=0, **(JOINT if joint else {}))
    history = [json.loads(line) for line in (folder / "restart-1/checkpoints/history.jsonl").open()]
    result = {
        "task": name,
        "seed": seed,
        "held_out_error": 100 * (1 - max(row.get("val_accuracy", 0) for row in history)),
        "test_error": {task: 100 * (1 - answerer.evaluate(stories)[0]) for task, stories in tested.items()},
        "cpu_seconds": time.process_time() - began,
    }
    print(result, flush=True)
    return result


def show(trainings, joint):
    """The table: published, ours with the seed that is best on what was held out, and the mean over the seeds."""
    published = PUBLISHED_JOINT if joint else PUBLISHED
    chosen, mean = {}, {}
    for name in dict.fromkeys(each["task"] for each in trainings):
        of_task = [each for each in trainings if each["task"] == name]
        best = min(of_task, key=lambda each: each["held_out_error"])
        for task in best["test_error"]:
            chosen[int(task)] = best["test_error"][task]
            errors = [each["test_error"][task] for each in of_task]
            mean[int(task)] = sum(errors) / len(errors)
    for task in sorted(chosen):
        print(
            f"{task:4} published {published[task - 1]:5.1f}  ours {chosen[task]:5.1f}  mean of seeds {mean[task]:5.1f}"
        )
    if chosen:
        count = len(chosen)
        of_these = sum(published[task - 1] for task in chosen) / count
        print(f"mean published {of_these:.1f}  ours {sum(chosen.values()) / count:.1f}  "
              f"mean of seeds {sum(mean.values()) / count:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
