"""Forecasts the next day of an hourly series, beside the forecast that it does what it did a week ago.

Run it: `python examples/time_series/time_series.py`; `--help` lists the flags.
"""

import argparse
import pathlib

import keras
import numpy as np
from matplotlib import pyplot

from keras_attention import Forecaster, RecurrentForecaster, load
from keras_attention.data import make_windows, seasonal_naive

DAY, WEEK = 24, 168


def bicycles(hours):
    """How many bicycles pass in each hour: rush hours on working days, fewer people out in bad weather, and noise."""
    generator, hour = np.random.default_rng(0), np.arange(hours)
    of_day, of_week = hour % DAY, hour // DAY % 7
    working = np.exp(-((of_day - 8) ** 2) / 4) + 0.8 * np.exp(-((of_day - 17) ** 2) / 8)
    free = 0.6 * np.exp(-((of_day - 14) ** 2) / 20)
    weather = np.ones(hours)
    for at in range(1, hours):
        weather[at] = 0.98 * weather[at - 1] + 0.02 + 0.05 * generator.normal()
    count = np.where(of_week < 5, working, free) * np.clip(weather, 0.2, None)
    return (100 * (count + 0.1) * (1 + 0.05 * generator.normal(size=hours))).astype("float32")


def calendar(hours):
    """What is known of every hour beforehand: where in the day and in the week it is."""
    angles = 2 * np.pi * np.arange(hours)[:, None] / [DAY, WEEK]
    return np.concatenate([np.sin(angles), np.cos(angles), (np.arange(hours) // DAY % 7 >= 5)[:, None]], axis=-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weeks", type=int, default=40, help="length of the series, whose last fifth is held out")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the windows")
    parser.add_argument("--units", type=int, default=32, help="width of the model")
    parser.add_argument("--output", type=pathlib.Path, default="runs/time_series", help="folder to write to")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    hours = options.weeks * WEEK
    series, known = bicycles(hours), calendar(hours)
    cut = hours * 4 // 5
    inputs, labels = make_windows(series[:cut], WEEK, DAY, stride=5, future=known[:cut])
    held_out, truth = make_windows(series[cut:], WEEK, DAY, stride=DAY, future=known[cut:])

    # Each window is a week, of which the model says the next day; it is trained on what it says itself.
    model = RecurrentForecaster(horizon=DAY, units=options.units, attention="luong")
    steps = options.epochs * -(-len(labels) // 32)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)), "mae")
    model.fit(inputs, labels, batch_size=32, epochs=options.epochs, verbose=2)

    def error(forecast):
        return float(np.abs(forecast - truth).mean())

    forecaster = Forecaster(model)
    forecast = forecaster(**held_out)
    for name, season in (("a day ago", DAY), ("a week ago", WEEK)):
        print(
            f"as {name}: {error(seasonal_naive(held_out['past'][..., :1], DAY, season)):.2f} bicycles off, on average"
        )
    print(
        f"the model: {error(forecast.values):.2f} bicycles off, on average, over {len(truth)} days that were held out"
    )

    version = forecaster.export(options.output / "model")
    one = {name: values[2] for name, values in held_out.items()}
    exported = load(version)(**one)
    print(f"Exported and checked: {version}")

    # The past, the next day, and how much each hour of it attended to each hour of the past.
    figure, (above, below) = pyplot.subplots(2, figsize=(10, 6), layout="constrained", sharex=True)
    after = np.arange(WEEK, WEEK + DAY)
    above.plot(one["past"][:, 0], color="black", label="the past")
    above.plot(after, truth[2, :, 0], color="black", linestyle=":", label="what came")
    above.plot(after, exported.values[:, 0], color="tab:red", label="the forecast")
    above.set(ylabel="bicycles an hour")
    above.legend(loc="upper center")
    below.imshow(exported.weights, cmap="Blues", aspect="auto", extent=(-0.5, WEEK - 0.5, DAY - 0.5, -0.5))
    below.set(xlabel="hour of the past", ylabel="hour of the forecast", xticks=range(0, WEEK + DAY + 1, DAY))
    figure.savefig(options.output / "attention.png", dpi=120)
    print(f"Attention: {options.output / 'attention.png'}")


if __name__ == "__main__":
    main()
