"""A response's body, read as it streams: capped, unpacked, and dropped as soon as it can be no image."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...core.pictures import may_be_image
from ..outcomes import Reason
from .errors import FetchError

if TYPE_CHECKING:
    import aiohttp

MEMORY = 256_000_000
"""Bytes of bodies that may be in memory at once."""

_FIRST_SHARE = 65_536
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
_CODINGS = _INFLATED | {"br", "zstd", "compress", "x-compress", "dcb", "dcz"}
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS

Credit = Callable[[float], None]


async def read_body(
    response: aiohttp.ClientResponse, share: MemoryShare, *, limit: int, credit: Credit
) -> bytes:
    """The unpacked body, at most ``limit`` bytes packed and unpacked; FetchError as soon as it can't be used.

    Time spent waiting for memory goes to ``credit`` in seconds: the server isn't to blame for it.
    """
    declared = response.content_length
    if declared is not None and declared > limit:
        raise FetchError(Reason.TOO_LARGE)
    unpack = _unpacker(response.headers.get("Content-Encoding", ""))
    body = bytearray()
    packed, judged = 0, False
    credit(await share.grow(declared or _FIRST_SHARE))
    async for chunk in response.content.iter_any():
        packed += len(chunk)
        body += unpack.feed(chunk, limit + 1 - len(body)) if unpack else chunk
        if max(packed, len(body)) > limit:
            raise FetchError(Reason.TOO_LARGE)
        if not judged and not may_be_image(body):
            raise FetchError(Reason.NOT_AN_IMAGE)
        judged = len(body) >= _FIRST_SHARE
        if len(body) > share.size:
            credit(await share.grow(min(max(len(body), 2 * share.size), limit)))
    if unpack and not unpack.whole:
        raise FetchError(Reason.CONNECTION_LOST)
    if not may_be_image(body, whole=True):
        raise FetchError(Reason.NOT_AN_IMAGE)
    return bytes(body)


class _Inflate:
    """gzip or deflate, never unpacking more than it is asked for."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._begun = False

    @property
    def whole(self) -> bool:
        return self._inner.eof

    def feed(self, chunk: bytes, room: int) -> bytes:
        """What ``chunk`` unpacks to, cut at ``room`` bytes (at least 1)."""
        try:
            out = self._inner.decompress(chunk, max(room, 1))
        except zlib.error as error:
            if self._begun:
                raise FetchError(Reason.ENCODING) from error
            out = self._raw(chunk, max(room, 1))
        self._begun = True
        return out

    def _raw(self, chunk: bytes, room: int) -> bytes:
        """Some servers send deflate without its zlib header."""
        self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._inner.decompress(chunk, room)
        except zlib.error as error:
            raise FetchError(Reason.ENCODING) from error


def _unpacker(encoding: str) -> _Inflate | None:
    """What undoes ``encoding``; a word that is no coding (base64, utf-8, aws-chunked …) means nothing."""
    codings = [word for word in map(str.strip, encoding.lower().split(",")) if word in _CODINGS]
    if not codings:
        return None
    if len(codings) == 1 and codings[0] in _INFLATED:
        return _Inflate()
    raise FetchError(Reason.ENCODING)


class MemoryBudget:
    """A number of bytes shared by all bodies in flight.

    When it is spent, one body at a time may overdraw it, so that bodies that grow can't block each other for
    good; the overdraft is at most one body's size limit.
    """

    def __init__(self, total: int = MEMORY) -> None:
        self.free = total
        self.favoured: MemoryShare | None = None
        self.waiters: set[asyncio.Future[None]] = set()


class MemoryShare:
    """One body's part of a budget; give it back with :meth:`close`."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.size = 0

    async def grow(self, size: int) -> float:
        """Hold at least ``size`` bytes; the seconds waited for them."""
        need = size - self.size
        if need <= 0:
            return 0.0
        started = time.monotonic()
        budget = self._budget
        while need > budget.free and budget.favoured is not self:
            if budget.favoured is None:
                budget.favoured = self
                break
            turn = asyncio.get_running_loop().create_future()
            budget.waiters.add(turn)
            try:
                await turn
            finally:
                budget.waiters.discard(turn)
        budget.free -= need
        self.size = size
        return time.monotonic() - started

    def close(self) -> None:
        """Give everything back."""
        budget = self._budget
        budget.free += self.size
        self.size = 0
        if budget.favoured is self:
            budget.favoured = None
        for turn in budget.waiters:
            if not turn.done():
                turn.set_result(None)
