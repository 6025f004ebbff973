"""Training: it learns, it resumes after a kill, it refuses nonsense."""

import json
import subprocess
import sys
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_attention import DateConverter, load
from keras_attention.data import generate_dates
from keras_attention.recipes import converter as converter_recipe
from keras_attention.recipes import train_converter, train_machine, train_world_dates, warmed_up_cosine
from keras_attention.recipes import world_dates as world_dates_recipe
from keras_attention.training.runs import advice

PAIRS = generate_dates(260, formats=("d MM yy",))
TINY = {"units": 8, "embedding_dim": 4, "batch_size": 32, "verbose": 0}

TRAIN = """
import os, sys, keras
from keras_attention.data import generate_dates
from keras_attention.recipes import train_converter

class KillAfterSecondEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        print("epoch", epoch, flush=True)
        if epoch == 2:
            os.kill(os.getpid(), 9)

pairs = generate_dates(260, formats=("d MM yy",))
train_converter(pairs[:200], pairs[200:], epochs=4, folder=sys.argv[1], units=8, embedding_dim=4,
                batch_size=32, verbose=0, callbacks=[KillAfterSecondEpoch()])
"""


def test_training_goes_on_after_a_kill_where_it_was(tmp_path):
    command = [sys.executable, "-c", TRAIN, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr[-2000:]
    assert killed.stdout.split("\n")[:3] == ["epoch 0", "epoch 1", "epoch 2"]
    epochs = []
    noted = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    with pytest.raises(ValueError, match=r"pairs was \"200 pairs, .*\" and is \"201 pairs, "):
        train_converter(PAIRS[:201], PAIRS[200:], tmp_path, epochs=4, **TINY)
    with pytest.raises(ValueError, match='source_normalization was null and is "NFKC" now'):
        train_converter(PAIRS[:200], PAIRS[200:], tmp_path, source_normalization="NFKC", epochs=4, **TINY)
    with pytest.raises(ValueError, match="epochs was 4 and is 5 now"):
        train_converter(PAIRS[:200], PAIRS[200:], tmp_path, epochs=5, **TINY)
    with pytest.raises(ValueError, match=r"model\.units was 8 and is 9 now"):
        train_converter(PAIRS[:200], PAIRS[200:], tmp_path, epochs=4, **(TINY | {"units": 9}))
    converter = train_converter(PAIRS[:200], PAIRS[200:], epochs=4, folder=tmp_path, callbacks=[noted], **TINY)
    assert epochs == [2, 3]
    assert int(converter.model.optimizer.iterations) == 28  # 7 updates an epoch, none twice
    assert (tmp_path / "task.json").is_file()
    whole = train_converter(PAIRS[:200], PAIRS[200:], epochs=4, **TINY)
    for expected, received in zip(whole.model.get_weights(), converter.model.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-6)


ODD_TARGETS = ["½", "x²", "…", "ﬁn", "น้ำ", "a  b", "e\u0301", " x ", "２"]  # noqa: RUF001


def test_targets_are_learned_as_they_are_given(tmp_path, eagerly):
    pairs = [(f"{index}", target) for index, target in enumerate(ODD_TARGETS)]
    converter = train_converter(
        pairs, pairs, tmp_path, epochs=40, batch_size=9, units=32, learning_rate=3e-2, verbose=0
    )
    assert converter.evaluate(pairs).mistakes == []
    assert load(tmp_path).evaluate(pairs).exact_match == 1.0
    assert load(tmp_path)("\u0661").source_tokens == ["\u0661"]  # a source is as it is given, too


def test_same_seed_trains_the_same_model(eagerly):
    losses = [
        train_converter(PAIRS[:200], PAIRS[200:], epochs=1, seed=5, **TINY).model.history.history["loss"] for _ in "ab"
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_any_keras_callback_and_plain_fit_work():
    from keras_attention.data import make_batches
    from keras_attention.text import CharacterTokenizer
    from keras_attention.training import ExactMatch, MaskedCrossentropy

    source, target = (CharacterTokenizer.train(side) for side in zip(*PAIRS, strict=True))
    model = DateConverter(len(source.vocabulary), len(target.vocabulary), units=8)
    model.compile("adam", MaskedCrossentropy(), metrics=[ExactMatch()])
    batches = make_batches(PAIRS, source, target, batch_size=32)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=1e9)
    history = model.fit(batches, validation_data=batches, epochs=5, callbacks=[stopping], shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2
    assert {"exact_match", "val_exact_match"} <= set(history.history)


def test_loss_that_is_no_number_stops_training_and_saves_nothing(tmp_path, eagerly):
    with pytest.raises(FloatingPointError, match=r"not a number in round 1. Nothing was saved. Begin another"):
        train_converter(PAIRS[:200], PAIRS[200:], epochs=2, learning_rate=float("nan"), folder=tmp_path, **TINY)
    assert not (tmp_path / "task.json").exists()


def test_empty_list_is_refused():
    with pytest.raises(ValueError, match=r"both lists must hold pairs. Received 0 to learn and 1 to measure on"):
        train_converter([], [("a", "b")])


def test_a_training_that_was_interrupted_can_be_used_and_says_so(tmp_path, eagerly):
    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    pairs = generate_dates(200, seed=0)
    arguments = {"units": 8, "encoder_units": 4, "embedding_dim": 4, "epochs": 3, "verbose": 0}
    stop = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_converter(pairs[20:], pairs[:20], tmp_path, callbacks=[stop], **arguments)
    with pytest.warns(UserWarning, match="has not ended; its best round so far, round 1, is used"):
        assert isinstance(load(tmp_path)("3 May 1979").text, str)
    train_converter(pairs[20:], pairs[:20], tmp_path, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load(tmp_path)


def test_without_a_number_of_epochs_it_ends_when_nothing_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(converter_recipe, "_ENOUGH", 60)
    pairs = [(letter, letter.upper()) for letter in "ab"] * 10
    train_converter(pairs, pairs[:2], tmp_path, epochs=0, units=16, encoder_units=8, learning_rate=0.03, verbose=0)
    rounds = [json.loads(line) for line in (tmp_path / "checkpoints/history.jsonl").read_text().splitlines()]
    assert len(rounds) < 60
    assert [row["val_exact_match"] for row in rounds[-3:]][-2:] == [1.0, 1.0]


def test_advice_is_given_where_a_training_was_still_improving():
    checkpoints = SimpleNamespace(monitor="score")
    for results, count in (
        ([0.1, 0.2, 0.3, 0.5], 1),
        ([0.1, 0.5, 0.5, 0.5], 0),
        ([0.5, 0.9, 0.9, 0.999], 0),
        ([0.5], 0),
    ):
        checkpoints.history = [{"score": result} for result in results]
        assert len(advice(checkpoints)) == count


def test_schedule_rises_then_falls_to_zero():
    schedule = warmed_up_cosine(2.0, 100)
    rates = [float(schedule(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(rates, [0.0, 1.0, 2.0, 1.0, 0.0], atol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "arguments", "message"),
    [
        ("add", {}, "algorithm must be one of 'copy', .*. Received 'add'"),
        ("copy", {"slots": 12}, "copy has to remember up to 20 vectors of 8 bits. Received a memory of 12 slots of 20"),
        ("copy", {"width": 6}, "Give slots=128 and width=8, or a smaller task"),
    ],
)
def test_a_machine_whose_memory_is_too_small_for_its_task_is_refused(algorithm, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_machine(algorithm, tmp_path, **arguments)


def test_the_converter_of_all_locales_is_what_it_was_begun_with(tmp_path, eagerly, monkeypatch, recwarn):
    fitted = world_dates_recipe.fitted_temperature
    monkeypatch.setattr(world_dates_recipe, "fitted_temperature", lambda answer: fitted(answer, steps=2))
    data = {"count": 120, "measured": 10, "locales": ["en", "fr", "ja"], "verbose": 0}
    sizes = data | {"units": 8, "encoder_units": 8, "embedding_dim": 4}
    converter = train_world_dates(tmp_path, updates=2, round_updates=1, **sizes)
    assert load(tmp_path)("5 May 2024").source_tokens == list("5 may 2024")
    assert int(converter.model.optimizer.iterations) == 2
    assert not [warning for warning in recwarn if "ran out of data" in str(warning.message)]  # says Keras, unasked
    more = train_world_dates(tmp_path / "more", start=tmp_path, updates=1, seed=1, **data)
    with pytest.raises(ValueError, match="has a model, so none of units, encoder_units, embedding_dim can be given"):
        train_world_dates(tmp_path / "more", start=tmp_path, **sizes)
    assert more.source_tokenizer.vocabulary.fingerprint == converter.source_tokenizer.vocabulary.fingerprint
    with pytest.raises(ValueError, match="pairs was"):  # others, since the locales are
        train_world_dates(tmp_path, updates=2, round_updates=1, **(sizes | {"locales": ["de"]}))
