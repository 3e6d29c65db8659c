"""Writing many documents: bulk requests in flight, tried again until every document is in.

Every document has an `_id` of its own, so that a request whose answer was lost can be sent again: it writes
the same documents a second time. A document that the server rejects for good ends the load, with its row
and the server's reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Any

from ...core.errors import CaptionIndexError, ServerError
from .catalogue import Catalogue
from .errors import BUSY, blocked, forbidden, is_block
from .schema import load_of, row_of

CHUNK_BYTES = 4 << 20
CHUNK_DOCUMENTS = 10_000
IN_FLIGHT = 3
"""Requests at a time: one being read, one being indexed, one on its way."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """Bulk requests to one index. ``files`` names the corpus file of each load in errors."""

    catalogue: Catalogue
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    stop: Event = field(default_factory=Event)
    """Set when the load has failed or been interrupted: nothing is tried again."""

    def write(self, operations: Iterable[bytes]) -> int:
        """Send all operations, a few requests at a time; returns their number once every one is done.

        The first error ends it: requests under way are waited for, no more are sent.
        """
        sent = 0
        under_way: set[Future[None]] = set()
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="bulk") as pool:
            try:
                for chunk in chunks(operations):
                    if len(under_way) >= IN_FLIGHT:
                        ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                        _raise_first(ended)
                    under_way.add(pool.submit(self.send, chunk))
                    sent += len(chunk)
                _raise_first(under_way)
            except BaseException:  # Ctrl-C too must not wait until every request has lost its patience
                self.stop.set()
                raise
        return sent

    def send(self, operations: Sequence[bytes]) -> None:
        """Send one request's operations, again and again those that the server is too busy for."""
        waiting, end, pause = list(operations), monotonic() + self.catalogue.server.patience, 0.25
        while waiting:
            results = self._request(waiting)
            busy = [
                operation
                for operation, result in zip(waiting, results, strict=True)
                if self._is_busy(result, patient=monotonic() < end and not self.stop.is_set())
            ]
            if busy:
                self.stop.wait(pause)
                pause = min(pause * 2, 15.0)
            waiting = busy

    def _request(self, operations: Sequence[bytes]) -> list[Mapping[str, Any]]:
        """The results that aren't plain success: none, or one an operation."""
        from elasticsearch import ApiError

        body = b"".join(operations)
        try:
            if not self._post(body, ["errors"]).get("errors"):
                return [_FINE] * len(operations)
            # Sending the same again writes the same again; only now does each answer matter.
            items = self._post(body, _RESULTS)["items"]
        except ServerError as error:
            cause = error.__cause__
            if isinstance(cause, ApiError) and cause.status_code == 413 and len(operations) > 1:
                half = len(operations) // 2
                return [*self._request(operations[:half]), *self._request(operations[half:])]
            raise
        return [next(iter(item.values())) for item in items]

    def _post(self, body: bytes, filter_path: list[str]) -> Mapping[str, Any]:
        server, target = self.catalogue.server, self.catalogue.write_target()
        return server.ask(
            lambda es: es.bulk(**target, body=body, filter_path=filter_path).body,  # type: ignore[arg-type]
            patience=server.patience,
            stop=self.stop,
        )

    def _is_busy(self, result: Mapping[str, Any], *, patient: bool) -> bool:
        """Whether to send this operation again; raises for one that failed for good."""
        error = result.get("error")
        if error is None:
            return False
        server, index = self.catalogue.server, self.catalogue.index
        file = self.files.get(load_of(result["_id"]), "a deleted file")
        reason = str((error.get("caused_by") or error).get("reason") or error["type"])[:300]
        if is_block(error):
            raise blocked(index, reason)
        if result["status"] == 403:
            raise forbidden(index, server.credentials, reason)
        if error["type"] == "index_not_found_exception":
            raise CaptionIndexError(f"{index} was deleted while {file} was loaded into it")
        if result["status"] in BUSY:
            if patient:
                return True
            raise ServerError(f"{server.address} stays too busy ({reason}); run the same command again")
        raise CaptionIndexError(f"{file} row {row_of(result['_id'])}: {server.address} rejects it: {reason}")


_RESULTS = [
    f"items.*.{name}" for name in ("_id", "status", "error.type", "error.reason", "error.caused_by.reason")
]
_FINE: Mapping[str, Any] = {"status": 200}


def chunks(operations: Iterable[bytes]) -> Iterator[list[bytes]]:
    """``operations`` in lists of at most CHUNK_DOCUMENTS and, unless one alone is larger, CHUNK_BYTES."""
    chunk: list[bytes] = []
    size = 0
    for operation in operations:
        if chunk and (size + len(operation) > CHUNK_BYTES or len(chunk) >= CHUNK_DOCUMENTS):
            yield chunk
            chunk, size = [], 0
        chunk.append(operation)
        size += len(operation)
    if chunk:
        yield chunk


def _raise_first(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        future.result()
