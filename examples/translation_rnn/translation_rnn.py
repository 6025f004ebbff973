"""Trains a recurrent translator, with Bahdanau's attention, Luong's or none, on two files or on a toy corpus.

Run it: `python examples/translation_rnn/translation_rnn.py [--source FILE --target FILE]`; `--help` lists the flags.
"""

import argparse
import pathlib
import sys

import keras

from keras_attention import Beam, RecurrentTranslator, SentencePieceTokenizer, TextToText, load, plot_attention
from keras_attention.bleu import corpus_scores
from keras_attention.data import read_corpus
from keras_attention.recipes import train_translator

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from toy_corpus import toy_corpus


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--source", metavar="FILE", help="sentences, one a line; without it a toy corpus is made")
    parser.add_argument("--target", metavar="FILE", help="their translations, line by line")
    parser.add_argument(
        "--attention", choices=("bahdanau", "luong", "none"), default="bahdanau", help="attention mechanism"
    )
    parser.add_argument("--vocabulary-size", type=int, default=10_000, help="of the joint vocabulary of your files")
    parser.add_argument("--updates", type=int, help="4,000 for your files, 400 for the toy corpus")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/rnn"), help="where to write")
    options = parser.parse_args()

    toy = options.source is None
    pairs = toy_corpus(5000) if toy else read_corpus(options.source, options.target)
    held_out, training = pairs[: len(pairs) // 20], pairs[len(pairs) // 20 :]
    updates = options.updates or (400 if toy else 4000)

    # One vocabulary of subwords for both languages: nothing is out of it, since it goes down to bytes.
    keras.utils.set_random_seed(0)
    size = 400 if toy else options.vocabulary_size
    tokenizer = SentencePieceTokenizer.train((text for pair in training for text in pair), size)

    # The toy language needs less of everything.
    smaller = {"units": 96, "encoder_units": 64, "embedding_dim": 64, "dropout": 0.1} if toy else {}
    attention = None if options.attention == "none" else options.attention
    model = RecurrentTranslator.from_preset("tiny", size, size, attention=attention, **smaller)
    train_translator(
        model,
        training,
        held_out,
        tokenizer,
        tokenizer,
        options.output / options.attention,  # kill it at any moment: the same command goes on
        updates=updates,
        tokens=2048 if toy else 4096,
        learning_rate=4e-3 if toy else 2e-3,
        warmup=max(1, updates // 8),
        clip_norm=1.0,
        average=3 if toy else 5,
    )

    converter = TextToText.load(options.output / options.attention, Beam(4, length_penalty=0.6))
    version = converter.export(options.output / options.attention / "model")
    print(f"Exported and checked: {version}")

    exported = load(version)
    results = exported.evaluate(held_out, batch_size=64)
    for score in corpus_scores(results.texts, [target for _, target in held_out]):
        print(f"{score.text}\n  {score.signature}")
    for source, expected, received in results.mistakes[:3]:
        print(f"  {source}\n    expected {expected}\n    received {received}")
    conversion = exported(held_out[0][0])
    if conversion.tokens:  # a model that has hardly learnt may say nothing
        plot_attention(conversion).savefig(options.output / options.attention / "attention.png", dpi=150)


if __name__ == "__main__":
    main()
