"""Requests that schemathesis makes of the OpenAPI document: each is answered as the document says."""

import hypothesis
import pytest

from keras_attention.serving.openapi import document

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis, which makes requests, is not installed")
api = schemathesis.openapi.from_dict(document())


@api.parametrize()
@hypothesis.settings(max_examples=20, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_whatever_is_asked_is_answered_as_the_document_says(server, case):
    checks = schemathesis.checks
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{server.port}",
        checks=[
            checks.status_code_conformance,
            checks.response_schema_conformance,
            checks.content_type_conformance,
        ],
    )
