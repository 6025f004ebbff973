"""`keras-attention serve` as a process: its start, its log, its end."""

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from keras_attention import cli
from keras_attention.serving.client import GrpcClient

from .conftest import free_port, wait_until


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(port, method, path, content=None, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request(method, path, content and json.dumps(content), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def is_ready(port):
    try:
        return ask(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def serve(*arguments, **options):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "keras_attention", "serve", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


def test_requests_under_way_are_finished_when_it_is_told_to_stop(models, port, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    token_file = ("--token-file", tmp_path / "token")
    process = serve(models, "--host", "0.0.0.0", "--port", port, "--no-page", *token_file)
    try:
        wait_until(lambda: process.poll() is None and is_ready(port))
        assert ask(port, "GET", "/v1/models/dates")[0] == 401
        texts = {"instances": ["as people write dates, and longer " * 8] * 64}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, port, "POST", "/v1/models/dates:predict", texts, "secret") for _ in range(8)]
            wait_until(lambda: b"in_flight 8.0" in ask(port, "GET", "/monitoring/prometheus/metrics", None, "secret")[1]
                       or all(request.done() for request in asked))  # fmt: skip
            process.send_signal(signal.SIGTERM)
            assert [request.result()[0] for request in asked] == [200] * 8
        _, log = process.communicate(timeout=60)
    finally:
        process.kill()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["message"] == "request"]
    assert {(line["path"], line["status"]) for line in requests} >= {
        ("/v1/models/dates:predict", 200),
        ("/v1/models/dates", 401),
    }
    assert {"time", "level", "client", "method", "bytes", "ms"} <= requests[0].keys()
    assert "secret" not in log


def test_grpc_calls_under_way_are_finished_when_it_is_told_to_stop(models, port):
    grpc_port = free_port()
    process = serve(models, "--port", port, "--grpc-port", grpc_port, "--no-page")
    try:
        wait_until(lambda: process.poll() is None and is_ready(port))
        client = GrpcClient(f"127.0.0.1:{grpc_port}", "dates")
        assert client("9").source_tokens == ["9"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client, ["as people write dates, and longer " * 8] * 200) for _ in range(8)]
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            assert [len(request.result()) for request in asked] == [200] * 8
        client.close()
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()


def test_folder_that_is_not_there_is_named(tmp_path):
    process = serve(tmp_path / "nowhere")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere is not a folder. Export a model into it" in log


def test_being_open_without_a_token_is_warned_of(models, port):
    process = serve(models, "--host", "0.0.0.0", "--port", port, "--no-page")
    try:
        assert "open to other machines without a token" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()


def test_models_of_a_configuration_file_are_served(models, port, tmp_path):
    file = tmp_path / "models.config"
    file.write_text(f"model_config_list {{ config {{ name: 'readers' base_path: '{models / 'dates'}' }} }}")
    process = serve("--model-config", file, "--port", port, "--no-page")
    try:
        wait_until(lambda: process.poll() is None and is_ready(port))
        assert [model["name"] for model in json.loads(ask(port, "GET", "/v1/models")[1])["models"]] == ["readers"]
    finally:
        process.kill()
        process.communicate()


def test_a_folder_and_a_configuration_file_do_not_go_together(models, capsys):
    assert cli.main(["serve", str(models), "--model-config", "models.config"]) == 1
    assert "FOLDER and --model-config do not go together" in capsys.readouterr().err
