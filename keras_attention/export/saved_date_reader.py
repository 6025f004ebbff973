"""An export that reads dates, used from Python as the reader that it was made of."""

import tensorflow as tf

from keras_attention.date_reading import ReadsDates
from keras_attention.export.saved_task import SavedTask


class SavedDateReader(ReadsDates, SavedTask):
    """Reads dates with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `DateReader`.

    Raises:
        FileNotFoundError: if there is no export.
    """

    def convert_batch(self, texts, **more):
        """A list of strings, and of the hints of each, to a dict of arrays, as the signature gives them."""
        return self.run(text=tf.constant(texts, tf.string, shape=[len(texts)]), **more)
