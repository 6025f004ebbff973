"""The ladder: the same dates through every decoder that the lectures name, each adding one thing to the one before.

    python benchmarks/ladder.py [--only NAME ...]

Each model is trained in a process of its own, on one core, for four passes over
the book's 45,000 pairs (`dates.py`) with one schedule; exact match is measured
on the 5,000 test lines after each pass, and a date is converted through the
exported SavedModel. What is in `runs/ladder` is not trained again. The table
and `docs/images/ladder.png` are in `docs/ladder.md`; its scores on Multi30k are
those of `results/`.
"""

import argparse
import json
import sys
import tempfile
import time

import harness
import numpy as np
from dates import BOOK, book_split, evaluate, exact_by_epoch

UNITS, EPOCHS = 64, 4
RECURRENT = {"units": UNITS, "encoder_units": 32, "embedding_dim": 32}
# BLEU on the test set of 2016, of models of another size; benchmarks/README.md says what each was trained with.
MULTI30K = {
    "bottleneck": 21.27,
    "Bahdanau": 37.72,
    "Luong": 38.25,
    "GNMT": 22.96,
    "Transformer": 41.76,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=MODELS, help="some of the models")
    parser.add_argument("--plot", action="store_true", help="draw what is in results/ladder.json, train nothing")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--data", default=str(BOOK), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        harness.one_core()
        run(options.work, options.data)
        return
    if not options.plot:
        kept = harness.ROOT / "runs/ladder"
        kept.mkdir(parents=True, exist_ok=True)
        for name in options.only or MODELS:
            if not (kept / f"{name}.json").is_file():
                row = harness.measure(__file__, name)
                (kept / f"{name}.json").write_text(json.dumps(row) + "\n")
        rows = {name: json.loads((kept / f"{name}.json").read_text()) for name in options.only or MODELS}
        for name, row in rows.items():
            by_epoch = " ".join(f"{100 * value:.2f}" for value in row["exact_by_epoch"])
            print(f"{name:14}{row['weights']:>9,}{row['cpu_seconds']:>8.1f} s{row['one_date_ms']:>8.2f} ms  {by_epoch}")
        if options.only:
            return
        harness.save("ladder", "python benchmarks/ladder.py", rows)
    draw(json.loads((harness.RESULTS / "ladder.json").read_text())["figures"])


def _recurrent(**arguments):
    from keras_attention.models import DateConverter

    return lambda *sizes: DateConverter(*sizes, **(RECURRENT | arguments))


def _around(make):
    """Luong's decoder around another attention, which reads all steps in parallel."""

    def model(*sizes):
        from keras_attention import layers
        from keras_attention.models import DateConverter

        cell = layers.LuongCell(UNITS, attention=make(layers), input_feeding=False)
        return DateConverter(*sizes, **(RECURRENT | {"attention": cell}))

    return model


def _gnmt(*sizes):
    from keras_attention.models import GNMTTranslator

    return GNMTTranslator(*sizes, units=32, embedding_dim=32, layers=3, cell="gru", dropout=0.0)


def _transformer(*sizes):
    from keras_attention.models import TransformerTranslator

    sizes_of_parts = {"layers": 2, "units": 48, "num_heads": 4, "feed_forward_units": 96, "dropout": 0.0}
    return TransformerTranslator(*sizes, tied="target", **sizes_of_parts)


# Name: what makes the model of two sizes of vocabularies, and its peak learning rate.
MODELS = {
    "bottleneck": (lambda *sizes: _recurrent(attention=None)(*sizes), 8e-3),
    "Bahdanau": (lambda *sizes: _recurrent(attention="bahdanau")(*sizes), 8e-3),
    "Luong": (lambda *sizes: _recurrent(attention="luong")(*sizes), 8e-3),
    "local-m": (_around(lambda layers: layers.LocalAttention("general", "monotonic", half_width=5)), 8e-3),
    "local-p": (_around(lambda layers: layers.LocalAttention("general", "predictive", half_width=5)), 8e-3),
    "monotonic": (_around(lambda layers: layers.MonotonicAttention("general", noise=1.0, seed=0)), 8e-3),
    "GNMT": (_gnmt, 8e-3),
    "Transformer": (_transformer, 4e-3),
}


def run(name, data):
    import keras
    import tensorflow as tf

    from keras_attention import TextToText
    from keras_attention.data import PairBatches
    from keras_attention.recipes import warmed_up_cosine
    from keras_attention.text import CharacterTokenizer
    from keras_attention.training import ExactMatch, MaskedCrossentropy

    keras.utils.set_random_seed(0)
    training, test = book_split(data)
    tokenizers = [CharacterTokenizer.train(side) for side in zip(*training, strict=True)]
    make, rate = MODELS[name]
    model = make(*(len(tokenizer.vocabulary) for tokenizer in tokenizers))
    batches = PairBatches(training, *tokenizers, 128, seed=0, fixed_shapes=True)
    steps = batches.steps_per_epoch
    optimizer = keras.optimizers.Adam(warmed_up_cosine(rate, EPOCHS * steps), beta_2=0.98, global_clipnorm=1.0)
    model.compile(optimizer, MaskedCrossentropy(), metrics=[ExactMatch()])
    curve, began = exact_by_epoch(training, test), time.process_time()
    model.fit(batches.dataset(), epochs=EPOCHS, steps_per_epoch=steps, callbacks=[curve], verbose=0)
    seconds = time.process_time() - began
    if name == "monotonic":
        model.decoder.cell.attention.hard = True
    converter = TextToText(model, *tokenizers, max_length=10)
    exact, unseen = evaluate(lambda texts: np.array([each.text for each in converter(texts)]), training, test)
    with tempfile.TemporaryDirectory() as folder:
        signature = tf.saved_model.load(str(converter.export(folder))).signatures["serving_default"]
    harness.report(
        weights=model.count_params(),
        cpu_seconds=seconds,
        exact=exact,
        exact_unseen=unseen,
        exact_by_epoch=[*curve.found[:-1], exact],
        one_date_ms=_median_ms(signature, tf.constant([test[0][0]])),
    )


def _median_ms(signature, text):
    signature(text=text)
    seconds = []
    for _ in range(200):
        began = time.perf_counter()
        signature(text=text)["text"].numpy()
        seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds))


def draw(rows):
    from matplotlib import pyplot

    figure, (curves, bars) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, row in rows.items():
        curves.plot(range(1, EPOCHS + 1), [100 * value for value in row["exact_by_epoch"]], marker="o", label=name)
    curves.set(xlabel="passes over 45,000 dates", ylabel="exact match on 5,000, %", xticks=range(1, EPOCHS + 1))
    curves.legend(fontsize=8, loc="center right")
    names = list(MULTI30K)
    bars.bar(names, MULTI30K.values(), color="tab:blue")
    for index, value in enumerate(MULTI30K.values()):
        bars.text(index, value + 0.5, f"{value:.1f}", ha="center", fontsize=8)
    bars.set(ylabel="BLEU, Multi30k en-de, test 2016")
    bars.tick_params(axis="x", labelsize=8)
    figure.savefig(harness.ROOT / "docs/images/ladder.png", dpi=120)


if __name__ == "__main__":
    sys.exit(main())
