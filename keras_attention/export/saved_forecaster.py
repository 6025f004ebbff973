"""An export that takes series, used from Python as the forecaster that it was made of."""

from keras_attention.export.saved_task import SavedTask
from keras_attention.forecast import ForecastsSeries


class SavedForecaster(ForecastsSeries, SavedTask):
    """Forecasts with an exported SavedModel; no Keras model is built.

    Args:
        folder: a version's folder, or a model's folder, of which the highest
            version is loaded.

    Call args and Returns: those of `Forecaster`.

    Raises:
        FileNotFoundError: if there is no export.
    """
