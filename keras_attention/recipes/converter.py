"""The recipe for short strings."""

import contextlib
import math
import os
import pathlib
import tempfile
from collections.abc import Sequence

import keras

from keras_attention.data.batches import make_batches
from keras_attention.data.ordered_batches import PairBatches
from keras_attention.models import DateConverter
from keras_attention.recipes.begins import record_of, split_given
from keras_attention.settings import ConverterSettings
from keras_attention.tasks import TextToText
from keras_attention.text import CharacterTokenizer
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.runs import advice, begun, fit_rounds, keep_best

_ENOUGH = 3000  # updates, from which on most tasks of short strings are learned


def train_converter(
    pairs: Sequence[tuple[str, str]],
    validation_pairs: Sequence[tuple[str, str]],
    folder: str | os.PathLike | None = None,
    settings: ConverterSettings | None = None,
    source_normalization: str | None = None,
    may_change: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    **given,
) -> TextToText:
    """Trains a `DateConverter` on pairs of short strings, and can be stopped at any moment.

    Adam with a warmed-up cosine schedule and gradient clipping. Each epoch
    leaves a checkpoint in the folder; a call with the same arguments goes on
    after the last one, in the order that would have come, and any other is
    refused. The result is the epoch that is best on the validation pairs.

    Args:
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on after each
            epoch: `val_exact_match` is the accuracy of greedy conversion.
        folder: where checkpoints are kept and the result is saved; None keeps
            nothing.
        settings: a `ConverterSettings`.
        source_normalization: Unicode normalization of the sources, see `CharacterTokenizer`. Targets
            are learned as they are given.
        may_change: names of what the folder's training may have been begun
            with another of, such as `["pairs"]`; the names are those in the
            folder's `run.json`.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **given: fields of `ConverterSettings`, instead of the record; and
            arguments of `DateConverter`, such as `units` or `attention`.

    Returns:
        A `TextToText`; its `model.history` is that of `fit`.

    Raises:
        ValueError: if one of the lists is empty, or the folder holds a training
            that was begun with something else.
        FloatingPointError: if the loss is not a number any more; the last good
            checkpoint is kept.

    Reference: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent
        with Warm Restarts", 3, for the schedule.
    """
    if not pairs or not validation_pairs:
        raise ValueError(
            f"train_converter: both lists must hold pairs. Received {len(pairs)} to learn and {len(validation_pairs)} "
            "to measure on."
        )
    settings, model_arguments = split_given(ConverterSettings, settings, given)
    keras.utils.set_random_seed(settings.seed)
    sources, targets = zip(*pairs, strict=True)
    tokenizers = (CharacterTokenizer.train(sources, source_normalization), CharacterTokenizer.train(targets))
    model = DateConverter(*(len(tokenizer.vocabulary) for tokenizer in tokenizers), **model_arguments)
    batches = PairBatches(pairs, *tokenizers, settings.batch_size, settings.seed, fixed_shapes=True)
    updates = _compiled(model, settings, batches.steps_per_epoch)
    longest = max(len(target) for _, target in [*pairs, *validation_pairs])
    converter = TextToText(model, *tokenizers, max_length=2 * longest)
    record = record_of(pairs, validation_pairs, converter.tokenizers, settings, model)
    goal = None if settings.epochs else (1.0, 2)
    with contextlib.ExitStack() as stack:
        place = pathlib.Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        checkpoints = Checkpoints(place / "checkpoints", keep=1, monitor="val_exact_match", mode="max", goal=goal)
        stack.enter_context(begun(place, "train_converter", record, checkpoints, may_change))
        fit_rounds(
            "train_converter",
            model,
            batches,
            checkpoints,
            updates,
            task=None if folder is None else converter,
            callbacks=callbacks,
            verbose=verbose,
            validation_data=make_batches(validation_pairs, *tokenizers, batch_size=1024, fixed_shapes=True),
        )
        sentence = keep_best(model, checkpoints)
        if verbose:
            print(" ".join([sentence, *advice(checkpoints)]))
        if folder is not None:
            converter.save(folder)
    return converter


def _compiled(model, settings, steps_per_epoch):
    """Compiles the model, and says for how many updates."""
    updates = (settings.epochs or max(3, math.ceil(_ENOUGH / steps_per_epoch))) * steps_per_epoch
    schedule = warmed_up_cosine(settings.learning_rate, updates)
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=1.0)
    model.compile(optimizer, MaskedCrossentropy(), metrics=[ExactMatch()])
    return updates


def warmed_up_cosine(learning_rate, steps, warmup=0.1):
    """A schedule that rises over the first `warmup` of the steps and falls to zero along a cosine."""
    rising = max(1, int(steps * warmup))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=learning_rate, warmup_steps=rising
    )
