"""How requests are read off a socket: bounded heads that come in time, or the connection ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For a request's line and headers; a body has guard.Limits.body_seconds."""


class Connection(H11Protocol):
    """uvicorn's own strict protocol (a head of 64 KiB at most), and a time limit for every head.

    Named, since uvicorn would take httptools where that is installed, which bounds neither.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

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
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return  # a request is being answered
        if self.conn.trailing_data[0]:  # else a browser's spare connection
            client = (self.client or ("?",))[0]
            logger.warning("refused a request from %s: no whole head in %g seconds", client, HEAD_SECONDS)
        self.transport.close()
