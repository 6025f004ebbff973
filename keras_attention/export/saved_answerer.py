"""An export that takes stories, used from Python as the answerer that it was made of."""

from keras_attention.answer import AnswersQuestions
from keras_attention.export.saved_task import SavedTask


class SavedAnswerer(AnswersQuestions, SavedTask):
    """Answers questions with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `QuestionAnswerer`.

    Raises:
        FileNotFoundError: if there is no export.
    """
