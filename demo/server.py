"""A loopback server that answers for the drawn web as real hosts do: mostly well, sometimes badly."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ..core.errors import WorkspaceError, import_failure
from .plan import DrawnRow, Kind
from .web import Web

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, ServerRunner, StreamResponse

DRIP = 0.5
"""Seconds between the bytes of a slow answer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: whose link, the step of its redirects, how often it was asked, and the picture's bytes."""

    request: BaseRequest
    row: DrawnRow
    step: int
    times: int
    body: bytes


class DrawnServer:
    """Answers by the plan; ``asked`` counts the requests of every path."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._rows = {row.path: row for row in web.rows if row.path}
        self.asked: Counter[str] = Counter()

    async def answer(self, request: BaseRequest) -> StreamResponse:
        """What the link of ``request`` answers; paths that nobody planned are 404."""
        from aiohttp import web

        self.asked[request.path] += 1
        step, path = _redirected(request.path)
        row = self._rows.get(path)
        if row is None:
            return web.Response(status=404, text="not found")
        body = self._web.picture(row.picture).read_bytes() if row.picture >= 0 else b""
        return await ANSWERS[row.kind](Ask(request, row, step, self.asked[request.path], body))


Reply = Callable[[Ask], Awaitable["StreamResponse"]]


def _redirected(path: str) -> tuple[int, str]:
    """The step of a redirect and the link it began at: /moved/2/img/a.jpg → (2, /img/a.jpg)."""
    if not path.startswith("/moved/"):
        return 0, path
    number, _, rest = path.removeprefix("/moved/").partition("/")
    return (int(number), f"/{rest}") if number.isdecimal() else (0, path)


def _status(code: int) -> Reply:
    async def reply(ask: Ask) -> StreamResponse:  # noqa: ARG001
        from aiohttp import web

        return web.Response(status=code, text="no picture here")

    return reply


async def _send(body: bytes, **headers: str) -> StreamResponse:
    from aiohttp import web

    return web.Response(body=body, content_type="image/jpeg", headers=headers)


async def _picture(ask: Ask) -> StreamResponse:
    return await _send(ask.body)


async def _moved(ask: Ask) -> StreamResponse:
    from aiohttp import web

    if ask.step == 2:
        return await _send(ask.body)
    return web.Response(status=302, headers={"Location": f"/moved/{ask.step + 1}{ask.row.path}"})


async def _loop(ask: Ask) -> StreamResponse:
    from aiohttp import web

    return web.Response(
        status=301, headers={"Location": ask.row.path if ask.step else f"/moved/1{ask.row.path}"}
    )


async def _flaky(ask: Ask) -> StreamResponse:
    return await (_status(503) if ask.times == 1 else _picture)(ask)


async def _html(ask: Ask) -> StreamResponse:  # noqa: ARG001
    from aiohttp import web

    return web.Response(
        text="<!doctype html><title>Gone</title><p>This picture has moved.", content_type="text/html"
    )


async def _broken(ask: Ask) -> StreamResponse:
    return await _send(ask.body[: len(ask.body) // 2])


async def _small(ask: Ask) -> StreamResponse:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(ask.body)).resize((48, 48)).save(buffer, "JPEG")
    return await _send(buffer.getvalue())


async def _refused(ask: Ask) -> StreamResponse:
    return await _send(ask.body, **{"X-Robots-Tag": "noai, noimageai"})


async def _begun(ask: Ask) -> StreamResponse:
    """An answer that promises the whole picture, with nothing sent yet."""
    from aiohttp import web

    headers = {"Content-Length": str(len(ask.body)), "Content-Type": "image/jpeg"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(ask.request)
    return response


async def _cut(ask: Ask) -> StreamResponse:
    response = await _begun(ask)
    await response.write(ask.body[: len(ask.body) // 2])
    if ask.request.transport is not None:
        ask.request.transport.close()
    return response


async def _slow(ask: Ask) -> StreamResponse:
    response = await _begun(ask)
    with contextlib.suppress(ConnectionError):
        for at in range(len(ask.body)):
            await response.write(ask.body[at : at + 1])
            await asyncio.sleep(DRIP)
    return response


ANSWERS: dict[Kind, Reply] = {
    Kind.PICTURE: _picture,
    Kind.MOVED: _moved,
    Kind.FLAKY: _flaky,
    Kind.GONE: _status(404),
    Kind.REMOVED: _status(410),
    Kind.FORBIDDEN: _status(403),
    Kind.ERROR: _status(500),
    Kind.LOOP: _loop,
    Kind.HTML: _html,
    Kind.CUT: _cut,
    Kind.BROKEN: _broken,
    Kind.SMALL: _small,
    Kind.REFUSED: _refused,
    Kind.SLOW: _slow,
}


def free_port(preferred: int) -> int:
    """``preferred`` where nothing listens there, else any port that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise WorkspaceError("no port is free on 127.0.0.1; close some of the programs that use them")


@contextlib.contextmanager
def serving(web: Web) -> Generator[DrawnServer]:
    """Serve ``web`` at its port on loopback, in a thread, while the block runs.

    WorkspaceError where the port is taken: the corpus names it, so no other will do.
    """
    server = DrawnServer(web)
    loop = asyncio.new_event_loop()
    port = web.settings.port
    try:
        try:
            runner = loop.run_until_complete(_listen(server, port))
        except OSError as error:
            raise WorkspaceError(
                f"port {port} of 127.0.0.1, which the demo's corpus names, can't be served "
                f"({error.strerror}); stop what uses it, or make the demo in another folder"
            ) from error
        thread = threading.Thread(target=loop.run_forever, name="drawn web", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
    finally:
        loop.close()


async def _listen(server: DrawnServer, port: int) -> ServerRunner:
    try:
        from aiohttp import web
    except ImportError as error:
        raise import_failure(error, "the demo's server", "cpu") from error

    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
