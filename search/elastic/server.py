"""One cluster, asked patiently: the client, what is tried again, and its errors in the user's words.

Every request goes through :meth:`Server.ask`. Busy and lost servers (429, 502, 503, 504, no connection) are
asked again with growing pauses until the caller's patience ends; everything else is an error at once.
"""

from __future__ import annotations

import base64
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ...core.errors import ServerError
from .address import Address, Credentials, credentials, seconds
from .errors import BUSY, is_transient, opensearch, reason_of, translated

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

T = TypeVar("T")
logger = logging.getLogger(__name__)

READ_PATIENCE = 15.0
"""Seconds that a question is asked again: long enough for a replica to take over from a dead node."""

TOLD_AFTER = 5.0
"""Seconds of waiting after which it is worth a warning."""

OLDEST, BEYOND = (8, 19), (10, 0)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """A cluster and how it is asked."""

    client: Elasticsearch
    address: Address
    credentials: Credentials
    timeout: float
    """Seconds until a request that isn't answered is given up."""
    patience: float
    """Seconds that a load waits for a server that is gone or busy: by default long enough for a restart."""
    reading: float
    """Seconds that a question waits."""

    def patient(self) -> Server:
        """The same cluster, asked with the patience of a load in questions too."""
        return replace(self, reading=self.patience)

    def ask(
        self,
        call: Callable[[Elasticsearch], T],
        *,
        patience: float | None = None,
        stop: Event | None = None,
    ) -> T:
        """What ``call`` gives for the client; ServerError or CaptionIndexError when it fails for good.

        Without ``patience`` it has that of a question. ``stop``, set by another thread, ends the patience. A
        node that doesn't answer in time is left for the others, whatever patience there is.
        """
        from elasticsearch import ApiError, ConnectionTimeout, TransportError

        patience = self.reading if patience is None else patience
        end = time.monotonic() + patience
        pause, stop, timeouts = 0.25, stop or Event(), 0
        while True:
            try:
                return call(self.client)
            except (ApiError, TransportError) as error:
                seconds_left = 0.0 if stop.is_set() else end - time.monotonic()
                timeouts += isinstance(error, ConnectionTimeout)
                others = timeouts < len(self.address.hosts) and not stop.is_set()
                if isinstance(error, ConnectionTimeout) and others:
                    logger.warning("%s: %s; asking another node", self.address, reason_of(error))
                    continue
                if not is_transient(error, waited_for=self.timeout, seconds_left=seconds_left):
                    raise translated(error, self.address, self.credentials, self.timeout) from error
                level = logging.WARNING if patience - seconds_left > TOLD_AFTER else logging.INFO
                logger.log(
                    level, "%s: %s; asking again for %.0f s", self.address, reason_of(error), seconds_left
                )
            stop.wait(min(pause * random.uniform(0.5, 1.0), seconds_left))
            pause = min(pause * 2, 15.0)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def connect(address: Address, *, patient: bool = False) -> Server:
    """The cluster at ``address``, reached, with credentials from the environment.

    ``patient`` is for the middle of a load: a server that is being restarted is waited for.

    ServerError: no answer, a refusal, not Elasticsearch, or a version that isn't supported.
    """
    import elasticsearch

    from .transport import WholeAnswers

    who, timeout = credentials(), seconds("ELASTICSEARCH_TIMEOUT")
    try:
        client = elasticsearch.Elasticsearch(
            list(address.hosts),
            request_timeout=timeout,
            max_retries=len(address.hosts) - 1,  # another node where one can't be reached
            retry_on_status=(),  # a busy node lives, and isn't left for a dead one: Server.ask asks again
            retry_on_timeout=False,
            connections_per_node=16,
            transport_class=WholeAnswers,
            dead_node_backoff_factor=30.0,  # seconds for which a node that didn't answer isn't asked
            max_dead_node_backoff=300.0,
            serializer=elasticsearch.OrjsonSerializer(),
            **_authentication(who),
            **_trust(address, who),
        )
    except (OSError, ValueError) as error:  # an unreadable CA bundle, a malformed fingerprint
        raise ServerError(f"can't set up a connection to {address.hosts[0]}: {error}") from error
    patience = seconds("ELASTICSEARCH_PATIENCE")
    server = Server(client, address, who, timeout, patience, min(patience, READ_PATIENCE))
    server = server.patient() if patient else server
    try:
        _check_version(server, patient=patient)
    except BaseException:
        server.close()
        raise
    return server


def _authentication(who: Credentials) -> dict[str, Any]:
    if who.api_key:
        return {"api_key": who.api_key}
    # Encoded here, since the client takes ASCII only; the server reads UTF-8.
    pair = base64.b64encode(f"{who.user}:{who.password}".encode(errors="surrogateescape")).decode()
    return {"basic_auth": pair} if who.user else {}


def _trust(address: Address, who: Credentials) -> dict[str, Any]:
    """TLS options; on plain http to another machine, a warning that credentials travel openly."""
    parts = [urlsplit(host) for host in address.hosts]
    if parts[0].scheme == "http":
        if (who.api_key or who.user) and any(part.hostname not in _LOOPBACK for part in parts):
            logger.warning("%s is plain http: the credentials travel unencrypted", address.hosts[0])
        return {}
    options: dict[str, Any] = {}
    if who.ca_certs:
        options["ca_certs"] = who.ca_certs
    if who.fingerprint:
        options["ssl_assert_fingerprint"] = who.fingerprint
    return options


def _check_version(server: Server, *, patient: bool) -> None:
    """Raise unless the server is of a supported version; a user who may not ask which is let through.

    A busy server is asked again; one that isn't there is waited for only where ``patient``.
    """
    from elasticsearch import ApiError, AuthorizationException, BadRequestError, NotFoundError
    from elasticsearch import UnsupportedProductError as Unsupported

    def version(client: Elasticsearch) -> Mapping[str, Any]:
        try:
            return client.nodes.info(node_id="_local", filter_path="nodes.*.version").body
        except (AuthorizationException, NotFoundError, BadRequestError):
            return {}

    try:
        answer = server.ask(version, patience=server.reading if patient else 0.0)
    except ServerError as error:
        if isinstance(error.__cause__, Unsupported) and (other := opensearch(server.client)):
            raise ServerError(
                f"{server.address.hosts[0]} is {other}; captrawl speaks to Elasticsearch 8.19 and 9.x"
            ) from error
        if patient or not isinstance(error.__cause__, ApiError) or error.__cause__.status_code not in BUSY:
            raise
        answer = server.ask(version)
    for node in answer.get("nodes", {}).values():
        number = str(node["version"])
        if not OLDEST <= tuple(int(part) for part in number.split(".")[:2]) < BEYOND:
            raise ServerError(
                f"{server.address.hosts[0]} is Elasticsearch {number}; captrawl speaks to 8.19 and 9.x"
            )
