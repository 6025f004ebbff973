"""Stopping and going on: the same weights as without a stop, and nothing half written."""

import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_attention.models import RecurrentTranslator
from keras_attention.training import Checkpoints, InverseSquareRoot, MaskedCrossentropy, Muon, average_checkpoints


def batches(start=0):
    """The same batch for each number, whenever it is asked for."""
    import tensorflow as tf

    def batch(number):
        ids = np.random.default_rng(number).integers(4, 9, size=(3, 5)).astype("int32")
        return {"source": ids, "target": ids}, ids

    spec = tf.TensorSpec([3, 5], tf.int32)

    def forever():
        number = start
        while True:
            yield batch(number)
            number += 1

    return tf.data.Dataset.from_generator(forever, output_signature=({"source": spec, "target": spec}, spec))


def model(units=4, optimizer=keras.optimizers.Adam):
    keras.utils.set_random_seed(0)
    made = RecurrentTranslator(9, 9, units=units, embedding_dim=4, dropout=0.3)
    made.compile(optimizer(InverseSquareRoot(0.01, 10)), MaskedCrossentropy())
    return made


def train(model, checkpoints, rounds, *callbacks):
    done = checkpoints.restore(model)
    model.fit(
        batches(done * 4),
        initial_epoch=done,
        epochs=rounds,
        steps_per_epoch=4,
        callbacks=[checkpoints, *callbacks],
        verbose=0,
    )
    return model


@pytest.mark.parametrize("optimizer", [Muon])  # which has Adam in it
def test_training_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path, optimizer):
    def stop(epoch, logs):  # what a training leaves that is killed after the second round
        if epoch == 1:
            shutil.copytree(tmp_path / "whole", tmp_path / "cut")

    stopped = keras.callbacks.LambdaCallback(on_epoch_end=stop)
    whole = train(model(optimizer=optimizer), Checkpoints(tmp_path / "whole"), 4, stopped)
    checkpoints = Checkpoints(tmp_path / "cut")
    cut = train(model(optimizer=optimizer), checkpoints, 4)
    for expected, received in zip(whole.weights, cut.weights, strict=True):
        np.testing.assert_array_equal(received, expected)
    assert [row["round"] for row in checkpoints.history] == [1, 2, 3, 4]
    assert [row["updates"] for row in checkpoints.history] == [4, 8, 12, 16]
    lines = (tmp_path / "cut" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == checkpoints.history


def test_half_written_file_of_a_killed_training_is_never_read(tmp_path):
    train(model(), Checkpoints(tmp_path), 1)
    (tmp_path / "unfinished.npz").write_bytes(b"half")
    (tmp_path / "unfinished.weights.h5").write_bytes(b"half")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.restore(model()) == 1
    assert [file.name for file in checkpoints.files] == ["round-00001.weights.h5"]


def test_a_round_that_the_disk_has_no_room_for_is_not_begun(tmp_path, monkeypatch):
    train(model(), Checkpoints(tmp_path), 1)
    saved = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(OSError, match="4 MB are needed to save a round and 1 MB are free"):
        train(model(), Checkpoints(tmp_path), 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == saved


def test_checkpoint_of_another_configuration_is_refused(tmp_path):
    train(model(), Checkpoints(tmp_path), 1)
    with pytest.raises(ValueError, match=r"another configuration: .* has shape \(.*\) in the model and \(.*\) in the"):
        Checkpoints(tmp_path).restore(model(units=6))
    with pytest.raises(ValueError, match="another configuration"):
        Checkpoints(tmp_path).restore(model(optimizer=Muon))


def test_last_rounds_are_kept_and_their_mean_is_taken(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    trained = train(model(), checkpoints, 3)
    assert [file.name for file in checkpoints.files] == ["round-00002.weights.h5", "round-00003.weights.h5"]
    kept = []
    for file in checkpoints.files:
        trained.load_weights(file)
        kept.append([weight.numpy() for weight in trained.weights])
    average_checkpoints(trained, checkpoints.files)
    for received, *expected in zip(trained.weights, *kept, strict=True):
        np.testing.assert_allclose(received, np.mean(expected, axis=0), atol=1e-7)


def test_average_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one file"):
        average_checkpoints(None, [])


@pytest.mark.parametrize(
    ("mode", "results", "finished"),
    [("min", [3, 2, 1], False), ("min", [1, 2, 3], True), ("min", [2, 1, 3], False), ("max", [3, 2, 1], True)],
)
def test_patience_looks_at_the_best_round(tmp_path, mode, results, finished):
    checkpoints = Checkpoints(tmp_path, mode=mode, patience=2)
    checkpoints.history = [{"val_loss": result} for result in results]
    assert checkpoints.finished is finished


def test_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    trained = train(model(), checkpoints, 1)
    before = (tmp_path / "state.npz").read_bytes()
    checkpoints.set_model(trained)
    checkpoints.on_epoch_end(1, {"loss": float("nan")})
    assert trained.stop_training
    assert (tmp_path / "state.npz").read_bytes() == before
    assert len(checkpoints.history) == 1


def test_schedule_is_the_papers():
    units, warmup = 128, 50
    schedule = InverseSquareRoot((units * warmup) ** -0.5, warmup)
    for step in (1, 7, 50, 51, 900):
        expected = units**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert float(schedule(step - 1)) == pytest.approx(expected, rel=1e-5)
    again = InverseSquareRoot.from_config(schedule.get_config())
    assert float(again(3)) == float(schedule(3))


def test_cooldown_leaves_the_rest_of_the_schedule_and_ends_at_zero():
    plain = InverseSquareRoot(0.01, 50)
    cooled = InverseSquareRoot(0.01, 50, cooldown_steps=100, total_steps=300)
    assert [float(cooled(step)) for step in range(200)] == [float(plain(step)) for step in range(200)]
    shares = [float(cooled(step)) / float(plain(step)) for step in range(200, 301)]
    np.testing.assert_allclose(shares, np.linspace(1.0, 0.0, 101), atol=1e-5)
    again = InverseSquareRoot.from_config(cooled.get_config())
    assert float(again(250)) == float(cooled(250))
    with pytest.raises(ValueError, match=r"from 0 to total_steps.*cooldown_steps=100, total_steps=None"):
        InverseSquareRoot(0.01, 50, cooldown_steps=100)


def test_a_goal_that_is_reached_some_rounds_in_a_row_ends_it(tmp_path):
    checkpoints = Checkpoints(tmp_path, monitor="val_wrong", goal=(0.5, 2))
    for wrong, ends in ((0.4, False), (0.9, False), (0.5, False), (0.1, True), (0.6, False)):
        checkpoints.history.append({"val_wrong": wrong})
        assert checkpoints.finished == ends
