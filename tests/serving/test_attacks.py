"""Clients that want more than their share, and models of others: what they get, and what other clients see of it."""

import concurrent.futures
import contextlib
import gc
import json
import math
import re
import socket
import threading
import time
import weakref

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_attention.export import warmup
from keras_attention.serving.connection import HEAD_BYTES, make_server
from keras_attention.serving.grpc_server import start_grpc
from keras_attention.serving.predictor import Limits
from keras_attention.serving.servable import LONG, Servable

from .conftest import running, save_sums, wait_until


@contextlib.contextmanager
def answering(app, limits):
    """A server of any application: its port, and its connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = make_server(app, "127.0.0.1", 0, limits)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield listener.getsockname()[1], server.server_state.connections
        server.should_exit = True
        thread.join()


async def large(scope, receive, send):
    """An application whose answer no buffer of the system holds."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b" " * 50_000_000})


def received(client):
    """All that a client gets until the connection ends, however that is."""
    client.settimeout(30)
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def test_a_head_that_does_not_end_is_refused():
    with answering(large, Limits()) as (port, _):
        with socket.create_connection(("127.0.0.1", port)) as client, contextlib.suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\n")
            for number in range(40):
                client.sendall(f"x-{number}: {'y' * (HEAD_BYTES // 20)}\r\n".encode())
                time.sleep(0.001)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (HEAD_BYTES + 1))
            assert received(client).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nx: "], ids=["silent", "slow"])
def test_a_client_that_never_asks_is_sent_away(begin):
    with answering(large, Limits(head_seconds=0.2)) as (port, connections):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(begin)
            assert received(client) == b""
        wait_until(lambda: not connections)


def test_a_client_that_does_not_read_is_sent_away():
    with answering(large, Limits(write_seconds=0.3)) as (port, connections):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wait_until(lambda: connections)
            wait_until(lambda: not connections)
            assert len(received(client)) < 50_000_000
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert len(received(client)) > 50_000_000


def test_an_answer_that_is_too_large_is_refused(models):
    with running(models, Limits(answer=5000)) as server:
        assert server.predict({"instances": ["9"]})[0] == 200
        status, message = server.error({"instances": ["9 May 1979 " * 20] * 8})
        assert status == 400 and "this server sends 5,000 at once" in message


def test_what_nobody_waits_for_is_not_computed(models):
    with running(models) as server:
        signatures = server.store.get("dates").signatures
        signature, computed, go_on = signatures["serving_default"], [], threading.Event()

        def watched(**tensors):
            computed.append(tensors)
            go_on.wait(60)
            return signature.call(**tensors)

        signatures["serving_default"] = signature._replace(call=watched)
        body = json.dumps({"instances": ["9" * (LONG + 1)]}).encode()
        head = f"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for client in clients:
            client.sendall(head + body)
        wait_until(lambda: "in_flight 30.0" in server.app.state.predictor.metrics.text().decode())
        for client in clients:
            client.close()
        wait_until(lambda: "in_flight 1.0" in server.app.state.predictor.metrics.text().decode() or
                   "in_flight 0.0" in server.app.state.predictor.metrics.text().decode())  # fmt: skip
        go_on.set()
        assert server.predict({"instances": ["9" * (LONG + 1)]})[0] == 200
        assert len(computed) == 2  # that which was under way, and the last


def test_a_client_that_hangs_up_in_its_body_is_no_fault(server, caplog):
    with caplog.at_level("INFO", "keras_attention.serving"):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        metrics = server.app.state.predictor.metrics
        wait_until(lambda: 'status="CANCELLED"' in metrics.text().decode())
    assert not [record for record in caplog.records if record.exc_info]


@pytest.fixture(scope="module")
def channel(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listening = start_grpc(server.app.state.predictor, "127.0.0.1", port)
    with pytest.raises(OSError, match=f"gRPC cannot listen at 127.0.0.1:{port}"):
        start_grpc(server.app.state.predictor, "127.0.0.1", port)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    listening.stop(None).wait()


def predict(channel, tensor, model="dates", name="text", output_filter=(), **spec):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = model
    for key, value in spec.items():
        setattr(request.model_spec, key, value)
    request.inputs[name].CopyFrom(tensor)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)


def strings(*texts, shape=None):
    proto = tf.make_tensor_proto(list(texts), tf.string)
    for dimension, size in zip(proto.tensor_shape.dim, shape or (), strict=False):
        dimension.size = size
    return proto


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (strings("9", shape=[100_000_000]), "has 100,000,000 elements; this server takes 5,000 at once"),
        (strings("9", "8", shape=[-2]), "must be string of shape"),
        (strings("9", "8", "7", shape=[2]), "is no tensor of shape"),
        (tf.make_tensor_proto([1.0]), "must be string of shape"),
        (type(strings())(dtype=99), "has no type that TensorFlow knows"),
    ],
)
def test_a_message_is_looked_at_before_anything_is_made_of_it(channel, tensor, message):
    with pytest.raises(grpc.RpcError) as refused:
        predict(channel, tensor)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in refused.value.details()


def test_a_version_label_is_not_passed_over(channel):
    with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: canary"):
        predict(channel, strings("9"), version_label="canary")


def test_outputs_can_be_chosen_and_calls_are_counted(channel, server):
    assert set(predict(channel, strings("9"), output_filter=["text"]).outputs) == {"text"}
    with pytest.raises(grpc.RpcError, match="output tensor alias not found in signature: nothing"):
        predict(channel, strings("9"), output_filter=["nothing"])
    text = server.app.state.predictor.metrics.text().decode()
    assert re.search(r'request_latency_count{[^}]*entrypoint="GRPC"[^}]*model_name="dates"', text)


def test_metadata_and_status_are_told_over_grpc(channel):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "dates"
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    assert "text" in signatures.signature_def["serving_default"].inputs
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "dates"
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=30)
    (status,) = answer.model_version_status
    assert (status.version, status.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request.model_spec.name = "nope"
    with pytest.raises(grpc.RpcError, match="Could not find any versions of model nope"):
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=30)


def save(place, function, *specs):
    module = tf.Module()
    module.call = tf.function(function, autograph=False)
    tf.saved_model.save(module, str(place), signatures=module.call.get_concrete_function(*specs))


def test_models_of_others_answer_as_tensorflow_serving_has_them_answer(tmp_path):
    row = tf.TensorSpec([None, 1], tf.float32, name="x")
    free = tf.TensorSpec([None], tf.float32, name="x")
    save(tmp_path / "half_plus_two" / "00000123", lambda x: {"y": x / 2 + 2}, row)
    save(tmp_path / "sum" / "01", lambda x: {"y": tf.reduce_sum(x)}, free)
    save(tmp_path / "name" / "1", lambda x: {"y": tf.constant("a name")}, free)
    save(tmp_path / "half" / "1", lambda x: {"y": tf.cast(x, tf.bfloat16)}, free)
    save(tmp_path / "complex" / "1", lambda x: {"y": tf.complex(x, x)}, free)
    save(tmp_path / "finite" / "1", lambda x: {"y": tf.math.is_finite(x)}, free)
    with running(tmp_path) as server:
        content = {"instances": [1.0, 2.0, 5.0]}
        assert server.predict(content, "half_plus_two") == (200, {"predictions": [2.5, 3.0, 4.5]})
        assert server.ask("GET", "/v1/models/half_plus_two")[1]["model_version_status"][0]["version"] == "123"
        columns = {"inputs": [1.0, 2.0, 3.0]}
        assert server.predict(columns, "sum") == (200, {"outputs": 6.0})
        assert server.predict(columns, "name") == (200, {"outputs": "a name"})
        assert server.predict(columns | {"signature_name": ""}, "half") == (200, {"outputs": [1.0, 2.0, 3.0]})
        status, message = server.error(columns, "complex")
        assert status == 400 and "has complex numbers, which JSON has not" in message
        assert server.predict(b'{"inputs": [NaN, Infinity, -Infinity, 1.0]}', "finite") == (
            200,
            {"outputs": [False, False, False, True]},
        )


def test_warm_up_requests_that_are_none_of_ours_are_passed_over(models):
    place = models / "sums" / "1" / warmup.PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    row = np.zeros([1, 2], "float32")
    requests = [warmup.WarmupRequest(name, {"x": row, "y": row}) for name in ("unknown", "serving_default")]
    with tf.io.TFRecordWriter(str(place)) as writer:
        writer.write(b"\x12\x00")  # a log of a regression
        for request in requests:
            writer.write(warmup._prediction_log("sums", request))
    assert [request.signature_name for request in warmup.read_warmup_requests(models / "sums" / "1")] == [
        "unknown",
        "serving_default",
    ]
    with running(models) as server:
        assert server.store.get("sums").version == 1


def test_a_model_that_was_replaced_is_not_kept(models, monkeypatch):
    loaded, make = [], Servable.__init__

    def noted(servable, *arguments, **options):
        loaded.append(weakref.ref(servable))
        make(servable, *arguments, **options)

    monkeypatch.setattr(Servable, "__init__", noted)
    with running(models) as server:
        held = server.store.get("sums")
        for version in (2, 3, 4):
            save_sums(models / f".new-{version}", offset=float(version))
            (models / f".new-{version}").rename(models / "sums" / str(version))
            wait_until(lambda version=version: server.store.get("sums").version == version)
        assert held.version == 1  # whoever holds one may go on
        del held
        wait_until(lambda: sum(reference() is not None for reference in loaded) == 2)
    gc.unfreeze()


def test_one_broken_model_keeps_no_other_from_its_clients(models):
    broken = models / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"not a model")
    with running(models) as server:
        assert server.ask("GET", "/readyz")[0] == 200
        assert server.ask("GET", "/readyz?model=dates&model=sums")[0] == 200
        assert server.ask("GET", "/readyz?model=dates&model=broken")[0] == 503


def test_pages_of_other_origins_are_answered_where_they_may_ask(models):
    headers = {"Origin": "https://example.org", "Content-Type": "application/json"}
    content = json.dumps({"instances": ["9"]})
    for origins, allowed in (((), None), (("https://example.org",), "https://example.org")):
        with running(models, origins=origins) as server:
            assert server.ask("POST", "/v1/models/dates:predict", content.encode(), headers)[0] == 200
            assert server.headers.get("access-control-allow-origin") == allowed


def test_a_server_of_this_machine_answers_for_no_other_name(models):
    names = {"localhost:8501": 200, "127.0.0.1": 200, "[::1]:8501": 200, "evil.example": 400, "dates.example:80": 200}
    with running(models, host="127.0.0.1", allowed_hosts=["dates.example"]) as server:
        for name, status in names.items():
            assert server.ask("GET", "/healthz", headers={"Host": name})[0] == status
            assert server.ask("GET", "/v1/models/dates", headers={"Host": name})[0] == status


def test_others_are_answered_meanwhile(models):
    """Long strings, silent connections and clients that hang up, all at once."""
    with running(models, Limits(head_seconds=2.0)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        body = json.dumps({"instances": ["9" * 9000] * 4}).encode()
        head = f"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for client in silent[:100]:
            client.sendall(head + body)
        for client in silent[:100]:
            client.close()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: server.predict({"instances": ["9"]})[0], range(40)))
        assert set(answers) == {200}
        assert server.ask("GET", "/healthz")[0] == 200
        for client in silent[100:]:
            client.close()


def test_times_that_are_none_are_refused(capsys):
    from keras_attention import cli

    for flag, value in (("--poll-seconds", "nan"), ("--body-seconds", "-5"), ("--head-seconds", str(math.inf))):
        with pytest.raises(SystemExit):
            cli.build_parser().parse_args(["serve", flag, value])
        assert "must be a number of seconds above 0" in capsys.readouterr().err
