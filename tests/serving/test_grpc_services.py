"""Health checking, reflection, the token and compression over gRPC."""

import contextlib
import gzip
import shutil
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from keras_attention.serving.grpc_server import SERVICES, start_grpc
from keras_attention.serving.grpc_services import HEALTH, STREAMS

from .conftest import free_port, listening, running, wait_until

SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3


@contextlib.contextmanager
def opened(server, **options):
    with listening(server, **options) as target, grpc.insecure_channel(target) as channel:
        yield channel


@pytest.fixture(scope="module")
def channel(server):
    with opened(server) as channel:
        yield channel


def check(channel, service=""):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status


def watch(channel, service=""):
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service), timeout=60)


@pytest.mark.parametrize("service", ["", HEALTH, *SERVICES, "dates", "sums"])
def test_server_services_and_models_are_healthy(channel, service):
    assert check(channel, service) == SERVING


def test_what_there_is_not_is_not_found(channel):
    with pytest.raises(grpc.RpcError) as refused:
        check(channel, "nothing")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    watched = watch(channel, "nothing")
    assert next(watched).status == UNKNOWN
    watched.cancel()


def test_a_model_that_cannot_be_loaded_is_not_serving(models):
    (models / "broken" / "1").mkdir(parents=True)
    (models / "broken" / "1" / "saved_model.pb").write_bytes(b"not a model")
    with running(models) as server, opened(server) as channel:
        assert check(channel, "broken") == NOT_SERVING
        assert check(channel) == SERVING


def test_a_watcher_hears_of_a_model_that_goes(models):
    with running(models) as server, opened(server) as channel:
        watched = watch(channel, "sums")
        assert next(watched).status == SERVING
        shutil.rmtree(models / "sums")
        assert next(watched).status == UNKNOWN
        watched.cancel()


def reflect(channel, *questions):
    requests = (reflection_pb2.ServerReflectionRequest(**question) for question in questions)
    return list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests, timeout=10))


def test_reflection_names_services_and_their_messages(channel):
    listed, described = reflect(
        channel, {"list_services": ""}, {"file_containing_symbol": "tensorflow.serving.PredictionService"}
    )
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {*SERVICES, HEALTH}
    files = described.file_descriptor_response.file_descriptor_proto
    assert any(b"PredictionService" in file for file in files)


def test_streams_that_stay_open_keep_nobody_from_an_answer(channel):
    silence = threading.Event()

    def nothing():
        silence.wait(60)
        yield from ()

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    open_streams = [stub.ServerReflectionInfo(nothing()) for _ in range(STREAMS)]
    watched = [watch(channel) for _ in range(STREAMS)]
    for stream in watched:
        assert next(stream).status == SERVING
    with pytest.raises(grpc.RpcError, match=f"{STREAMS} streams of this kind are open already"):
        next(watch(channel))
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "dates"
    for _ in range(50):
        assert check(channel) == SERVING
        assert model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=10)
    silence.set()
    for stream in (*open_streams, *watched):
        stream.cancel()

    def is_free():
        try:
            return bool(reflect(channel, {"list_services": ""})) and next(watch(channel)).status == SERVING
        except grpc.RpcError:
            return False

    wait_until(is_free)


def test_open_streams_do_not_hold_up_the_end(server):
    port = free_port()
    services = start_grpc(server.app.state.predictor, "127.0.0.1", port)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        watched = watch(channel)
        assert next(watched).status == SERVING
        begin = time.monotonic()
        services.stop(grace=20).wait()
        assert time.monotonic() - begin < 5


def test_the_token_is_asked_of_all_but_the_check(server):
    with opened(server, token="secret") as channel:
        assert check(channel) == SERVING
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "dates"
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for metadata in ((), (("authorization", "Bearer other"),)):
            calls = [
                lambda metadata=metadata: stub.GetModelStatus(status, timeout=10, metadata=metadata),
                lambda: next(watch(channel)),
                lambda: reflect(channel, {"list_services": ""}),
            ]
            for call in calls:
                with pytest.raises(grpc.RpcError) as refused:
                    call()
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert stub.GetModelStatus(status, timeout=10, metadata=(("authorization", "Bearer secret"),))


def test_a_compressed_message_is_held_to_the_limit_of_its_content(channel):
    predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    message = bytes(30_000_000)
    assert len(gzip.compress(message, 1)) < 200_000  # less than the server takes
    with pytest.raises(grpc.RpcError) as refused:
        predict(message, compression=grpc.Compression.Gzip, timeout=30)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
