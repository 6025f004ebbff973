"""An export that takes histories, used from Python as the recommender that it was made of."""

from keras_attention.export.saved_task import SavedTask
from keras_attention.recommend import Recommends


class SavedRecommender(Recommends, SavedTask):
    """Recommends with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `Recommender`; an unknown item is left out,
        and an unknown user has the mean profile.

    Raises:
        FileNotFoundError: if there is no export.
    """

    @property
    def has_users(self):
        """Whether it attends with the profile of a user."""
        return "user" in self.input_specs
