"""What a forecaster gives back, and what every forecaster has in common."""

from typing import NamedTuple

import numpy as np


class Forecast(NamedTuple):
    """What is expected of a series, or of several.

    Attributes:
        values: float32 `(horizon, targets)`, in the units of the series; of
            several series `(batch, horizon, targets)`.
        weights: float32 `(horizon, past)`: how much each step attended to each
            step of the past; of several `(batch, horizon, past)`. Zeros of a
            model without attention.
    """

    values: np.ndarray
    weights: np.ndarray


class ForecastsSeries:
    """What every forecaster is: callable on series, over a function on batches.

    Subclasses define `run(**inputs)`, from arrays `(batch, ...)` to a dict of
    `forecast` and `weights`, and `input_specs`.
    """

    def __call__(self, past, future=None, static=None):
        """Forecasts one series, or several of one length.

        Args:
            past: what was observed, `(past, dim)`, or `(batch, past, dim)`; the
                targets first. A series of one value a step may be `(past,)`.
            future: what is known of the steps to come, such as the calendar,
                `(horizon, known)` or `(batch, horizon, known)`, for a model
                that was built with it.
            static: what does not change, `(static,)` or `(batch, static)`.

        Returns:
            A `Forecast`.

        Raises:
            TypeError: for anything but numbers.
            ValueError: for other shapes than the model was built for.
        """
        specs = self.input_specs
        given = {"past": past, "future": future, "static": static}
        given = {name: value for name, value in given.items() if value is not None}
        if set(given) != set(specs):
            raise ValueError(
                f"{type(self).__name__}: the model was built for {', '.join(sorted(specs))}. Received "
                f"{', '.join(sorted(given))}."
            )
        arrays = {name: _numbers(type(self).__name__, name, value) for name, value in given.items()}
        if arrays["past"].ndim == 1:
            arrays["past"] = arrays["past"][:, None]
        is_one = arrays["past"].ndim == 2
        if is_one:
            arrays = {name: array[None] for name, array in arrays.items()}
        for name, array in arrays.items():
            _check_shape(type(self).__name__, name, array, specs[name].shape)
        found = self.run(**arrays)
        values, weights = found["forecast"], found["weights"]
        return Forecast(values[0], weights[0]) if is_one else Forecast(values, weights)


def _numbers(owner, name, value):
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{owner}: {name} must hold numbers. Received values of type {array.dtype}, such as {value!r:.60}."
        )
    return array.astype("float32")


def _check_shape(owner, name, array, shape):
    fits = array.ndim == len(shape) and all(
        expected in (None, size) for expected, size in zip(shape, array.shape, strict=True)
    )
    if fits:
        return
    expected = ", ".join("any" if size is None else str(size) for size in shape)
    message = f"{owner}: {name} must be of shape ({expected}), a batch first. Received {array.shape}."
    if name == "future" and array.ndim == 3 and array.shape[1] != shape[1]:
        message += f" The model was built for a horizon of {shape[1]} steps; what is known must cover them all."
    raise ValueError(message)
