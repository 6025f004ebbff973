"""The open inference protocol, by plain HTTP and by Triton's own client."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_attention.serving.client import RestClient
from keras_attention.serving.errors import RequestError
from keras_attention.serving.open_inference import parse_request
from keras_attention.serving.signatures import TensorSpec

from .conftest import listening, running, save_sums, wait_until

TEXT = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["9", "97"]}
ROWS = [
    {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
    {"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [3.0, 4.0]},
]
SUM = {"name": "sum", "shape": [1, 2], "datatype": "FP32", "data": [4.0, 6.0]}


SUM_AS_BYTES = {"name": "sum", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}


def split(server, answer):
    """The outputs of an answer with tensors behind its JSON, and the bytes of each."""
    status, body = answer
    size = int(server.headers["inference-header-content-length"])
    assert status == 200 and server.headers["content-type"] == "application/octet-stream"
    outputs, begin = [], size
    for output in json.loads(body[:size])["outputs"]:
        end = begin + output["parameters"]["binary_data_size"]
        outputs.append((output, body[begin:end]))
        begin = end
    assert begin == len(body)
    return outputs


def infer(server, content, model="sums", headers=None):
    return server.ask("POST", f"/v2/models/{model}/infer", content, headers)


def test_server_and_models_describe_themselves(server):
    status, answer = server.ask("GET", "/v2")
    assert status == 200 and answer.keys() == {"name", "version", "extensions"}
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    assert server.ask("GET", "/v2/models/sums/ready") == (200, {"name": "sums", "ready": True})
    assert server.ask("GET", "/v2/models/sums/versions/1/ready") == (200, {"name": "sums", "ready": True})
    row = {"datatype": "FP32", "shape": [-1, 2]}
    expected = {
        "name": "sums",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x"} | row, {"name": "y"} | row],
        "outputs": [{"name": "sum"} | row],
    }
    assert server.ask("GET", "/v2/models/sums") == (200, expected)
    assert server.ask("GET", "/v2/models/sums/versions/1") == (200, expected)
    (text,) = server.ask("GET", "/v2/models/dates")[1]["inputs"]
    assert text == {"name": "text", "datatype": "BYTES", "shape": [-1]}


def test_tensors_are_answered(server):
    answer = {"model_name": "sums", "model_version": "1", "outputs": [SUM]}
    assert infer(server, {"inputs": ROWS}) == (200, answer)
    assert infer(server, {"id": "42", "inputs": ROWS}) == (200, answer | {"id": "42"})
    nested = [tensor | {"data": [tensor["data"]]} for tensor in ROWS]
    assert infer(server, {"inputs": nested, "outputs": [{"name": "sum"}]}) == (200, answer)
    assert server.ask("POST", "/v2/models/sums/versions/1/infer", {"inputs": ROWS}) == (200, answer)


def test_strings_are_answered_as_over_the_other_protocol(server):
    status, answer = infer(server, {"inputs": [TEXT]}, "dates")
    assert status == 200
    outputs = {tensor["name"]: np.reshape(tensor["data"], tensor["shape"]) for tensor in answer["outputs"]}
    expected = RestClient(f"http://127.0.0.1:{server.port}", "dates").predict({"text": np.array([b"9", b"97"], object)})
    assert outputs.keys() == expected.keys()
    assert [text.encode() for text in outputs["text"]] == expected["text"].tolist()
    np.testing.assert_allclose(outputs["weights"], expected["weights"].reshape(outputs["weights"].shape), atol=1e-6)
    wanted = [{"name": "log_prob"}, {"name": "text"}]
    names = [one["name"] for one in infer(server, {"inputs": [TEXT], "outputs": wanted}, "dates")[1]["outputs"]]
    assert names == ["log_prob", "text"]


def test_what_triton_s_client_sends_is_answered(server):
    """Bodies that tritonclient 2.69 sent, for tensors as JSON and as bytes."""
    content = {
        "inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
            {"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [3.0, 4.0]},
        ],
        "outputs": [{"name": "sum", "parameters": {"binary_data": False}}],
    }
    assert infer(server, content)[1]["outputs"] == [SUM]
    for tensor in content["inputs"]:
        tensor.pop("data")
        tensor["parameters"] = {"binary_data_size": 8}
    content["parameters"] = {"binary_data_output": True}
    content.pop("outputs")
    head = json.dumps(content).encode()
    body = head + np.array([1, 2, 3, 4], "<f4").tobytes()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    assert split(server, infer(server, body, headers=headers)) == [(SUM_AS_BYTES, b"\0\0\x80@\0\0\xc0@")]
    text = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}
    head = json.dumps({"inputs": [text], "outputs": [{"name": "source_tokens"}]}).encode()
    headers["Inference-Header-Content-Length"] = str(len(head))
    (tensor,) = infer(server, head + b"\x01\0\0\0" + b"9", "dates", headers)[1]["outputs"]
    assert tensor == {"name": "source_tokens", "datatype": "BYTES", "shape": [1, 1], "data": ["9"]}


def test_outputs_come_as_they_are_asked_for(server):
    """The request says it for all outputs, and each output may differ."""
    parameters = {"parameters": {"binary_data_output": True}}
    assert split(server, infer(server, {"inputs": ROWS} | parameters)) == [(SUM_AS_BYTES, b"\0\0\x80@\0\0\xc0@")]
    outputs = {"outputs": [{"name": "sum", "parameters": {"binary_data": False}}]}
    assert infer(server, {"inputs": ROWS} | parameters | outputs)[1]["outputs"] == [SUM]
    outputs = {"outputs": [{"name": "source_tokens", "parameters": {"binary_data": True}}]}
    ((output, data),) = split(server, infer(server, {"inputs": [TEXT]} | outputs, "dates"))
    assert output["shape"] == [2, 2]
    assert data == b"".join(b"\x01\0\0\0" + token if token else bytes(4) for token in (b"9", b"", b"9", b"7"))


def test_triton_s_own_client_is_answered(server):
    """Over HTTP, where it sends and asks for bytes unless it is told otherwise."""
    http = pytest.importorskip(
        "tritonclient.http", reason="tritonclient[http], KServe's and Triton's client, is missing"
    )
    for options in ({}, {"binary_data": False}):
        client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
        assert client.get_server_metadata()["name"] == "keras-attention"
        assert client.get_model_metadata("sums")["versions"] == ["1"]
        assert_answered(http, client, options)
        client.close()


def test_triton_s_own_client_is_answered_over_grpc(server):
    grpc = pytest.importorskip("tritonclient.grpc", reason="tritonclient is missing")
    with listening(server) as target:
        client = grpc.InferenceServerClient(target)
        assert client.get_server_metadata().name == "keras-attention"
        metadata = client.get_model_metadata("sums", "1")
        assert metadata.versions == ["1"] and list(metadata.outputs[0].shape) == [-1, 2]
        assert_answered(grpc, client, {})
        client.close()


def assert_answered(module, client, options):
    """What both of Triton's clients ask alike."""
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("sums", "1")
    inputs = []
    for name, values in (("x", [[1, 2]]), ("y", [[3, 4]])):
        inputs.append(module.InferInput(name, [1, 2], "FP32"))
        inputs[-1].set_data_from_numpy(np.array(values, "float32"), **options)
    result = client.infer("sums", inputs, request_id="7")
    assert result.as_numpy("sum").tolist() == [[4.0, 6.0]]
    response = result.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "7"
    text = module.InferInput("text", [2], "BYTES")
    text.set_data_from_numpy(np.array([b"9", "97 é".encode()], object), **options)
    wanted = [module.InferRequestedOutput("source_tokens", **options)]
    tokens = client.infer("dates", [text], outputs=wanted).as_numpy("source_tokens")
    assert tokens[0, 0] in (b"9", "9") and tokens.shape == (2, 4)
    with pytest.raises(Exception, match="Servable not found for request"):
        client.infer("nothing", inputs)


def changed(**changes):
    return [ROWS[0] | changes, ROWS[1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "JSON Parse error"),
        ([], "The request must be an object. Received Array"),
        ({}, "Missing 'inputs' key"),
        ({"inputs": {}}, "'inputs' must be a list"),
        ({"inputs": [3]}, "Each of 'inputs' must be an object"),
        ({"inputs": []}, "'inputs' must have x, y. Received nothing"),
        ({"inputs": ROWS[:1]}, "'inputs' must have x, y. Received x"),
        ({"inputs": [*ROWS, ROWS[0]]}, "There must be one input of each name: x, y. Received 'x'"),
        ({"inputs": [*ROWS, ROWS[0] | {"name": "z"}]}, "Received 'z'"),
        ({"inputs": [{"shape": [1]}]}, "Missing 'name' key"),
        ({"inputs": changed(shape=None)}, "'shape' of input 'x' must be a list of at most 32 sizes"),
        ({"inputs": changed(shape=[-1, 2])}, "'shape' of input 'x' must be a list"),
        ({"inputs": changed(shape=[True, 2])}, "'shape' of input 'x' must be a list"),
        ({"inputs": changed(shape=[1] * 33)}, "'shape' of input 'x' must be a list"),
        ({"inputs": changed(shape=[10**12, 2])}, "must have 2000000000000 elements"),
        ({"inputs": changed(datatype="FP64")}, "'datatype' of input 'x' must be FP32. Received FP64"),
        ({"inputs": changed(data=[1.0])}, "must have 2 elements, as [1, 2] says. Received 1"),
        ({"inputs": changed(data=[[1.0], [2.0, 3.0]])}, "rows of different lengths"),
        ({"inputs": changed(data=[[[1.0, 2.0]]])}, "must have 2 elements, as [1, 2] says"),
        ({"inputs": changed(data="ab")}, "'data' of input 'x' must be a list"),
        ({"inputs": changed(data=["a", "b"])}, "String is not of expected type: float32"),
        ({"inputs": changed(parameters=[])}, "'parameters' must be an object"),
        ({"inputs": changed(parameters={"binary_data_size": 8})}, "'binary_data_size' of input 'x' must be at most 0"),
        ({"inputs": ROWS, "outputs": [{"name": "z"}]}, "There is no output 'z'"),
        ({"inputs": ROWS, "outputs": [{}]}, "Missing 'name' key"),
        ({"inputs": ROWS, "outputs": [{"name": "sum"}] * 2}, "'outputs' names 'sum' twice"),
        ({"inputs": ROWS, "id": 7}, "'id' must be a string. Received Number"),
        ({"inputs": ROWS, "parameters": {"signature_name": "other"}}, '"other" not found in signature def'),
    ],
)
def test_what_is_wrong_is_said(server, content, message):
    status, answer = infer(server, content)
    assert status == 400 and message in answer["error"]


STRINGS = {"serving_default": {"text": TensorSpec("string", (None,))}}
NUMBERS = {"serving_default": {"text": TensorSpec("float32", (None,))}}


@pytest.mark.parametrize(
    ("signatures", "behind", "changes", "message"),
    [
        (STRINGS, b"\x01\0\0\0ab", {}, "ends within a string"),
        (STRINGS, b"\xff\xff\xff\xffa", {}, "ends within a string"),
        (STRINGS, b"\x01\0\0\0a\0\0\0\0", {}, "must have 1 elements, as [1] says. Received 2"),
        (NUMBERS, b"\0\0\0\0\0", {}, "has 5 bytes, but each number has 4"),
        (NUMBERS, b"\0" * 8, {}, "must have 1 elements, as [1] says. Received 2"),
        (NUMBERS, b"\0" * 4, {"size": 3}, "has 3 bytes"),
        (NUMBERS, b"\0" * 4, {"size": 9}, "must be at most 4"),
        (NUMBERS, b"\0" * 4, {"size": "4"}, "must be at most 4"),
        (NUMBERS, b"\0" * 8, {"size": 4}, "There are 4 bytes behind the last input"),
        (NUMBERS, b"\0" * 4, {"json_size": 10_000}, "must have at least the 10000 bytes of JSON"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(signatures, behind, changes, message):
    datatype = "BYTES" if signatures is STRINGS else "FP32"
    tensor = {"name": "text", "shape": [1], "datatype": datatype}
    tensor["parameters"] = {"binary_data_size": changes.get("size", len(behind))}
    head = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(RequestError) as refused:
        parse_request(head + behind, signatures, changes.get("json_size", len(head)))
    assert refused.value.status == 400 and message in refused.value.message


@pytest.mark.parametrize("size", ["-1", "x", "1" * 30, "²"])
def test_a_size_that_is_none_is_refused(server, size):
    headers = {"Inference-Header-Content-Length": size.encode("latin-1")}
    assert infer(server, {"inputs": ROWS}, headers=headers)[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/nope/ready", 404),
        ("GET", "/v2/models/sums/versions/7", 404),
        ("GET", "/v2/models/sums/nothing", 400),
        ("GET", "/v2/nothing", 400),
        ("POST", "/v2/models/nope/infer", 404),
        ("POST", "/v2/models/sums/versions/7/infer", 404),
        ("POST", "/v2/models/sums", 400),
        ("POST", "/v2/repository/index", 400),
    ],
)
def test_paths_that_lead_nowhere(server, method, path, expected):
    status, answer = server.ask(method, path, {"inputs": ROWS} if method == "POST" else None)
    assert status == expected and answer.keys() == {"error"}


def test_limits_hold(server):
    status, answer = infer(server, {"inputs": [TEXT | {"shape": [9], "data": ["9"] * 9}]}, "dates")
    assert status == 400 and "9 rows; this server takes 8" in answer["error"]
    status, answer = infer(server, {"inputs": [TEXT | {"shape": [1], "data": ["9" * 1001]}]}, "dates")
    assert status == 400 and "this server takes 1,000" in answer["error"]
    assert infer(server, b" " * 200_001)[0] == 413


KINDS = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float64",
]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A server of a model that gives back what it gets, of every type of number, and of a complex one."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in [*KINDS, "complex64"]:
        module = tf.Module()
        module.call = tf.function(lambda x: {"y": tf.identity(x)}, autograph=False)
        signature = module.call.get_concrete_function(tf.TensorSpec([None], kind, name="x"))
        tf.saved_model.save(module, str(folder / kind / "1"), signatures=signature)
    with running(folder) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_number_is_taken_as_json_and_as_bytes(kinds, kind):
    (described,) = kinds.ask("GET", f"/v2/models/{kind}")[1]["inputs"]
    values = [True, False] if kind == "bool" else [1, 3]
    tensor = {"name": "x", "shape": [2], "datatype": described["datatype"], "data": values}
    status, answer = infer(kinds, {"inputs": [tensor]}, kind)
    assert (status, answer["outputs"]) == (200, [tensor | {"name": "y"}])
    data = tf.constant(values, kind).numpy().tobytes()
    tensor.pop("data")
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(data)}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert infer(kinds, head + data, kind, headers) == (status, answer)


def test_what_has_no_datatype_is_refused(kinds):
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    status, answer = infer(kinds, {"inputs": [tensor]}, "complex64")
    assert status == 400 and "'datatype' of input 'x' must be complex64" in answer["error"]


def test_a_model_that_cannot_be_loaded_is_not_ready(tmp_path):
    save_sums(tmp_path / "sums" / "1")
    (tmp_path / "broken" / "1").mkdir(parents=True)
    with running(tmp_path) as server:
        wait_until(lambda: "broken" in server.store.known)
        assert server.ask("GET", "/v2/models/broken/ready") == (503, {"name": "broken", "ready": False})
        assert server.ask("GET", "/v2/health/ready")[0] == 200
