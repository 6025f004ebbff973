"""The subcommands that make a translator: `vocabulary`, `train translation`.

What needs TensorFlow is imported inside the functions, as everywhere in this package.
"""

import argparse
import dataclasses

from keras_attention.cli.common import (
    add_command,
    add_encoding,
    add_run,
    add_settings,
    flag_of,
    positive,
    progress,
    setting,
    settings_of,
)
from keras_attention.settings import TranslatorSettings

SUBWORDS = ("sentencepiece", "wordpiece")
# The kinds of models by what `--model` calls them.
MODELS = {
    "transformer": "transformer",
    "bahdanau": "recurrent",
    "luong": "recurrent",
    "none": "recurrent",
    "gnmt": "gnmt",
}


# Arguments of the constructors, by the kinds that have them. None has a default here: that is the preset's.
MODEL_FLAGS = {
    "transformer, recurrent or gnmt": {
        "units": {"type": positive, "help": "model width"},
        "layers": {"type": positive, "help": "number of layers of the encoder, and of the decoder"},
        "dropout": {"type": float, "help": "dropout rate between layers"},
        "tied": {
            "choices": ("all", "inputs", "target", "none"),
            "help": "which embeddings share weights (default: all that can); recurrent models: target or none",
        },
    },
    "transformer or recurrent": {
        "attention_options": {
            "type": setting,
            "nargs": "+",
            "metavar": "NAME=VALUE",
            "help": "arguments of the attention layer, such as score=dot input_feeding=false for luong",
        },
    },
    "transformer": {
        "decoder_layers": {"type": positive, "help": "number of decoder layers (default: as many as the encoder has)"},
        "num_heads": {"type": positive, "help": "number of attention heads"},
        "feed_forward_units": {"type": positive, "help": "width of the feed-forward layers"},
        "norm": {
            "choices": ("pre", "post"),
            "help": "layer normalization before or after each sublayer (default: pre)",
        },
        "positions": {
            "choices": ("sinusoid", "learned", "rotary", "alibi"),
            "help": "position encoding (default: sinusoid)",
        },
        "attention_dropout": {"type": float, "help": "dropout rate of the attention weights"},
        "activation_dropout": {"type": float, "help": "dropout rate inside the feed-forward layers"},
    },
    "recurrent or gnmt": {
        "embedding_dim": {"type": positive, "help": "embedding size of source and target"},
        "cell": {"choices": ("gru", "lstm"), "help": "recurrent cell (default: gru; gnmt: lstm)"},
        "context_dropout": {"type": float, "help": "dropout rate of the encoder outputs that attention reads"},
    },
    "recurrent": {
        "encoder_units": {"type": positive, "help": "size of the encoder state, per direction"},
        "bidirectional": {"action": argparse.BooleanOptionalAction, "help": "bidirectional encoder"},
        "residual": {"action": argparse.BooleanOptionalAction, "help": "residual connections between layers"},
        "bridge": {
            "choices": ("dense", "backward", "copy", "zeros"),
            "help": "how the decoder state is initialized from the last encoder states",
        },
    },
    "gnmt": {
        "context": {
            "choices": ("current", "previous"),
            "help": "step whose context vector the upper layers receive (default: current)",
        },
    },
}


def add_vocabulary(commands):
    vocabulary = add_command(
        commands,
        "vocabulary",
        "train a subword vocabulary",
        "vocabulary train.en train.de --size 10000 --output joint.sentencepiece",
    )
    vocabulary.add_argument(
        "files", metavar="FILE", nargs="+", help="text files; give both languages for a joint vocabulary"
    )
    vocabulary.add_argument("--output", metavar="FILE", help="file to write (default: vocabulary.KIND)")
    vocabulary.add_argument("--size", type=positive, default=10_000, help="vocabulary size, including special tokens")
    add_encoding(vocabulary)
    _add_subwords(vocabulary)
    vocabulary.set_defaults(run=_vocabulary)


def _add_subwords(parser):
    parser.add_argument(
        "--subwords",
        choices=SUBWORDS,
        default="sentencepiece",
        help="SentencePiece byte-pair encoding (lossless) or WordPiece",
    )


def add_train_translation(kinds):
    train = add_command(
        kinds,
        "translation",
        "a translator, on your own parallel corpus",
        "train translation --source train.en --target train.de --run runs/en_de",
    )
    _add_corpus(train.add_argument_group("corpus"))
    _add_model(train.add_argument_group("model"))
    for kinds, flags in MODEL_FLAGS.items():
        group = train.add_argument_group(f"{kinds} model, instead of the preset's")
        for name, settings in flags.items():
            group.add_argument(flag_of(name), **settings)
    training = train.add_argument_group("training")
    add_run(training, "runs/translation")
    add_settings(training, TranslatorSettings)
    training.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="Keras dtype policy",
    )
    training.add_argument("--tensorboard", metavar="FOLDER", help="folder for TensorBoard logs")
    train.set_defaults(run=_train_translation)


def _add_corpus(corpus):
    corpus.add_argument(
        "--source",
        metavar="FILE",
        required=True,
        help="source sentences, one per line; or source, tab, target without --target",
    )
    corpus.add_argument("--target", metavar="FILE", help="target sentences, one per line")
    corpus.add_argument(
        "--validation-source", metavar="FILE", help="validation sources (default: a held-out part of the corpus)"
    )
    corpus.add_argument("--validation-target", metavar="FILE", help="validation targets")
    add_encoding(corpus)
    corpus.add_argument(
        "--held-out", type=float, default=0.02, help="fraction of the corpus held out, without validation files"
    )
    corpus.add_argument(
        "--vocabulary", metavar="FILE", help="joint vocabulary from `keras-attention vocabulary` (default: train one)"
    )
    corpus.add_argument("--source-vocabulary", metavar="FILE", help="source vocabulary, if not joint")
    corpus.add_argument("--target-vocabulary", metavar="FILE", help="target vocabulary, if not joint")
    corpus.add_argument(
        "--vocabulary-size", type=positive, default=10_000, help="size of the joint vocabulary that is trained"
    )
    _add_subwords(corpus)


def _add_model(model):
    model.add_argument(
        "--from",
        dest="start",
        metavar="RUN",
        help="run to fine-tune, such as an imported one: its model, vocabularies and way to decode are kept, and "
        "--learning-rate is 1e-4 by default",
    )
    model.add_argument("--model", choices=MODELS, default="transformer", help="model architecture")
    model.add_argument("--preset", default="tiny", help="model size: tiny, small, or base (transformer only)")


def _vocabulary(options):
    from keras_attention.data.pairs import read_lines
    from keras_attention.text import TOKENIZERS

    lines = [line for file in options.files for line in read_lines(file, encoding=options.encoding) if line]
    tokenizer = TOKENIZERS[options.subwords].train(lines, options.size)
    output = options.output or f"vocabulary.{options.subwords}"
    tokenizer.write(output)
    print(f"{output}: {len(tokenizer.vocabulary):,} ids from {len(lines):,} lines.")


def _train_translation(options):
    import keras

    from keras_attention import recipes
    from keras_attention.data.pairs import read_corpus, split_by_target

    model_arguments = _model_arguments(options)
    pairs = read_corpus(options.source, options.target, options.encoding)
    if options.validation_source:
        held_out = read_corpus(options.validation_source, options.validation_target, options.encoding)
    else:
        pairs, held_out = split_by_target(pairs, options.held_out, seed=options.seed)
    print(f"Learning from {len(pairs):,} pairs; val_loss is measured on {len(held_out):,} others.", flush=True)
    keras.utils.set_random_seed(options.seed)
    settings = settings_of(options, TranslatorSettings)
    if options.start:
        start, settings = _started(options, settings, model_arguments)
        parts = (start.model, start.source_tokenizer, start.target_tokenizer)
    else:
        start, tokenizers = None, _tokenizers(options, pairs)
        parts = (
            recipes.make_translator(
                options.model, options.preset, *tokenizers, dtype=options.precision, **model_arguments
            ),
            *tokenizers,
        )
    recipes.train_translator(
        parts[0],
        pairs,
        held_out,
        *parts[1:],
        options.folder,
        settings,
        options.may_change,
        start=start,
        callbacks=[keras.callbacks.TensorBoard(options.tensorboard)] if options.tensorboard else [],
        verbose=progress(),
    )
    print(f"Saved in {options.folder}. `keras-attention export {options.folder} MODEL` makes a SavedModel of it.")


def _started(options, settings, model_arguments):
    """What to fine-tune, and the settings, with a learning rate for it."""
    from keras_attention.tasks import TextToText

    vocabularies = ("vocabulary", "source_vocabulary", "target_vocabulary")
    given = [*model_arguments, *(name for name in vocabularies if getattr(options, name))]
    if given:
        flags = ", ".join(map(flag_of, given))
        raise ValueError(f"--from {options.start} has a model and vocabularies, so {flags} cannot be given.")
    if settings.learning_rate is None:
        settings = dataclasses.replace(settings, learning_rate=1e-4)
    return TextToText.load(options.start), settings


def _model_arguments(options):
    """What was given of a model's arguments, if the chosen model has them all."""
    given = {}
    for kinds, flags in MODEL_FLAGS.items():
        for name in flags:
            value = getattr(options, name)
            if value is None:
                continue
            if MODELS[options.model] not in kinds.replace(",", "").split():
                raise ValueError(f"{flag_of(name)} is for a {kinds} model. Received it with --model {options.model}.")
            given[name] = value
    if "attention_options" in given:
        given["attention_options"] = dict(given["attention_options"])
    if "tied" in given:
        given["tied"] = _tied(given["tied"], options.model)
    return given


def _tied(value, model):
    """What the constructor of a model calls the flag's value: a recurrent one has nothing to tie but the target."""
    if model == "transformer":
        return None if value == "none" else value
    if value not in ("target", "none"):
        raise ValueError(f"--tied {value} is for a transformer model; a recurrent one has target or none.")
    return value == "target"


def _tokenizers(options, pairs):
    """Of files, if they are given; else a joint one of the corpus."""
    from keras_attention.text import TOKENIZERS, subwords_of_file

    if options.source_vocabulary or options.target_vocabulary:
        if options.vocabulary or not (options.source_vocabulary and options.target_vocabulary):
            raise ValueError("Give either --vocabulary, or both --source-vocabulary and --target-vocabulary.")
        return subwords_of_file(options.source_vocabulary), subwords_of_file(options.target_vocabulary)
    if options.vocabulary:
        joint = subwords_of_file(options.vocabulary)
    else:
        texts = (text for pair in pairs for text in pair)
        joint = TOKENIZERS[options.subwords].train(texts, options.vocabulary_size)
    return joint, joint
