"""Trains a neural Turing machine on an algorithm, tests it on longer sequences, and draws where it writes and reads.

Run it: `python examples/turing_machine/turing_machine.py`; `--help` lists the flags.
"""

import argparse
import pathlib

import tensorflow as tf
from matplotlib import pyplot

from keras_attention.data import ALGORITHMS, wrong_bits
from keras_attention.recipes import train_machine

# What each algorithm is tested on beside what it was trained on: longer sequences, more repeats, more items.
LONGER = {
    "copy": lambda longest: {"lengths": (longest, longest)},
    "repeat_copy": lambda longest: {"repeats": (longest, longest)},
    "associative_recall": lambda longest: {"items": (longest, longest)},
    "priority_sort": lambda longest: {"given": longest, "kept": longest},
}
TRAINED = {
    "copy": lambda longest: {"lengths": (1, longest)},
    "repeat_copy": lambda longest: {"lengths": (1, longest), "repeats": (1, longest)},
    "associative_recall": lambda longest: {"items": (2, longest)},
    "priority_sort": lambda longest: {"given": longest, "kept": longest},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="copy", help="what it should compute")
    parser.add_argument("--longest", type=int, default=10, help="longest sequence, or most items, of the training")
    parser.add_argument("--updates", type=int, default=8000, help="at most; it ends where no bit is wrong any more")
    parser.add_argument("--slots", type=int, default=64, help="rows of the memory")
    parser.add_argument("--width", type=int, default=12, help="size of a row of the memory")
    parser.add_argument("--heads", type=int, default=1, help="number of reading heads, and of writing heads")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--output", type=pathlib.Path, default="runs/turing_machine", help="folder to write to")
    options = parser.parse_args()

    machine = train_machine(
        options.algorithm,
        options.output / options.algorithm,
        task=TRAINED[options.algorithm](options.longest),
        updates=options.updates,
        slots=options.slots,
        width=options.width,
        read_heads=options.heads,
        write_heads=options.heads,
        seed=options.seed,
        verbose=2,
    )
    make = ALGORITHMS[options.algorithm]
    for times in (1, 2, 6):
        sequences = make(50, **LONGER[options.algorithm](times * options.longest), seed=7)
        said = machine.predict(sequences.inputs, verbose=0)["bits"]
        wrong = wrong_bits(said, sequences).mean()
        of_all = sequences.counts.sum(1).mean() * sequences.targets.shape[-1]
        print(f"{times} times {options.longest}: {wrong:.2f} of {of_all:.0f} bits wrong, on average of 50 sequences")

    version = options.output / "model" / "1"
    machine.export(version, verbose=False)
    one = make(1, **LONGER[options.algorithm](2 * options.longest), seed=8)
    loaded = tf.saved_model.load(version)
    said = {name: tensor.numpy()[0] for name, tensor in loaded.serve(one.inputs).items()}
    draw(one, said, options.output / "heads.png")
    print(f"SavedModel: {version}")
    print(f"Heads: {options.output / 'heads.png'}")


def draw(sequences, said, file):
    """What it was shown, what it said, and where its heads were, step by step from left to right."""
    parts = {
        "shown": sequences.inputs[0].T,
        "said": (said["bits"] * sequences.counts[0, :, None]).T,
        "should say": sequences.targets[0].T,
        "writes at": said["write_weights"].sum(1).T,
        "reads at": said["read_weights"].sum(1).T,
    }
    figure, rows = pyplot.subplots(
        len(parts),
        figsize=(8, 9),
        layout="constrained",
        sharex=True,
        height_ratios=[len(part) for part in parts.values()],
    )
    for row, (name, part) in zip(rows, parts.items(), strict=True):
        row.imshow(part, cmap="Blues", aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        row.set(yticks=[])
        row.set_ylabel(name, rotation=0, ha="right", va="center")
    rows[-1].set(xlabel="step")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
