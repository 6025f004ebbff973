"""The recipe for questions about stories."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import keras

from keras_attention.data.ordered_batches import ArrayBatches
from keras_attention.data.stories import Story, make_story_arrays
from keras_attention.models import MemoryNetwork
from keras_attention.recipes.begins import record_of, split_given
from keras_attention.settings import AnswererSettings
from keras_attention.tasks import QuestionAnswerer
from keras_attention.text import WordTokenizer
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.runs import begun, fit_rounds, keep_best


def train_answerer(
    stories: Sequence[Story],
    validation_stories: Sequence[Story],
    folder: str | os.PathLike,
    settings=None,
    may_change: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    **given,
) -> QuestionAnswerer:
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
        ValueError: if one of the lists is empty, or for a folder that holds a
            training which was begun with something else.
        FloatingPointError: if the loss is not a number any more.

    Reference: Sukhbaatar et al. 2015, "End-To-End Memory Networks", 4.2.
    """
    settings, model_arguments = split_given(AnswererSettings, settings, given)
    every = [*stories, *validation_stories]
    texts = [text for story in every for text in [*story.sentences, story.question]]
    tokenizer = WordTokenizer.train(texts, whole=[story.answer for story in every])
    longest = model_arguments.get("max_sentences", min(50, max((len(story.sentences) for story in stories), default=1)))
    arrays = [make_story_arrays(some, tokenizer, longest) for some in (stories, validation_stories)]
    shape = {"max_sentences": longest, "max_words": arrays[0][0]["story"].shape[-1]}
    best, best_result = None, -1.0
    for restart in range(settings.restarts):
        seed = settings.seed + restart
        keras.utils.set_random_seed(seed)
        model = MemoryNetwork(len(tokenizer.vocabulary), seed=seed, **(shape | model_arguments))
        place = pathlib.Path(folder) / f"restart-{restart + 1}"
        checkpoints = Checkpoints(place / "checkpoints", keep=1, monitor="val_accuracy", mode="max")
        pairs, validation_pairs = _as_pairs(stories), _as_pairs(validation_stories)
        one = dataclasses.replace(settings, restarts=1)
        record = record_of(pairs, validation_pairs, {"word": tokenizer}, one, model)
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
    rate = settings.learning_rate * (0.5 if settings.linear_epochs else 1.0)
    ends = range(
        settings.halve_every, settings.epochs, settings.halve_every
    )  # counted from the end of the linear start
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [(settings.linear_epochs + end) * batches.steps_per_epoch for end in [*ends, settings.epochs]],
        [rate * 0.5**halved for halved in range(len(ends) + 2)],  # Keras' has at least one boundary: the end
    )
    optimizer = keras.optimizers.SGD(schedule, clipnorm=settings.clip_norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    for linear, epochs in ((True, settings.linear_epochs), (False, settings.linear_epochs + settings.epochs)):
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
