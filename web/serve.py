"""Run the page's server until it is stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from fastapi import FastAPI

from ..core.errors import InputError

CONNECTIONS = 128
"""At a time; more get a 503."""


def listen(host: str, port: int) -> socket.socket:
    """A socket on ``host`` and ``port`` (0: a free one); InputError where that can't be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise InputError(
            f"can't listen on {host} port {port} ({error.strerror}); choose another with --host or --port"
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The page's address as a browser on this machine takes it."""
    host, port = listener.getsockname()[:2]
    name = str({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host))  # noqa: S104 - what was listened on
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def serve(app: FastAPI, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests on ``listener`` until Ctrl-C; ``ready`` is called once the first can be answered."""
    import uvicorn
    import uvloop

    from .connections import Connection

    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        answering = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not answering.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await answering

    uvloop.run(run())  # answers leave in one packet: a tenth faster than asyncio's own loop
