"""Every operation of the OpenAPI description, fuzzed on a real server: no 5xx, no surprise."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

OPERATIONS = [
    ("GET", "/api/session"),
    ("GET", "/api/query"),
    ("GET", "/api/count"),
    ("GET", "/api/facets"),
    ("GET", "/api/export"),
    ("GET", "/api/similar"),
    ("POST", "/api/similar/image"),
    ("GET", "/api/images/{sha256}"),
    ("GET", "/api/classes"),
    ("GET", "/api/classes/{class_id}"),
    ("GET", "/api/classes/{class_id}/doubtful"),
    ("GET", "/api/classes/{class_id}/pool"),
    ("GET", "/api/classes/{class_id}/preview"),
    ("PUT", "/api/classes/{class_id}/marks"),
    ("PUT", "/api/classes/{class_id}/marks/{uid}"),
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def schema(server: Any) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}api/openapi.json")


@pytest.fixture(scope="module")
def token(server: Any) -> dict[str, str]:
    return {"X-Captrawl-Token": httpx.get(f"{server.url}api/session").json()["token"]}


def test_every_operation_is_fuzzed(server: Any) -> None:
    described = httpx.get(f"{server.url}api/openapi.json").json()["paths"]
    assert sorted(OPERATIONS) == sorted((m.upper(), path) for path, ways in described.items() for m in ways)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_fuzz(schema: Any, token: dict[str, str], method: str, path: str) -> None:
    @settings(
        max_examples=40 if "similar" in path else 150,  # a model answers there
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(headers=token, checks=CHECKS, timeout=60)

    check()
