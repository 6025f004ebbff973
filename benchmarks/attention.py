"""Attention at every length: time and memory of ours beside Keras' layers and torch, in one run.

    python benchmarks/attention.py             the cases of the documents
    python benchmarks/attention.py --growth    time and memory against length, and their plot

Each figure comes from a fresh process on one core: CPU seconds of the best of
three calls, seconds of the first call, and the peak of resident memory beyond
what the process held when layer and input were ready. The multi-head work is a
whole self-attention layer, 8 heads of 64, width 512, with a causal mask; the
additive work is width 256, one head. "ours, XLA" is ours compiled, as Keras does
where it sees a GPU. Torch is left out where it is not installed.
"""

import argparse
import importlib.util
import json
import resource
import sys
import time

import harness

HEADS, DIM, ADDITIVE = 8, 64, 256

# Name: work, batch, length, backward, goals as (figure, peer, most).
CASES = {
    "causal, 1 x 8,192, forward": ("multi_head", 1, 8192, False, "memory 150 MB, time 0.8 x Keras"),
    "causal, 1 x 8,192, forward and backward": ("multi_head", 1, 8192, True, "memory 300 MB, time 0.7 x Keras"),
    "causal, 4 x 2,048, forward and backward": ("multi_head", 4, 2048, True, "memory 0.25 x, time 1.0 x Keras"),
    "causal, 8 x 512, forward and backward": ("multi_head", 8, 512, True, "memory 1.0 x, time 1.05 x Keras"),
    "additive, 1 x 2,048, forward and backward": ("additive", 1, 2048, True, "memory 150 MB, time 0.5 x Keras"),
}
GROWTH = (1024, 2048, 4096, 8192, 16384, 32768)
KERAS_UP_TO = 8192  # beyond it, its weights alone are more than 8 GB


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", action="store_true", help="measure at growing lengths, and draw it")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    for name in ("--batch", "--length", "--backward", "--repeats"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        run(options)
        return
    if options.growth:
        harness.save("attention_growth", "python benchmarks/attention.py --growth", growth())
        plot()
        return
    figures = {}
    print(f"{'':44}{'':11}{'CPU s':>8}{'first s':>9}{'MB':>8}   goal for ours")
    for name, (work, batch, length, backward, goal) in CASES.items():
        figures[name] = {
            contestant: measure(work, contestant, batch, length, backward) for contestant in contestants(work)
        }
        for contestant, figure in figures[name].items():
            mine = goal if contestant == "ours" else ""
            print(
                f"{name:44}{contestant:11}{figure['cpu_seconds']:>8.2f}{figure['first_seconds']:>9.2f}"
                f"{figure['megabytes']:>8,.0f}   {mine}",
                flush=True,
            )
    harness.save("attention", "python benchmarks/attention.py", figures)


def growth():
    """Forward and backward at growing lengths, batch 1."""
    figures = {}
    for contestant in (name for name in contestants("multi_head") if name != "ours, XLA"):
        for length in GROWTH:
            if contestant == "keras" and length > KERAS_UP_TO:
                continue
            figure = measure("multi_head", contestant, 1, length, True, repeats=1)
            figures.setdefault(contestant, {})[length] = figure
            print(
                f"growth {contestant:8}{length:>8}{figure['cpu_seconds']:>8.2f} s{figure['megabytes']:>8,.0f} MB",
                flush=True,
            )
    return figures


def plot():
    """Time and memory against length, as a picture in the documents."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    record = json.loads((harness.RESULTS / "attention_growth.json").read_text())
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    names = {"ours": "keras_attention", "keras": "keras.layers", "torch": "torch, fused"}
    for contestant, by_length in record["figures"].items():
        lengths = [int(length) for length in by_length]
        for panel, key in zip(panels, ("cpu_seconds", "megabytes"), strict=True):
            values = [by_length[str(length)][key] for length in lengths]
            panel.plot(lengths, values, marker="o", label=names[contestant])
    for panel, label in zip(panels, ("CPU seconds", "MB beyond start-up"), strict=True):
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(GROWTH, [f"{length:,}" for length in GROWTH], rotation=30)
        panel.set_xlabel("length")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle("Causal self-attention, 8 heads of 64, batch 1, forward and backward, one core")
    figure.savefig(harness.ROOT / "docs/images/attention_growth.png", dpi=110)


def contestants(work):
    torch = ["torch"] if work == "multi_head" and importlib.util.find_spec("torch") else []
    return ["ours", "ours, XLA", "keras", *torch]


def measure(work, contestant, batch, length, backward, repeats=3):
    arguments = {"contestant": contestant, "batch": batch, "length": length, "backward": int(backward)}
    flags = [part for name, value in {**arguments, "repeats": repeats}.items() for part in (f"--{name}", value)]
    return harness.measure(__file__, work, *flags)


def run(options):
    make = make_torch if options.contestant == "torch" else make_tensorflow
    call = make(options)
    ready = peak()
    began = time.perf_counter()
    call()
    first = time.perf_counter() - began
    seconds = []
    for _ in range(options.repeats):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    harness.report(cpu_seconds=min(seconds), first_seconds=first, megabytes=peak() - ready)


def make_tensorflow(options):
    harness.one_core()
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_attention import layers

    contestant, _, compiler = options.contestant.partition(", ")
    width = ADDITIVE if options.work == "additive" else HEADS * DIM
    shape = (options.batch, options.length, width)
    inputs = tf.constant(np.random.default_rng(0).normal(size=shape).astype("float32"))
    if options.work == "multi_head":
        peers = {"ours": layers.MultiHeadSelfAttention, "keras": keras.layers.MultiHeadAttention}
        layer = peers[contestant](HEADS, DIM)
        layer.build(shape) if contestant == "ours" else layer.build(shape, shape)

        def forward(x):
            return layer(x, use_causal_mask=True) if contestant == "ours" else layer(x, x, use_causal_mask=True)
    elif contestant == "ours":
        layer = layers.BahdanauAttention(ADDITIVE)
        layer.build(shape, shape)

        def forward(x):
            return layer(x, x).context
    else:
        layer = keras.layers.AdditiveAttention()
        projections = [keras.layers.Dense(ADDITIVE, use_bias=False) for _ in range(2)]
        for projection in projections:
            projection.build(shape)
        layer.build([shape] * 3)

        def forward(x):
            return layer([projections[0](x), x, projections[1](x)])

    options_of_graph = {"autograph": False, "jit_compile": True if compiler else None}

    @tf.function(**options_of_graph)  # static shapes, as most models have them
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(forward(x) ** 2)
        return tape.gradient(loss, [x, *layer.trainable_variables])

    once = tf.function(forward, **options_of_graph)
    return (lambda: both(inputs)) if options.backward else (lambda: once(inputs))


def make_torch(options):
    import os

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    width = HEADS * DIM
    inputs = torch.randn(options.batch, options.length, width, requires_grad=bool(options.backward))
    project, output = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)

    def forward():
        heads = project(inputs).view(options.batch, options.length, 3, HEADS, DIM).permute(2, 0, 3, 1, 4)
        context = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        return output(context.transpose(1, 2).reshape(inputs.shape))

    def both():
        (forward() ** 2).sum().backward()

    def once():
        with torch.no_grad():
            forward()

    return both if options.backward else once


def peak():
    """Most resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
