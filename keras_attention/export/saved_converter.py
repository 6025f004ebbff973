"""An export that takes strings, used from Python as the converter that it was made of."""

import tensorflow as tf

from keras_attention.conversion import Converter
from keras_attention.export.saved_task import SavedTask, task_of


class SavedConverter(Converter, SavedTask):
    """Converts strings with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `TextToText`.

    Raises:
        FileNotFoundError: if there is no export.
    """

    @property
    def keeps_spaces(self):
        """Whether a result has every space of the target that it learned."""
        return (task_of(self.folder) or {}).get("keeps_spaces", True)

    def convert_batch(self, texts, **more):
        """A list of strings, and of what else each has, to a dict of arrays, as the string signature gives them."""
        if "prefix" in more:
            raise ValueError(
                "SavedConverter: an export takes no prefix. Load the folder that `keras-attention train` left instead."
            )
        return self.run(text=tf.constant(texts, tf.string, shape=[len(texts)]), **more)
