"""The routes of TensorFlow Serving's REST protocol."""

from fastapi import Request, Response

from keras_attention.serving import protocol
from keras_attention.serving.errors import RequestError
from keras_attention.serving.place import raw_path, serving_place
from keras_attention.serving.tensors import dump


def add_serving_routes(app, store):
    """Adds what is asked with GET: states, metadata, and the list of the models.

    Args:
        app: a `fastapi.FastAPI`.
        store: the `ModelStore`.
    """

    @app.get("/v1/models")
    async def models():
        listed = [{"name": name, **status_of(store.statuses(name))} for name in store.known]
        return json_response({"models": listed})

    @app.get("/v1/{path:path}")
    async def describe(request: Request):
        place = serving_place("GET", raw_path(request.scope))
        if place.what == "":
            return json_response(status_of(store.statuses(*place.of_model)))
        if place.what == "/metadata":
            return json_response(_metadata_of(store.get(*place.of_model)))
        raise RequestError(400, f"Malformed request: GET {request.url.path}")


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
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        try:
            place = serving_place("POST", raw_path(scope))
            if place.what != ":predict":
                raise RequestError(400, f"Malformed request: POST {scope['path']}. This server answers :predict.")
            answer = await self.predictor.answer(Request(scope, receive), place.of_model, protocol.parse_request)
            response = Response(answer, media_type="application/json")
        except RequestError as error:
            response = refusal(error)
        await response(scope, receive, send)


def refusal(error):
    """The response to a request that cannot be answered."""
    headers = {"Retry-After": "1"} if error.status == 503 else {}
    if error.status in (408, 413, 415):  # the rest of the body may be on its way
        headers["Connection"] = "close"
    return Response(protocol.format_error(error.message), error.status, headers, media_type="application/json")


def json_response(content, status=200):
    """A response whose body is JSON."""
    return Response(dump(content), status, media_type="application/json")


def status_of(statuses):
    """The states of versions as TensorFlow Serving tells them."""
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
