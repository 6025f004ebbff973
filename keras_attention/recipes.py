"""The recipes that train a converter, a translator or an answerer of questions, start to end.

The command line and the examples use them; a model of your own is trained with
plain `compile` and `fit`, as they do.
"""

import contextlib
import dataclasses
import functools
import pathlib
import tempfile

import keras

from keras_attention.bleu import tokenization_of
from keras_attention.data.batches import ArrayBatches, PairBatches, TokenBatches, make_batches
from keras_attention.data.stories import make_story_arrays
from keras_attention.models import (
    DateConverter,
    GNMTTranslator,
    MemoryNetwork,
    RecurrentTranslator,
    TransformerTranslator,
)
from keras_attention.settings import AnswererSettings, ConverterSettings, TranslatorSettings
from keras_attention.tasks import QuestionAnswerer, TextToText
from keras_attention.text import CharacterTokenizer, WordTokenizer
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.optimizers import Muon
from keras_attention.training.progress import Bleu, Throughput, Tokens, Validation
from keras_attention.training.runs import begun, described_model, described_pairs, fit_rounds, keep_best
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
    folder=None,
    settings=None,
    source_normalization=None,
    may_change=(),
    callbacks=(),
    verbose="auto",
    **given,
):
    """Trains a `DateConverter` on pairs of short strings, and can be stopped at any moment.

    Adam with a warmed-up cosine schedule and gradient clipping. Each pass over
    the pairs leaves a checkpoint in the folder; a call with the same arguments
    goes on after the last one, in the order that would have come, and any other
    is refused. The result is the pass that is best on the validation pairs.

    Args:
        pairs: list of `(source, target)` to learn.
        validation_pairs: list of `(source, target)` to measure on after each
            epoch: `val_exact_match` is the accuracy of greedy conversion.
        folder: where checkpoints are kept and the result is saved; None keeps
            nothing.
        settings: a `ConverterSettings`.
        source_normalization: of the sources, see `CharacterTokenizer`. Targets
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
    settings, model_arguments = _split(ConverterSettings, settings, given)
    keras.utils.set_random_seed(settings.seed)
    sources, targets = zip(*pairs, strict=True)
    tokenizers = (CharacterTokenizer.train(sources, source_normalization), CharacterTokenizer.train(targets))
    model = DateConverter(*(len(tokenizer.vocabulary) for tokenizer in tokenizers), **model_arguments)
    batches = PairBatches(pairs, *tokenizers, settings.batch_size, settings.seed, fixed_shapes=True)
    updates = settings.epochs * batches.steps_per_epoch
    model.compile(
        optimizer=keras.optimizers.Adam(
            warmed_up_cosine(settings.learning_rate, updates), beta_2=0.98, global_clipnorm=1.0
        ),
        loss=MaskedCrossentropy(),
        metrics=[ExactMatch()],
    )
    longest = max(len(target) for _, target in [*pairs, *validation_pairs])
    converter = TextToText(model, *tokenizers, max_length=2 * longest)
    record = _record(pairs, validation_pairs, tokenizers, settings, model)
    with contextlib.ExitStack() as stack:
        place = pathlib.Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        checkpoints = Checkpoints(place / "checkpoints", keep=1, monitor="val_exact_match", mode="max")
        stack.enter_context(begun(place, "train_converter", record, checkpoints, may_change))
        fit_rounds(
            "train_converter",
            model,
            batches,
            checkpoints,
            updates,
            callbacks=callbacks,
            verbose=verbose,
            validation_data=make_batches(validation_pairs, *tokenizers, batch_size=1024, fixed_shapes=True),
        )
        keep_best(model, checkpoints)
        if folder is not None:
            converter.save(folder)
    return converter


def train_answerer(
    stories,
    validation_stories,
    folder,
    settings=None,
    may_change=(),
    callbacks=(),
    verbose="auto",
    **given,
):
    """Trains a `MemoryNetwork` on stories with questions, as its authors do, and can be stopped at any moment.

    Plain gradient descent with a learning rate that is halved again and again,
    the gradient of the summed loss clipped for each weight; a linear start; of
    several restarts the best on other questions. See `train_converter` for what
    is kept in the folder, and how a training goes on.

    Args:
        stories: list of `Story` to learn.
        validation_stories: list of `Story` to choose by: `val_accuracy`.
        folder: where checkpoints are kept, of each restart in a folder of its
            own, and the result is saved.
        settings: an `AnswererSettings`.
        may_change: see `train_converter`.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **given: fields of `AnswererSettings`, instead of the record; and
            arguments of `MemoryNetwork`, such as `hops`.

    Returns:
        A `QuestionAnswerer`, which is also saved in the folder.

    Raises:
        ValueError: if one of the lists is empty, for a linear start as long as
            the training, or for a folder that holds a training which was begun
            with something else.
        FloatingPointError: if the loss is not a number any more.

    Reference: Sukhbaatar et al. 2015, "End-To-End Memory Networks", 4.2.
    """
    settings, model_arguments = _split(AnswererSettings, settings, given)
    if settings.linear_epochs >= settings.epochs:
        raise ValueError(
            "train_answerer: the linear start must end before the training does. Received linear_epochs="
            f"{settings.linear_epochs}, epochs={settings.epochs}."
        )
    every = [*stories, *validation_stories]
    texts = [text for story in every for text in [*story.sentences, story.question]]
    tokenizer = WordTokenizer.train(texts, whole=[story.answer for story in every])
    longest = model_arguments.get("max_sentences", 50)
    arrays = [make_story_arrays(some, tokenizer, longest) for some in (stories, validation_stories)]
    best, best_result = None, -1.0
    for restart in range(settings.restarts):
        seed = settings.seed + restart
        keras.utils.set_random_seed(seed)
        model = MemoryNetwork(len(tokenizer.vocabulary), seed=seed, **model_arguments)
        place = pathlib.Path(folder) / f"restart-{restart + 1}"
        checkpoints = Checkpoints(place / "checkpoints", keep=1, monitor="val_accuracy", mode="max")
        record = {
            "pairs": described_pairs(_as_pairs(stories)),
            "validation_pairs": described_pairs(_as_pairs(validation_stories)),
            **dataclasses.asdict(dataclasses.replace(settings, restarts=1)),
            **described_model(model),
        }
        with begun(place, "train_answerer", record, checkpoints, may_change):
            _fit_answerer(model, *arrays, checkpoints, settings, seed, callbacks, verbose)
            sentence = keep_best(model, checkpoints)
        result = checkpoints.history[checkpoints.best - 1]["val_accuracy"]
        if verbose:
            print(f"Restart {restart + 1}: {sentence}")
        if result > best_result:
            best, best_result = model, result
    answerer = QuestionAnswerer(best, tokenizer)
    answerer.save(folder)
    return answerer


def _fit_answerer(model, arrays, validation, checkpoints, settings, seed, callbacks, verbose):
    """The linear start, and the rest."""
    batches = ArrayBatches(*arrays, settings.batch_size, seed)
    schedule = keras.optimizers.schedules.ExponentialDecay(
        settings.learning_rate * (0.5 if settings.linear_epochs else 1.0),
        settings.halve_every * batches.steps_per_epoch,
        0.5,
        staircase=True,
    )
    optimizer = keras.optimizers.SGD(schedule, clipnorm=settings.clip_norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    for linear, epochs in ((True, settings.linear_epochs), (False, settings.epochs)):
        model.linear = linear
        model.compile(optimizer, loss, metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")])
        fit_rounds(
            "train_answerer",
            model,
            batches,
            checkpoints,
            epochs * batches.steps_per_epoch,
            callbacks=[*callbacks, *([_Apart()] if linear else [])],
            verbose=verbose,
            validation_data=validation,
            validation_batch_size=1024,
        )


class _Apart(keras.callbacks.Callback):
    """Calls the results of a linear start by another name: none of its rounds is a result, without the softmax."""

    def on_epoch_end(self, epoch, logs=None):
        for name in [name for name in logs if name.startswith("val_")]:
            logs[f"linear_{name}"] = logs.pop(name)


def _as_pairs(stories):
    return [("\n".join(story.sentences), f"{story.question}\n{story.answer}") for story in stories]


def _split(record, settings, given):
    """The fields of a record, and the arguments of a model, of what was given together."""
    fields = {name: value for name, value in given.items() if name in record.names()}
    return record.of(settings, fields), {name: value for name, value in given.items() if name not in fields}


def _record(pairs, validation_pairs, tokenizers, settings, model):
    """What a training is begun with, by the names of the arguments."""
    return {
        "pairs": described_pairs(pairs),
        "validation_pairs": described_pairs(validation_pairs),
        **{
            f"{side}_vocabulary": f"{len(tokenizer.vocabulary):,} ids, {tokenizer.vocabulary.fingerprint:08x}"
            for side, tokenizer in zip(("source", "target"), tokenizers, strict=True)
        },
        **dataclasses.asdict(settings),
        **described_model(model),
    }


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
    may_change=(),
    callbacks=(),
    verbose="auto",
    **given,
):
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
        source_tokenizer: of the sources.
        target_tokenizer: of the targets.
        folder: where checkpoints are kept and the result is saved.
        settings: a `TranslatorSettings`.
        may_change: names of what the folder's training may have been begun
            with another of, such as `["subword_dropout"]`; the names are those
            in the folder's `run.json`.
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
    batches = TokenBatches(
        pairs,
        *tokenizers,
        settings.tokens,
        settings.seed,
        max_length=settings.max_length,
        max_ratio=settings.max_ratio,
        subword_dropout=settings.subword_dropout,
    )
    optimizer = _optimizer(settings, model.units)
    held_out = TokenBatches(validation_pairs, *tokenizers, settings.tokens, max_length=settings.max_length)
    model.compile(optimizer, MaskedCrossentropy(settings.label_smoothing), metrics=[Tokens()])
    if batches.dropped:
        print(f"{batches.dropped:,} of {len(pairs):,} pairs are left out: too long, too unequal, or empty on a side.")
    longest = 2 * batches.longest_target
    converter = TextToText(model, *tokenizers, max_length=longest, max_source_length=settings.max_length)
    measures = [Validation(held_out.once())]
    if settings.measure_bleu:
        _, why = tokenization_of([target for _, target in validation_pairs])
        if why and not settings.bleu_tokenize:
            print(f"val_bleu: {why}; bleu_tokenize takes another.")
        measures.append(Bleu(converter, validation_pairs, settings.bleu_tokenize))
    checkpoints = Checkpoints(
        pathlib.Path(folder) / "checkpoints",
        keep=settings.average,
        monitor=measures[-1].name,
        mode="max" if settings.measure_bleu else "min",
        patience=settings.patience,
    )
    record = _record(pairs, validation_pairs, tokenizers, settings, model)
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
            verbose=verbose,
        )
        measures[-1].set_model(model)
        sentence = keep_best(model, checkpoints, measures[-1].measure, _moving_average(model, settings))
        if verbose:
            print(sentence)
        converter.save(folder)
    return converter


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
