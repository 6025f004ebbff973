"""An export, used from Python as the converter that it was made of."""

import pathlib

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that an export uses

from keras_attention.conversion import Converter
from keras_attention.export.signature import SIGNATURE


def versions(folder):
    """The version numbers in a model's folder, ascending."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


class SavedConverter(Converter):
    """Converts strings with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `TextToText`.

    Raises:
        FileNotFoundError: if there is no export.
    """

    def __init__(self, folder):
        self.folder = self._newest(folder)
        if self.folder is None:
            raise FileNotFoundError(
                f"SavedConverter: {folder} holds no export. `keras-attention export` and TextToText.export make one."
            )
        self._loaded = tf.saved_model.load(str(self.folder))
        self._signature = self._loaded.signatures[SIGNATURE]

    def convert_batch(self, texts, prefixes=None):
        """A list of strings to a dict of arrays, as the string signature gives them."""
        if prefixes is not None:
            raise ValueError(
                "SavedConverter: an export takes no prefix. Load the folder that `keras-attention train` left instead."
            )
        outputs = self._signature(text=tf.constant(texts, tf.string, shape=[len(texts)]))
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    @classmethod
    def is_export(cls, folder):
        """Whether a folder holds an export."""
        return cls._newest(folder) is not None

    @staticmethod
    def _newest(folder):
        folder = pathlib.Path(folder)
        places = [folder, *(folder / str(version) for version in reversed(versions(folder)))]
        return next((place for place in places if (place / "saved_model.pb").is_file()), None)
