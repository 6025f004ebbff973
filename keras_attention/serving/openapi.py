"""The OpenAPI document of the server, which stands at `/openapi.json`.

It describes what the routes answer; they are looked for by hand, so FastAPI
could not write it.
"""

import keras_attention
from keras_attention.serving.metrics import PATH as METRICS_PATH

PATH = "/openapi.json"

_REFUSALS = {
    "400": "The request is wrong, or the model refuses it.",
    "401": "The token is missing.",
    "404": "There is no such model or version.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is compressed, and not with gzip.",
    "503": "Too many requests wait; try again later.",
}
_OF_BODIES = ("400", "401", "404", "408", "413", "415", "503")
# What may stand between the name of a model and what is asked of it.
_VERSIONS = {"": (), "/versions/{version}": ("version",), "/labels/{label}": ("label",)}


def document():
    """The document, a dict."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "keras-attention",
            "version": keras_attention.__version__,
            "description": "TensorFlow Serving's REST protocol and the open inference protocol over SavedModels.",
        },
        "paths": _operation_paths() | _serving_paths() | _inference_paths(),
        "components": {
            "schemas": _SCHEMAS,
            "parameters": _PARAMETERS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation_paths():
    """What whoever runs the server asks."""
    model = {
        "name": "model",
        "in": "query",
        "required": False,
        "description": "Name of a model that must answer; may be repeated.",
        "schema": {"type": "array", "items": {"type": "string"}},
    }
    ready = _get("Whether models answer", _text(), {"503": {"description": "Not yet.", **_text()}})
    return {
        "/healthz": _open(_get("Whether the process lives", _text())),
        "/readyz": _open(ready | {"parameters": [model]}),
        METRICS_PATH: {"get": _get("Metrics for Prometheus", _text(), _refusals("401"))},
        PATH: {"get": _get("This document", _json({"type": "object"}), _refusals("401"))},
    }


def _serving_paths():
    """TensorFlow Serving's protocol."""
    errors = _refusals("400", "401", "404")
    paths = {"/v1/models": {"get": _get("The models and their states", _json(_ref("Models")), _refusals("401"))}}
    for place, names in _VERSIONS.items():
        parameters = _parameters("model", *names)
        base = f"/v1/models/{{model}}{place}"
        status, metadata = _json(_ref("ModelStatus")), _json(_ref("ModelMetadata"))
        paths[base] = {"parameters": parameters, "get": _get("State of the versions", status, errors)}
        paths[f"{base}/metadata"] = {"parameters": parameters, "get": _get("The signatures", metadata, errors)}
        predict = _post("Predictions", "PredictRequest", "PredictResponse")
        paths[f"{base}:predict"] = {"parameters": parameters, "post": predict}
    return paths


def _inference_paths():
    """The open inference protocol."""
    errors = _refusals("400", "401", "404")
    unready = {"503": {"description": "Not ready.", **_json(_ref("Ready"))}}
    paths = {
        "/v2": {"get": _get("The server's name", _json(_ref("ServerMetadata")), _refusals("401"))},
        "/v2/health/live": _open(_get("Whether the process lives", _json(_ref("Live")))),
        "/v2/health/ready": _open(_get("Whether a model answers", _json(_ref("Ready")), unready)),
    }
    for place, names in list(_VERSIONS.items())[:2]:
        parameters = _parameters("model", *names)
        base = f"/v2/models/{{model}}{place}"
        described = _get("Inputs and outputs of the model", _json(_ref("InferenceMetadata")), errors)
        ready = _get("Whether the model answers", _json(_ref("Ready")), errors | unready)
        paths[base] = {"parameters": parameters, "get": described}
        paths[f"{base}/ready"] = {"parameters": parameters, "get": ready}
        infer = _post("Predictions", "InferRequest", "InferResponse")
        infer["responses"]["200"]["content"]["application/octet-stream"] = {}  # JSON, and tensors as bytes behind it
        paths[f"{base}/infer"] = {"parameters": parameters, "post": infer}
    return paths


def _get(summary, content, others=None):
    return {"summary": summary, "responses": {"200": {"description": summary, **content}} | (others or {})}


def _post(summary, request, response):
    body = {"required": True, **_json(_ref(request))}
    return _get(summary, _json(_ref(response)), _refusals(*_OF_BODIES)) | {"requestBody": body}


def _open(operation):
    """A path that needs no token."""
    return {"get": operation | {"security": []}}


def _refusals(*statuses):
    return {status: {"description": _REFUSALS[status], **_json(_ref("Error"))} for status in statuses}


def _parameters(*names):
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _json(schema):
    return {"content": {"application/json": {"schema": schema}}}


def _text():
    return {"content": {"text/plain": {"schema": {"type": "string"}}}}


def _ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required, **properties):
    return {"type": "object", "required": required, "properties": properties}


def _list(items):
    return {"type": "array", "items": items}


_STRING, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_PARAMETERS = {
    name: {"name": name, "in": "path", "required": True, "schema": schema, "description": description}
    for name, schema, description in (
        ("model", _STRING | {"minLength": 1}, "Name of a model."),
        ("version", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "Number of a version."),
        ("label", _STRING | {"minLength": 1}, "Label of a version, from the model configuration file."),
    )
}
_VERSION_STATUS = _object(
    ["version", "state", "status"],
    version=_STRING,
    state={"enum": ["LOADING", "AVAILABLE", "END"]},
    status=_object(["error_code", "error_message"], error_code={"enum": ["OK", "UNKNOWN"]}, error_message=_STRING),
)
_ROWS = {"description": "Nested lists of numbers, strings, booleans, or objects with base64 under `b64`."}
_TENSOR = {
    "name": _STRING,
    "datatype": {
        "enum": [
            *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
            *("FP16", "BF16", "FP32", "FP64", "BYTES"),
        ]
    },
}
_SCHEMAS = {
    "Error": _object(["error"], error=_STRING) | {"additionalProperties": False},
    "ModelStatus": _object(["model_version_status"], model_version_status=_list(_VERSION_STATUS)),
    "Models": _object(
        ["models"],
        models=_list(
            _object(["name", "model_version_status"], name=_STRING, model_version_status=_list(_VERSION_STATUS))
        ),
    ),
    "ModelMetadata": _object(
        ["model_spec", "metadata"],
        model_spec=_object(
            ["name", "signature_name", "version"], name=_STRING, signature_name=_STRING, version=_STRING
        ),
        metadata=_object(["signature_def"], signature_def=_object(["signature_def"], signature_def={"type": "object"})),
    ),
    "PredictRequest": {
        "type": "object",
        "properties": {"signature_name": _STRING, "instances": _list(_ROWS), "inputs": _ROWS},
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    },
    "PredictResponse": {
        "type": "object",
        "properties": {"predictions": _list(_ROWS), "outputs": _ROWS},
        "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
        "additionalProperties": False,
    },
    "Live": _object(["live"], live={"type": "boolean"}),
    "Ready": _object(["ready"], name=_STRING, ready={"type": "boolean"}),
    "ServerMetadata": _object(
        ["name", "version", "extensions"], name=_STRING, version=_STRING, extensions=_list(_STRING)
    ),
    "InferenceMetadata": _object(
        ["name", "versions", "platform", "inputs", "outputs"],
        name=_STRING,
        versions=_list(_STRING),
        platform={"const": "tensorflow_savedmodel"},
        inputs=_list(_ref("TensorMetadata")),
        outputs=_list(_ref("TensorMetadata")),
    ),
    # Also of types that the protocol has not, such as COMPLEX64.
    "TensorMetadata": _object(
        ["name", "datatype", "shape"], name=_STRING, datatype=_STRING, shape=_list({"type": "integer", "minimum": -1})
    ),
    "InferRequest": _object(
        ["inputs"],
        id=_STRING,
        parameters=_object([], signature_name=_STRING, binary_data_output={"type": "boolean"}),
        inputs=_list(_object(["name", "datatype", "shape", "data"], **_TENSOR, shape=_list(_COUNT), data=_list(_ROWS))),
        outputs=_list(_object(["name"], name=_STRING)),
    ),
    "InferResponse": _object(
        ["model_name", "model_version", "outputs"],
        model_name=_STRING,
        model_version=_STRING,
        id=_STRING,
        outputs=_list(
            _object(["name", "datatype", "shape", "data"], **_TENSOR, shape=_list(_COUNT), data={"type": "array"})
        ),
    ),
}
