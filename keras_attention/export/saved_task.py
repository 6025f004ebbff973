"""An export, used from Python: arrays in, arrays out, and no Keras model is built."""

import json
import pathlib

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses

from keras_attention.export.defaults import filled, read_defaults
from keras_attention.export.signature import SIGNATURE

# Beside the SavedModel: which task it is of.
IDENTITY = "assets.extra/task.json"


def version_folders(folder):
    """The folders of the versions in a model's folder by number; `00000123` is 123, as for TensorFlow Serving."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return {}
    found = (path for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal() and path.is_dir())
    return {int(path.name): path for path in sorted(found)}


def versions(folder):
    """The version numbers in a model's folder, ascending."""
    return sorted(version_folders(folder))


def newest(folder):
    """The folder of an export: the one given, or of its highest version; None if there is none."""
    folder = pathlib.Path(folder)
    places = [folder, *(place for _, place in sorted(version_folders(folder).items(), reverse=True))]
    return next((place for place in places if (place / "saved_model.pb").is_file()), None)


def task_of(folder):
    """What an export says of the task that it is of; None if it says nothing."""
    place = newest(folder) / IDENTITY
    return json.loads(place.read_text(encoding="utf-8")) if place.is_file() else None


class SavedTask:
    """Runs an exported SavedModel.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args:
        **inputs: arrays by the names of the signature.

    Returns:
        Dict of arrays.

    Raises:
        FileNotFoundError: if there is no export.
    """

    def __init__(self, folder):
        self.folder = newest(folder)
        if self.folder is None:
            raise FileNotFoundError(
                f"{type(self).__name__}: {folder} holds no export. `keras-attention export` and a task's export() "
                "make one."
            )
        self._loaded = tf.saved_model.load(str(self.folder))
        self._signature = self._loaded.signatures[SIGNATURE]
        self._defaults = read_defaults(self.folder).get(SIGNATURE, {})

    @property
    def input_specs(self):
        """What the signature takes: a dict of `tf.TensorSpec` by name."""
        return self._signature.structured_input_signature[1]

    def run(self, **inputs):
        """The signature on arrays: a dict of arrays."""
        specs = self.input_specs
        inputs = filled(inputs, self._defaults)
        if set(inputs) != set(specs):
            raise ValueError(
                f"{type(self).__name__}: the export in {self.folder} takes {', '.join(sorted(specs))}. Received "
                f"{', '.join(sorted(inputs)) or 'nothing'}."
            )
        tensors = {name: tf.convert_to_tensor(value, specs[name].dtype) for name, value in inputs.items()}
        return {name: tensor.numpy() for name, tensor in self._signature(**tensors).items()}

    def __call__(self, **inputs):
        return self.run(**inputs)

    @staticmethod
    def is_export(folder):
        """Whether a folder holds an export."""
        return newest(folder) is not None
