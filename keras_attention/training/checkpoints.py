"""Checkpoints: what a training needs to go on as if it had never been stopped.

    FOLDER/state.npz                 everything, replaced as a whole after each round
    FOLDER/round-00012.weights.h5    the weights of the last rounds, for averaging
    FOLDER/history.jsonl             one line of results a round, to read and plot

A round is what `fit` calls an epoch: a number of updates, after which is
measured and saved. A killed training repeats at most one round.
"""

import json
import os
import pathlib
import re

import keras
import numpy as np


class Checkpoints(keras.callbacks.Callback):
    """Saves a training after each round, and restores it.

    Unlike `keras.callbacks.BackupAndRestore` it replaces its file as a whole, so
    that a kill at any moment leaves a good one, and keeps the states of the
    random generators, so that a training that was stopped ends with the weights
    of one that was not.

    Args:
        folder: where to save.
        keep: rounds whose weights are kept for `average_checkpoints`.
        monitor: name of the result that should get better.
        mode: `"min"` or `"max"`.
        patience: stop after so many rounds without a better result; None never
            stops.

    Attributes:
        history: a list of the results of each round, those of earlier runs
            included.

    Call `restore(model)` before `fit`, and give `fit` its result as
    `initial_epoch`.
    """

    def __init__(self, folder, keep=10, monitor="val_loss", mode="min", patience=None):
        super().__init__()
        if mode not in ("min", "max"):
            raise ValueError(f"Checkpoints: mode must be 'min' or 'max'. Received {mode!r}.")
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.history = []

    def restore(self, model):
        """Puts a compiled model into the state that was saved last.

        Returns:
            The number of rounds that are done; 0 if nothing was saved.

        Raises:
            ValueError: if the checkpoint is one of another configuration.
        """
        model.optimizer.build(model.trainable_variables)
        file = self.folder / "state.npz"
        if not file.is_file():
            return 0
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
    def finished(self):
        """Whether patience has run out."""
        results = [row[self.monitor] for row in self.history if self.monitor in row]
        if self.patience is None or not results:
            return False
        best = (np.argmin if self.mode == "min" else np.argmax)(results)
        return bool(len(results) - 1 - best >= self.patience)

    @property
    def files(self):
        """The kept weights, the oldest first."""
        return sorted(self.folder.glob("round-*.weights.h5"))

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if not np.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True  # what was saved last is the last good one
            return
        self.history.append({"round": epoch + 1, "updates": int(self.model.optimizer.iterations.numpy()), **logs})
        self._save(epoch + 1)
        self.model.stop_training = self.model.stop_training or self.finished

    def _save(self, number):
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = self.folder / f"round-{number:05d}.weights.h5"
        unfinished = self.folder / "unfinished.weights.h5"
        self.model.save_weights(unfinished)
        os.replace(unfinished, weights)
        arrays = {name: variable.numpy() for name, variable in _state(self.model).items()}
        with open(self.folder / "unfinished.npz", "wb") as file:
            np.savez(file, history=json.dumps(self.history), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.folder / "unfinished.npz", self.folder / "state.npz")
        for old in self.files[: -self.keep]:
            old.unlink()
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        (self.folder / "history.jsonl").write_text(lines, encoding="utf-8")


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
