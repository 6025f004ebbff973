"""A training is what it was begun with, takes as many updates as it was told, and keeps what is best."""

import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_attention.training import Checkpoints
from keras_attention.training.runs import begun, described_model, described_pairs, fit_rounds, keep_best


class Batches:
    """Thirteen batches an epoch, each of one number: its own. `used` are those that a model was given."""

    steps_per_epoch = 13

    def dataset(self, start=0):
        import tensorflow as tf

        spec = tf.TensorSpec([1, 1], tf.float32)
        numbers = ([[[float(number)]], [[0.0]]] for number in itertools.count(start))
        return tf.data.Dataset.from_generator(lambda: map(tuple, numbers), output_signature=(spec, spec))


class Noting(keras.layers.Layer):
    """Multiplies by a weight, and notes what came."""

    def build(self, shape):
        self.used = []
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        if hasattr(inputs, "numpy"):
            self.used.append(int(inputs[0, 0]))
        return inputs * self.scale


def small_model():
    model = keras.Sequential([keras.Input((1,), batch_size=1), Noting()])
    model.compile(keras.optimizers.SGD(1e-4), "mse", run_eagerly=True)
    return model


def train(folder, updates, round_updates=None):
    model, checkpoints = small_model(), Checkpoints(folder)
    fit_rounds("test", model, Batches(), checkpoints, updates, round_updates, verbose=0)
    return model, checkpoints, list(model.layers[-1].used)


@pytest.mark.parametrize(
    ("parts", "round_updates"), [((30,), None), ((30,), 4), ((5, 22), None), ((5, 13, 22, 27), 4), ((27, 27), None)]
)
def test_updates_are_as_many_as_was_said_and_each_batch_is_used_once(tmp_path, parts, round_updates):
    used = []
    for updates in parts:
        model, checkpoints, numbers = train(tmp_path, updates, round_updates)
        used += numbers
        assert int(model.optimizer.iterations) == checkpoints.updates == updates
    assert used == list(range(parts[-1]))
    whole, _, _ = train(tmp_path / "whole", parts[-1], round_updates)
    np.testing.assert_array_equal(model.get_weights(), whole.get_weights())


def test_what_was_begun_with_something_else_is_refused_by_name_and_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    record = {"pairs": described_pairs([("a", "b")]), "batch_size": 4}
    with begun(tmp_path, "test", record, checkpoints):
        pass
    with begun(tmp_path, "test", record | {"batch_size": 8}, checkpoints):  # no round has been saved yet
        train(tmp_path / "checkpoints", 2)
    with pytest.raises(ValueError, match=r"begun with something else: batch_size was 8 and is 4 now. Go on with"):
        begun(tmp_path, "test", record, checkpoints).__enter__()
    other = record | {"pairs": described_pairs([("a", "b"), ("c", "d")])}
    with pytest.raises(ValueError, match=r'pairs was "1 pairs, checksum \w+" and is "2 pairs'):
        begun(tmp_path, "test", other, checkpoints).__enter__()
    with pytest.raises(ValueError, match=r"begun with pairs, batch_size\. Received batchsize as what may change"):
        begun(tmp_path, "test", record, checkpoints, ["batchsize"]).__enter__()
    assert json.loads((tmp_path / "run.json").read_text())["batch_size"] == 8
    with begun(tmp_path, "test", record | {"batch_size": 8}, checkpoints):
        pass
    with begun(tmp_path, "test", record | {"batch_size": 16}, checkpoints, ["batch_size"]):
        pass
    assert json.loads((tmp_path / "run.json").read_text())["batch_size"] == 16


def test_pairs_are_told_apart_by_their_order_and_where_they_are_cut():
    pairs = [("a", "b"), ("c", "d")]
    others = [pairs[::-1], [("ab", ""), ("c", "d")], [("a", "b"), ("c", "e")], pairs[:1]]
    assert len({described_pairs(each) for each in [pairs, *others]}) == 5
    assert described_pairs(pairs) == described_pairs(list(pairs))


def test_same_model_is_described_alike_when_it_is_made_again():
    from keras_attention import DateConverter, LuongCell

    one, two = (DateConverter(9, 9, units=8, attention=LuongCell(8, name=None)) for _ in range(2))
    assert described_model(one) == described_model(two)
    assert described_model(one) != described_model(DateConverter(9, 9, units=8, dtype="mixed_float16"))


def test_second_process_in_a_folder_is_refused(tmp_path):
    script = """
import sys
from keras_attention.training import Checkpoints
from keras_attention.training.runs import begun
with begun(sys.argv[1], "test", {}, Checkpoints(sys.argv[1])):
    pass
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with begun(tmp_path, "test", {}, Checkpoints(tmp_path)):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another process is training in" in refused.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def with_results(folder, results, keep, **options):
    """The checkpoints of a training whose rounds had these results, and whose weight was the number of the round."""
    model = small_model()
    checkpoints = Checkpoints(folder, keep=keep, **options)
    checkpoints.set_model(model)
    checkpoints.set_params({"steps": 1})
    for number, result in enumerate(results, start=1):
        model.set_weights([np.array(float(number))])
        checkpoints.on_epoch_end(number - 1, {"loss": 1.0, checkpoints.monitor: result})
    return model, checkpoints


@pytest.mark.parametrize(
    ("results", "mode", "best", "around"),
    [
        ([5, 4, 1, 4, 5, 6, 7], "min", 3, [2, 3, 4]),
        ([5, 4, 3, 2, 1], "min", 5, [3, 4, 5]),
        ([1, 2, 3, 4, 5], "min", 1, [1, 2, 3]),
        ([1, 9, 9, 4], "max", 3, [2, 3, 4]),
        ([2, 1], "min", 2, [1, 2]),
        ([2, float("nan"), 3], "min", 1, [1, 2, 3]),
    ],
)
def test_best_round_and_those_around_it_are_kept(tmp_path, results, mode, best, around):
    _, checkpoints = with_results(tmp_path, results, keep=3, mode=mode)
    assert (checkpoints.best, checkpoints.around_best) == (best, around)
    last = range(len(results) - 2, len(results) + 1)
    expected = {checkpoints.file(number) for number in {*around, *last} if number > 0}
    assert set(checkpoints.files) == expected


def test_result_is_the_better_of_the_best_round_and_the_mean_around_it(tmp_path):
    # Patience has run on: the mean of the last rounds would be that of rounds after the best.
    model, checkpoints = with_results(tmp_path, [3.0, 1.0, 2.0, 3.0, 3.0, 3.0], keep=2)
    sentence = keep_best(model, checkpoints, lambda: 0.9)
    assert (
        sentence
        == "The result is the mean of rounds 1 to 2: round 2 has val_loss 1.0000, the mean of rounds 1 to 2 0.9000."
    )
    np.testing.assert_allclose(model.get_weights(), [1.5])
    sentence = keep_best(model, checkpoints, lambda: 1.1)
    assert sentence.startswith("The result is round 2: ")
    assert (tmp_path / "result.txt").read_text() == sentence + "\n"
    np.testing.assert_allclose(model.get_weights(), [2.0])
    _, alone = with_results(tmp_path / "alone", [1.0, 2.0], keep=1)
    assert keep_best(model, alone) == "The result is round 1: round 1 has val_loss 1.0000."
    np.testing.assert_allclose(model.get_weights(), [1.0])
