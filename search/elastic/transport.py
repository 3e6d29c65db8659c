"""Every answer of a server, checked before anybody reads it: JSON, in time, and of all shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from elastic_transport import SerializationError, Transport, TransportApiResponse


class WholeAnswers(Transport):
    """A transport that raises rather than hand on what is no JSON, or the answer of some shards only.

    An answer of some shards is an ApiError of status 503, so it is asked for again as a busy server's is.
    """

    def perform_request(self, method: str, target: str, **options: Any) -> TransportApiResponse:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the server answers, whole."""
        answer = super().perform_request(method, target, **options)
        if method == "HEAD" or answer.meta.status >= 300 or "x-elastic-product" not in answer.meta.headers:
            return answer
        if not isinstance(answer.body, dict | list):
            raise SerializationError(f"{answer.meta.headers.get('content-type', 'no type')} instead of JSON")
        if isinstance(answer.body, dict):
            _check(answer)
        return answer


def _check(answer: TransportApiResponse) -> None:
    from elasticsearch import ApiError

    body: Mapping[str, Any] = answer.body
    for part in body.get("responses", [body]):
        if lack := lacking(part):
            error = {"error": {"type": "partial_answer", "reason": lack}}
            raise ApiError(message="partial_answer", meta=replace(answer.meta, status=503), body=error)


def lacking(body: Mapping[str, Any]) -> str:
    """What is missing from an answer; "" where nothing is. A write's missing copies are no lack."""
    if body.get("timed_out"):
        return "the time was up before all shards had answered"
    shards: Mapping[str, int] = body.get("_shards") or {}
    if "result" in body or not shards:
        return ""
    whole = not shards.get("failed") and ("hits" not in body or shards["successful"] >= shards["total"])
    return "" if whole else f"{shards['successful']} of {shards['total']} shards answered"
