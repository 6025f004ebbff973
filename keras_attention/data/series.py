"""Windows of series: what a forecaster is given, and what it is to say."""

import numpy as np


def make_windows(series, past, horizon, stride=1, future=None, static=None):
    """Cuts a series into windows of a past and what followed it.

    Args:
        series: `(time,)` or `(time, dim)`, numbers; what is to be forecast
            comes first.
        past: steps of the past in a window.
        horizon: steps to be forecast.
        stride: steps between the beginnings of two windows.
        future: what is known of each step beforehand, such as the calendar,
            `(time, known)`; or None. The windows' pasts hold it too, after
            `series`.
        static: what does not change, `(static,)`; or None.

    Returns:
        `(inputs, labels)` for `fit` of a `SeriesToSeries`: a dict of float32
        arrays, `past` `(windows, past, dim)`, `future` `(windows, horizon,
        known)` and `static` `(windows, static)`, and the series itself,
        `(windows, horizon, dim)`, of which give `labels[..., :targets]`.

    Raises:
        ValueError: if the series is shorter than one window, or `future` has
            another length.

    Example:

    >>> inputs, labels = make_windows(np.arange(6), past=3, horizon=2)
    >>> inputs["past"][..., 0].tolist(), labels[..., 0].tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0, 4.0], [4.0, 5.0]])
    """
    series = _columns(series)
    count = (len(series) - past - horizon) // stride + 1
    if len(series) < past + horizon:
        raise ValueError(
            f"make_windows: the series must hold at least one window, past + horizon = {past + horizon} steps. "
            f"Received {len(series)}."
        )
    begin = np.arange(count)[:, None] * stride
    before, after = begin + np.arange(past), begin + past + np.arange(horizon)
    inputs = {"past": series[before]}
    if future is not None:
        future = _columns(future)
        if len(future) != len(series):
            raise ValueError(
                f"make_windows: future must hold a row for each step of the series. Received {len(future)} rows for "
                f"{len(series)} steps."
            )
        inputs["past"] = np.concatenate([inputs["past"], future[before]], axis=-1)
        inputs["future"] = future[after]
    if static is not None:
        inputs["static"] = np.repeat(np.asarray(static, "float32")[None], count, axis=0)
    return inputs, series[after]


def seasonal_naive(past, horizon, season):
    """The forecast that a series does what it did one season ago.

    Args:
        past: `(windows, past, dim)`.
        horizon: steps to be forecast.
        season: steps of a season, at most those of the past.

    Returns:
        `(windows, horizon, dim)`.

    Raises:
        ValueError: for a past shorter than a season.

    Example:

    >>> seasonal_naive(np.array([[[9.0], [1.0], [2.0]]]), horizon=3, season=2)[0, :, 0].tolist()
    [1.0, 2.0, 1.0]

    Reference: Hyndman and Athanasopoulos 2021, "Forecasting: Principles and
        Practice", 5.2.
    """
    if past.shape[1] < season:
        raise ValueError(
            f"seasonal_naive: the past must hold a season of {season} steps. Received {past.shape[1]} steps."
        )
    return past[:, past.shape[1] - season + np.arange(horizon) % season]


def _columns(series):
    """Numbers as float32 `(time, dim)`."""
    series = np.asarray(series)
    if series.dtype.kind not in "fiub":
        raise TypeError(f"make_windows: a series must hold numbers. Received values of type {series.dtype}.")
    return (series[:, None] if series.ndim == 1 else series).astype("float32")
