"""The routes of the open inference protocol, `/v2`."""

import functools

from fastapi import Request, Response

from keras_attention.serving.errors import RequestError
from keras_attention.serving.open_inference import SERVER, describe_model, parse_request
from keras_attention.serving.place import inference_place, raw_path
from keras_attention.serving.serving_routes import json_response

JSON_SIZE = "inference-header-content-length"  # header that says how much of a body is JSON


def add_open_inference_routes(app, store, predictor):
    """Adds health, metadata and `infer`.

    Args:
        app: a `fastapi.FastAPI`.
        store: the `ModelStore`.
        predictor: a `Predictor`.
    """

    @app.get("/v2")
    async def describe_server():
        return json_response(SERVER)

    @app.get("/v2/health/live")
    async def live():
        return json_response({"live": True})

    @app.get("/v2/health/ready")
    async def ready():
        return json_response({"ready": store.ready}, 200 if store.ready else 503)

    @app.get("/v2/{path:path}")
    async def describe(request: Request):
        place = inference_place("GET", raw_path(request.scope))
        if place.what == "":
            return json_response(describe_model(store.get(*place.of_model), store.versions(place.name)))
        if place.what == "/ready":
            return _is_ready(store, place)
        raise RequestError(400, f"Malformed request: GET {request.url.path}")

    @app.post("/v2/{path:path}")
    async def infer(request: Request):
        place = inference_place("POST", raw_path(request.scope))
        if place.what != "/infer":
            raise RequestError(400, f"Malformed request: POST {request.url.path}")
        parse = functools.partial(parse_request, json_size=_json_size(request))
        return _response(await predictor.answer(request, place.of_model, parse))


def _response(answer):
    if answer.json_size is None:
        return Response(answer.body, media_type="application/json")
    return Response(answer.body, headers={JSON_SIZE: str(answer.json_size)}, media_type="application/octet-stream")


def _is_ready(store, place):
    states = [status.state for status in store.statuses(*place.of_model)]
    ready = "AVAILABLE" in states
    return json_response({"name": place.name, "ready": ready}, 200 if ready else 503)


def _json_size(request):
    text = request.headers.get(JSON_SIZE)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise RequestError(400, f"{JSON_SIZE} must be a number of bytes.")
    return int(text)
