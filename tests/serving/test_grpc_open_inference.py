"""The open inference protocol over gRPC: what its messages may hold, and what is refused."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from keras_attention.serving.grpc_open_inference import SERVICE
from keras_attention.serving.open_inference_messages import METHODS, POOL, message

from .conftest import listening, running, wait_until

X = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
Y = X | {"name": "y"}
RAW = [np.array(values, "<f4").tobytes() for values in ([1, 2], [3, 4])]


@pytest.fixture(scope="module")
def channel(server):
    with listening(server) as target, grpc.insecure_channel(target) as channel:
        yield channel


def call(channel, method, **fields):
    request, response = (message(method + what) for what in ("Request", "Response"))
    stub = channel.unary_unary(f"/{SERVICE}/{method}", request.SerializeToString, response.FromString)
    return stub(request(**fields), timeout=60)


def infer(channel, **fields):
    return call(channel, "ModelInfer", **{"model_name": "sums", "inputs": [X, Y]} | fields)


def test_messages_are_those_of_triton_s_client():
    """Names, numbers and types of the fields, wherever the messages stand."""
    theirs = pytest.importorskip("tritonclient.grpc.service_pb2", reason="tritonclient is missing")
    nested = {"InferTensor": theirs.ModelInferRequest.InferInputTensor, "InferParameter": theirs.InferParameter}
    nested |= {"TensorMetadata": theirs.ModelMetadataResponse.TensorMetadata}
    nested |= {"InferRequestedOutputTensor": theirs.ModelInferRequest.InferRequestedOutputTensor}
    nested |= {"Parameter": theirs.ModelInferRequest.ParametersEntry}
    for name, descriptor in POOL.FindFileByName("open_inference_grpc.proto").message_types_by_name.items():
        expected = (nested.get(name) or getattr(theirs, name)).DESCRIPTOR.fields_by_name
        for field in descriptor.fields:
            same = expected[field.name]
            assert (field.number, field.type, field.is_repeated) == (same.number, same.type, same.is_repeated), name


def test_server_and_models_describe_themselves(channel):
    assert call(channel, "ServerLive").live and call(channel, "ServerReady").ready
    assert call(channel, "ServerMetadata").name == "keras-attention"
    assert call(channel, "ModelReady", name="sums").ready
    described = call(channel, "ModelMetadata", name="sums", version="1")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in described.inputs] == [
        ("x", "FP32", [-1, 2]), ("y", "FP32", [-1, 2]),
    ]  # fmt: skip


def test_tensors_as_bytes_and_as_fields_are_answered_with_bytes(channel):
    fields = [X | {"contents": {"fp32_contents": [1, 2]}}, Y | {"contents": {"fp32_contents": [3, 4]}}]
    for asked in ({"raw_input_contents": RAW}, {"inputs": fields}):
        answer = infer(channel, id="7", outputs=[{"name": "sum"}], **asked)
        assert (answer.model_name, answer.model_version, answer.id) == ("sums", "1", "7")
        assert [(output.name, list(output.shape)) for output in answer.outputs] == [("sum", [1, 2])]
        assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [4.0, 6.0]


def test_a_signature_may_be_named(channel):
    text = {"name": "text", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"9"]}}
    named = [{"key": "signature_name", "value": {"string_param": "text_only"}}]
    answer = infer(channel, model_name="dates", inputs=[text], parameters=named)
    assert "weights" not in [output.name for output in answer.outputs]


INT8 = {"name": "x", "datatype": "INT8", "shape": [1], "contents": {"int_contents": [300]}}
HALF = {"name": "x", "datatype": "FP16", "shape": [1]}


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"model_name": "nothing"}, "NOT_FOUND", "Servable not found"),
        ({"model_version": "7"}, "NOT_FOUND", "Servable not found"),
        ({"model_version": "x"}, "INVALID_ARGUMENT", "The version must be a number. Received 'x'"),
        ({"model_version": "9" * 30}, "INVALID_ARGUMENT", "The version must be a number"),
        ({"raw_input_contents": RAW[:1]}, "INVALID_ARGUMENT", "must have 2 entries. Received 1"),
        ({"raw_input_contents": [RAW[0], b"abc"]}, "INVALID_ARGUMENT", "has 3 bytes, but each number has 4"),
        ({"inputs": [X]}, "INVALID_ARGUMENT", "must have 2 elements, as [1, 2] says. Received 0"),
        ({"inputs": [X | {"shape": [10**12, 2]}]}, "INVALID_ARGUMENT", "must have 2000000000000 elements"),
        ({"inputs": [X | {"shape": [-1, 2]}]}, "INVALID_ARGUMENT", "must be a list of at most 32 sizes"),
        ({"inputs": [X | {"datatype": "FP64"}]}, "INVALID_ARGUMENT", "must be FP32. Received FP64"),
        ({"inputs": [X, X], "raw_input_contents": RAW}, "INVALID_ARGUMENT", "one input of each name"),
        ({"inputs": [X], "raw_input_contents": RAW[:1]}, "INVALID_ARGUMENT", "'inputs' must have x, y. Received x"),
        ({"raw_input_contents": RAW, "outputs": [{"name": "z"}]}, "INVALID_ARGUMENT", "There is no output 'z'"),
    ],
)
def test_what_is_wrong_is_said(channel, fields, code, message):
    with pytest.raises(grpc.RpcError) as refused:
        infer(channel, **fields)
    assert refused.value.code().name == code and message in refused.value.details()


@pytest.mark.parametrize(
    ("kind", "tensor", "message"), [("int8", INT8, "no INT8"), ("float16", HALF, "must come in raw")]
)
def test_numbers_that_a_field_cannot_hold_are_refused(tmp_path, kind, tensor, message):
    module = tf.Module()
    module.call = tf.function(lambda x: {"y": tf.identity(x)}, autograph=False)
    signature = module.call.get_concrete_function(tf.TensorSpec([None], kind, name="x"))
    tf.saved_model.save(module, str(tmp_path / "same" / "1"), signatures=signature)
    with (
        running(tmp_path) as server,
        listening(server) as target,
        grpc.insecure_channel(target) as channel,
        pytest.raises(grpc.RpcError, match=message),
    ):
        infer(channel, model_name="same", inputs=[tensor])


def test_predictions_are_in_the_metrics(server, channel):
    infer(channel, raw_input_contents=RAW)
    line = 'request_latency_count{API="predict",entrypoint="GRPC",model_name="sums"}'
    wait_until(lambda: line in server.app.state.predictor.metrics.text().decode())


def test_reflection_finds_the_service_and_its_messages(channel):
    questions = [{"list_services": ""}, {"file_containing_symbol": SERVICE}]
    requests = (reflection_pb2.ServerReflectionRequest(**question) for question in questions)
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    listed, described = stub.ServerReflectionInfo(requests, timeout=10)
    assert SERVICE in {service.name for service in listed.list_services_response.service}
    (file,) = described.file_descriptor_response.file_descriptor_proto
    assert all(method.encode() in file for method in METHODS)
