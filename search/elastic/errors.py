"""The errors of Elasticsearch and of the way to it, in one or two lines that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ...core.errors import CaptionIndexError, ServerError
from .address import Address, Credentials

if TYPE_CHECKING:
    from elasticsearch import ApiError, Elasticsearch, TransportError

BUSY = frozenset({429, 502, 503, 504})
"""Statuses of a request, or of one document of it, that is worth asking again."""


def error_of(part: Mapping[str, Any]) -> ApiError:
    """The error of one part of an answer (a search, an operation), as if that had been asked alone."""
    from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
    from elasticsearch import ApiError
    from elasticsearch.exceptions import HTTP_EXCEPTIONS

    status: int = part["status"]
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "part", 0))
    kind = HTTP_EXCEPTIONS.get(status, ApiError)
    return kind(message=str(part["error"].get("type")), meta=meta, body=part)


def is_transient(error: ApiError | TransportError, *, waited_for: float, seconds_left: float) -> bool:
    """Whether to ask again, with ``seconds_left`` of patience; a time-out has cost ``waited_for`` already."""
    from elastic_transport import TlsError
    from elasticsearch import ApiError, ConnectionTimeout
    from elasticsearch import ConnectionError as NoConnection

    if seconds_left <= 0:
        return False
    if isinstance(error, ApiError):
        return error.status_code in BUSY and not is_block(error.body)
    if isinstance(error, ConnectionTimeout):
        return seconds_left > waited_for
    return isinstance(error, NoConnection) and not isinstance(error, TlsError)


def is_lost(error: CaptionIndexError) -> bool:
    """Whether a node or what it held is gone, so that another may give the answer."""
    from elasticsearch import ApiError, TransportError

    cause = error.__cause__
    if isinstance(cause, ApiError):
        return cause.status_code in (404, 500, *BUSY)
    return isinstance(cause, TransportError)


def is_gone(error: CaptionIndexError) -> bool:
    """Whether the index that was asked isn't there (any more)."""
    return "index_not_found_exception" in str(getattr(error.__cause__, "body", ""))


def is_forbidden(error: CaptionIndexError) -> bool:
    """Whether the credentials are right but may not do this."""
    return getattr(error.__cause__, "status_code", 0) == 403 and not is_block(str(error.__cause__))


def is_block(body: object) -> bool:
    """Whether the error is a block on the index (read-only, disk full), which comes as 429 or 403."""
    return "cluster_block_exception" in str(body) and "no master" not in str(body)


def opensearch(client: Elasticsearch) -> str:
    """The name and version of an OpenSearch that ``client`` reached; "" where it reached something else."""
    from elastic_transport import TransportError

    try:
        body: Any = client.transport.perform_request("GET", "/", headers={"accept": "application/json"}).body
    except TransportError:
        return ""
    version: dict[str, str] = body.get("version", {}) if isinstance(body, dict) else {}
    return f"OpenSearch {version.get('number')}" if version.get("distribution") == "opensearch" else ""


def reason_of(error: Exception) -> str:
    """The server's own reason, without the credentials it may repeat."""
    body: object = getattr(error, "body", None)
    if isinstance(body, dict):
        cause = cast("dict[str, Any]", body).get("error", body)
        if isinstance(cause, dict):
            details = cast("dict[str, Any]", cause)
            roots = cast("list[dict[str, Any]]", details.get("root_cause") or [details])
            reason = roots[0].get("reason") or details.get("reason") or details.get("type") or ""
            return str(reason)[:300]
        return str(cause)[:300]
    return _short(error)


def translated(
    error: ApiError | TransportError, address: Address, who: Credentials, timeout: float
) -> CaptionIndexError:
    """``error`` as the user should read it."""
    from elasticsearch import ApiError, UnsupportedProductError

    if isinstance(error, UnsupportedProductError):
        return ServerError(f"{address.hosts[0]} answers, but isn't Elasticsearch 8.19 or 9.x")
    if isinstance(error, ApiError):
        return _refused(error, address, who)
    return _unreachable(error, address, timeout)


def _unreachable(error: TransportError, address: Address, timeout: float) -> ServerError:
    from elastic_transport import SerializationError, TlsError
    from elasticsearch import ConnectionTimeout

    where = ", ".join(address.hosts)
    if isinstance(error, ConnectionTimeout):
        return ServerError(
            f"{where} didn't answer within {timeout:g} s; is it overloaded, or a firewall between? "
            "(ELASTICSEARCH_TIMEOUT sets the seconds)"
        )
    if isinstance(error, TlsError):
        return ServerError(
            f"{where}: no trusted TLS connection ({_short(error)}); name the cluster's CA certificate in "
            "ELASTICSEARCH_CA_CERTS, or use http:// if it speaks no TLS"
        )
    if isinstance(error, SerializationError):
        return ServerError(f"{where} answers, but not as Elasticsearch does: {_short(error)}")
    hint = ", or does it want https://" if "closed connection" in str(error.message) else ""
    return ServerError(f"no Elasticsearch answers at {where} ({_short(error)}); is it running{hint}?")


def _refused(error: ApiError, address: Address, who: Credentials) -> CaptionIndexError:
    status, reason = error.status_code, reason_of(error)
    if status == 401:
        return _unauthenticated(address, who)
    if is_block(error.body):
        return blocked(address.name, reason)
    if status == 403:
        return forbidden(address.name, who, reason)
    if status == 404:
        return CaptionIndexError(f"{address}: {reason}")
    if status in BUSY:
        return ServerError(
            f"{address.hosts[0]} is too busy or not whole ({status}: {reason}); try again later"
        )
    if 300 <= status < 400:
        return ServerError(
            f"{address.hosts[0]} redirects ({status}) to another address; give that one (https:// "
            "rather than http://, as a rule)"
        )
    return ServerError(f"{address} answers with error {status}: {reason}")


def _unauthenticated(address: Address, who: Credentials) -> ServerError:
    host = address.hosts[0]
    if who.api_key:
        return ServerError(
            f"{host} rejects {who} (wrong, expired or invalidated); make a new key and set it there"
        )
    if who.user:
        return ServerError(f"{host} rejects {who}: no such user or a wrong ELASTICSEARCH_PASSWORD")
    return ServerError(
        f"{host} asks for credentials; set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USERNAME and "
        "ELASTICSEARCH_PASSWORD"
    )


def forbidden(name: str, who: Credentials, reason: str) -> ServerError:
    """The credentials are right but may not do this."""
    action = reason.split("]", 1)[0].removeprefix("action [") if reason.startswith("action [") else reason
    return ServerError(
        f"{who} may not do this on index {name} ({action}); reading needs the privileges read and "
        "view_index_metadata there, loading needs manage and write too"
    )


def blocked(name: str, reason: str) -> ServerError:
    """The index takes no writes."""
    return ServerError(
        f"index {name} is read-only ({reason.rstrip('; ')}); free disk space on its nodes, or lift the block "
        "(index.blocks.read_only_allow_delete, index.blocks.write), and run again"
    )


def _short(error: Exception) -> str:
    """What happened, as the client has it in its message: its str() is only "Connection error"."""
    message: object = getattr(error, "message", "") or error
    return re.sub(r"^HTTPS?Connection\(.*?\): ", "", " ".join(str(message).split()))[:200]
