"""Warm-up requests: what TensorFlow Serving answers before a version takes its first client.

They are a TFRecord file of `PredictionLog` messages in the version's
`assets.extra`. The few fields that are needed are written here in protobuf's
wire format, so that an export does not need TensorFlow Serving's package.
"""

import pathlib
from typing import NamedTuple

import tensorflow as tf

from keras_attention.export.signature import SIGNATURE

PLACE = "assets.extra/tf_serving_warmup_requests"


class WarmupRequest(NamedTuple):
    """A recorded request.

    Attributes:
        signature_name: signature name of the model.
        inputs: arrays by name.
    """

    signature_name: str
    inputs: dict


def write_warmup_requests(folder, name, requests):
    """Writes requests into a version's folder.

    Args:
        folder: folder of the version.
        name: name of the model.
        requests: list of `WarmupRequest`.
    """
    place = pathlib.Path(folder) / PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(place)) as writer:
        for request in requests:
            writer.write(_prediction_log(name, request))


def read_warmup_requests(folder):
    """The requests to predict in a version's folder; none if it carries none.

    Logs of other requests, such as to classify, are passed over.

    Raises:
        ValueError: if the file holds anything else.
    """
    place = pathlib.Path(folder) / PLACE
    if not place.is_file():
        return []
    logs = (_fields(record.numpy()) for record in tf.data.TFRecordDataset(str(place)))
    return [_request(log[_PREDICT_LOG][0]) for log in logs if _PREDICT_LOG in log]


def first_example(folder):
    """The inputs of the first warm-up request of our signature in a version's folder, arrays by name; or no inputs."""
    requests = read_warmup_requests(folder)
    return next((each.inputs for each in requests if each.signature_name == SIGNATURE), {})


# The numbers of the fields, of tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS, _NAME, _SIGNATURE_NAME, _KEY, _VALUE = 6, 1, 1, 2, 1, 3, 1, 2


def _prediction_log(name, request):
    spec = _field(_NAME, name.encode()) + _field(_SIGNATURE_NAME, request.signature_name.encode())
    inputs = b"".join(
        _field(_INPUTS, _field(_KEY, key.encode()) + _field(_VALUE, tf.make_tensor_proto(value).SerializeToString()))
        for key, value in request.inputs.items()
    )
    return _field(_PREDICT_LOG, _field(_REQUEST, _field(_MODEL_SPEC, spec) + inputs))


def _request(log):
    (request,) = _fields(log)[_REQUEST]
    fields = _fields(request)
    (spec,) = fields[_MODEL_SPEC]
    inputs = {}
    for entry in map(_fields, fields.get(_INPUTS, ())):
        (key,), (value,) = entry[_KEY], entry[_VALUE]
        proto = tf.make_tensor_proto(0)
        proto.ParseFromString(value)
        inputs[key.decode()] = tf.make_ndarray(proto)
    (signature_name,) = _fields(spec).get(_SIGNATURE_NAME, [b"serving_default"])
    return WarmupRequest(signature_name.decode(), inputs)


def _field(number, payload):
    """A field that holds bytes, text or a message: its number and wire type 2, the length, the content."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _fields(message):
    """The contents of such fields by number; others are passed over."""
    fields, place = {}, 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        if tag & 7 == 2:
            length, place = _read_varint(message, place)
            fields.setdefault(tag >> 3, []).append(message[place : place + length])
            place += length
        elif tag & 7 == 0:
            _, place = _read_varint(message, place)
        else:
            raise ValueError(f"read_warmup_requests: a record holds a field of wire type {tag & 7}: no PredictionLog.")
    return fields


def _varint(number):
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _read_varint(message, place):
    number, shift = 0, 0
    while True:
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place
