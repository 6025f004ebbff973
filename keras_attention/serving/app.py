"""The server's application: TensorFlow Serving's REST routes, health, metrics."""

import re
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from keras_attention.serving import protocol
from keras_attention.serving.logs import LOOPBACK
from keras_attention.serving.metrics import PATH as METRICS_PATH
from keras_attention.serving.metrics import Metrics
from keras_attention.serving.middleware import AccessLog, LocalHosts, Token
from keras_attention.serving.predictor import Limits, Predictor
from keras_attention.serving.protocol import RequestError

_MODELS = "/v1/models/"

# Behind it: NAME, /versions/N, /metadata, :predict
_PLACE = re.compile(r"(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18}))?(?P<what>/metadata|:[A-Za-z]+)?")


def make_app(store, limits=Limits(), token=None, origins=(), host=None, allowed_hosts=()):
    """The application over a `ModelStore`.

    Args:
        store: store of the models; the caller starts and stops it.
        limits: see `Limits`.
        token: what clients must send as `Authorization: Bearer TOKEN`; None
            asks for nothing.
        origins: the origins, such as `"https://example.org"`, of web pages
            whose scripts may ask.
        host: the address that the server is bound to; one of this machine alone
            answers for no other name. None does not look.
        allowed_hosts: further names that it answers for.

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
    async def readyz(model: Annotated[list[str], Query()] = ()):
        names = store.names
        ready = set(model) <= set(names) if model else store.ready
        text = f"{'ready' if ready else 'not ready; loaded'}: {', '.join(names) or 'nothing'}\n"
        return Response(text, 200 if ready else 503, media_type="text/plain")

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
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"], max_age=600
        )
    if host in LOOPBACK:
        app.add_middleware(LocalHosts, hosts=allowed_hosts)
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


def refusal(error):
    """The response to a request that cannot be answered."""
    headers = {"Retry-After": "1"} if error.status == 503 else {}
    if error.status in (408, 413):  # the rest of the body may be on its way
        headers["Connection"] = "close"
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
