"""A server in this process, over small models."""

import contextlib
import gzip
import http.client
import json
import logging
import shutil
import socket
import threading
import time

import pytest
import tensorflow as tf

from keras_attention import CharacterTokenizer, DateConverter, TextToText
from keras_attention.serving.app import make_app
from keras_attention.serving.connection import make_server
from keras_attention.serving.grpc_server import start_grpc
from keras_attention.serving.model_sources import ModelsFolder
from keras_attention.serving.predictor import Limits
from keras_attention.serving.server import make_store
from tests.unchecked import unchecked_exports


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A version of a converter that was not trained."""
    import keras

    keras.utils.set_random_seed(0)
    tokenizer = CharacterTokenizer.train(["3 May 1979", "1979-05-03"])
    size = len(tokenizer.vocabulary)
    model = DateConverter(size, size, units=8, encoder_units=8, embedding_dim=8)
    converter = TextToText(model, tokenizer, tokenizer, max_length=12)
    with unchecked_exports():
        return converter.export(tmp_path_factory.mktemp("exported") / "dates")


@pytest.fixture
def models(exported, tmp_path):
    """A folder of models: `dates` and, of another maker, `sums`."""
    folder = tmp_path / "models"
    shutil.copytree(exported, folder / "dates" / "1")
    save_sums(folder / "sums" / "1")
    return folder


def save_sums(place, offset=0.0):
    """A SavedModel that is not ours: `sum` of `x` and `y`."""
    module = tf.Module()
    module.call = tf.function(lambda x, y: {"sum": x + y + offset}, autograph=False)
    row = [tf.TensorSpec([None, 2], tf.float32, name=name) for name in "xy"]
    tf.saved_model.save(module, str(place), signatures=module.call.get_concrete_function(*row))


class Running:
    """A server that runs, and what a test asks of it."""

    def __init__(self, store, app, port):
        self.store, self.app, self.port = store, app, port

    def ask(self, method, path, content=None, headers=None):
        """Status, and what the JSON of the answer says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.headers = dict(answer.getheaders())
        if self.headers.get("content-encoding") == "gzip":
            text = gzip.decompress(text)
        if self.headers.get("content-type") == "application/octet-stream":
            return answer.status, text
        return answer.status, json.loads(text) if text[:1] in b"{[" else text.decode()

    def predict(self, content, name="dates"):
        return self.ask("POST", f"/v1/models/{name}:predict", content)

    def error(self, content, name="dates"):
        """Status and message of a request that is refused."""
        status, answer = self.predict(content, name)
        assert answer.keys() == {"error"}
        return status, answer["error"]


@contextlib.contextmanager
def running(folder, limits=Limits(), token=None, poll_seconds=0.05, source=None, tls=None, **options):
    """A server over a folder, or another source of models, ready."""
    for name in ("keras_attention.access", "keras_attention.serving", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    store = make_store(source or ModelsFolder(folder), poll_seconds)
    app = make_app(store, limits, token, **options)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = make_server(app, "127.0.0.1", 0, limits, tls)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        store.start()
        thread.start()
        wait_until(lambda: store.ready and server.started)
        yield Running(store, app, listener.getsockname()[1])
        server.should_exit = True
        thread.join()
        store.stop()


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def listening(server, **options):
    """The target of gRPC's services over a server that runs."""
    port = free_port()
    services = start_grpc(server.app.state.predictor, "127.0.0.1", port, **options)
    yield f"127.0.0.1:{port}"
    services.stop(None).wait()


def wait_until(true, seconds=600):
    """Returns when something holds; fails if it does not come to hold."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """One server for the tests that change nothing."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(exported, folder / "dates" / "1")
    save_sums(folder / "sums" / "1")
    with running(folder, Limits(body=200_000, text_length=1000, batch=8, positions=5_000, seconds=1.0)) as server:
        yield server
