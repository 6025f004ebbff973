"""The server's application: the protocols' routes, health, metrics, and what every request passes."""

from typing import Annotated

from fastapi import FastAPI, Query, Response
from fastapi.middleware.cors import CORSMiddleware

from keras_attention.serving import protocol
from keras_attention.serving.compression import Compression
from keras_attention.serving.errors import RequestError
from keras_attention.serving.logs import LOOPBACK
from keras_attention.serving.metrics import PATH as METRICS_PATH
from keras_attention.serving.metrics import Metrics
from keras_attention.serving.middleware import AccessLog, LocalHosts, Token
from keras_attention.serving.open_inference_routes import add_open_inference_routes
from keras_attention.serving.openapi import PATH as OPENAPI_PATH
from keras_attention.serving.openapi import document
from keras_attention.serving.predictor import Limits, Predictor
from keras_attention.serving.serving_routes import Predictions, add_serving_routes, json_response, refusal


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

    _add_operation_routes(app, store, metrics)
    add_serving_routes(app, store)
    add_open_inference_routes(app, store, predictor)
    _add_refusals(app)
    app.add_middleware(Predictions, predictor=predictor)
    app.add_middleware(Compression, most=limits.body)
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


def _add_operation_routes(app, store, metrics):
    """What whoever runs the server asks."""

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

    @app.get(OPENAPI_PATH)
    async def openapi():
        return json_response(document())


def _add_refusals(app):
    """Answers errors in the protocol's form."""

    @app.exception_handler(RequestError)
    async def refuse(request, error):
        return refusal(error)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def not_found(request, error):
        body = protocol.format_error(f"Malformed request: {request.method} {request.url.path}")
        return Response(body, error.status_code, error.headers, media_type="application/json")
