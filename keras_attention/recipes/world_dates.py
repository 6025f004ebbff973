"""The recipe for the reader of the dates of all locales, which the package ships."""

import os
import pathlib
import re
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_attention.data.token_batches import TokenBatches
from keras_attention.data.world_dates import generate_world_dates, learned_locales, locale_hints
from keras_attention.date_reading import LONGEST, date_of
from keras_attention.export.saved_task import newest
from keras_attention.export.signature import SIGNATURE
from keras_attention.models import DateConverter
from keras_attention.recipes.begins import described_weights, record_of, split_given
from keras_attention.recipes.converter import warmed_up_cosine
from keras_attention.settings import WorldDatesSettings
from keras_attention.tasks import DateReader
from keras_attention.text import CharacterTokenizer, Vocabulary
from keras_attention.training.calibration import fitted_temperature
from keras_attention.training.checkpoints import Checkpoints
from keras_attention.training.objectives import ExactMatch, MaskedCrossentropy
from keras_attention.training.runs import begun, fit_rounds, keep_best

SIZES = {"units": 128, "encoder_units": 128, "embedding_dim": 48}
NORMALIZATION = "NFKC_Casefold"


def train_world_dates(
    folder: str | os.PathLike,
    settings=None,
    locales: Sequence[str] | None = None,
    start: str | os.PathLike | None = None,
    may_change: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    **given,
) -> DateReader:
    """Trains the reader of dates of all locales, and can be stopped at any moment.

    See `generate_world_dates` for what it learns from, and `train_converter`
    for what is kept in the folder.

    Args:
        folder: where checkpoints are kept and the result is saved.
        settings: a `WorldDatesSettings`.
        locales: identifiers to learn; None has all of CLDR but `HELD_OUT`.
        start: folder of another run of this recipe, or of the export of one such
            as the package's own, whose vocabulary and weights are what this one
            begins with; None begins anew.
        may_change: see `train_converter`.
        callbacks: Keras callbacks.
        verbose: as in `fit`.
        **given: fields of `WorldDatesSettings`, instead of the record; and
            arguments of `DateConverter`.

    Returns:
        A `DateReader`, whose probabilities are calibrated on texts of the
        validation split.

    Raises:
        ValueError: for arguments of `DateConverter` with a `start`, which has a
            model.
    """
    settings, model_arguments = split_given(WorldDatesSettings, settings, given)
    keras.utils.set_random_seed(settings.seed)
    locales = learned_locales() if locales is None else locales
    pairs = generate_world_dates(settings.count, settings.seed, locales)
    validation = generate_world_dates(settings.measured, settings.seed, locales, split="validation")
    model, sources, targets = _begin(start, pairs, model_arguments)
    arguments = {"tokens": settings.tokens, "seed": settings.seed, "bucket_width": 8, "max_length": LONGEST}
    batches = TokenBatches(pairs, sources, targets, **arguments)
    measured = TokenBatches(validation, sources, targets, **arguments)
    schedule = warmed_up_cosine(settings.learning_rate, settings.updates, 0.05)
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=1.0)
    model.compile(optimizer, MaskedCrossentropy(), weighted_metrics=[ExactMatch()])
    reader = DateReader(model, sources, targets, locale_hints())
    checkpoints = Checkpoints(pathlib.Path(folder) / "checkpoints", keep=1, monitor="val_exact_match", mode="max")
    record = record_of(pairs, validation, reader.tokenizers, settings, model) | {
        "start": None if start is None else described_weights(model)
    }
    with begun(folder, "train_world_dates", record, checkpoints, may_change):
        fit_rounds(
            "train_world_dates",
            model,
            batches,
            checkpoints,
            settings.updates,
            settings.round_updates,
            callbacks=callbacks,
            task=reader,
            verbose=verbose,
            validation_data=measured.once(),
        )
        sentence = keep_best(model, checkpoints)
    reader.temperature = _temperature(
        reader, generate_world_dates(settings.measured, settings.seed + 1, locales, hints=0.0, split="validation")
    )
    if verbose:
        print(sentence)
        print(f"Probabilities are calibrated at a temperature of {reader.temperature:.3f}.")
    reader.save(folder)
    return reader


def _begin(start, pairs, model_arguments):
    """The model and both tokenizers: those of the run that is started from, or new ones."""
    if start is None:
        sources = CharacterTokenizer.train((text for text, _ in pairs), NORMALIZATION)
        targets = CharacterTokenizer.train(["0123456789-?"])
        model = DateConverter(len(sources.vocabulary), len(targets.vocabulary), **(SIZES | model_arguments))
        return model, sources, targets
    if model_arguments:
        raise ValueError(
            f"train_world_dates: start={str(start)!r} has a model, so none of {', '.join(model_arguments)} can be "
            "given."
        )
    if newest(start) is not None:
        return _exported(newest(start))
    begun_with = DateReader.load(start)
    return tuple(getattr(begun_with, name) for name in ("model", *begun_with.sides.values()))


def _exported(folder):
    """The same of an export, which has vocabularies, and weights in the order of the names of the model's variables."""
    sources, targets = (Vocabulary.load(folder / f"assets/{side}_vocabulary.txt") for side in ("source", "target"))
    model = DateConverter(len(sources), len(targets), **SIZES)
    model({"source": np.ones((1, 1), "int32"), "target": np.ones((1, 1), "int32")})
    loaded = tf.saved_model.load(str(folder))  # its variables live as long as it does
    saved = sorted(loaded.signatures[SIGNATURE].variables, key=lambda each: _numbered(each.name.removesuffix(":0")))
    variables = sorted(model.trainable_variables, key=lambda each: _numbered(each.path))
    for variable, weights in zip(variables, saved, strict=True):
        variable.assign(weights.numpy())
    return model, CharacterTokenizer(sources, NORMALIZATION), CharacterTokenizer(targets)


def _numbered(path):
    """A key that has names in the order in which layers of one name were made, whatever was made before."""
    parts = (re.fullmatch(r"(.*?)(?:_(\d+))?", part) for part in path.split("/"))
    return [(part[1], int(part[2] or 0)) for part in parts]


def _temperature(reader, pairs):
    """The temperature at which a reader's probabilities are how often it is right on pairs without hints."""
    texts, expected = [text for text, _ in pairs], [date_of(answer) for _, answer in pairs]

    def answer(temperature):
        readings = reader.at_temperature(temperature)(texts)
        right = [reading.text == date for reading, date in zip(readings, expected, strict=True)]
        return np.exp([reading.log_prob for reading in readings]), np.array(right)

    return fitted_temperature(answer)
