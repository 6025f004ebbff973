"""Predictions that wait are computed together, each gets its own rows, and nothing is kept of a model that went."""

import concurrent.futures
import gc
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.serving.batches import Batches
from keras_attention.serving.errors import RequestError
from keras_attention.serving.servable import Prediction, Servable, Signature
from keras_attention.serving.signatures import TensorSpec

from .conftest import save_sums, wait_until

ROW = TensorSpec("float32", (None,))


class Model:
    """A function of numbers above 0 that waits for `go_on`, and what it was called with."""

    def __init__(self):
        self.calls = []
        self.go_on = threading.Event()
        self.signature = Signature({"x": ROW}, {"y": ROW}, self, Batches(self, most_rows=5), is_text=False)

    def __call__(self, x):
        self.calls.append(x.numpy().tolist())
        assert self.go_on.wait(60)
        tf.debugging.assert_positive(x)
        return {"y": 2 * x}

    def prediction(self, *values):
        return Prediction("model", self.signature, {"x": tf.constant(values, tf.float32)})


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def thread():
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        yield thread


def started(model, thread, *rows):
    """Predictions and their futures; the first is being computed, and thus alone, when the others come."""
    predictions = [model.prediction(*values) for values in rows]
    futures = [predictions[0].start(thread)]
    wait_until(lambda: model.calls)
    futures += [prediction.start(thread) for prediction in predictions[1:]]
    return predictions, futures


def test_what_waits_is_joined_in_its_order_up_to_the_rows_of_a_batch(model, thread):
    predictions, futures = started(model, thread, [1], [2], [3, 4], [5, 6, 7], [8])
    model.go_on.set()
    concurrent.futures.wait(futures)
    assert model.calls == [[1], [2, 3, 4], [5, 6, 7, 8]]
    assert [prediction.outputs()["y"].tolist() for prediction in predictions] == [[2], [4], [6, 8], [10, 12, 14], [16]]
    assert [prediction.batches for prediction in predictions] == [[1], [3], [], [4], []]


def test_a_request_of_more_rows_is_a_batch_of_its_own(model, thread):
    _, futures = started(model, thread, [1], [2] * 7, [3])
    model.go_on.set()
    concurrent.futures.wait(futures)
    assert model.calls == [[1], [2] * 7, [3]]


def test_what_was_cancelled_is_not_computed(model, thread):
    _, futures = started(model, thread, [1], [2], [3])
    assert futures[1].cancel()
    model.go_on.set()
    concurrent.futures.wait(futures)
    assert model.calls == [[1], [3]]


def test_a_row_that_fails_harms_no_other_of_its_batch(model, thread):
    predictions, futures = started(model, thread, [1], [2], [-3], [4])
    model.go_on.set()
    concurrent.futures.wait(futures)
    assert model.calls == [[1], [2, -3, 4], [2], [-3], [4]]
    assert [predictions[row].outputs()["y"].tolist() for row in (1, 3)] == [[4], [8]]
    with pytest.raises(RequestError, match="model refused the inputs"):
        futures[2].result()


def test_outputs_of_other_rows_than_the_inputs_are_not_divided(thread):
    signature = Signature({"x": ROW}, {"y": ROW}, lambda x: {"y": x[:1]}, None, is_text=False)
    batches = Batches(signature.call, most_rows=5)
    prediction = Prediction("model", signature._replace(batches=batches), {"x": tf.constant([1.0, 2.0])})
    prediction.start(thread).result()
    assert prediction.batches == [] and prediction.outputs()["y"].tolist() == [1]


def test_inputs_of_different_rows_are_not_joined(model):
    signature = model.signature._replace(inputs={"x": ROW, "y": ROW})
    tensors = {"x": tf.zeros([1]), "y": tf.zeros([3])}
    assert not Prediction("model", signature, tensors).is_joined


def test_nothing_keeps_a_model_that_went(tmp_path, thread):
    save_sums(tmp_path)
    servable = Servable("sums", 1, tmp_path)
    row = np.ones([1, 2], "float32")
    prediction = servable.prepare("serving_default", {"x": row, "y": row})
    assert prediction.is_joined
    prediction.start(thread).result()
    gone = [weakref.ref(thing) for thing in (servable, servable.signatures["serving_default"].call)]
    del servable, prediction
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
