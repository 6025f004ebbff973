"""Warm-up requests, and a real request of TensorFlow Serving, held against its own messages."""

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.export.warmup import PLACE, WarmupRequest, read_warmup_requests, write_warmup_requests

REQUESTS = [
    WarmupRequest("serving_default", {"text": [b"3 May 1979", b""]}),
    WarmupRequest("other", {"x": np.arange(300, dtype="float32")}),
]


def test_requests_come_back_as_they_were(tmp_path):
    write_warmup_requests(tmp_path, "dates", REQUESTS)
    for received, expected in zip(read_warmup_requests(tmp_path), REQUESTS, strict=True):
        assert received.signature_name == expected.signature_name
        assert {name: np.asarray(array).tolist() for name, array in received.inputs.items()} == {
            name: np.asarray(array, object).tolist() for name, array in expected.inputs.items()
        }


def test_a_version_without_requests_has_none(tmp_path):
    assert read_warmup_requests(tmp_path) == []


def test_serving_s_own_messages_read_them(tmp_path):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    write_warmup_requests(tmp_path, "dates", REQUESTS)
    records = [
        logs.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(tmp_path / PLACE))
    ]
    for record, expected in zip(records, REQUESTS, strict=True):
        assert record.WhichOneof("log_type") == "predict_log"
        request = record.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("dates", expected.signature_name)
        for name, array in expected.inputs.items():
            assert tf.make_ndarray(request.inputs[name]).tolist() == np.asarray(array, object).tolist()


def test_serving_s_own_messages_are_read(tmp_path):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    log = logs.PredictionLog()
    log.log_metadata.model_spec.name = "dates"
    request = log.predict_log.request
    request.model_spec.name = "dates"
    request.model_spec.version.value = 3
    request.output_filter.append("text")
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
    (tmp_path / PLACE).parent.mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / PLACE)) as writer:
        writer.write(log.SerializeToString())
    (received,) = read_warmup_requests(tmp_path)
    assert received.signature_name == "serving_default"
    assert received.inputs["text"].tolist() == [b"a"]
