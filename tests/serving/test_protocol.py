"""TensorFlow Serving's JSON, without a model."""

import json

import numpy as np
import pytest

from keras_attention.serving.errors import RequestError
from keras_attention.serving.protocol import format_answer, parse_request
from keras_attention.serving.signatures import TensorSpec

TEXT = {"serving_default": {"text": TensorSpec("string", (None,))}}
TWO = {"serving_default": {"x": TensorSpec("float32", (None, 2)), "n": TensorSpec("int32", (None,))}}


def parse(content, signatures=TEXT):
    return parse_request(json.dumps(content).encode(), signatures)


@pytest.mark.parametrize(
    "content",
    [
        {"instances": ["a", "b"]},
        {"instances": [{"text": "a"}, {"text": "b"}]},
        {"instances": [{"b64": "YQ=="}, "b"]},
        {"inputs": ["a", "b"]},
        {"inputs": {"text": ["a", "b"]}},
        {"inputs": {"text": ["a", {"b64": "Yg=="}]}, "signature_name": "serving_default"},
    ],
)
def test_every_form_of_a_request_gives_the_same_array(content):
    request = parse(content)
    assert request.inputs["text"].tolist() == [b"a", b"b"]
    assert request.by_row == ("instances" in content)


def test_rows_and_columns_of_several_inputs():
    rows = parse({"instances": [{"x": [1, 2], "n": 3}, {"x": [4, 5], "n": 6}]}, TWO)
    columns = parse({"inputs": {"x": [[1, 2], [4, 5]], "n": [3, 6]}}, TWO)
    for request in (rows, columns):
        assert request.inputs["x"].tolist() == [[1.0, 2.0], [4.0, 5.0]]
        assert request.inputs["n"].dtype == np.int32


@pytest.mark.parametrize(
    ("content", "signatures", "message"),
    [
        ([], TEXT, "JSON must be an object"),
        ({}, TEXT, "Missing 'inputs' or 'instances' key"),
        ({"inputs": ["a"], "instances": ["a"]}, TEXT, "received both"),
        ({"inputs": ["a"], "signature_name": "other"}, TEXT, '"other" not found in signature def'),
        ({"inputs": ["a"], "signature_name": 3}, TEXT, "must be a string value"),
        ({"instances": []}, TEXT, "at least one instance"),
        ({"instances": "a"}, TEXT, "must be a list"),
        ({"instances": [1]}, TEXT, "not of expected type: string"),
        ({"instances": [None]}, TEXT, "Null is not of expected type: string"),
        ({"instances": [["a"]]}, TEXT, r"must have shape \(any\). Received shape \(1, 1\)"),
        ({"instances": ["a", ["b"]]}, TEXT, "different lengths or depths"),
        ({"instances": [{"b64": "!"}]}, TEXT, "must be base64"),
        ({"instances": [{"text": "a"}, {"other": "b"}]}, TEXT, "Instance 1 must be an object of the inputs 'text'"),
        ({"inputs": {"other": ["a"]}}, TEXT, "'inputs' must name 'text'. Received 'other'"),
        ({"inputs": {}}, TEXT, "Received nothing"),
        ({"instances": ["a"]}, TWO, "several inputs"),
        ({"inputs": ["a"]}, TWO, "several inputs"),
        ({"inputs": {"x": [[1, 2, 3]], "n": [1]}}, TWO, r"'x' must have shape \(any, 2\)"),
        ({"inputs": {"x": [[1, "2"]], "n": [1]}}, TWO, "String is not of expected type: float32"),
        ({"inputs": {"x": [[1, True]], "n": [1]}}, TWO, "Bool is not of expected type: float32"),
        ({"inputs": {"x": [[1, 2]], "n": [1.5]}}, TWO, "not of expected type: int32"),
        ({"inputs": {"x": [[1, 2]], "n": [2**40]}}, TWO, "not of expected type: int32"),
    ],
)
def test_what_is_wrong_is_said(content, signatures, message):
    with pytest.raises(RequestError, match=message) as caught:
        parse(content, signatures)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs": ["\xff"]}', b"[" * 100_000])
def test_what_is_not_json_is_a_parse_error(body):
    with pytest.raises(RequestError, match="JSON Parse error"):
        parse_request(body, TEXT)


def test_deep_nesting_is_refused():
    deep = "[" * 200 + "]" * 200
    with pytest.raises(RequestError, match="nested too deeply") as caught:
        parse_request(f'{{"inputs": {deep}}}'.encode(), TEXT)
    assert caught.value.status == 400


def test_answers_in_rows_and_columns():
    outputs = {"text": np.array([b"a", "é".encode()], object), "score": np.array([0.5, 2.0], "float32")}
    assert json.loads(format_answer(outputs, by_row=True)) == {
        "predictions": [{"text": "a", "score": 0.5}, {"text": "é", "score": 2.0}]
    }
    assert json.loads(format_answer(outputs, by_row=False)) == {"outputs": {"text": ["a", "é"], "score": [0.5, 2.0]}}
    alone = {"score": outputs["score"]}
    assert json.loads(format_answer(alone, by_row=True)) == {"predictions": [0.5, 2.0]}
    assert json.loads(format_answer(alone, by_row=False)) == {"outputs": [0.5, 2.0]}


def test_bytes_are_base64_where_the_name_says_so_and_infinity_is_null():
    outputs = {"image_bytes": np.array([b"\xff"], object), "log_prob": np.array([-np.inf], "float32")}
    assert json.loads(format_answer(outputs, by_row=True)) == {
        "predictions": [{"image_bytes": {"b64": "/w=="}, "log_prob": None}]
    }


def test_outputs_without_a_common_batch_axis_have_no_rows():
    with pytest.raises(RequestError, match="no common batch axis"):
        format_answer({"a": np.zeros(2), "b": np.zeros(3)}, by_row=True)
