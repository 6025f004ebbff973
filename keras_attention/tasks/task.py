"""What every task is: what a person has, through a model, to what a person wants.

    preprocess -> model -> search, rollout or head -> postprocess

is one function in graph, `compute`, with one typed signature. Calling the task,
saving it, loading it and exporting it are written here, once, whatever it is
for; so is a new task's: it needs no change elsewhere.
"""

import contextlib
import functools
import importlib
import inspect
import json
import os
import pathlib
import warnings
from typing import ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

import keras_attention.models  # noqa: F401  so that Keras finds the model's class in a saved file
from keras_attention.export.defaults import filled
from keras_attention.export.saved_model import export_saved_model
from keras_attention.export.saved_task import SavedTask, task_of
from keras_attention.export.signature import SIGNATURE
from keras_attention.models.transformer.alike import alike_traced_once
from keras_attention.pretrained import DATES

TASK = "task.json"
_MODEL = "model.keras"

# Before there were tasks: what an export without a name is of, and what the settings of a run were called.
_STRINGS = {"task": "keras_attention.tasks.text_to_text:TextToText"}
_SETTINGS_OF_STRINGS = "converter.json"

# Every task that was defined, by the name that a saved one carries.
_CLASSES = {}


def _name_of(kind):
    return f"{kind.__module__}:{kind.__qualname__}"


class Task:
    """Base of the tasks.

    A subclass defines `input_specs`, `compute` and `settings`, and whatever of
    the other methods it needs; see docs/extending.md. Its constructor takes the
    model first, and the settings by name.

    Args:
        model: a `keras.Model`.
    """

    # How an export of this task is used from Python.
    saved_class = SavedTask

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _CLASSES[_name_of(cls)] = cls

    def __init__(self, model):
        self.model = model

    @property
    def input_specs(self):
        """What `compute` takes: a dict of `tf.TensorSpec` by name, batch first."""
        raise NotImplementedError(f"{type(self).__name__} must define input_specs.")

    @property
    def optional_specs(self):
        """What `compute` also takes, in Python; an export takes those of `defaults` alone."""
        return {}

    # Of `optional_specs` those that an export takes too, `(batch,)`, each with what it is where it is left out.
    defaults: ClassVar = {}

    def with_defaults(self, inputs):
        """Inputs, arrays by name, with the `defaults` of those that are left out."""
        rows = {
            name: np.array([value], object if isinstance(value, str) else None) for name, value in self.defaults.items()
        }
        return filled(inputs, rows)

    def compute(self, **inputs):
        """The whole line, in graph: tensors by name to a dict of tensors, batch first."""
        raise NotImplementedError(f"{type(self).__name__} must define compute(**inputs).")

    @property
    def signatures(self):
        """The functions of an export by name, each with the inputs of `compute`."""
        return {SIGNATURE: self.compute}

    tracing = staticmethod(alike_traced_once)  # a context in which an export traces them

    @property
    def settings(self):
        """What, beside the model, the constructor needs to make the task again: a dict of what JSON can hold."""
        return {}

    def checks(self, examples=()):
        """What an export is compared with the task on: a list of dicts of arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define checks(examples) to be exported.")

    def warmup(self):
        """What a server asks an export before its first client: a list of dicts of arrays, a few of `checks`."""
        return self.checks()[:2]

    def save_files(self, folder):
        """Writes what is neither model nor settings, such as vocabularies, into a folder."""

    @classmethod
    def load_files(cls, folder, settings):
        """What the constructor takes instead of the settings, with what `save_files` wrote; by default them alone."""
        return settings

    @property
    def tables(self):
        """The lookup tables that `compute` uses, which an export must track."""
        return []

    @property
    def files(self):
        """The files that `compute` reads, which an export must carry."""
        return []

    def for_export(self, folder):
        """The task as it is exported, which may keep files in `folder`."""
        return self

    def run(self, **inputs):
        """`compute` on arrays, compiled: a dict of arrays.

        Args:
            **inputs: arrays, tensors or nested lists, by the names of
                `input_specs`.

        Raises:
            ValueError: for other names, or arrays of other types or shapes.
        """
        specs = self.input_specs | self.optional_specs
        missing, unknown = set(self.input_specs) - set(inputs), set(inputs) - set(specs)
        if missing or unknown:
            raise ValueError(
                f"{type(self).__name__}: inputs must be {', '.join(self.input_specs)}"
                + (f", and may be {', '.join(self.optional_specs)}" if self.optional_specs else "")
                + f". Received {', '.join(inputs) or 'none'}."
            )
        tensors = {name: as_tensor(type(self).__name__, name, specs[name], value) for name, value in inputs.items()}
        outputs = self._compiled(tuple(tensors))(**tensors)
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    @functools.cached_property
    def _compiled(self):
        """A function of names of inputs: `compute`, compiled for them."""

        @functools.cache
        def compiled(names):
            specs = self.input_specs | self.optional_specs
            function = tf.function(self.compute, autograph=False)
            return function.get_concrete_function(
                **{name: tf.TensorSpec(specs[name].shape, specs[name].dtype, name) for name in names}
            )

        return compiled

    def save(self, folder: str | os.PathLike, unfinished: str | None = None) -> None:
        """Writes model, files and settings into a folder, for `load`.

        Args:
            folder: made if it is not there. Files of an earlier save are
                replaced.
            unfinished: which state of a training that has not ended this is;
                `load` warns of it.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / f"unfinished-{_MODEL}"
        try:
            self.model.save(staged)
            os.replace(staged, folder / _MODEL)  # an earlier one is kept until this one is whole
        finally:
            staged.unlink(missing_ok=True)
        self.save_files(folder)
        record = self.identity | {"settings": self.settings}
        if unfinished is not None:
            record["unfinished"] = unfinished
        (folder / TASK).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike, **more) -> Self:
        """Reads what `save` wrote.

        Args:
            folder: the folder given to `save`.
            **more: arguments of the constructor, instead of what was saved.

        Raises:
            FileNotFoundError: if the folder holds no saved task.
            TypeError: if it holds one of another kind.
            ValueError: for what that kind's constructor does not take.
        """
        folder = pathlib.Path(folder)
        if not cls.is_saved_in(folder):
            raise FileNotFoundError(
                f"{cls.__name__}.load: {folder} holds no {TASK}. Give a folder that {cls.__name__}.save or "
                "`keras-attention train` wrote."
            )
        record = _record_in(folder)
        kind = task_class(record)
        if not issubclass(kind, cls):
            raise TypeError(f"{cls.__name__}.load: {folder} holds a {kind.__name__}. Write {kind.__name__}.load.")
        parameters = inspect.signature(kind).parameters
        unknown = set(more) - set(parameters)
        if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            raise ValueError(f"{kind.__name__}.load: it takes no {', '.join(sorted(unknown))}. {folder} holds one.")
        if "unfinished" in record:
            warnings.warn(
                f"the training in {folder} has not ended; {record['unfinished']}, is used. The command that began it "
                "goes on with it.",
                stacklevel=2,
            )
        arguments = kind.load_files(folder, record["settings"]) | more
        return kind(keras.saving.load_model(folder / _MODEL, compile=False), **arguments)

    @staticmethod
    def is_saved_in(folder: str | os.PathLike) -> bool:
        """Whether a folder holds what `save` writes."""
        return any((pathlib.Path(folder) / name).is_file() for name in (TASK, _SETTINGS_OF_STRINGS))

    def export(self, folder: str | os.PathLike, examples=()) -> pathlib.Path:
        """Writes the next version of a SavedModel that needs TensorFlow and tensorflow-text alone.

        See `keras_attention.export.export_saved_model`.

        Args:
            folder: the model's folder; the version becomes a folder in it.
            examples: what the self-check tries beside its own; see `checks`.

        Returns:
            Path of the version folder.
        """
        return export_saved_model(self, folder, examples)

    @property
    def identity(self):
        """What a file says of whose it is."""
        return {"task": _name_of(type(self))}


def _record_in(folder):
    """What `save` wrote of a task, of before there were others than `TextToText` too."""
    if (folder / TASK).is_file():
        return json.loads((folder / TASK).read_text(encoding="utf-8"))
    return _STRINGS | {"settings": json.loads((folder / _SETTINGS_OF_STRINGS).read_text(encoding="utf-8"))}


def as_tensor(owner, name, spec, value):
    """An input as a tensor of its type and shape, or a clear error."""
    try:
        # Arrays of bytes of one length would lose the zeros at their ends.
        array = value if tf.is_tensor(value) else np.asarray(value, object if spec.dtype == tf.string else None)
        if spec.dtype.is_floating and not tf.is_tensor(value) and array.dtype.kind not in "fiub":
            raise TypeError
        tensor = tf.cast(array, spec.dtype) if spec.dtype.is_floating else tf.convert_to_tensor(array, spec.dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{owner}: {name} must be {spec.dtype.name} of shape {_shape(spec)}. Received {_short(value)}."
        ) from error
    if not spec.shape.is_compatible_with(tensor.shape):
        raise ValueError(
            f"{owner}: {name} must be {spec.dtype.name} of shape {_shape(spec)}. Received shape {tuple(tensor.shape)}."
        )
    return tensor


def _shape(spec):
    return f"({', '.join('any' if size is None else str(size) for size in spec.shape)})"


def _short(value):
    text = repr(value)
    return (text if len(text) < 80 else f"{text[:77]}...") + f" of type {type(value).__name__}"


def task_class(record):
    """The class that `Task.identity` tells of.

    Raises:
        LookupError: if nothing that was imported is it, and its module cannot
            be imported.
    """
    name = record["task"]
    if name not in _CLASSES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name.partition(":")[0])
    if name not in _CLASSES:
        module, _, short = name.partition(":")
        raise LookupError(
            f"load: what was saved is a {short} of the module {module!r}, which cannot be imported or does not have "
            "it. Import what defines it first."
        )
    return _CLASSES[name]


def _saved_class(folder):
    """How an export is used: as its task says; one that says nothing was made when all took strings."""
    try:
        return task_class(task_of(folder) or _STRINGS).saved_class
    except LookupError:
        return SavedTask


def load(folder: str | os.PathLike | None = None, strategy=None) -> Task | SavedTask:
    """A task from disk, whichever of the two forms it is in.

    Args:
        folder: what a task's `save` wrote, or an exported model's folder or
            one of its versions. None is the reader of dates that comes with
            the package.
        strategy: how to search, instead of the saved one, for a task that
            searches. An export's is fixed.

    Returns:
        The task, or for an export what is called as it is, such as a
        `SavedConverter`.

    Raises:
        FileNotFoundError: if the folder holds neither.
        ValueError: for a strategy to an export.
        LookupError: for a saved task of your own whose module cannot be
            imported. An export needs it not: it is a `SavedTask` then.
    """
    folder = DATES if folder is None else folder
    if Task.is_saved_in(folder):
        return Task.load(folder, **({} if strategy is None else {"strategy": strategy}))
    if SavedTask.is_export(folder):
        if strategy is not None:
            raise ValueError(
                f"load: the search of an export is fixed, and {folder} is one. Received {strategy}. Load the folder "
                "that `keras-attention train` left, or export it with another strategy."
            )
        return _saved_class(folder)(folder)
    raise FileNotFoundError(
        f"load: {folder} holds neither a saved task nor an export. `keras-attention train` makes the first, "
        "`keras-attention export` the second."
    )
