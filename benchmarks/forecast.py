"""Forecasts of a real series: attention, the same model without, and the year before.

`python benchmarks/forecast.py` (needs `pip install statsmodels`, which ships the series): sea surface temperature by
month, 1950 to 2010 (NOAA, El Niño). From four years the next one; trained on the first 70 % of the months, the form of
attention chosen by the mean absolute error on the next 15 %, measured on the last 15 %.
"""

import argparse
import itertools

import numpy as np
from harness import measure, report, save

PAST, HORIZON, SEASON = 48, 12, 12
RECIPE = {"units": 32, "dropout": 0.1}
EPOCHS, BATCH, RATE = 20, 32, 3e-3
CONTESTANTS = {"none": None, "Bahdanau": "bahdanau", "Luong": "luong", "Transformer": "transformer"}


def windows():
    """The windows of the three parts, each of which forecasts its own months alone."""
    from statsmodels.datasets import elnino

    from keras_attention.data import make_windows

    series = elnino.load_pandas().data.set_index("YEAR").to_numpy().reshape(-1)
    cuts = [0, int(0.7 * len(series)), int(0.85 * len(series)), len(series)]
    return [make_windows(series[max(begin - PAST, 0) : end], PAST, HORIZON) for begin, end in itertools.pairwise(cuts)]


def contest(name, seed):
    import keras

    from keras_attention.models import RecurrentForecaster, TransformerForecaster

    keras.utils.set_random_seed(seed)
    (inputs, labels), *held_out = windows()
    if name == "Transformer":
        model = TransformerForecaster(HORIZON, **RECIPE)
    else:
        model = RecurrentForecaster(HORIZON, attention=CONTESTANTS[name], **RECIPE)
    schedule = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * -(-len(labels) // BATCH))
    model.compile(keras.optimizers.Adam(schedule), "mae")
    model.fit(inputs, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    errors = [float(np.abs(model.predict(past, verbose=0) - truth).mean()) for past, truth in held_out]
    report(val=errors[0], test=errors[1], weights=model.count_params())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each")
    parser.add_argument("--work", help="for internal use")
    parser.add_argument("--seed", type=int, help="for internal use")
    options = parser.parse_args()
    if options.work:
        contest(options.work, options.seed)
        return
    from keras_attention.data import seasonal_naive

    figures = {}
    errors = [
        float(np.abs(seasonal_naive(inputs["past"], HORIZON, SEASON) - truth).mean()) for inputs, truth in windows()[1:]
    ]
    figures["the year before"] = {"val": errors[0], "test": errors[1]}
    print(f"{'the year before':16} val {errors[0]:.3f}  test {errors[1]:.3f}  degrees off, on average")
    for name in CONTESTANTS:
        runs = [measure(__file__, name, "--seed", seed) for seed in range(options.seeds)]
        figures[name] = {part: [run[part] for run in runs] for part in ("val", "test")} | {
            "weights": runs[0]["weights"]
        }
        shown = "  ".join(
            f"{part} {np.mean(figures[name][part]):.3f} ± {np.std(figures[name][part]):.3f}" for part in ("val", "test")
        )
        print(f"{name:16} {shown}  {runs[0]['weights']:,} weights", flush=True)
    save("forecast", f"python benchmarks/forecast.py --seeds {options.seeds}", figures)


if __name__ == "__main__":
    main()
