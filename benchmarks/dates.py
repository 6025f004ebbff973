"""Dates: our converter beside the book's model in stock Keras layers, other attentions, and none.

    python benchmarks/dates.py [--data date.txt.gz]

Each contestant trains in a fresh process on one core until 99.9 % of the 5,000
test lines are exactly right; the CPU seconds are those of `fit`, tracing
included; those with another attention have four passes. Then greedy conversion is
timed from the exported SavedModel. Without the book's file, dates in its four
formats are generated, which is said.
"""

import argparse
import pathlib
import sys
import tempfile
import time

import harness
import numpy as np

BOOK = pathlib.Path(__file__).parents[2] / "shared/data/date.txt.gz"
GOAL = 0.999


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(BOOK), help="the book's date.txt, plain or .gz")
    parser.add_argument("--seeds", type=int, default=3, help="runs of ours")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="rows of the table; the first is the one compared with"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        harness.one_core()
        WORKS[options.work](options)
        return
    source = f"the book's {options.data}" if pathlib.Path(options.data).is_file() else "generated dates, no book's file"
    print(f"Data: {source}\n")
    rows = {}
    if not options.only:
        rows["stock Keras, the book's model"] = [harness.measure(__file__, "stock", "--data", options.data)]
    others = {"local-m": "local-m", "local-p": "local-p", "monotonic, hard at conversion": "monotonic"}
    contestants = {"DateConverter": ("ours", options.seeds), "no attention": ("vanilla", 1)}
    contestants |= {name: (work, 1) for name, work in others.items()}
    if options.only:
        contestants = {name: contestants[name] for name in options.only}
    for name, (work, seeds) in contestants.items():
        rows[name] = [harness.measure(__file__, work, "--data", options.data, "--seed", seed) for seed in range(seeds)]
    stock = next(iter(rows.values()))[0]["cpu_seconds"]  # the first row is what the others are compared with
    header = f"{'model':32}{'weights':>9}{'epochs':>8}{'CPU s':>8}{'ratio':>8}{'exact %':>9}{'unseen %':>10}"
    print(f"{header}  after each epoch")
    for name, runs in rows.items():
        for run in runs:
            epochs = " ".join(f"{100 * value:.2f}" for value in run["exact_by_epoch"])
            seconds, exact, unseen = run["cpu_seconds"], 100 * run["exact"], 100 * run["exact_unseen"]
            figures = f"{seconds:>8.1f}{seconds / stock:>8.3f}{exact:>9.2f}{unseen:>10.2f}"
            print(f"{name:32}{run['weights']:>9,}{run['epochs']:>8}{figures}  {epochs}")
    if options.only:
        harness.save("dates_attentions", f"python benchmarks/dates.py --only {' '.join(map(repr, options.only))}", rows)
        return
    speed = harness.measure(__file__, "convert", "--data", options.data)
    print(f"\nSavedModel, greedy, one core: {speed['dates_per_second']:,.0f} dates/s in one batch of 1,000; ")
    print(f"one date {speed['one_date_ms']:.2f} ms (median of 200)")
    command = f"python benchmarks/dates.py --seeds {options.seeds}"
    harness.save("dates", command, {"data": source.replace(options.data, "date.txt.gz"), **rows, "SavedModel": speed})


def book_split(file):
    """The book's 45,000 training and 5,000 test lines: its seed, its shuffle."""
    from keras_attention.data import generate_dates, read_pairs

    if pathlib.Path(file).is_file():
        pairs = read_pairs(file)
    else:
        formats = ("short", "MMM d, y", "MMMM d, y", "EEEE, MMMM d, y")
        pairs = generate_dates(50_000, formats=formats)
    order = np.arange(len(pairs))
    np.random.seed(1984)
    np.random.shuffle(order)
    pairs = [pairs[index] for index in order]
    cut = len(pairs) - len(pairs) // 10
    return pairs[:cut], pairs[cut:]


def evaluate(predict, training, test):
    """Exact match on the test lines, and on those whose source does not occur in training."""
    right = predict([source for source, _ in test]) == np.array([target for _, target in test])
    known = {source for source, _ in training}
    unseen = np.array([source not in known for source, _ in test])
    return float(right.mean()), float(right[unseen].mean())


# Chosen on 2,000 lines held out of the 45,000, never on the test lines.
RECIPE = {"epochs": 1, "units": 64, "encoder_units": 32, "learning_rate": 8e-3, "batch_size": 128}
# The baseline is the same model without attention, and gets four times the passes.
BASELINE = RECIPE | {"attention": None, "epochs": 4}


def run_ours(options):
    run_converter(options, RECIPE)


def run_vanilla(options):
    run_converter(options, BASELINE)


def run_local_m(options):
    run_around(options, lambda layers: layers.LocalAttention("general", "monotonic", half_width=5))


def run_local_p(options):
    run_around(options, lambda layers: layers.LocalAttention("general", "predictive", half_width=5))


def run_monotonic(options):
    """Soft in training, with noise that drives it to decide; hard at conversion."""

    def decide(model):
        model.decoder.cell.attention.hard = True

    run_around(options, lambda layers: layers.MonotonicAttention("general", noise=1.0, seed=0), decide)


def run_around(options, attention, before_conversion=None):
    """The recipe with another attention in its cell, which reads all steps in parallel, and four times the passes."""
    from keras_attention import layers

    cell = layers.LuongCell(RECIPE["units"], attention=attention(layers), input_feeding=False)
    run_converter(options, RECIPE | {"attention": cell, "epochs": 4}, before_conversion)


def run_converter(options, arguments, before_conversion=None):
    from keras_attention.recipes import train_converter

    training, test = book_split(options.data)
    # The result is the epoch that is best on pairs which are learned: nothing is chosen by those of the test. One epoch
    # is measured after it; several are measured along the way, which costs time that is not theirs.
    several = arguments["epochs"] > 1
    curve = exact_by_epoch(training, test)
    began = time.process_time()
    converter = train_converter(
        training,
        training[: 1000 if several else 1],
        seed=options.seed,
        callbacks=[curve] if several else [],
        verbose=0,
        **arguments,
    )
    seconds = time.process_time() - began
    if before_conversion is not None:
        before_conversion(converter.model)

    def predict(texts):
        return np.array([conversion.text for conversion in converter(texts)])

    exact, unseen = evaluate(predict, training, test)
    harness.report(
        weights=converter.model.count_params(),
        epochs=arguments["epochs"],
        cpu_seconds=seconds,
        exact=exact,
        exact_unseen=unseen,
        exact_by_epoch=curve.found if several else [exact],
    )


def exact_by_epoch(training, test):
    """A callback that measures the exact match on the test pairs after each epoch, into `found`."""
    import keras

    from keras_attention.data import make_batches
    from keras_attention.text import CharacterTokenizer

    tokenizers = [CharacterTokenizer.train(side) for side in zip(*training, strict=True)]
    batches = make_batches(test, *tokenizers, batch_size=1024, fixed_shapes=True)

    class Curve(keras.callbacks.Callback):
        found = ()

        def on_epoch_end(self, epoch, logs=None):
            measured = self.model.evaluate(batches, verbose=0, return_dict=True)
            self.found = [*self.found, measured["exact_match"]]

    return Curve()


def run_stock(options):
    """The book's attention model, chapter 8, in stock Keras layers, until it reaches the goal."""
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(0)
    training, test = book_split(options.data)
    characters = sorted({character for pair in training + test for text in pair for character in text} | {" ", "_"})
    ids = {character: index for index, character in enumerate(characters)}
    longest = max(len(source) for source, _ in training + test)

    def encode(pairs):
        """Sources padded with spaces and reversed, targets behind `_`, as in the book."""
        source = np.array([[ids[character] for character in source.ljust(longest)[::-1]] for source, _ in pairs])
        target = np.array([[ids[character] for character in "_" + target] for _, target in pairs])
        return [source, target[:, :-1]], target[:, 1:]

    def normal(stddev):
        return keras.initializers.RandomNormal(stddev=stddev)

    def embedding():
        return layers.Embedding(len(characters), 16, embeddings_initializer=normal(0.01))

    def lstm(**arguments):
        return layers.LSTM(
            256,
            return_sequences=True,
            unit_forget_bias=False,
            kernel_initializer=normal(16**-0.5),
            recurrent_initializer=normal(256**-0.5),
            **arguments,
        )

    source, target = keras.Input((longest,), dtype="int32"), keras.Input((10,), dtype="int32")
    encoded, last, _ = lstm(return_state=True)(embedding()(source))
    decoded = lstm()(embedding()(target), initial_state=[last, ops.zeros_like(last)])  # only h is handed over
    context = layers.Attention()([decoded, encoded])
    output = layers.Dense(len(characters), kernel_initializer=normal(512**-0.5))
    logits = output(layers.Concatenate()([context, decoded]))
    model = keras.Model([source, target], logits)
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=5.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    inputs, labels = encode(training)
    test_inputs, _ = encode(test)

    def predict(_):
        found = model.predict(test_inputs, batch_size=1000, verbose=0).argmax(-1)
        return np.array(["".join(characters[index] for index in row) for row in found])

    seconds, by_epoch = 0.0, []
    while not by_epoch or (by_epoch[-1] < GOAL and len(by_epoch) < 10):
        began = time.process_time()
        model.fit(inputs, labels, batch_size=128, epochs=1, verbose=0)
        seconds += time.process_time() - began
        exact, unseen = evaluate(predict, training, test)
        by_epoch.append(exact)
    harness.report(
        weights=model.count_params(),
        epochs=len(by_epoch),
        cpu_seconds=seconds,
        exact=exact,
        exact_unseen=unseen,
        exact_by_epoch=by_epoch,
    )


def run_convert(options):
    """Speed of the exported SavedModel; its weights do not matter, the lengths of the results do."""
    import tensorflow as tf

    from keras_attention.recipes import train_converter

    training, test = book_split(options.data)
    converter = train_converter(training, training[:1], seed=0, verbose=0, **RECIPE)
    with tempfile.TemporaryDirectory() as folder:
        signature = tf.saved_model.load(str(converter.export(folder))).signatures["serving_default"]
    texts = tf.constant([source for source, _ in test[:1000]])

    def median_seconds(text, repeats):
        signature(text=text)
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            signature(text=text)["text"].numpy()
            seconds.append(time.perf_counter() - began)
        return float(np.median(seconds))

    harness.report(
        dates_per_second=len(texts) / median_seconds(texts, 20), one_date_ms=1000 * median_seconds(texts[:1], 200)
    )


WORKS = {"ours": run_ours, "vanilla": run_vanilla, "stock": run_stock, "convert": run_convert}
WORKS |= {"local-m": run_local_m, "local-p": run_local_p, "monotonic": run_monotonic}

if __name__ == "__main__":
    sys.exit(main())
