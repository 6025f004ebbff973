"""The recipes that train a converter, or a translator, from pairs of strings, start to end.

The command line and the examples use them; a model of your own is trained with
plain `compile` and `fit`, as they do.
"""

import dataclasses
import functools
import pathlib

import keras
import numpy as np

from keras_attention.bleu import corpus_scores
from keras_attention.data.batches import TokenBatches, make_batches
from keras_attention.models import DateConverter, GNMTTranslator, RecurrentTranslator, TransformerTranslator
from keras_attention.settings import TranslatorSettings
from keras_attention.tasks import TextToText
from keras_attention.text.tokenizers import CharacterTokenizer
from keras_attention.training.checkpoints import Checkpoints, average_checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.optimizers import Muon
from keras_attention.training.progress import Throughput, Tokens, Validation
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


def train_converter(
    pairs,
    validation_pairs,
    epochs=4,
    batch_size=128,
    learning_rate=4e-3,
    seed=0,
    folder=None,
    callbacks=(),
    verbose="auto",
    **model_arguments,
):
    """Trains a `DateConverter` on pairs of short strings.

    Adam with a warmed-up cosine schedule and gradient clipping. With a folder,
    each epoch leaves a backup there, a call with the same arguments goes on
    after the last one that was finished, and the trained converter is saved.

    Args:
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on after each
            epoch: `val_exact_match` is the accuracy of greedy conversion.
        epochs: passes over the pairs.
        batch_size: pairs in an update.
        learning_rate: highest of the schedule.
        seed: of the weights and the order of the pairs.
        folder: where to keep backups and save; None keeps nothing.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **model_arguments: of `DateConverter`, such as `units` or `attention`.

    Returns:
        A `TextToText`; its `model.history` is that of `fit`.

    Raises:
        ValueError: if one of the lists is empty.
        FloatingPointError: if the loss is not a number any more; nothing is
            saved then.

    Reference: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent
        with Warm Restarts", 3, for the schedule.
    """
    if not pairs or not validation_pairs:
        raise ValueError(
            f"train_converter: both lists must hold pairs. Received {len(pairs)} to learn and {len(validation_pairs)} "
            "to measure on."
        )
    keras.utils.set_random_seed(seed)
    source_tokenizer = CharacterTokenizer.train(source for source, _ in pairs)
    target_tokenizer = CharacterTokenizer.train(target for _, target in pairs)
    model = DateConverter(len(source_tokenizer.vocabulary), len(target_tokenizer.vocabulary), **model_arguments)
    steps = epochs * -(-len(pairs) // batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(warmed_up_cosine(learning_rate, steps), beta_2=0.98, global_clipnorm=1.0),
        loss=MaskedCrossentropy(),
        metrics=[ExactMatch()],
    )
    model.optimizer.build(model.trainable_variables)  # or the first update is traced twice, to make them
    tokenizers = (source_tokenizer, target_tokenizer)
    callbacks = [*callbacks, keras.callbacks.TerminateOnNaN()]
    if folder is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(pathlib.Path(folder) / "backup"))
    history = model.fit(
        make_batches(pairs, *tokenizers, batch_size, shuffle_seed=seed, fixed_shapes=True),
        validation_data=make_batches(validation_pairs, *tokenizers, batch_size=1024, fixed_shapes=True),
        epochs=epochs,
        callbacks=callbacks,
        shuffle=False,  # the dataset shuffles
        verbose=verbose,
    )
    if not np.isfinite(history.history["loss"][-1]):
        raise FloatingPointError("train_converter: the loss is not a number. Lower learning_rate; nothing was saved.")
    longest = max(len(target) for _, target in [*pairs, *validation_pairs])
    converter = TextToText(model, *tokenizers, max_length=2 * longest)
    if folder is not None:
        converter.save(folder)
    return converter


def warmed_up_cosine(learning_rate, steps, warmup=0.1):
    """A schedule that rises over the first `warmup` of the steps and falls to zero along a cosine."""
    rising = max(1, int(steps * warmup))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=learning_rate, warmup_steps=rising
    )


def make_translator(kind, preset, source_tokenizer, target_tokenizer, **arguments):
    """A translator that is not trained yet.

    Args:
        kind: `"transformer"`, `"bahdanau"`, `"luong"`, `"none"`, the recurrent
            model without attention, or `"gnmt"`.
        preset: see `from_preset` of `TransformerTranslator`,
            `RecurrentTranslator` and `GNMTTranslator`.
        source_tokenizer, target_tokenizer: whose vocabularies it is for. If
            they are one, a Transformer has one embedding.
        **arguments: of the model, instead of the preset's.

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
    model,
    pairs,
    validation_pairs,
    source_tokenizer,
    target_tokenizer,
    folder,
    settings=None,
    callbacks=(),
    verbose="auto",
    **given,
):
    """Trains an encoder-decoder on a parallel corpus as the field does, and can be stopped at any moment.

    Adam (0.9, 0.98), or Muon, with a warm-up and an inverse square root
    schedule, label smoothing, clipping by global norm, batches by tokens; after
    each round of updates the loss on other pairs is measured and everything is
    saved in the folder. A call with the same arguments and folder goes on after
    the last round, with the batches that would have come. The result has the
    mean of the last rounds' weights.

    Args:
        model: a translator, not compiled.
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on.
        source_tokenizer: of the sources.
        target_tokenizer: of the targets.
        folder: where checkpoints are kept and the result is saved.
        settings: a `TranslatorSettings`.
        callbacks: Keras callbacks; their results are logged.
        verbose: as in `fit`.
        **given: fields of `TranslatorSettings`, instead of the record.

    Returns:
        A `TextToText`, which is also saved in the folder.

    Raises:
        TypeError: for a setting that there is not.
        ValueError: for a checkpoint of another configuration, without pairs, or
            for an unknown optimizer.
        FloatingPointError: if the loss is not a number any more; the last good
            checkpoint is kept.

    Reference: Vaswani et al. 2017, 5 and 6.1.
    """
    settings = TranslatorSettings.of((dataclasses.asdict(settings) if settings else {}) | given)
    batches = TokenBatches(
        pairs,
        source_tokenizer,
        target_tokenizer,
        settings.tokens,
        settings.seed,
        max_length=settings.max_length,
        max_ratio=settings.max_ratio,
        subword_dropout=settings.subword_dropout,
    )
    optimizer = _optimizer(settings, model.units)
    tokenizers = (source_tokenizer, target_tokenizer)
    _claim(folder, tokenizers)
    held_out = TokenBatches(validation_pairs, *tokenizers, settings.tokens, max_length=settings.max_length)
    model.compile(optimizer, MaskedCrossentropy(settings.label_smoothing), metrics=[Tokens()])
    if batches.dropped:
        print(f"{batches.dropped:,} of {len(pairs):,} pairs are left out: too long, too unequal, or empty on a side.")
    longest = 2 * batches.longest_target
    converter = TextToText(model, *tokenizers, max_length=longest, max_source_length=settings.max_length)
    scores = [_Bleu(converter, validation_pairs)] if settings.measure_bleu else []
    checkpoints = Checkpoints(
        pathlib.Path(folder) / "checkpoints",
        keep=settings.average,
        monitor="val_bleu" if settings.measure_bleu else "val_loss",
        mode="max" if settings.measure_bleu else "min",
        patience=settings.patience,
    )
    callbacks = [Throughput(), Validation(held_out.once()), *callbacks, *scores]
    _fit_from_checkpoint(model, batches, checkpoints, settings, callbacks, verbose)
    if settings.ema_momentum is None:
        average_checkpoints(model, checkpoints.files[-settings.average :])
    else:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    converter.save(folder)
    return converter


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


def _fit_from_checkpoint(model, batches, checkpoints, settings, callbacks, verbose):
    """The rounds that are left of a training, with the batches that belong to them."""
    round_updates = min(settings.round_updates or batches.steps_per_epoch, settings.updates)
    done = checkpoints.restore(model)
    rounds = -(-settings.updates // round_updates)
    if done >= rounds or checkpoints.finished:
        return
    history = model.fit(
        batches.dataset(start=done * round_updates),
        initial_epoch=done,
        epochs=rounds,
        steps_per_epoch=round_updates,
        shuffle=False,  # the batches come shuffled
        callbacks=[keras.callbacks.TerminateOnNaN(), *callbacks, checkpoints],
        verbose=verbose,
    )
    if not np.isfinite(history.history["loss"][-1]):
        raise FloatingPointError(
            "train_translator: the loss is not a number. Lower learning_rate, or lengthen warmup. The last good "
            f"checkpoint is kept in {checkpoints.folder}."
        )


class _Bleu(keras.callbacks.Callback):
    """Adds `val_bleu`, of greedy translations, to the results of a round."""

    def __init__(self, converter, pairs):
        super().__init__()
        self.converter = converter
        self.pairs = pairs

    def on_epoch_end(self, epoch, logs=None):
        texts = self.converter.evaluate(self.pairs, batch_size=128).texts
        logs["val_bleu"] = corpus_scores(texts, [target for _, target in self.pairs])[0].value


def _claim(folder, tokenizers):
    """Keeps the tokenizers in a run's folder; refuses a folder of a run with others."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for side, tokenizer in zip(("source", "target"), tokenizers, strict=True):
        try:
            kept = type(tokenizer).load(folder, side)
        except FileNotFoundError:
            tokenizer.save(folder, side)
            continue
        if kept.vocabulary.tokens != tokenizer.vocabulary.tokens:
            raise ValueError(
                f"train_translator: the {side} vocabulary does not belong to the checkpoint: {folder} was begun with "
                f"another, of {len(kept.vocabulary):,} ids; this one has {len(tokenizer.vocabulary):,}. Use that one, "
                "or another folder."
            )
