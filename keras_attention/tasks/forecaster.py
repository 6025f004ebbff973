"""From what was observed of a series to what is to be expected of it."""

import numpy as np
import tensorflow as tf

from keras_attention.export.saved_forecaster import SavedForecaster
from keras_attention.forecast import ForecastsSeries
from keras_attention.tasks.task import Task


class Forecaster(ForecastsSeries, Task):
    """Forecasts series of numbers with a model that feeds back its own predictions.

    Args:
        model: a `SeriesToSeries` that was built: called, or trained, once.

    Call args and Returns: see `ForecastsSeries`.

    Raises:
        ValueError: for a model that was not built.

    Example, with a model that is not trained yet:

    >>> model = RecurrentForecaster(horizon=3, units=8)
    >>> inputs, labels = make_windows(np.sin(np.arange(40.0)), past=12, horizon=3)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(inputs, labels, verbose=0)
    >>> forecast = Forecaster(model)(np.sin(np.arange(12.0)))
    >>> forecast.values.shape, forecast.weights.shape
    ((3, 1), (3, 12))
    """

    saved_class = SavedForecaster

    def __init__(self, model):
        super().__init__(model)
        if not model.widths:
            raise ValueError(
                "Forecaster: the model must be built, so that it is known what it reads. Call it, or fit it, once."
            )

    @property
    def input_specs(self):
        shapes = {"past": [None, None], "future": [None, self.model.horizon], "static": [None]}
        return {
            name: tf.TensorSpec([*shapes[name], width], tf.float32, name) for name, width in self.model.widths.items()
        }

    def compute(self, **inputs):
        """The whole line, in graph.

        Args:
            past: `(batch, past, dim)`.
            future: `(batch, horizon, known)`, of a model that reads it.
            static: `(batch, static)`, of a model that reads it.

        Returns:
            Dict of `forecast` `(batch, horizon, targets)` and `weights`
            `(batch, horizon, past)`, the mean over layers and heads.
        """
        forecast, weights = self.model.roll_out(inputs)
        weights = tf.cast(weights, tf.float32)
        if weights.shape.rank > 3:
            weights = tf.reduce_mean(weights, axis=list(range(2, weights.shape.rank - 1)))
        return {
            "forecast": tf.ensure_shape(tf.cast(forecast, tf.float32), [None, self.model.horizon, None]),
            "weights": tf.ensure_shape(weights, [None, self.model.horizon, None]),
        }

    def checks(self, examples=()):
        """Series of two lengths, one alone and several together, one that does not move; and the examples."""
        generator = np.random.default_rng(0)

        def inputs(rows, past):
            sizes = {"past": [past], "future": [self.model.horizon], "static": []}
            return {
                name: generator.normal(size=(rows, *sizes[name], width)).astype("float32")
                for name, width in self.model.widths.items()
            }

        still = inputs(2, 6)
        return [inputs(1, 24), inputs(3, 7), still | {"past": np.ones_like(still["past"])}, *examples]
