"""The server's application: TensorFlow Serving's REST routes, health, metrics.

A request is answered on one of many threads, where TensorFlow joins it with the
others that wait; the event loop only reads and writes.
"""

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from fastapi import FastAPI, Request, Response

from keras_attention.serving import protocol
from keras_attention.serving.metrics import PATH as METRICS_PATH
from keras_attention.serving.metrics import Metrics
from keras_attention.serving.middleware import AccessLog, Token
from keras_attention.serving.protocol import RequestError

_MODELS = "/v1/models/"

# Behind it: NAME, /versions/N, /metadata, :predict
_PLACE = re.compile(r"(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18}))?(?P<what>/metadata|:[A-Za-z]+)?")
_STATUSES = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    503: "UNAVAILABLE",
}


# Bytes of a body that the event loop itself reads, and numbers and strings of an answer that it writes: a thread that
# wants the interpreter waits longer for it than that takes. What is larger would hold up the others.
SMALL, SMALL_ANSWER = 1024, 16_384


class Limits(NamedTuple):
    """What a server accepts.

    Attributes:
        body: bytes of a request.
        text_length: bytes of a string.
        batch: rows of a request.
        positions: rows of a request times the bytes of its longest string, to
            which the others are padded.
        queue: predictions that wait or run; those beyond are answered 503.
        seconds: for a body to arrive.
    """

    body: int = 1_000_000
    text_length: int = 10_000
    batch: int = 1024
    positions: int = 262_144
    queue: int = 512
    seconds: float = 30.0


def make_app(store, limits=Limits(), token=None):
    """The application over a `ModelStore`.

    Args:
        store: of the models; the caller starts and stops it.
        limits: see `Limits`.
        token: what clients must send as `Authorization: Bearer TOKEN`; None
            asks for nothing.

    Returns:
        A `fastapi.FastAPI`.
    """
    app = FastAPI(title="keras-attention", docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Metrics()
    predictor = Predictor(store, limits, metrics)
    app.state.predictor = predictor

    @app.get("/healthz")
    async def healthz():
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz():
        names = ", ".join(store.names)
        text = f"ready: {names}\n" if store.ready else f"not ready; loaded: {names or 'nothing'}\n"
        return Response(text, 200 if store.ready else 503, media_type="text/plain")

    @app.get(METRICS_PATH)
    async def prometheus():
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/models/{path:path}")
    async def describe(path: str):
        name, version, what = _place("GET", path)
        if what not in ("", "/metadata"):
            raise RequestError(400, f"Malformed request: GET /v1/models/{path}")
        if what == "":
            return _json(protocol.dump(_status_of(store.statuses(name, version))))
        return _json(protocol.dump(_metadata_of(store.get(name, version))))

    @app.exception_handler(RequestError)
    async def refuse(request, error):
        return refusal(error)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def not_found(request, error):
        body = protocol.format_error(f"Malformed request: {request.method} {request.url.path}")
        return Response(body, error.status_code, error.headers, media_type="application/json")

    app.add_middleware(Predictions, predictor=predictor)
    if token:
        app.add_middleware(Token, token=token)
    app.add_middleware(AccessLog)
    return app


class Predictions:
    """Takes the predictions before FastAPI looks for their route, which would take as long as all else in Python.

    Args:
        app: answers everything else.
        predictor: a `Predictor`.
    """

    def __init__(self, app, predictor):
        self.app = app
        self.predictor = predictor

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_MODELS):
            await self.app(scope, receive, send)
            return
        try:
            name, version, what = _place("POST", scope["path"][len(_MODELS) :])
            if what != ":predict":
                raise RequestError(400, f"Malformed request: POST {scope['path']}. This server answers :predict.")
            response = _json(await self.predictor.answer(Request(scope, receive), name, version))
        except RequestError as error:
            response = refusal(error)
        await response(scope, receive, send)


class Predictor:
    """Answers `:predict`: reads, parses, waits on a thread for TensorFlow, formats.

    Args:
        store: of the models.
        limits: see `Limits`.
        metrics: to note in.
    """

    def __init__(self, store, limits, metrics):
        self.store = store
        self.limits = limits
        self.metrics = metrics
        self._waiting = 0
        self._threads = ThreadPoolExecutor(min(limits.queue, 64), thread_name_prefix="predict")
        self._apart = ThreadPoolExecutor(1, thread_name_prefix="predict_long")

    async def answer(self, request, name, version):
        """The body of the answer, bytes.

        Raises:
            RequestError: with the status that TensorFlow Serving gives.
        """
        begin = time.perf_counter()
        servable = self.store.get(name, version)
        status = "INTERNAL"
        try:
            body = await read_body(request, self.limits)
            if self._waiting >= self.limits.queue:
                raise RequestError(503, f"{self._waiting} requests are waiting already. Try again later.")
            self._waiting += 1
            self.metrics.in_flight.set(self._waiting)
            try:
                answer = await self._answer(servable, body)
            finally:
                self._waiting -= 1
                self.metrics.in_flight.set(self._waiting)
            status = "OK"
            return answer
        except RequestError as error:
            status = name_of_status(error.status)
            raise
        finally:
            self.metrics.count_request(name, status, time.perf_counter() - begin)

    def predict(self, servable, signature_name, inputs):
        """A servable's outputs, for arrays that are within the limits; noted in the metrics.

        Raises:
            RequestError: 400 for what the limits or the model refuse, 503 if too many wait.
        """
        prediction = self._prepare(servable, signature_name, inputs)
        self._threads_for(prediction).submit(prediction.run).result()
        return self._finish(prediction)

    async def _answer(self, servable, body):
        """From the body of a request to that of its answer."""
        loop = asyncio.get_running_loop()

        async def python(small, function, *arguments):
            if small:
                return function(*arguments)
            return await loop.run_in_executor(self._threads, function, *arguments)

        small = len(body) <= SMALL
        prediction, by_row = await python(small, self._begin, servable, body)
        await loop.run_in_executor(self._threads_for(prediction), prediction.run)
        outputs = await python(small, self._finish, prediction)
        small = small and sum(array.size for array in outputs.values()) <= SMALL_ANSWER
        return await python(small, protocol.format_answer, outputs, by_row)

    def _threads_for(self, prediction):
        """Those that wait for TensorFlow: one for all with long strings, which thus come one after another."""
        return self._apart if prediction.is_long else self._threads

    def _begin(self, servable, body):
        inputs = {name: signature.inputs for name, signature in servable.signatures.items()}
        asked = protocol.parse_request(body, inputs)
        return self._prepare(servable, asked.signature_name, asked.inputs), asked.by_row

    def _prepare(self, servable, signature_name, inputs):
        self._check(inputs)
        return servable.prepare(signature_name, inputs)

    def _finish(self, prediction):
        outputs = prediction.outputs()
        self.metrics.observe_runtime(prediction.model, prediction.seconds)
        for rows in prediction.batches:
            self.metrics.observe_batch(prediction.model, rows)
        return outputs

    def _check(self, inputs):
        for name, array in inputs.items():
            if array.ndim and len(array) > self.limits.batch:
                raise RequestError(
                    400, f"input '{name}' has {len(array):,} rows; this server takes {self.limits.batch:,} at once."
                )
            if array.ndim and len(array) == 0:
                raise RequestError(400, f"input '{name}' must have at least one row. Received an empty batch.")
            if array.dtype == object:
                longest = max((len(text) for text in array.reshape(-1)), default=0)
                if longest > self.limits.text_length:
                    raise RequestError(
                        400, f"input '{name}' has a string of {longest:,} bytes; this server takes "
                        f"{self.limits.text_length:,}.",
                    )  # fmt: skip
                if array.size * longest > self.limits.positions:
                    raise RequestError(
                        400, f"input '{name}' has {array.size:,} strings that are padded to {longest:,} bytes; this "
                        f"server takes {self.limits.positions:,} bytes at once. Send long strings apart.",
                    )  # fmt: skip


async def read_body(request, limits):
    """The body of a request, held to the limits while it arrives.

    Raises:
        RequestError: 413 if it is too large, 408 if it does not arrive in time.
    """
    too_large = RequestError(413, f"The body is larger than {limits.body:,} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.body:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body:
                    raise too_large
    except TimeoutError:
        raise RequestError(408, f"The body did not arrive within {limits.seconds:g} seconds.") from None
    return bytes(body)


def name_of_status(status):
    """TensorFlow's word for a status of HTTP."""
    return _STATUSES.get(status, "INTERNAL")


def refusal(error):
    """The response to a request that cannot be answered."""
    headers = {"Retry-After": "1"} if error.status == 503 else {}
    return Response(protocol.format_error(error.message), error.status, headers, media_type="application/json")


def _place(method, path):
    found = _PLACE.fullmatch(path)
    if not found:
        raise RequestError(400, f"Malformed request: {method} /v1/models/{path}")
    version = found["version"]
    return found["name"], None if version is None else int(version), found["what"] or ""


def _status_of(statuses):
    return {
        "model_version_status": [
            {
                "version": str(status.version),
                "state": status.state,
                "status": {"error_code": "UNKNOWN" if status.error else "OK", "error_message": status.error},
            }
            for status in statuses
        ]
    }


def _metadata_of(servable):
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return {"model_spec": spec, "metadata": servable.metadata}


def _json(body):
    return Response(body, media_type="application/json")
