"""Attacks on a server of its own process: what they cost it, and what its other clients see of them meanwhile."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from .conftest import free_port, wait_until

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="tells memory by /proc"),
]

MEMORY, SLOWEST, HEALTH = 300e6, 2.0, 0.5  # bytes more, seconds of 99 % of the answers, and of each /healthz
PREDICT = "/v1/models/dates:predict"


class Server:
    """`keras-attention serve`, as others run it."""

    def __init__(self, folder):
        self.port, self.grpc_port = free_port(), free_port()
        ports = ("--port", self.port, "--grpc-port", self.grpc_port)
        command = [sys.executable, "-m", "keras_attention", "serve", folder, "--no-page", *ports]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen([*map(str, command)], env=environment, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.status("GET", "/readyz") == 200)
        for _ in range(20):
            assert self.status("POST", PREDICT, {"instances": ["9 May 1979"]}) == 200

    def status(self, method, path, content=None):
        """The status of an answer; None if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, content and json.dumps(content))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except OSError:
            return None
        finally:
            connection.close()

    def memory(self):
        """Bytes that the process has in memory."""
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def connected(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@pytest.fixture
def attacked(models):
    server = Server(models)
    try:
        yield server
        server.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        assert server.process.wait(30) == 0
        assert time.monotonic() - begin < 10
    finally:
        server.process.kill()
        server.process.wait()


@contextlib.contextmanager
def watched(server):
    """Asks as honest clients do within a `with` block, and holds what they saw, and the memory, to the bounds."""
    done, answers, health, most = threading.Event(), [], [], [server.memory()]
    before = server.memory()

    def ask(method, path, content, into):
        while not done.is_set():
            begin = time.monotonic()
            into.append((server.status(method, path, content), time.monotonic() - begin))
            time.sleep(0.02)

    def weigh():
        while not done.wait(0.02):
            most[0] = max(most[0], server.memory())

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        content = {"instances": ["9 May 1979"]}
        running = [pool.submit(ask, "POST", PREDICT, content, answers) for _ in range(4)]
        running += [pool.submit(ask, "GET", "/healthz", None, health), pool.submit(weigh)]
        try:
            yield
        finally:
            done.set()
        for one in running:
            one.result()
    assert {status for status, _ in answers} == {status for status, _ in health} == {200}
    assert len(answers) > 20 and len(health) > 10
    assert np.quantile([seconds for _, seconds in answers], 0.99) < SLOWEST
    assert max(seconds for _, seconds in health) < HEALTH
    assert most[0] - before < MEMORY


def posted(body, *headers):
    lines = (f"POST {PREDICT} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join([*lines, "", ""]).encode() + body


def unfinished_heads(server):
    """More connections than many a system lets a process have, each with a head that does not end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(server.connected()).sendall(b"GET / HTTP/1.1\r\nx: ")
        time.sleep(3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def endless_heads(server):
    """Heads of hundreds of megabytes."""
    line = b"x: " + b"y" * 60_000 + b"\r\n"

    def send(_):
        with server.connected() as client, contextlib.suppress(OSError):
            client.sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(5000):
                client.sendall(line)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(16)))


def answers_that_nobody_reads(server):
    """Clients that ask for megabytes and take none of them."""
    body = json.dumps({"instances": ["9 May 1979 " * 20] * 24}).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(server.connected()).sendall(posted(body))
        time.sleep(5)


def abandoned_work(server):
    """Long texts of clients that hang up at once."""
    body = json.dumps({"instances": ["9" * 9000]}).encode()
    for _ in range(600):
        with server.connected() as client:
            client.sendall(posted(body))
    time.sleep(3)


def shapes_of_nothing(server):
    """42 bytes over gRPC that say they are a hundred million strings, and the same over the open inference protocol."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "dates"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["9"], tf.string))
    request.inputs["text"].tensor_shape.dim[0].size = 100_000_000
    tensor = {"name": "text", "shape": [10**12], "datatype": "BYTES", "data": ["9"]}
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for _ in range(200):
            with pytest.raises(grpc.RpcError, match="this server takes"):
                stub.Predict(request, timeout=30)
            assert server.status("POST", "/v2/models/dates/infer", {"inputs": [tensor]}) == 400


def bombs(server):
    """Megabytes that are gigabytes once they are inflated."""
    body = gzip.compress(bytes(400_000_000))
    assert len(body) < 1_000_000

    def send(_):
        with server.connected() as client:
            client.sendall(posted(body, "Content-Encoding: gzip"))
            assert client.recv(100).startswith(b"HTTP/1.1 413")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(40)))


@pytest.mark.parametrize(
    "attack",
    [unfinished_heads, endless_heads, answers_that_nobody_reads, abandoned_work, shapes_of_nothing, bombs],
    ids=lambda attack: attack.__name__,
)
def test_an_attack_costs_little_and_others_are_answered_meanwhile(attacked, attack):
    with watched(attacked):
        time.sleep(0.5)
        attack(attacked)


def save_table(place):
    """A model of 16 MB of weights and hardly a function."""
    module = tf.Module()
    module.table = tf.Variable(tf.random.normal([2000, 2000]))
    module.call = tf.function(lambda x: {"y": tf.gather(module.table, x)}, autograph=False)
    signature = module.call.get_concrete_function(tf.TensorSpec([None], tf.int32, name="x"))
    tf.saved_model.save(module, str(place), signatures=signature)


@pytest.mark.parametrize(("name", "instance"), [("table", 3), ("large_function", "9 May 1979")])
def test_memory_after_many_versions_is_that_after_few(models, exported, tmp_path, name, instance):
    if name == "table":
        save_table(tmp_path / name)
    else:  # hardly a weight, and a function that takes megabytes
        shutil.copytree(exported, tmp_path / name)
    shutil.copytree(tmp_path / name, models / name / "1")
    server = Server(models)
    try:
        memory = {}
        for version in range(2, 52):
            shutil.copytree(tmp_path / name, models / ".new")
            (models / ".new").rename(models / name / str(version))
            path = f"/v1/models/{name}/versions/{version}:predict"
            wait_until(lambda path=path: server.status("POST", path, {"instances": [instance]}) == 200)
            shutil.rmtree(models / name / str(version - 1))
            memory[version] = server.memory()
        assert memory[51] < 1.1 * memory[6]
    finally:
        server.process.kill()
        server.process.wait()
