"""The recipe for sentences."""

import functools
import os
import pathlib
from collections.abc import Sequence

import keras

from keras_attention.bleu import tokenization_of
from keras_attention.data.token_batches import TokenBatches
from keras_attention.models import GNMTTranslator, RecurrentTranslator, TransformerTranslator
from keras_attention.recipes.begins import described_weights, record_of
from keras_attention.settings import TranslatorSettings
from keras_attention.tasks import TextToText
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.objectives import MaskedCrossentropy
from keras_attention.training.optimizers import Muon
from keras_attention.training.progress import Bleu, Throughput, Tokens, Validation
from keras_attention.training.runs import begun, fit_rounds, keep_best
from keras_attention.training.schedules import InverseSquareRoot

# The second beta of Vaswani et al. 2017, 5.3; a layer that gives logits is no matrix for Muon.
OPTIMIZERS = {
    "adam": functools.partial(keras.optimizers.Adam, beta_2=0.98),
    "muon": functools.partial(Muon, adam_beta_2=0.98, exclude_layers=["decoder/output/"]),
}

# What makes a translator of a preset and two sizes of vocabularies.
TRANSLATORS = {
    "transformer": TransformerTranslator.from_preset,
    "bahdanau": functools.partial(RecurrentTranslator.from_preset, attention="bahdanau"),
    "luong": functools.partial(RecurrentTranslator.from_preset, attention="luong"),
    "none": functools.partial(RecurrentTranslator.from_preset, attention=None),
    "gnmt": GNMTTranslator.from_preset,
}


def make_translator(kind, preset, source_tokenizer, target_tokenizer, **arguments):
    """A translator that is not trained yet.

    Args:
        kind: `"transformer"`, `"bahdanau"`, `"luong"`, `"none"`, the recurrent
            model without attention, or `"gnmt"`.
        preset: see `from_preset` of `TransformerTranslator`,
            `RecurrentTranslator` and `GNMTTranslator`.
        source_tokenizer, target_tokenizer: tokenizers with the vocabularies of the model. If
            they are one, a Transformer has one embedding.
        **arguments: arguments of the model, instead of the preset's.

    Raises:
        ValueError: for another kind or preset.
    """
    if kind not in TRANSLATORS:
        known = ", ".join(map(repr, TRANSLATORS))
        raise ValueError(f"make_translator: kind must be one of {known}. Received {kind!r}.")
    if kind == "transformer":
        joint = source_tokenizer.vocabulary.tokens == target_tokenizer.vocabulary.tokens
        arguments = {"tied": "all" if joint else "target"} | arguments
    sizes = (len(source_tokenizer.vocabulary), len(target_tokenizer.vocabulary))
    return TRANSLATORS[kind](preset, *sizes, **arguments)


def train_translator(
    model: keras.Model,
    pairs: Sequence[tuple[str, str]],
    validation_pairs: Sequence[tuple[str, str]],
    source_tokenizer,
    target_tokenizer,
    folder: str | os.PathLike,
    settings=None,
    may_change: Sequence[str] = (),
    start: TextToText | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    **given,
) -> TextToText:
    """Trains an encoder-decoder on a parallel corpus as the field does, and can be stopped at any moment.

    Adam (0.9, 0.98), or Muon, with a warm-up and an inverse square root
    schedule, label smoothing, clipping by global norm, batches by tokens; after
    each round of updates the loss on other pairs is measured and everything is
    saved in the folder. A call with the same arguments and folder goes on after
    the last round, with the batches that would have come; with others it is
    refused, but for `patience`, and for `updates` without a cooldown. The result
    is the better, on the validation pairs, of the best round and of the mean of
    the rounds around it.

    Args:
        model: a translator, not compiled.
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on.
        source_tokenizer: makes ids of the sources.
        target_tokenizer: makes ids of the targets.
        folder: where checkpoints are kept and the result is saved.
        settings: a `TranslatorSettings`.
        may_change: names of what the folder's training may have been begun
            with another of, such as `["subword_dropout"]`; the names are those
            in the folder's `run.json`.
        start: a `TextToText` with this model and these tokenizers, which is
            trained further; the result is decoded as it is. None begins anew.
        callbacks: Keras callbacks; their results are logged.
        verbose: as in `fit`.
        **given: fields of `TranslatorSettings`, instead of the record.

    Returns:
        A `TextToText`, which is also saved in the folder.

    Raises:
        TypeError: for a setting that there is not.
        ValueError: for a folder that holds a training which was begun with
            something else, without pairs, or for an unknown optimizer.
        FloatingPointError: if the loss is not a number any more; the last good
            checkpoint is kept.

    Reference: Vaswani et al. 2017, 5 and 6.1.
    """
    settings = TranslatorSettings.of(settings, given)
    tokenizers = (source_tokenizer, target_tokenizer)
    batches = _batches(pairs, tokenizers, settings)
    optimizer = _optimizer(settings, model.decoder.units)
    held_out = TokenBatches(validation_pairs, *tokenizers, settings.tokens, max_length=settings.max_length)
    model.compile(optimizer, MaskedCrossentropy(settings.label_smoothing), metrics=[Tokens()])
    limits = {"max_length": 2 * batches.longest_target, "max_source_length": settings.max_length}
    converter = start or TextToText(model, *tokenizers, **limits)
    measures = [Validation(held_out.once()), *_bleu(converter, validation_pairs, settings)]
    checkpoints = _checkpoints(folder, measures[-1].name, settings)
    record = record_of(pairs, validation_pairs, converter.tokenizers, settings, model)
    record |= {} if start is None else {"start": described_weights(model)}
    # How long a training goes on may be decided later, unless the schedule depends on it.
    may_change = [*may_change, "patience", *([] if settings.cooldown else ["updates"])]
    with begun(folder, "train_translator", record, checkpoints, may_change):
        fit_rounds(
            "train_translator",
            model,
            batches,
            checkpoints,
            settings.updates,
            settings.round_updates,
            [Throughput(), *callbacks, *measures],
            task=converter,
            verbose=verbose,
        )
        measures[-1].set_model(model)
        sentence = keep_best(model, checkpoints, measures[-1].measure, _moving_average(model, settings))
        if verbose:
            print(sentence)
        converter.save(folder)
    return converter


def _checkpoints(folder, monitor, settings):
    """Those of the rounds around the best."""
    return Checkpoints(
        pathlib.Path(folder) / "checkpoints",
        keep=settings.average,
        monitor=monitor,
        mode="max" if settings.measure_bleu else "min",
        patience=settings.patience,
    )


def _batches(pairs, tokenizers, settings):
    """Batches by tokens; says how many pairs are in none."""
    batches = TokenBatches(
        pairs,
        *tokenizers,
        settings.tokens,
        settings.seed,
        max_length=settings.max_length,
        max_ratio=settings.max_ratio,
        subword_dropout=settings.subword_dropout,
    )
    if batches.dropped:
        print(f"{batches.dropped:,} of {len(pairs):,} pairs are left out: too long, too unequal, or empty on a side.")
    return batches


def _bleu(converter, pairs, settings):
    """What measures BLEU, if it is to be measured."""
    if not settings.measure_bleu:
        return []
    _, why = tokenization_of([target for _, target in pairs])
    if why and not settings.bleu_tokenize:
        print(f"val_bleu: {why}; bleu_tokenize takes another.")
    return [Bleu(converter, pairs, settings.bleu_tokenize)]


def _moving_average(model, settings):
    """What takes the place of the mean of rounds; None without a momentum."""
    if settings.ema_momentum is None:
        return None
    return "the moving average", lambda: model.optimizer.finalize_variable_values(model.trainable_variables)


def _optimizer(settings, units):
    if settings.optimizer not in OPTIMIZERS:
        known = " or ".join(map(repr, OPTIMIZERS))
        raise ValueError(f"train_translator: optimizer must be {known}. Received {settings.optimizer!r}.")
    highest = settings.learning_rate or (units * settings.warmup) ** -0.5
    return OPTIMIZERS[settings.optimizer](
        InverseSquareRoot(highest, settings.warmup, settings.cooldown, settings.updates),
        epsilon=1e-8,
        global_clipnorm=settings.clip_norm,
        use_ema=settings.ema_momentum is not None,
        ema_momentum=settings.ema_momentum or 0.99,
    )
