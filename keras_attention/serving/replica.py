"""One of several processes with models: a `ModelStore`, and the application over it, called without a socket."""

import logging
import os
from urllib.parse import unquote

from keras_attention.serving.app import make_app
from keras_attention.serving.front import Answer
from keras_attention.serving.logs import ACCESS, set_up_logs
from keras_attention.serving.model_sources import source_of
from keras_attention.serving.open_inference_routes import JSON_SIZE


class Replica:
    """One process with models. It takes requests once it has looked for models and one answers.

    Args:
        place: folder of models, or a model configuration file.
        limits: see `Limits`.
        poll_seconds: how often to look for new versions.
        intra_op_threads: see `set_threads`.

    Raises:
        RuntimeError: if there is no model that can be loaded.
    """

    def __init__(self, place, limits, poll_seconds, intra_op_threads):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # replicas may share one
        from keras_attention.serving.server import make_store, set_threads  # here, since it imports TensorFlow

        set_threads(intra_op_threads)
        set_up_logs()
        ACCESS.setLevel(logging.WARNING)  # the front writes that
        self._store = make_store(source_of(place), poll_seconds)
        self._store.look()
        self.check_health()
        self._store.start()
        self._app = make_app(self._store, limits)

    async def answer(self, method, path, body, json_size=None):
        """The application's `Answer` to a request."""
        headers = [] if json_size is None else [(JSON_SIZE.encode(), json_size.encode())]
        return await call_application(self._app, method, path, body, headers)

    def check_health(self):
        """For Ray, which replaces a replica that fails it: another may be able to load what this one cannot.

        Raises:
            RuntimeError: if no model answers.
        """
        if not self._store.names:
            raise RuntimeError(f"{self._store.source} has no model that can be loaded.")

    def __del__(self):
        if hasattr(self, "_store"):
            self._store.stop()


async def call_application(app, method, path, body, headers):
    """Calls an ASGI application without a socket."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    return Answer(start["status"], list(start["headers"]), b"".join(part.get("body", b"") for part in parts))
