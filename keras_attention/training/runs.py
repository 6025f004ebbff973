"""A training that is kept in a folder: what it was begun with, its rounds, and which of its weights are the result.

    FOLDER/run.json       what the training was begun with
    FOLDER/checkpoints/   see `keras_attention.training.checkpoints`

Every recipe trains this way, so that all of them can be stopped at any moment,
and go on as if they had not been, or say why they cannot.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import zlib

import keras
import numpy as np

from keras_attention.training.checkpoints import average_checkpoints

RECORD = "run.json"


@contextlib.contextmanager
def begun(folder, owner, record, checkpoints, may_change=()):
    """Holds a folder for one training, the one that it was begun with.

    Args:
        folder: made if it is not there.
        owner: name that errors begin with.
        record: what the training is begun with: a dict of what JSON can hold,
            by names that a person knows.
        checkpoints: its `Checkpoints`. Before they have saved a round nothing is
            lost if another training begins.
        may_change: names that may be something else now, which the record then
            says.

    Raises:
        ValueError: if the folder holds a training that was begun with something
            else; for a name to change that is not in the record; or if another
            process is training there.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = json.loads(json.dumps(record))  # as it comes back from the file
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{owner}: another process is training in {folder}. Wait for it, or use another folder."
            ) from error
        except OSError:
            pass  # a file system that has no locks
        _compare(folder, owner, record, checkpoints, may_change)
        yield
    finally:
        os.close(descriptor)


def _compare(folder, owner, record, checkpoints, may_change):
    unknown = [name for name in may_change if name not in record]
    if unknown:
        raise ValueError(
            f"{owner}: a training is begun with {', '.join(record)}. Received {', '.join(unknown)} as what may change."
        )
    file = folder / RECORD
    if checkpoints.is_begun and file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        others = [name for name in record if name in kept and record[name] != kept[name] and name not in may_change]
        if others:
            name = others[0]
            raise ValueError(
                f"{owner}: {folder} holds a training that was begun with something else: {name} was "
                f"{_short(kept[name])} and is {_short(record[name])} now. Go on with what it was begun with, use "
                f"another folder, or say that it may change: may_change=[{name!r}], --may-change {name}."
            )
    unfinished = folder / f"unfinished-{RECORD}"
    unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, file)


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


def described_pairs(pairs):
    """What a record says of pairs: how many, and a number that others do not have."""
    checksum, count = 0, 0
    for count, pair in enumerate(pairs, start=1):  # noqa: B007
        for text in pair:
            checksum = zlib.crc32(text.encode("utf-8", "surrogatepass") + b"\n", checksum)
    return f"{count:,} pairs, checksum {checksum:08x}"


def described_model(model):
    """What a record says of a model: its class, and its configuration by name, the numbers of layers' names aside."""
    config = json.loads(json.dumps(model.get_config(), default=lambda value: type(value).__name__))
    return {"model": type(model).__name__} | {
        f"model.{name}": value for name, value in _without_numbers(config).items()
    }


def _without_numbers(config):
    """Keras numbers its names through a process, so the same model has others when it is made a second time."""
    if isinstance(config, dict):
        return {
            key: re.sub(r"_\d+$", "", value) if key == "name" and isinstance(value, str) else _without_numbers(value)
            for key, value in config.items()
        }
    return [_without_numbers(value) for value in config] if isinstance(config, list) else config


def fit_rounds(owner, model, batches, checkpoints, updates, round_updates=None, callbacks=(), task=None, **options):
    """Fits a compiled model by rounds, from where its checkpoints are, until an exact number of updates.

    Args:
        owner: name that errors begin with.
        model: compiled.
        batches: has `steps_per_epoch`, and `dataset(start)` of the batches from
            a number on.
        checkpoints: a `Checkpoints`.
        updates: number of training updates.
        round_updates: updates between two saves; one pass over the batches by
            default. A last round may be shorter.
        callbacks: Keras callbacks; what they add to the logs is kept.
        task: what is trained, which is saved beside the checkpoints whenever a
            round is the best so far, so that a training that was interrupted
            can be used; None saves nothing.
        **options: arguments of `fit`.

    Raises:
        FloatingPointError: if the loss is not a number any more.
    """
    size = round_updates or batches.steps_per_epoch
    saves = [] if task is None else [_SavesBest(task, checkpoints)]
    rounds = checkpoints.restore(model)
    while checkpoints.updates < updates and not checkpoints.finished:
        left, within = updates - checkpoints.updates, checkpoints.updates % size
        steps = min(size - within, left)  # a training that was shorter before may have ended within a round
        more = 1 if within else max(1, left // size)
        history = model.fit(
            batches.dataset(start=checkpoints.updates),
            initial_epoch=rounds,
            epochs=rounds + more,
            steps_per_epoch=steps,
            shuffle=False,  # the batches come shuffled
            callbacks=[keras.callbacks.TerminateOnNaN(), *callbacks, checkpoints, *saves],
            **options,
        )
        if not np.isfinite(history.history["loss"][-1]):
            kept = (
                f"The last good checkpoint is kept in {checkpoints.folder}"
                if checkpoints.history
                else "Nothing was saved"
            )
            raise FloatingPointError(
                f"{owner}: the loss is not a number in round {len(checkpoints.history) + 1}. {kept}. Begin another "
                "training with a lower learning rate, or a longer warm-up."
            )
        rounds = len(checkpoints.history)
        if model.stop_training:
            break


def advice(checkpoints):
    """Sentences about a training that should have gone on; none if it need not.

    Args:
        checkpoints: its `Checkpoints`, which monitor a fraction that should rise.
    """
    results = [row.get(checkpoints.monitor, float("nan")) for row in checkpoints.history]
    if len(results) < 2:
        return []
    before = max(results[: max(1, 3 * len(results) // 4)])
    if results[-1] < 0.995 and results[-1] > before + 0.01:
        return ["It was still improving when it ended: a longer training would be better."]
    return []


class _SavesBest(keras.callbacks.Callback):
    """Saves a task after each round that is the best so far, and says in the file that its training has not ended."""

    def __init__(self, task, checkpoints):
        super().__init__()
        self._task = task
        self._checkpoints = checkpoints

    def on_epoch_end(self, epoch, logs=None):
        rounds = len(self._checkpoints.history)
        was_saved = rounds and self._checkpoints.history[-1]["round"] == epoch + 1  # one whose loss is no number is not
        if was_saved and self._checkpoints.best == rounds:
            self._task.save(self._checkpoints.folder.parent, unfinished=f"its best round so far, round {rounds}")


def keep_best(model, checkpoints, measure=None, mean=None):
    """Gives a model the better, on validation, of its best round's weights and of a mean of several rounds' weights.

    Args:
        model: that was trained.
        checkpoints: its `Checkpoints`.
        measure: a function without arguments, which gives what the checkpoints
            monitor of the model as it is; only a mean is measured.
        mean: `(name, function)`, a function that gives the model a mean, and
            what it is called; by default that of the rounds around the best.

    Returns:
        A sentence that says which, also in `result.txt` beside the checkpoints.
    """
    best, around = checkpoints.best, checkpoints.around_best
    if mean is None and around != [best]:
        files = [checkpoints.file(number) for number in around]
        mean = (f"the mean of rounds {around[0]} to {around[-1]}", lambda: average_checkpoints(model, files))
    name, value = f"round {best}", checkpoints.history[best - 1].get(checkpoints.monitor, float("nan"))
    found = [f"{name} has {checkpoints.monitor} {value:.4f}"]
    if mean is not None:
        mean_name, take = mean
        take()
        mean_value = measure()
        found.append(f"{mean_name} {mean_value:.4f}")
        if (mean_value < value) if checkpoints.mode == "min" else (mean_value > value):
            name = mean_name
    if name == f"round {best}":
        model.load_weights(checkpoints.file(best))
    sentence = f"The result is {name}: {', '.join(found)}."
    (checkpoints.folder / "result.txt").write_text(f"{sentence}\n", encoding="utf-8")
    return sentence
