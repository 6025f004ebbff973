"""Replicas: right answers, and no request lost when one of them is killed."""

import asyncio
import concurrent.futures
import contextlib
import gzip
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest.mock

import pytest
import tensorflow as tf
import uvicorn
from fastapi.testclient import TestClient

from keras_attention.serving import front, ray_replicas, replica, replicas, server
from keras_attention.serving.front import ATTEMPTS, Answer
from keras_attention.serving.place import raw_path, serving_place
from keras_attention.serving.predictor import Limits
from keras_attention.serving.replica import call_application

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`")


@pytest.fixture
def models(tmp_path):
    """A folder with the model `double`, which answers once there is a file `go` in it."""
    gate = tf.constant(str(tmp_path / "go"))

    def waits(turn):
        path = tf.strings.regex_replace(tf.strings.as_string(turn), ".+", gate)  # of this turn: no constant, read anew
        return tf.equal(tf.size(tf.io.matching_files(path)), 0)

    def double(x):
        with tf.control_dependencies(tf.while_loop(waits, lambda turn: [turn + 1], [0], parallel_iterations=1)):
            return {"y": 2.0 * x}

    module = tf.Module()
    module.call = tf.function(double, autograph=False)
    signature = module.call.get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
    tf.saved_model.save(module, str(tmp_path / "double" / "1"), signatures=signature)
    return tmp_path


@contextlib.contextmanager
def listening(app):
    """The port at which an application answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)  # from now on connections wait for the server instead of being refused
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def ask_once(port, x):
    """Status and answer for one number, without a second try."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/models/double:predict", json.dumps({"instances": [x]}))
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def ask_replicas(question):
    """What each replica's actor says to a function of it."""
    import ray
    from ray.util import list_named_actors

    names = [actor["name"] for actor in list_named_actors(True) if "#replica#" in actor["name"]]
    return ray.get([ray.get_actor(name, namespace="serve").__ray_call__.remote(question) for name in names])


@needs_ray
@pytest.mark.thorough  # half a minute, most of which it waits for Ray
def test_no_request_is_lost_when_a_replica_is_killed(models, monkeypatch):
    log = unittest.mock.Mock()
    monkeypatch.setattr(front, "LOG", log)
    with (
        ray_replicas.running_replicas(models, replicas=2) as handle,
        listening(front.make_front(handle)) as port,
        concurrent.futures.ThreadPoolExecutor(16) as clients,
    ):
        asked = [clients.submit(ask_once, port, x) for x in range(64)]
        taken = []
        while sum(requests for requests, _ in taken) < 16 and not any(future.done() for future in asked):
            taken = ask_replicas(lambda actor: (actor.get_num_ongoing_requests(), os.getpid()))
        time.sleep(0.5)  # the front hears that they were taken: what is sent and not yet taken, Ray itself sends again
        assert not any(future.done() for future in asked), "a request was answered, or failed, before its time"
        os.kill(max(taken)[1], signal.SIGKILL)
        (models / "go").touch()
        answers = [future.result() for future in asked]
    assert answers == [(200, {"predictions": [2.0 * x]}) for x in range(64)]
    assert log.warning.called, "no request was under way in the replica: the test shows nothing"


class Handle:
    """Stands for Ray's handle of replicas, some of which die."""

    def __init__(self, *outcomes):
        self.answer = self
        self.outcomes = list(outcomes)

    async def remote(self, method, path, body, json_size=None):
        self.asked = (method, path, body, json_size)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def ask_front(handle, body=b"{}", limits=Limits(), **options):
    client = TestClient(front.make_front(handle, limits, **options))
    return client.post("/v1/models/double:predict", content=body)


@needs_ray
def test_request_goes_to_another_replica_if_its_own_dies():
    from ray.exceptions import ActorDiedError, ActorUnavailableError

    handle = Handle(ActorDiedError(), ActorUnavailableError("gone", None), Answer(200, [], b"yes"))
    assert ask_front(handle).text == "yes"


@needs_ray
def test_request_that_kills_every_replica_is_given_up():
    from ray.exceptions import ActorDiedError

    handle = Handle(*[ActorDiedError()] * (ATTEMPTS + 1))
    answer = ask_front(handle)
    assert answer.status_code == 500 and len(handle.outcomes) == 1
    assert answer.json() == {"error": f"{ATTEMPTS} replicas died before they had answered this request."}


@needs_ray
def test_full_queue_is_answered_503():
    from ray.serve.exceptions import BackPressureError

    answer = ask_front(Handle(BackPressureError(num_queued_requests=3, max_queued_requests=3)))
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"


def test_front_refuses_a_body_that_is_too_large():
    answer = ask_front(Handle(), b"x" * 11, Limits(body=10))
    assert answer.status_code == 413 and answer.json() == {"error": "The body is larger than 10 bytes."}


def test_front_asks_for_the_token():
    assert ask_front(Handle(), token="secret").status_code == 401


def test_front_has_no_tensorflow():
    program = "import sys, keras_attention.serving.front; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_front_passes_on_how_much_of_a_body_is_json():
    handle = Handle(Answer(200, [], b"yes"))
    client = TestClient(front.make_front(handle))
    client.post("/v2/models/double/infer", content=b"{}..", headers={"Inference-Header-Content-Length": "2"})
    assert handle.asked == ("POST", "/v2/models/double/infer", b"{}..", "2")


def test_replica_calls_its_application_as_a_socket_would():
    asked = {}

    async def app(scope, receive, send):
        asked.update(place=serving_place("POST", raw_path(scope)), headers=dict(scope["headers"]), **await receive())
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    path = "/v1/models/a%2Fb/labels/c:predict"
    answer = asyncio.run(call_application(app, "POST", path, b"{}", [(b"x", b"2")]))
    assert answer == Answer(201, [(b"a", b"b")], b"one two")
    assert asked["place"] == ("a/b", None, "c", ":predict")
    assert asked["headers"] == {b"x": b"2"} and asked["body"] == b"{}"


def test_front_inflates_a_body():
    handle = Handle(Answer(200, [], b"yes"))
    client = TestClient(front.make_front(handle))
    client.post("/v1/models/a%2Fb:predict", content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert handle.asked == ("POST", "/v1/models/a%2Fb:predict", b"{}", None)


def test_a_replica_serves_what_a_configuration_file_names(models, monkeypatch):
    monkeypatch.setattr(server, "set_threads", lambda intra_op: None)  # TensorFlow has computed here before
    monkeypatch.setattr(replica, "set_up_logs", lambda: None)
    (models / "go").touch()
    file = models / "models.config"
    labels = "version_labels { key: 'stable' value: 1 }"
    file.write_text(f"model_config_list {{ config {{ name: 'twice' base_path: 'double' {labels} }} }}")
    one = replica.Replica(str(file), Limits(), 1.0, 1)
    path, body = "/v1/models/twice/labels/stable:predict", b'{"instances": [3]}'
    answer = asyncio.run(one.answer("POST", path, body))
    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": [6.0]})


@needs_ray
def test_a_wrong_configuration_file_is_named(tmp_path):
    file = tmp_path / "models.config"
    file.write_text("nonsense")
    with pytest.raises(ValueError, match=r"models\.config must hold a ModelServerConfig"):
        replicas.build({"folder": file})


@needs_ray
def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing is not a folder\. Export a model into it"):
        replicas.build({"folder": tmp_path / "nothing"})


@needs_ray
def test_fewer_at_most_than_at_least_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"at most max_replicas \(2\). Received 3."):
        replicas.build({"folder": tmp_path, "replicas": 3, "max_replicas": 2})


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[ray\]'"):
        replicas.build({"folder": tmp_path})
