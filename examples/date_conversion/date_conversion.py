"""Trains a date converter with the public API, exports it and looks at its attention.

Run it: `python examples/date_conversion/date_conversion.py`; `--help` lists the flags.
"""

import argparse
import pathlib

import keras

from keras_attention import CharacterTokenizer, DateConverter, TextToText, load, plot_attention
from keras_attention.data import generate_dates, make_batches, split_by_target
from keras_attention.training import ExactMatch, MaskedCrossentropy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--count", type=int, default=25_000, help="dates to generate")
    parser.add_argument("--epochs", type=int, default=3, help="passes over them")
    parser.add_argument(
        "--attention", choices=("bahdanau", "luong", "none"), default="luong", help="none: the baseline"
    )
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/example"), help="folder to write to")
    options = parser.parse_args()

    # Pairs such as ("May 3, 1979", "1979-05-03"). No date that is held out occurs in training.
    keras.utils.set_random_seed(0)
    training, held_out = split_by_target(generate_dates(options.count), fraction=0.05)

    # Characters to ids, in graph: the export will do exactly the same.
    source_tokenizer = CharacterTokenizer.train((source for source, _ in training), normalization="NFKC")
    target_tokenizer = CharacterTokenizer.train(target for _, target in training)
    tokenizers = source_tokenizer, target_tokenizer
    batches = make_batches(training, *tokenizers, batch_size=128, shuffle_seed=0, fixed_shapes=True)
    validation = make_batches(held_out, *tokenizers, batch_size=1024, fixed_shapes=True)

    # A plain Keras model, trained with plain compile and fit.
    model = DateConverter(
        len(source_tokenizer.vocabulary),
        len(target_tokenizer.vocabulary),
        units=64,
        encoder_units=64,
        attention=None if options.attention == "none" else options.attention,
    )
    steps = options.epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps * 9 // 10), warmup_target=4e-3, warmup_steps=max(1, steps // 10)
    )
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=1.0)
    model.compile(optimizer, MaskedCrossentropy(), metrics=[ExactMatch()])
    model.fit(batches, validation_data=validation, epochs=options.epochs, shuffle=False)

    # Strings in, strings out. The export needs nothing but TensorFlow and tensorflow-text.
    converter = TextToText(model, *tokenizers, max_length=16)
    version = converter.export(options.output / "model")
    print(f"Exported and checked: {version}")

    exported = load(version)
    print(f"exact match on {len(held_out)} dates it never saw: {exported.evaluate(held_out).exact_match:.2%}")
    for conversion in exported(["Tuesday, September 25, 1984", "3 May 1979", "2/10/93"]):
        print(f"{''.join(conversion.source_tokens):30}{conversion.text}   log-probability {conversion.log_prob:.3f}")

    if options.attention != "none":
        picture = options.output / "attention.png"
        plot_attention(exported("Tuesday, September 25, 1984")).savefig(picture, dpi=150)
        print(f"Attention: {picture}")


if __name__ == "__main__":
    main()
