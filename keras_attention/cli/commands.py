"""The parser, and the subcommands for short strings and for whatever was trained.

TensorFlow takes seconds to import, so every import that needs it stands inside
the subcommand that does: `--help` and errors in the arguments are instant.
"""

import argparse
import os
import signal
import sys

from keras_attention import __version__
from keras_attention.cli import (
    convert,
    exporting,
    plot,
    published,
    questions,
    recommendations,
    serve,
    translate,
    translation,
)
from keras_attention.cli.common import (
    add_command,
    add_encoding,
    add_model,
    add_run,
    add_settings,
    add_strategy,
    positive,
    progress,
    settings_of,
    strategy_of,
)
from keras_attention.cli.startup import import_tensorflow, plain_warnings
from keras_attention.settings import BLEU_TOKENIZATIONS, ConverterSettings, WorldDatesSettings


def main(arguments=None):
    """Runs the command line; returns the exit status."""
    options, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")  # as files are, whatever the terminal's settings
    try:
        import_tensorflow()
        with plain_warnings():
            options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        resume = "; the same command goes on from the last round that was saved" if options.command == "train" else ""
        print(f"\nkeras-attention: interrupted{resume}", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ArithmeticError, ImportError, LookupError, OSError, ValueError, RuntimeError) as error:
        print(f"keras-attention: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser():
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(prog="keras-attention", description="Attention models from string to string.")
    parser.add_argument("--version", action="version", version=f"keras-attention {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    translation.add_vocabulary(commands)
    _add_train(commands)
    convert.add_convert(commands)
    translate.add_translate(commands)
    published.add_import(commands)
    published.add_shortlist(commands)
    published.add_score(commands)
    _add_evaluate(commands)
    plot.add_plot(commands)
    exporting.add_export(commands)
    serve.add_serve(commands)
    return parser


def _add_train(commands):
    train = commands.add_parser("train", help="train a model")
    kinds = train.add_subparsers(dest="kind", required=True, metavar="KIND")
    _add_train_dates(kinds)
    _add_train_world_dates(kinds)
    _add_train_pairs(kinds)
    translation.add_train_translation(kinds)
    questions.add_train_questions(kinds)
    recommendations.add_train_recommendations(kinds)


def _add_train_dates(kinds):
    dates = add_command(
        kinds,
        "dates",
        "a converter of written dates to ISO dates, on generated pairs",
        "train dates --locales en_US,de,fr --count 50000 --run runs/dates",
    )
    dates.add_argument("--count", type=positive, default=25_000, help="number of training pairs to generate")
    dates.add_argument("--locales", default="en_US", help="comma-separated CLDR locales, such as en_US,de,ko")
    _add_converter(dates, "runs/date_converter")
    dates.set_defaults(run=_train_dates, source_normalization="NFKC", epochs=3)


def _add_train_world_dates(kinds):
    world = add_command(
        kinds,
        "world-dates",
        "the reader of dates of all locales that comes with the package; takes an hour or two on two cores",
        "train world-dates --run runs/world_dates",
    )
    add_run(world, "runs/world_dates")
    add_settings(world, WorldDatesSettings)
    world.add_argument(
        "--start", metavar="FOLDER", help="run or export whose vocabulary and weights to begin with (default: none)"
    )
    world.add_argument(
        "--all-locales", action="store_true", help="also learn the locales that are held out to be measured on"
    )
    world.set_defaults(run=_train_world_dates)


def _add_train_pairs(kinds):
    pairs = add_command(
        kinds,
        "pairs",
        "a converter of short strings, on your own pairs",
        "train pairs names.tsv --run runs/names",
        "train pairs names.csv --encoding cp1252 --epochs 20 --run runs/names",
    )
    pairs.add_argument(
        "file", metavar="FILE", help="pairs file: source, tab, target on each line, or a .csv; plain or .gz"
    )
    pairs.add_argument(
        "--source-normalization", choices=("NFKC",), help="Unicode normalization of the sources (default: none)"
    )
    pairs.add_argument("--validation", metavar="FILE", help="validation pairs (default: a held-out part of FILE)")
    add_encoding(pairs)
    _add_converter(pairs, "runs/pairs")
    pairs.set_defaults(run=_train_pairs, epochs=0)


def _add_converter(kind, folder):
    """The flags of both trainings of a `DateConverter`."""
    add_run(kind, folder)
    kind.add_argument("--held-out", type=float, default=0.05, help="fraction of the targets held out for validation")
    add_settings(kind, ConverterSettings)
    kind.add_argument("--attention", choices=("bahdanau", "luong", "none"), default="luong", help="attention mechanism")
    kind.add_argument("--cell", choices=("gru", "lstm"), default="gru", help="recurrent cell of encoder and decoder")
    kind.add_argument("--units", type=positive, default=64, help="size of the decoder state")
    kind.add_argument("--encoder-units", type=positive, default=64, help="size of the encoder state, per direction")
    kind.add_argument("--dropout", type=float, default=0.0, help="dropout rate")


def _add_evaluate(commands):
    evaluate = add_command(
        commands,
        "evaluate",
        "measure accuracy, BLEU and chrF, or ranking quality",
        "evaluate --model runs/names held_out.tsv",
        "evaluate --model runs/en_de test.en test.de --beam 5 --length-penalty 1",
    )
    add_model(evaluate)
    evaluate.add_argument("file", metavar="FILE", help="test file: source, tab, target on each line; plain or .gz")
    evaluate.add_argument(
        "reference",
        metavar="REFERENCE",
        nargs="?",
        help="file of the targets, if FILE has sources only; implies --bleu",
    )
    add_encoding(evaluate)
    evaluate.add_argument("--bleu", action="store_true", help="print BLEU and chrF instead of accuracy")
    evaluate.add_argument(
        "--tokenized", action="store_true", help="the texts are already tokenized: split words at spaces only"
    )
    evaluate.add_argument(
        "--bleu-tokenize", choices=BLEU_TOKENIZATIONS, help="sacrebleu tokenizer (default: chosen by script)"
    )
    evaluate.add_argument("--lowercase", action="store_true", help="compute BLEU and chrF on lower-cased text")
    evaluate.add_argument("--output", metavar="FILE", help="file to write the results to, one per line")
    evaluate.add_argument("--batch-size", type=positive, default=64, help="number of strings per batch")
    add_strategy(evaluate)
    evaluate.add_argument("--show", type=int, default=5, help="number of mistakes to print")
    evaluate.set_defaults(run=_evaluate)


def _train_dates(options):
    from keras_attention.data.dates import generate_dates
    from keras_attention.data.pairs import split_by_target, write_pairs

    pairs = generate_dates(options.count, seed=options.seed, locales=options.locales.split(","))
    training, held_out = split_by_target(pairs, options.held_out, seed=options.seed)
    _train(options, training, held_out)
    write_pairs(held_out, os.path.join(options.folder, "held_out.tsv"))


def _train_world_dates(options):
    from keras_attention.data.world_dates import all_locales
    from keras_attention.recipes import train_world_dates

    train_world_dates(
        options.folder,
        settings_of(options, WorldDatesSettings),
        locales=all_locales() if options.all_locales else None,
        start=options.start,
        may_change=options.may_change,
        verbose=progress(),
    )
    print(f"Saved in {options.folder}. `keras-attention export {options.folder} MODEL` makes a SavedModel of it.")


def _train_pairs(options):
    from keras_attention.data.pairs import read_pairs, split_by_target

    pairs = read_pairs(options.file, options.encoding)
    if options.validation:
        held_out = read_pairs(options.validation, options.encoding)
    else:
        pairs, held_out = split_by_target(pairs, options.held_out, seed=options.seed)
    _train(options, pairs, held_out)


def _train(options, pairs, held_out):
    from keras_attention.recipes import train_converter

    print(f"Learning from {len(pairs):,} pairs; val_exact_match is measured on {len(held_out):,} others.")
    train_converter(
        pairs,
        held_out,
        options.folder,
        settings_of(options, ConverterSettings),
        options.source_normalization,
        options.may_change,
        attention=None if options.attention == "none" else options.attention,
        cell=options.cell,
        units=options.units,
        encoder_units=options.encoder_units,
        dropout=options.dropout,
        verbose=progress(),
    )
    print(f"Saved in {options.folder}. `keras-attention export {options.folder} MODEL` makes a SavedModel of it.")


def _evaluate(options):
    from keras_attention.answer import AnswersQuestions
    from keras_attention.bleu import corpus_scores, tokenization_of
    from keras_attention.data.pairs import read_corpus
    from keras_attention.recommend import Recommends
    from keras_attention.tasks import load

    task = load(options.model, strategy_of(options))
    for kind, evaluate in (
        (AnswersQuestions, questions.evaluate_answerer),
        (Recommends, recommendations.evaluate_recommender),
    ):
        if isinstance(task, kind):
            evaluate(task, options)
            return
    pairs = read_corpus(options.file, options.reference, options.encoding)
    evaluation = task.evaluate(pairs, options.batch_size)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as out:
            out.writelines(f"{text}\n" for text in evaluation.texts)
    if options.bleu or options.reference:
        targets = [target for _, target in pairs]
        tokenize, why = (options.bleu_tokenize, "") if options.bleu_tokenize else tokenization_of(targets)
        if why and not options.tokenized:
            print(f"keras-attention: {why}; --bleu-tokenize takes another.", file=sys.stderr)
        for score in corpus_scores(evaluation.texts, targets, options.tokenized, options.lowercase, tokenize):
            print(f"{score.text}\n  {score.signature}")
        return
    print(f"exact match {evaluation.exact_match:.2%} of {len(pairs):,} pairs")
    for source, expected, received in evaluation.mistakes[: options.show]:
        print(f"  {source!r}: expected {expected!r}, received {received!r}")
