"""Checkpoints: what a training needs to go on as if it had never been stopped.

    FOLDER/state.npz                 everything, replaced as a whole after each round
    FOLDER/round-00012.weights.h5    the weights of the last rounds, and of the best and those around it
    FOLDER/history.jsonl             one line of results a round, to read and plot

A round is what `fit` calls an epoch: a number of updates, after which is
measured and saved. A killed training repeats at most one round.
"""

import errno
import json
import os
import pathlib
import re
import shutil

import keras
import numpy as np

_OVERHEAD = 4_000_000  # bytes, of a file of HDF5 and of metadata


class Checkpoints(keras.callbacks.Callback):
    """Saves a training after each round, and restores it.

    Unlike `keras.callbacks.BackupAndRestore` it replaces its file as a whole, so
    that a kill at any moment leaves a good one, and keeps the states of the
    random generators, so that a training that was stopped ends with the weights
    of one that was not.

    Args:
        folder: where to save.
        keep: rounds in a row whose weights are kept for `average_checkpoints`:
            the last ones, and those around the best.
        monitor: name of the result that should get better.
        mode: `"min"` or `"max"`.
        patience: stop after so many rounds without a better result; None never
            stops.
        goal: `(result, rounds)`: stop after so many rounds in a row that are at
            least as good as that, too.

    Attributes:
        history: a list of the results of each round, those of earlier runs
            included.
        updates: how many there were, those of earlier runs included.

    Call `restore(model)` before `fit`, and give `fit` its result as
    `initial_epoch`.
    """

    def __init__(self, folder, keep=10, monitor="val_loss", mode="min", patience=None, goal=None):
        super().__init__()
        if mode not in ("min", "max"):
            raise ValueError(f"Checkpoints: mode must be 'min' or 'max'. Received {mode!r}.")
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.goal = goal
        self.history = []

    @property
    def updates(self):
        return self.history[-1]["updates"] if self.history else 0

    def restore(self, model):
        """Puts a compiled model into the state that was saved last.

        Returns:
            The number of rounds that are done; 0 if nothing was saved.

        Raises:
            ValueError: if the checkpoint is one of another configuration.
        """
        model.optimizer.build(model.trainable_variables)
        if not self.is_begun:
            return 0
        file = self.folder / "state.npz"
        variables = _state(model)
        with np.load(file) as saved:
            arrays = {name: saved[name] for name in saved.files if name != "history"}
            history = json.loads(str(saved["history"]))
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        received = {name: array.shape for name, array in arrays.items()}
        if expected != received:
            name = next(name for name in [*expected, *received] if expected.get(name) != received.get(name))
            raise ValueError(
                f"Checkpoints: {file} is of another configuration: {name.partition(' ')[2]} has shape "
                f"{expected.get(name, 'none')} in the model and {received.get(name, 'none')} in the checkpoint. Use "
                "the arguments of the training that wrote it, or another folder."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.history = history
        return len(history)

    @property
    def is_begun(self):
        """Whether a round has been saved."""
        return (self.folder / "state.npz").is_file()

    @property
    def finished(self):
        """Whether patience has run out, so many rounds since the first of the best, or the goal is reached."""
        results = self._results()
        if self.goal is not None:
            good, rounds = self.goal
            enough = -good if self.mode == "min" else good
            if len(results) >= rounds and (results[-rounds:] >= enough).all():
                return True
        if self.patience is None or not np.isfinite(results).any():
            return False
        return bool(len(results) - 1 - np.argmax(results) >= self.patience)

    @property
    def best(self):
        """Number of the best round, of equal ones the last: from 1. The last round, where there is no result."""
        return len(self.history) - int(np.argmax(self._results()[::-1]))

    @property
    def around_best(self):
        """Numbers of the `keep` rounds around the best, as far as there are so many."""
        last = len(self.history)
        first = max(1, min(self.best - self.keep // 2, last - self.keep + 1))
        return list(range(first, min(last, first + self.keep - 1) + 1))

    def _results(self):
        """What is monitored, of each round; larger is better, minus infinity is none."""
        sign = -1.0 if self.mode == "min" else 1.0
        results = [sign * row.get(self.monitor, float("nan")) for row in self.history]
        return np.nan_to_num(results, nan=-np.inf, posinf=np.inf, neginf=-np.inf)

    def file(self, number):
        """Path of a round's weights."""
        return self.folder / f"round-{number:05d}.weights.h5"

    @property
    def files(self):
        """The kept weights, the oldest first."""
        return sorted(self.folder.glob("round-*.weights.h5"))

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if not np.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True  # what was saved last is the last good one
            return
        # The optimizer does not count an update that it leaves out, as in mixed precision.
        steps = (self.params or {}).get("steps")
        updates = self.updates + steps if steps else int(self.model.optimizer.iterations.numpy())
        self.history.append({"round": epoch + 1, "updates": updates, **logs})
        self._save(epoch + 1)
        self.model.stop_training = self.model.stop_training or self.finished

    def _save(self, number):
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: variable.numpy() for name, variable in _state(self.model).items()}
        self._check_room(sum(array.nbytes for array in arrays.values()))
        unfinished = self.folder / "unfinished.weights.h5"
        self.model.save_weights(unfinished)
        os.replace(unfinished, self.file(number))
        with open(self.folder / "unfinished.npz", "wb") as file:
            np.savez(file, history=json.dumps(self.history), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.folder / "unfinished.npz", self.folder / "state.npz")
        kept = {self.file(each) for each in {*range(number - self.keep + 1, number + 1), *self.around_best}}
        for old in set(self.files) - kept:
            old.unlink()
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        (self.folder / "history.jsonl").write_text(lines, encoding="utf-8")

    def _check_room(self, size):
        """Refuses to begin what the disk has no room for: HDF5 ends the process where it cannot write."""
        needed, free = 2 * size + _OVERHEAD, shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"Checkpoints: {needed / 1e6:.0f} MB are needed to save a round and {free / 1e6:.0f} MB are free. What "
                "was saved before is kept: make room, and give the same command again",
                str(self.folder),
            )


def average_checkpoints(model, files):
    """Gives a model the mean of the weights in several files.

    Args:
        model: a built model.
        files: what `model.save_weights` wrote, such as `Checkpoints.files`.

    Raises:
        ValueError: without a file.

    Reference: Vaswani et al. 2017, 6.1, who average the last 5 or 20.
    """
    files = list(files)
    if not files:
        raise ValueError("average_checkpoints: expected at least one file of weights, received none.")
    total = None
    for file in files:
        model.load_weights(file)
        weights = [variable.numpy().astype("float64") for variable in model.weights]
        total = weights if total is None else [a + b for a, b in zip(total, weights, strict=True)]
    for variable, array in zip(model.weights, total, strict=True):
        variable.assign((array / len(files)).astype(variable.dtype))


def _state(model):
    """All that changes while a model trains: weights, random generators, optimizer."""
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [*model.variables, *model.optimizer.variables]
    variables = [variable for variable in variables if id(variable) not in metrics]
    # Keras numbers its names through a process, so the same model has others there when it is made a second time.
    names = (re.sub(r"_\d+(?=[/_]|$)", "", variable.path) for variable in variables)
    return {
        f"{index:05d} {name}": variable for index, (name, variable) in enumerate(zip(names, variables, strict=True))
    }
