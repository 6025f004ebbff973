"""The OpenAPI document: what it says of each path is so."""

import gzip
import re
import shutil

import jsonschema
import pytest

from keras_attention.serving.model_sources import ConfigFile
from keras_attention.serving.openapi import document

from .conftest import running, save_sums

DOCUMENT = document()
OPERATIONS = [
    (path, method) for path, item in DOCUMENT["paths"].items() for method in ("get", "post") if method in item
]
KNOWN = {"model": "sums", "version": "1", "label": "stable"}
UNKNOWN = {"model": "nothing", "version": "77", "label": "none"}
PREDICT = {"instances": [{"x": [1, 2], "y": [3, 4]}]}
INFER = {"inputs": [{"name": name, "datatype": "FP32", "shape": [1, 2], "data": [1, 2]} for name in "xy"]}
BODIES = {"PredictRequest": PREDICT, "InferRequest": INFER}

LARGE = gzip.compress(b" " * 1_000_001)  # than the server takes
MODELS = "version_labels { key: 'stable' value: 1 }"


@pytest.fixture(scope="module")
def described(exported, tmp_path_factory):
    """A server with a label and a model that cannot be loaded."""
    folder = tmp_path_factory.mktemp("described")
    shutil.copytree(exported, folder / "dates" / "1")
    save_sums(folder / "sums" / "1")
    (folder / "broken" / "1").mkdir(parents=True)
    entries = [f"config {{ name: '{name}' base_path: '{name}' {MODELS} }}" for name in ("dates", "sums", "broken")]
    (folder / "models.config").write_text(f"model_config_list {{ {' '.join(entries)} }}")
    with running(None, source=ConfigFile(folder / "models.config")) as server:
        yield server


def schema_of(content, kind="application/json"):
    """What a response or a request body of a type must be, whole."""
    return content["content"][kind].get("schema", {}) | {"components": DOCUMENT["components"]}


def check(server, path, method, places, body=None, headers=None):
    """The status of an operation, whose answer must be as the document says."""
    asked = re.sub(r"{(\w+)}", lambda found: places[found[1]], path)
    status, answer = server.ask(method.upper(), asked, body, headers)
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert str(status) in responses, f"{method} {asked}: {status} {answer}"
    schema = schema_of(responses[str(status)], server.headers["content-type"].partition(";")[0])
    jsonschema.Draft202012Validator(schema).validate(answer)
    return status


def body_of(path, method):
    if method == "get":
        return None
    return BODIES[schema_of(DOCUMENT["paths"][path][method]["requestBody"])["$ref"].rpartition("/")[2]]


def test_the_document_stands_where_it_says(described):
    assert described.ask("GET", "/openapi.json") == (200, DOCUMENT)


@pytest.mark.parametrize("schema", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][schema])


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_path_answers_as_it_says(described, path, method):
    body = body_of(path, method)
    if body:
        schema = schema_of(DOCUMENT["paths"][path][method]["requestBody"])
        jsonschema.Draft202012Validator(schema).validate(body)
    assert check(described, path, method, KNOWN, body) == 200


@pytest.mark.parametrize(("path", "method"), [place for place in OPERATIONS if "{model}" in place[0]])
def test_every_path_refuses_as_it_says(described, path, method):
    body = body_of(path, method)
    assert check(described, path, method, KNOWN | {"model": "nothing"}, body) in (400, 404)
    for name in ("version", "label"):
        if f"{{{name}}}" in path:
            assert check(described, path, method, KNOWN | {name: UNKNOWN[name]}, body) in (400, 404)
    check(described, path, method, KNOWN | {"model": "broken"}, body)
    if method == "post":
        assert check(described, path, method, KNOWN, b"{") == 400
        assert check(described, path, method, KNOWN, b"{", {"Content-Encoding": "gzip"}) == 400
        assert check(described, path, method, KNOWN, b"{", {"Content-Encoding": "br"}) == 415
        assert check(described, path, method, KNOWN, LARGE, {"Content-Encoding": "gzip"}) == 413


def test_readiness_of_a_model_is_as_it_says(described):
    responses = DOCUMENT["paths"]["/readyz"]["get"]["responses"]
    for model, status in (("sums", 200), ("broken", 503), ("nothing", 503)):
        assert described.ask("GET", f"/readyz?model={model}")[0] == status
        assert str(status) in responses


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_needs_the_token_says_so(closed, path, method):
    operation = DOCUMENT["paths"][path][method]
    asked = re.sub(r"{(\w+)}", lambda found: KNOWN[found[1]], path)
    status, _ = closed.ask(method.upper(), asked, body_of(path, method))
    assert (status == 401) == ("401" in operation["responses"]) == (operation.get("security") != [])


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server that asks for a token."""
    folder = tmp_path_factory.mktemp("closed")
    save_sums(folder / "sums" / "1")
    with running(folder, token="secret") as server:
        yield server
