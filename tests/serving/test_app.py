"""The server as its clients see it: right answers, the right refusals, and nobody harmed by another."""

import concurrent.futures
import http.client
import json
import shutil
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_attention import load
from keras_attention.serving import predictor, protocol
from keras_attention.serving.client import GrpcClient, RestClient, ServerError
from keras_attention.serving.grpc_server import start_grpc
from keras_attention.serving.predictor import Limits
from keras_attention.serving.servable import LONG

from .conftest import running, save_sums, wait_until

TEXTS = ["3 May 1979", "", "9", "May 1979, the third of them, as people write", "97"]


@pytest.fixture(scope="module")
def converter(exported):
    return load(exported)


def test_status_and_metadata_are_those_of_serving(server):
    status, answer = server.ask("GET", "/v1/models/dates")
    assert status == 200
    assert answer == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert server.ask("GET", "/v1/models/dates/versions/1") == (200, answer)
    status, answer = server.ask("GET", "/v1/models/dates/metadata")
    assert answer["model_spec"] == {"name": "dates", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["text"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["text"]["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert server.ask("GET", "/v1/models/dates/versions/1/metadata")[0] == 200


def test_rows_and_columns_are_answered_as_the_model_answers(server, converter):
    expected = converter(TEXTS)
    _, rows = server.predict({"instances": TEXTS})
    _, columns = server.predict({"inputs": {"text": TEXTS}})
    assert [row["text"] for row in rows["predictions"]] == [conversion.text for conversion in expected]
    assert columns["outputs"]["text"] == [conversion.text for conversion in expected]
    row = rows["predictions"][0]
    np.testing.assert_allclose(row["log_prob"], expected[0].log_prob, rtol=1e-4)
    assert server.ask("POST", "/v1/models/dates/versions/1:predict", {"instances": TEXTS})[0] == 200


def test_models_are_listed(server):
    status, answer = server.ask("GET", "/v1/models")
    assert status == 200
    assert [model["name"] for model in answer["models"]] == ["dates", "sums"]
    for model in answer["models"]:
        name = model.pop("name")
        assert model == server.ask("GET", f"/v1/models/{name}")[1]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_content_type_does_not_matter(server, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    assert server.ask("POST", "/v1/models/dates:predict", {"instances": ["9"]}, headers)[0] == 200


def test_requests_that_are_computed_together_are_answered_apart(server, converter):
    texts = TEXTS * 8
    with concurrent.futures.ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(lambda text: server.predict({"inputs": {"text": [text]}})[1]["outputs"], texts))
    for text, answer in zip(texts, answers, strict=True):
        alone = converter.convert_batch([text.encode()])
        assert answer["weights"] == [[]] or np.shape(answer["weights"]) == alone["weights"].shape
        np.testing.assert_allclose(np.reshape(answer["weights"], alone["weights"].shape), alone["weights"], atol=1e-5)
        assert [token.encode() for token in answer["source_tokens"][0]] == alone["source_tokens"][0].tolist()
    text = server.ask("GET", "/monitoring/prometheus/metrics")[1]
    (count,) = [line for line in text.splitlines() if "processed_batch_size_count" in line and '"dates"' in line]
    (total,) = [line for line in text.splitlines() if "processed_batch_size_sum" in line and '"dates"' in line]
    assert float(total.split()[-1]) > float(count.split()[-1])  # some batch had several rows


def test_a_model_of_another_maker_is_served(server):
    status, answer = server.predict({"instances": [{"x": [1, 2], "y": [3, 4]}]}, "sums")
    assert (status, answer) == (200, {"predictions": [[4.0, 6.0]]})
    assert server.predict({"inputs": {"x": [[1, 2]], "y": [[3, 4]]}}, "sums")[1] == {"outputs": [[4.0, 6.0]]}


def test_a_row_that_fails_harms_no_other_request_of_its_batch(tmp_path):
    def call(x):
        tf.debugging.assert_greater(x, 0.0, message="x must be above 0")
        return {"root": tf.sqrt(x)}

    module = tf.Module()
    module.call = tf.function(call, autograph=False)
    signature = module.call.get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
    tf.saved_model.save(module, str(tmp_path / "roots" / "1"), signatures=signature)
    with running(tmp_path) as server, concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert server.store.get("roots").signatures["serving_default"].batches is not None
        values = [4.0, -1.0] * 40
        answers = list(pool.map(lambda value: server.predict({"instances": [value]}, "roots"), values))
    for value, (status, answer) in zip(values, answers, strict=True):
        assert status == (200 if value > 0 else 400)
        assert answer == {"predictions": [2.0]} if value > 0 else "x must be above 0" in answer["error"]


def test_an_error_of_a_model_tells_no_file_of_this_machine(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.string, [None], name="x")
        y = tf.strings.to_number(x)
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "numbers" / "1"), {"x": x}, {"y": y})
    with running(tmp_path) as server:
        assert server.predict({"instances": ["3"]}, "numbers") == (200, {"predictions": [3.0]})
        status, message = server.error({"instances": ["three"]}, "numbers")
        assert status == 400 and "StringToNumberOp could not correctly convert string: three" in message
        assert "File" not in message and ".py" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "JSON Parse error"),
        ({"instances": [3]}, "not of expected type: string"),
        ({"instances": ["9"], "signature_name": "other"}, "not found in signature def"),
        ({"instances": []}, "at least one instance"),
        ({"inputs": []}, "at least one row"),
        ({"instances": ["9"] * 9}, "9 rows; this server takes 8"),
        (
            {"instances": ["9" * 900] * 8},
            "8 strings that are padded to 900 bytes; this server takes 5,000 bytes at once",
        ),
        ({"instances": ["9" * 100_000]}, "100,000 bytes; this server takes 1,000"),
        ({"instances": [{"b64": "?"}]}, "base64"),
    ],
)
def test_bad_requests_are_400_in_the_shape_of_serving(server, content, message):
    status, error = server.error(content)
    assert status == 400
    assert message in error


def ask_apart(port, content):
    """Status and Retry-After of a prediction over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/models/dates:predict", json.dumps(content))
        response = connection.getresponse()
        return response.status, response.getheader("Retry-After")
    finally:
        connection.close()


def batches(server):
    """How many batches of `dates` were computed."""
    lines = server.app.state.predictor.metrics.text().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if "processed_batch_size_count" in line and '"dates"' in line)


def test_long_strings_are_computed_apart(server, converter):
    before = batches(server)
    for text, together in (("9 May 1979 " * 60, 0), ("9 May 1979", 1)):
        status, answer = server.predict({"instances": [text]})
        assert (status, answer["predictions"][0]["text"]) == (200, converter(text).text)
        assert batches(server) == before + together


def test_long_strings_come_one_by_one_and_hold_up_nobody(models):
    with running(models) as server, concurrent.futures.ThreadPoolExecutor(66) as pool:
        signatures = server.store.get("dates").signatures
        signature = signatures["serving_default"]
        under_way, most, go_on = [], [], threading.Event()

        def watched(**tensors):
            under_way.append(tensors)
            most.append(len(under_way))
            go_on.wait(60)
            under_way.pop()
            return signature.call(**tensors)

        signatures["serving_default"] = signature._replace(call=watched)
        asked = [pool.submit(ask_apart, server.port, {"instances": ["9" * (LONG + 1)]}) for _ in range(66)]
        wait_until(lambda: "in_flight 66.0" in server.app.state.predictor.metrics.text().decode())
        assert server.predict({"instances": ["9"]})[0] == 200
        assert not any(request.done() for request in asked)
        go_on.set()
        assert {request.result()[0] for request in asked} == {200}
        assert most == [1] * 66


def test_large_bodies_and_answers_do_not_hold_up_the_event_loop(server, monkeypatch):
    places = []

    def noted(function):
        def call(*arguments):
            places.append(threading.current_thread().name.startswith("predict"))
            return function(*arguments)

        return call

    for name in ("parse_request", "format_answer"):
        monkeypatch.setattr(protocol, name, noted(getattr(protocol, name)))
    assert server.predict({"instances": ["9"]})[0] == 200
    monkeypatch.setattr(predictor, "SMALL_ANSWER", 0)
    assert server.predict({"instances": ["9"]})[0] == 200
    assert server.predict({"instances": ["3 May 1979" + 200 * " "] * 8})[0] == 200
    assert places == [False, False, False, True, True, True]


def test_null_bytes_and_broken_utf8_are_answered(server):
    for text in ("3 May\0 1979", {"b64": "//4x"}):
        status, answer = server.predict({"instances": [text]})
        assert status == 200
        assert isinstance(answer["predictions"][0]["text"], str)


def test_a_large_body_is_413_announced_or_not(server):
    head = b"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head + b"Content-Length: 10000000\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):  # 262,144 bytes where 200,000 are taken
            client.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/models/nope", 404),
        ("POST", "/v1/models/nope:predict", 404),
        ("POST", "/v1/models/dates/versions/7:predict", 404),
        ("GET", "/v1/models/dates/versions/7", 404),
        ("POST", "/v1/models/dates:classify", 400),
        ("POST", "/v1/models/dates", 400),
        ("GET", "/v1/models/..%2fdates/metadata", 404),
        ("GET", "/v1/models/../../etc/passwd", 400),
        ("POST", "/v1/models/%2e%2e:predict", 404),
        ("POST", "/v1/models/dates%00:predict", 404),
        ("POST", "/v1/models/dates/versions/99999999999999999999999:predict", 400),
        ("POST", f"/v1/models/dates/versions/{'9' * 5000}:predict", 400),
        ("POST", "/v1/models/dates/labels/none:predict", 400),
        ("POST", "/v1/models", 400),
        ("GET", "/v1/nothing", 400),
        ("GET", "/nowhere", 404),
        ("DELETE", "/v1/models/dates", 405),
    ],
)
def test_paths_that_lead_nowhere(server, method, path, expected):
    status, answer = server.ask(method, path, {"instances": ["9"]} if method == "POST" else None)
    assert status == expected
    assert answer.keys() == {"error"}


def test_a_slow_client_is_sent_away_and_others_do_not_wait(server):
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert server.predict({"instances": ["9"]})[0] == 200
        assert slow.recv(65_536).startswith(b"HTTP/1.1 408")


def test_clients_that_hang_up_harm_nobody(server):
    body = json.dumps({"instances": ["9"]}).encode()
    for end in (len(body) // 2, len(body)):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST /v1/models/dates:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body[:end])
    assert server.predict({"instances": ["9"]})[0] == 200


def test_a_full_queue_is_503_with_a_time_to_come_back(models):
    with running(models, Limits(queue=1)) as server, concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask_apart(server.port, {"instances": TEXTS * 2}), range(256)))
        assert {status for status, _ in answers} == {200, 503}
        assert {wait for status, wait in answers if status == 503} == {"1"}
        assert server.predict({"instances": ["9"]})[0] == 200


def test_health_readiness_and_metrics(server):
    assert server.ask("GET", "/healthz") == (200, "ok\n")
    assert server.ask("GET", "/readyz") == (200, "ready: dates, sums\n")
    server.predict({"instances": [3]})
    status, text = server.ask("GET", "/monitoring/prometheus/metrics")
    assert status == 200
    assert ':tensorflow:serving:request_count{model_name="dates",status="INVALID_ARGUMENT"}' in text
    assert ":tensorflow:serving:request_latency_bucket{" in text


def test_token_is_asked_of_all_but_health(models):
    with running(models, token="secret") as server:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic !"}, {"Authorization": "x"}):
            status, answer = server.ask("POST", "/v1/models/dates:predict", {"instances": ["9"]}, headers)
            assert (status, answer.keys()) == (401, {"error"})
        basic = {"Authorization": "Basic YW55Ym9keTpzZWNyZXQ="}  # anybody:secret
        for headers in ({"Authorization": "Bearer secret"}, basic):
            assert server.ask("POST", "/v1/models/dates:predict", {"instances": ["9"]}, headers)[0] == 200
        assert server.ask("GET", "/healthz")[0] == 200
        with pytest.raises(ServerError, match="token"):
            RestClient(f"http://127.0.0.1:{server.port}", "dates")("9")
        assert RestClient(f"http://127.0.0.1:{server.port}", "dates", token="secret")("9").source_tokens == ["9"]


def test_clients_over_rest_and_grpc_agree_with_the_model(server, converter):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listening = start_grpc(server.app.state.predictor, "127.0.0.1", port)
    rest, grpc = RestClient(f"http://127.0.0.1:{server.port}", "dates"), GrpcClient(f"127.0.0.1:{port}", "dates")
    for client in (rest, grpc):
        for received, expected in zip(client(TEXTS), converter(TEXTS), strict=True):
            assert received.text == expected.text
            assert received.source_tokens == expected.source_tokens
            np.testing.assert_allclose(received.weights, expected.weights, atol=1e-5)
        assert client("").text == ""
        with pytest.raises(ServerError, match=r"Servable not found for request: Latest\(nope\)"):
            type(client)(getattr(client, "url", f"127.0.0.1:{port}"), "nope")("9")
        with pytest.raises(ServerError, match="this server takes"):
            client("9" * 2000)
    with pytest.raises(ServerError, match="must be string of shape"):
        grpc.predict({"text": np.zeros(2, "float32")})
    assert rest.status()[0]["state"] == "AVAILABLE"
    assert "signature_def" in rest.metadata()
    grpc.close()
    listening.stop(None).wait()


def test_client_says_when_nobody_answers():
    with pytest.raises(ServerError, match="did not answer"):
        RestClient("http://127.0.0.1:9", "dates", retries=0)("9")


def test_new_version_takes_over_without_a_lost_request(models):
    with running(models) as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers, done = [], []

        def keep_asking():
            while not done:
                answers.append(server.predict({"instances": [{"x": [1, 2], "y": [3, 4]}]}, "sums"))

        clients = [pool.submit(keep_asking) for _ in range(4)]
        for version in (2, 3):
            save_sums(models / f".new-{version}", offset=10.0 * version)
            (models / f".new-{version}").rename(models / "sums" / str(version))
            wait_until(lambda version=version: server.store.get("sums").version == version)
        answered = len(answers)
        wait_until(lambda: len(answers) > answered + 20)
        done.append(True)
        for client in clients:
            client.result()
        assert {status for status, _ in answers} == {200}
        assert [answers[0][1]["predictions"], answers[-1][1]["predictions"]] == [[[4.0, 6.0]], [[34.0, 36.0]]]
        states = {status.version: status.state for status in server.store.statuses("sums")}
        assert states == {1: "END", 2: "END", 3: "AVAILABLE"}


def test_broken_version_is_reported_and_the_old_one_goes_on(models):
    with running(models) as server:
        broken = models / "sums" / "2"
        broken.mkdir()
        wait_until(lambda: any(status.error for status in server.store.statuses("sums")))
        (broken / "saved_model.pb").write_bytes(b"not a model")
        assert server.predict({"instances": [{"x": [1, 2], "y": [3, 4]}]}, "sums")[0] == 200

        def status_of_it():
            (status,) = server.ask("GET", "/v1/models/sums/versions/2")[1]["model_version_status"]
            return status

        wait_until(lambda: status_of_it()["state"] == "END")  # it is tried again, since the file is new
        status = status_of_it()
        assert status["status"]["error_code"] == "UNKNOWN"
        assert status["status"]["error_message"]
        shutil.rmtree(broken)
        save_sums(broken, offset=1.0)  # the copy was only slow: it is tried again when it has changed
        wait_until(lambda: server.store.get("sums").version == 2)


def test_start_after_a_kill_takes_the_newest_whole_version(models):
    shutil.copytree(models / "sums" / "1", models / "sums" / "2")
    shutil.copytree(models / "sums" / "1", models / "sums" / "3")
    (models / "sums" / "3" / "variables" / "variables.index").unlink(missing_ok=True)
    (models / "sums" / "3" / "saved_model.pb").write_bytes(
        (models / "sums" / "1" / "saved_model.pb").read_bytes()[:100]
    )
    with running(models) as server:
        assert server.store.get("sums").version == 2


def test_a_model_that_is_removed_is_not_found(models):
    with running(models) as server:
        shutil.rmtree(models / "sums")
        wait_until(lambda: server.store.names == ["dates"])
        assert server.predict({"instances": [{"x": [1, 2], "y": [3, 4]}]}, "sums")[0] == 404


def test_one_model_s_folder_can_be_served(models):
    with running(models / "dates") as server:
        assert server.store.names == ["dates"]
        assert server.predict({"instances": ["9"]})[0] == 200
