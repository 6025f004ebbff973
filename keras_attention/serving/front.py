"""The application before the replicas. It has no TensorFlow.

It asks for the token, writes the access log, and holds a request until it is
answered: that of a replica that dies it gives to another, which is sound
because a prediction changes nothing. Ray's own HTTP proxy would answer 500.
"""

import asyncio
import contextlib
import time
from typing import NamedTuple

from fastapi import FastAPI, Request, Response

from keras_attention.serving import protocol
from keras_attention.serving.compression import Compression
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOG
from keras_attention.serving.metrics import PATH as METRICS_PATH
from keras_attention.serving.metrics import Metrics
from keras_attention.serving.middleware import AccessLog, Token
from keras_attention.serving.open_inference_routes import JSON_SIZE
from keras_attention.serving.place import inference_place, raw_path, serving_place
from keras_attention.serving.predictor import Limits, name_of_status, read_body

ATTEMPTS = 4  # replicas that one request may see die: it may be what kills them
_READY_SECONDS = 5.0


class Answer(NamedTuple):
    """What a replica sends back.

    Attributes:
        status: HTTP status.
        headers: list of pairs of bytes.
        body: bytes.
    """

    status: int
    headers: list
    body: bytes


def make_front(replicas, limits=Limits(), token=None):
    """The application before the replicas: what they would answer, from one that lives.

    Args:
        replicas: Ray Serve's handle of them.
        limits: see `Limits`.
        token: what clients must know; see `make_app`.

    Returns:
        A `fastapi.FastAPI`.
    """
    app = FastAPI(title="keras-attention", docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app, replicas)
    _add_models(app, replicas, limits)

    @app.exception_handler(405)
    async def not_found(request, error):
        return _response(_refusal(405, f"Malformed request: {request.method} {request.url.path}"))

    @app.exception_handler(RequestError)
    async def refuse(request, error):
        return _response(_refusal(error.status, error.message))

    app.add_middleware(Compression, most=limits.body)
    if token:
        app.add_middleware(Token, token=token)
    app.add_middleware(AccessLog)
    return app


def _add_health(app, replicas):
    """Adds whether the front lives, and whether a replica answers."""

    @app.get("/healthz")
    async def healthz():
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz():
        try:
            async with asyncio.timeout(_READY_SECONDS):
                return _response(await ask(replicas, "GET", "/readyz", b""))
        except TimeoutError:
            return Response("not ready; no replica answers\n", 503, media_type="text/plain")


def _add_models(app, replicas, limits):
    """Adds what replicas answer, and the metrics of it."""
    metrics = Metrics()
    models = set()  # that answered, lest strangers make up labels

    @app.get(METRICS_PATH)
    async def prometheus():
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/{path:path}")
    async def describe(request: Request):
        return _response(await ask(replicas, "GET", raw_path(request.scope), b""))

    @app.post("/{path:path}")
    async def predict(request: Request):
        begin, path = time.perf_counter(), raw_path(request.scope)
        body = await read_body(request, limits)
        with metrics.in_flight.track_inprogress():
            answer = await ask(replicas, "POST", path, body, request.headers.get(JSON_SIZE))
        model = _model_of(path)
        if answer.status == 200:
            models.add(model)
        if model in models:
            status = "OK" if answer.status == 200 else name_of_status(answer.status)
            metrics.count_request(model, status, time.perf_counter() - begin)
        return _response(answer)


async def ask(replicas, method, path, body, json_size=None):
    """The `Answer` of a replica; of another one if it dies before it has answered.

    Args:
        replicas: Ray Serve's handle of them.
        method: HTTP method.
        path: as it was sent, with its first slash.
        body: bytes.
        json_size: what the header `JSON_SIZE` says; None without it.

    Returns:
        An `Answer`: 503 if too many wait, 500 if `ATTEMPTS` replicas died.
    """
    from ray.exceptions import ObjectLostError, RayActorError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

    for attempt in range(ATTEMPTS):
        await asyncio.sleep(0.05 * attempt)  # one that cannot be reached is perhaps not known to be dead yet
        try:
            return await replicas.answer.remote(method, path, body, json_size)
        except (BackPressureError, DeploymentUnavailableError) as error:
            return _refusal(503, f"{error} Try again later.")
        except (RayActorError, ObjectLostError) as error:
            fields = {"path": path, "attempt": attempt + 1, "error": type(error).__name__}
            LOG.warning("a replica died before it answered", extra={"fields": fields})
    return _refusal(500, f"{ATTEMPTS} replicas died before they had answered this request.")


def _model_of(path):
    """The name of the model that a path of one of the protocols leads to; None if it leads to none."""
    for place in (serving_place, inference_place):
        with contextlib.suppress(RequestError):
            return place("POST", path).name
    return None


def _refusal(status, message):
    headers = [(b"content-type", b"application/json")] + [(b"retry-after", b"1")] * (status == 503)
    return Answer(status, headers, protocol.format_error(message))


def _response(answer):
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)
