"""Connections whose heads are sound, and bounded in size and time, or the connection ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

HEAD_BYTES = 64 << 10
HEAD_SECONDS = 10.0
"""For a request's line and headers; a body has guard.Limits.body_seconds."""
PIPELINED = 16
"""Requests of a connection that may wait for the one that is answered."""


class _RefusedError(Exception):
    """The parser ends the connection with a 400."""


class Connection(HttpToolsProtocol):
    """uvicorn's faster protocol, and what it leaves out: limits, one Host, and paths as only targets."""

    _waiting: asyncio.TimerHandle | None = None
    _received = 0
    """Bytes of the head that began last, while it isn't whole."""
    _whole = True
    """Whether the head that began last is whole."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Parse it, unless a head grows too long."""
        cycle: Any = self.cycle
        of_a_body = self._whole and cycle is not None and not cycle.response_complete
        super().data_received(data)
        if not self._whole and not of_a_body:
            self._received += len(data)
        if self._received > HEAD_BYTES and not self.transport.is_closing():
            self.logger.warning("refused a request whose head has more than %d bytes", HEAD_BYTES)
            self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        """A head begins."""
        if len(self.pipeline) >= PIPELINED:
            raise _RefusedError(f"{PIPELINED} requests are waiting already")
        self._whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        names = [name for name, _ in self.headers]
        if len(self.url) + sum(map(len, names)) + sum(len(value) for _, value in self.headers) > HEAD_BYTES:
            raise _RefusedError(f"a head of more than {HEAD_BYTES} bytes")
        parser: Any = self.parser
        if names.count(b"host") != 1 and parser.get_http_version() == "1.1":
            raise _RefusedError("no Host, or several")
        if not self.url.startswith((b"/", b"*")):
            raise _RefusedError("another server's address, which would hide its Host")
        self._whole, self._received = True, 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        if self._waiting:
            self._waiting.cancel()

    def _wait(self) -> None:
        if self._waiting:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._end)

    def _end(self) -> None:
        cycle: Any = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if self.transport.is_closing() or answering:
            return
        if not self._whole:  # else a browser's spare connection
            client = (self.client or ("?",))[0]
            logger.warning("refused a request from %s: no whole head in %g seconds", client, HEAD_SECONDS)
        self.transport.close()
