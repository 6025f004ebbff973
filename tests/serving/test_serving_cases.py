"""The cases of TensorFlow Serving's own tests of its REST protocol, with its answers.

They are those of `json_tensor_test.cc`, `http_rest_api_util_test.cc`,
`http_rest_api_handler_test.cc` and `tensorflow_model_server_test.py`, whose
names they have. Where this server answers otherwise, the case is in
`LEFT_OUT` or says so, and the table of docs/serving.md names it.
"""

import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.serving.client import GrpcClient
from keras_attention.serving.errors import RequestError
from keras_attention.serving.model_sources import ConfigFile
from keras_attention.serving.protocol import format_answer, parse_request
from keras_attention.serving.signatures import TensorSpec

from .conftest import listening, running

INF, NAN, LARGE, SMALL = math.inf, math.nan, 1.7976931348623157e308, 2.2250738585072014e-308


def specs(**dtypes):
    return {name: TensorSpec(dtype, None) for name, dtype in dtypes.items()}


INT, FLOAT, STRING = (specs(default=dtype) for dtype in ("int32", "float32", "string"))
SEVERAL = specs(int_tensor="int32", str_tensor="string", float_tensor="float32", dbl_tensor="float64")
TWO = specs(int_tensor="int32", str_tensor="string")
ONE = [[[1, 2], [3, 4], [5, 6]]]
BASE64 = [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]

TAKEN = {
    "SingleUnnamedTensor": (INT, '{"instances": [[1,2],[3,4],[5,6]]}', {"default": [[1, 2], [3, 4], [5, 6]]}),
    "MixedInputForFloatTensor": (
        FLOAT, '{"instances": [1, 2.0, 3, 4, 5.003, 0.007, 0.0]}', {"default": [1, 2, 3, 4, 5.003, 0.007, 0]},
    ),
    "MixedInputForDoubleTensor": (
        specs(default="float64"), '{"instances": [1.0, 2, 3, 4, 0.662, 0, 0.0]}',
        {"default": [1, 2, 3, 4, 0.662, 0, 0]},
    ),
    "FloatTensorWithPrecisionLoss": (FLOAT, '{"instances": [1435774380, 1435774380.0]}', {"default": [1435774380] * 2}),
    "FloatTensorThatExceedsMaxReturnsInf": (FLOAT, f'{{"instances": [{LARGE}, -{LARGE}]}}', {"default": [INF, -INF]}),
    "FloatTensorThatExceedsMinReturnsZero": (FLOAT, f'{{"instances": [{SMALL}, -{SMALL}]}}', {"default": [0, 0]}),
    "SingleUnnamedTensorWithSignature": (
        INT, '{"signature_name": "predict_images", "instances": [[1,2]]}', {"default": [[1, 2]]},
    ),
    "SingleUnnamedTensorBase64Scalars": (
        STRING, json.dumps({"instances": [one for (one,) in BASE64]}), {"default": [b"hello", b"world"]},
    ),
    "SingleUnnamedTensorBase64Lists": (
        STRING, json.dumps({"instances": BASE64}), {"default": [[b"hello"], [b"world"]]},
    ),
    "SingleNamedTensorBase64": (
        STRING, json.dumps({"instances": [{"default": BASE64}]}), {"default": [[[b"hello"], [b"world"]]]},
    ),
    "MultipleNamedTensor": (
        SEVERAL,
        """{"instances": [
            {"int_tensor": [[1,2],[3,4],[5,6]], "str_tensor": ["foo", "bar"],
             "float_tensor": [1.0, NaN], "dbl_tensor": [NaN]},
            {"int_tensor": [[7,8],[9,0],[1,2]], "str_tensor": ["baz", "bat"],
             "float_tensor": [2.0, Infinity], "dbl_tensor": [2.0]}]}""",
        {
            "int_tensor": [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]],
            "str_tensor": [[b"foo", b"bar"], [b"baz", b"bat"]],
            "float_tensor": [[1, NAN], [2, INF]],
            "dbl_tensor": [[NAN], [2]],
        },
    ),
    "SingleUnnamedTensorColumnarFormat": (
        specs(int_tensor="int32"), json.dumps({"inputs": {"int_tensor": ONE}}), {"int_tensor": ONE},
    ),
    "SingleUnnamedTensorColumnarFormat, no name": (
        specs(int_tensor="int32"), json.dumps({"inputs": ONE}), {"int_tensor": ONE},
    ),
    "MultipleNamedTensorColumnarFormat": (
        specs(int_tensor="int32", str_tensor="string", bin_tensor="string"),
        json.dumps({"inputs": {"int_tensor": ONE, "str_tensor": ["foo", "bar"], "bin_tensor": {"b64": "aGVsbG8="}}}),
        {"int_tensor": ONE, "str_tensor": [b"foo", b"bar"], "bin_tensor": b"hello"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_request_that_serving_takes(name):
    inputs, body, expected = TAKEN[name]
    request = parse_request(body.encode(), dict.fromkeys(("serving_default", "predict_images"), inputs))
    assert request.by_row == ("instances" in body)
    assert request.inputs.keys() == expected.keys()
    for key, values in expected.items():
        dtype = object if inputs[key].dtype == "string" else inputs[key].dtype
        assert request.inputs[key].dtype == dtype
        np.testing.assert_array_equal(request.inputs[key], np.array(values, dtype))


REFUSED = {
    "DeeplyNestedMalformed": (INT, f'{{"signature_name": {"[" * 900}{"]" * 900}}}'),
    "empty": (INT, ""),
    "signature_name is a number": (INT, '{"signature_name": 5, "instances": [[1,2],[3,4],[5,6,7]]}'),
    "instances and inputs": (INT, '{"instances": [[1,2]], "inputs": [[1,2]]}'),
    "rows of different lengths": (INT, '{"instances": [[1,2],[3,4],[5,6,7]]}'),
    "rows of different depths": (INT, '{"instances": [[1,2],[3,4],[[5,6]]]}'),
    "a value and a row": (INT, '{"instances": [1, [1]]}'),
    "strings for integers": (INT, '{"instances": [[1,2],["a", "b"]]}'),
    "named rows of different depths": (
        TWO,
        '{"instances": [{"int_tensor": [[1]], "str_tensor": ["a"]}, {"int_tensor": [[[7]]], "str_tensor": ["b"]}]}',
    ),
    "named rows of different lengths": (
        TWO, '{"instances": [{"int_tensor": [1,2], "str_tensor": ["a"]}, {"int_tensor": [7], "str_tensor": ["b"]}]}',
    ),
    "a list among objects": (TWO, '{"instances": [{"int_tensor": [1], "str_tensor": ["a"]}, [1, 20, 30]]}'),
    "an object among lists": (specs(str_tensor="string"), '{"instances": [["baz"], {"str_tensor": ["baz"]}]}'),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_request_that_serving_refuses(name):
    inputs, body = REFUSED[name]
    with pytest.raises(RequestError) as refused:
        parse_request(body.encode(), {"serving_default": inputs})
    assert refused.value.status == 400


def test_json_that_is_nested_more_deeply_than_anybody_s_is_refused():
    """Left out: TensorFlow Serving takes `DeeplyNestedWellFormed`, whose other keys are 500,000 lists deep."""
    with pytest.raises(RequestError, match="JSON Parse error"):
        parse_request(
            b'{"instances": [1], "nested": ' + 500_000 * b"[" + 500_000 * b"]" + b"}", {"serving_default": INT}
        )


BLOCK = np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]], "int32")
TEXTS = np.array([[b"foo", b"bar"], [b"baz", b"bat"]], object)
BYTES = np.array([[b"hello", b"world"], [b"tf", b"serving"]], object)
IN_BASE64 = [[{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}], [{"b64": "dGY="}, {"b64": "c2VydmluZw=="}]]
FLOATS = np.array([[9000000, 999999, 0.5], [0.0003, 0.00003, 555557.5]], "float32")
NAMED = {
    "double_scalar_tensor": np.array([8.0, 9.0]),
    "float_tensor": np.array([[1.0], [2.0]], "float32"),
    "int_tensor": BLOCK,
    "str_tensor": TEXTS,
    "str_tensor_bytes": BYTES,
}
NAMED_COLUMNS = {
    "double_scalar_tensor": [8.0, 9.0],
    "float_tensor": [[1.0], [2.0]],
    "int_tensor": BLOCK.tolist(),
    "str_tensor": [["foo", "bar"], ["baz", "bat"]],
    "str_tensor_bytes": IN_BASE64,
}

ANSWERED = {
    "FromJsonSingleTensor": ({"int_tensor": BLOCK}, True, {"predictions": BLOCK.tolist()}),
    "FromJsonSingleTensor, columns": ({"int_tensor": BLOCK}, False, {"outputs": BLOCK.tolist()}),
    "FromJsonSingleScalarTensor": ({"int_tensor": np.arange(1, 6)}, True, {"predictions": [1, 2, 3, 4, 5]}),
    "FromJsonSingleScalarTensor, columns": ({"int_tensor": np.arange(1, 6)}, False, {"outputs": [1, 2, 3, 4, 5]}),
    "FromJsonSingleBytesTensor": ({"str_tensor_bytes": BYTES}, True, {"predictions": IN_BASE64}),
    "FromJsonSingleFloatTensorSixDigitPrecision": (
        {"float_tensor": FLOATS}, True, {"predictions": [[9e06, 999999.0, 0.5], [0.0003, 3e-05, 555557.5]]},
    ),
    "FromJsonMultipleNamedTensors": (
        NAMED, True,
        {"predictions": [{name: column[row] for name, column in NAMED_COLUMNS.items()} for row in range(2)]},
    ),
    "FromJsonMultipleNamedTensors, columns": (NAMED, False, {"outputs": NAMED_COLUMNS}),
    "FromJsonSingleZeroBatchTensor": ({"int_tensor": np.zeros((0, 2), "int32")}, True, {"predictions": []}),
    "FromJsonMultipleZeroBatchTensors": (
        {"str_tensor": np.zeros((0, 1, 2), object), "float_tensor": np.zeros((0, 3, 4), "float32")}, True,
        {"predictions": []},
    ),
    # Left out: TensorFlow Serving writes NaN, Infinity and -Infinity, which JSON has not.
    "FromJsonSingleFloatTensorNonFinite": (
        {"float_tensor": np.array([[NAN, INF], [3, -INF]], "float32")}, True,
        {"predictions": [[None, None], [3.0, None]]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERED)
def test_answer_of_serving(name):
    outputs, by_row, expected = ANSWERED[name]
    assert json.loads(format_answer(outputs, by_row)) == expected


UNANSWERED = {
    "FromJsonSingleTensorErrors, empty": {},
    "FromJsonSingleTensorErrors, complex": {"tensor": np.array([1j, 2j], "complex64")},
    "FromJsonSingleTensorErrors, no shape": {"tensor": np.array(1, "int32")},
    "FromJsonMultipleNamedTensorsErrors": {"int_tensor": np.zeros((2, 3), "int32"), "str_tensor": TEXTS[:1]},
    "FromJsonMultipleZeroBatchTensorsErrors": {"int_tensor": np.zeros((0, 2), "int32"), "str_tensor": TEXTS[:1]},
}


@pytest.mark.parametrize("name", UNANSWERED)
def test_outputs_that_serving_cannot_write(name):
    with pytest.raises(RequestError) as refused:
        format_answer(UNANSWERED[name], by_row=True)
    assert refused.value.status == 400


def save_half_plus_two(place):
    """TensorFlow Serving's first example."""
    module = tf.Module()
    module.a, module.b = tf.Variable(0.5), tf.Variable(2.0)
    module.call = tf.function(lambda x: {"y": module.a * x + module.b}, autograph=False)
    signature = module.call.get_concrete_function(tf.TensorSpec([None, 1], tf.float32, name="x"))
    tf.saved_model.save(module, str(place), signatures=signature)


def save_constants(place):
    """Two signatures, for which any shape will do."""
    module = tf.Module()
    module.v1, module.v2 = tf.Variable(3.0), tf.Variable(2.0)
    x = tf.TensorSpec(None, tf.float32, name="x")
    module.product = tf.function(lambda x: {"y": module.v1 * module.v2 * x}, [x], autograph=False)
    module.constant = tf.function(lambda x: {"y": tf.constant(2.0)}, [x], autograph=False)
    signatures = {"serving_default": module.product, "custom_signature_key": module.constant}
    tf.saved_model.save(module, str(place), signatures=signatures)


CONFIG = """model_config_list {
  config {
    name: "half_plus_two_2_versions" base_path: "half_plus_two" model_platform: "tensorflow"
    model_version_policy { specific { versions: 123 } } version_labels { key: "test_label" value: 123 }
  }
  config { name: "default" base_path: "half_plus_two" }
  config { name: "constants" base_path: "constants" }
  config { name: "modelname!#$%&'()*+,/:;=?@[]" base_path: "half_plus_two"
           version_labels { key: "latest!#$%&'()*+,/:;=?@[]" value: 124 } }
}"""
RESERVED = "%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A server of the models that TensorFlow Serving's tests have."""
    folder = pathlib.Path(tmp_path_factory.mktemp("models"))
    save_half_plus_two(folder / "half_plus_two" / "00000123")
    save_half_plus_two(folder / "half_plus_two" / "00000124")
    save_constants(folder / "constants" / "00000123")
    (folder / "models.config").write_text(CONFIG)
    with running(None, source=ConfigFile(folder / "models.config")) as server:
        yield server


MODEL = "/v1/models/half_plus_two_2_versions"
AVAILABLE = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
STATUS = {"model_version_status": [AVAILABLE]}
HALVES = {"predictions": [2.5, 3.0]}

PREDICTED = {
    "Predict": (f"{MODEL}:predict", {"instances": [[1, 2], [3, 4]]}, {"predictions": [[2.5, 3.0], [3.5, 4.0]]}),
    "Predict, version": (f"{MODEL}/versions/123:predict", {"instances": [1, 2]}, HALVES),
    "Predict, label": (f"{MODEL}/labels/test_label:predict", {"instances": [1, 2]}, HALVES),
    "Predict, signature": (
        f"{MODEL}/versions/123:predict",
        {"signature_name": "serving_default", "instances": [3, 4]},
        {"predictions": [3.5, 4.0]},
    ),
    "Predict, columns": (
        f"{MODEL}/versions/123:predict",
        {"signature_name": "serving_default", "inputs": [3, 4]},
        {"outputs": [3.5, 4.0]},
    ),
    "TestParseModelInfoForPost, reserved characters": (
        f"/v1/models/modelname{RESERVED}/labels/latest{RESERVED}:predict",
        {"instances": [1, 2]},
        HALVES,
    ),
    "testPredictREST": ("/v1/models/default:predict", {"instances": [2, 3, 4]}, {"predictions": [3.0, 3.5, 4.0]}),
    "testPredictColumnarREST": ("/v1/models/default:predict", {"inputs": [2, 3, 4]}, {"outputs": [3.0, 3.5, 4.0]}),
    "test_tf_saved_model_save": ("/v1/models/constants:predict", {"inputs": 2.0}, {"outputs": 12.0}),
    "test_tf_saved_model_save_multiple_signatures": (
        "/v1/models/constants:predict",
        {"inputs": 2.0, "signature_name": "custom_signature_key"},
        {"outputs": 2.0},
    ),
}


@pytest.mark.parametrize("name", PREDICTED)
def test_prediction_of_serving(serving, name):
    path, content, expected = PREDICTED[name]
    assert serving.ask("POST", path, content) == (200, expected)
    assert serving.headers["content-type"] == "application/json"


@pytest.mark.parametrize("place", ["", "/versions/123", "/labels/test_label"])
def test_status_of_serving(serving, place):
    assert serving.ask("GET", f"{MODEL}{place}") == (200, STATUS)
    assert serving.headers["content-type"] == "application/json"


def test_metadata_of_serving(serving):
    shape = {"dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}], "unknown_rank": False}
    status, answer = serving.ask("GET", f"{MODEL}/metadata")
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    for name in ("inputs", "outputs"):
        for tensor in signatures["serving_default"][name].values():
            assert tensor.pop("name")  # of the graph
    expected = {
        "inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": shape}},
        "outputs": {"y": {"dtype": "DT_FLOAT", "tensor_shape": shape}},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    spec = {"name": "half_plus_two_2_versions", "signature_name": "", "version": "123"}
    metadata = {"signature_def": {"signature_def": {"serving_default": expected}}}
    assert (status, answer) == (200, {"model_spec": spec, "metadata": metadata})


ONES = {"instances": [1]}
ERRORS = [
    ("GET", "/v1/foo", None, 400),
    ("POST", "/v1/foo", ONES, 400),
    ("GET", "/v1/models/debug/model_name", None, 400),
    ("POST", "/v1/models", ONES, 400),
    ("GET", "/v1/models/foo:predict", None, 400),
    ("GET", "/v1/models/foo/version/50:predict", None, 400),
    ("POST", "/v1/models/foo/version/50:regress", ONES, 400),
    ("POST", "/v1/models/foo/version/50:predict", ONES, 400),
    ("POST", "/v1/models/foo/versions/HELLO:regress", ONES, 400),
    ("POST", f"/v1/models/foo/versions/{2**64 - 1}:regress", ONES, 400),
    ("POST", f"/v1/models/foo/versions/{2**64 - 1}:predict", ONES, 400),
    ("POST", "/v1/models/foo/metadata", ONES, 400),
    ("POST", "/v1/models/foo/label/some_label:regress", ONES, 400),
    ("POST", "/v1/models/foo/versions/50/labels/some_label:regress", ONES, 400),
    ("POST", "/v1/models/foo/versions/some_label:regress", ONES, 400),
    ("GET", "/statuspage", None, 404),
    ("GET", "/index", None, 404),
    ("POST", "/v1/models/foo:predict", ONES, 404),
    ("POST", "/v1/models/foo/versions/50:predict", ONES, 404),
    ("POST", f"{MODEL}99:predict", ONES, 404),
    ("POST", f"{MODEL}:predict", b"", 400),
    ("POST", f"{MODEL}:predict", b"instances = [1, 2]", 400),
    ("POST", f"{MODEL}:predict", b'{ "instances": ["x", "y"] }', 400),
    ("POST", f"{MODEL}:predict", b'{ "signature_name": 100 }', 400),
    ("POST", f"{MODEL}/labels/nonexistent:predict", b'{ "instances": ["x", "y"] }', 400),
]


@pytest.mark.parametrize(("method", "path", "content", "expected"), ERRORS)
def test_error_of_serving(serving, method, path, content, expected):
    status, answer = serving.ask(method, path, content)
    assert status == expected and answer.keys() == {"error"}


LEFT_OUT = {
    "Regress": ("POST", f"{MODEL}:regress", {"examples": [{"x": 80.0}]}, 400),
    "Classify": ("POST", f"{MODEL}:classify", {"examples": [{"x": 20.0}]}, 400),
    "UnsupportedApiCalls, Missing model name": ("GET", "/v1/models", None, 200),  # a list of the models
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_of_serving(serving, name):
    method, path, content, status = LEFT_OUT[name]
    assert serving.ask(method, path, content)[0] == status


def test_prometheus_endpoint_of_serving(serving):
    assert "# TYPE" in serving.ask("GET", "/monitoring/prometheus/metrics")[1]


def test_grpc_predictions_of_serving(serving):
    with listening(serving) as target:
        client = GrpcClient(target, "constants")
        two = {"x": np.array(2.0, "float32")}
        assert client.predict(two)["y"] == 12.0
        assert client.predict(two, "custom_signature_key")["y"] == 2.0
        client.close()


def test_an_input_with_a_default_is_the_one_that_has_no_name():
    """As in `saved_model_half_plus_two_tf2_cpu`."""
    inputs = {"x": TensorSpec("float32", (1,), np.array([0.0], "float32"), is_firm=False)}
    for body in (b'{"instances": [1.0, 2.0]}', b'{"inputs": [1.0, 2.0]}'):
        assert parse_request(body, {"serving_default": inputs}).inputs["x"].tolist() == [1.0, 2.0]
