"""What every request passes first: which hosts and sites are answered, limits, and security headers.

A page on loopback is reachable by every web site that its user visits. So: the Host must be ours (DNS
rebinding), nothing cross-site is answered but the page itself, every write needs the session's token, bodies
are bounded in size and time, no CORS header is ever sent, and what is refused is logged.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

TOKEN_HEADER = "x-captrawl-token"  # noqa: S105 - a header's name
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
LOGGED = frozenset({400, 403, 404, 405, 408, 413, 415})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:{remote}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
REMOTE = " https: http:"
"""What is added to img-src while the user wants thumbnails from the web (``/?remote=1``)."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a body and of an uploaded image, seconds for a body and for an answer, and the like."""

    body: int = 64 << 10
    upload: int = 20_000_000
    pixels: int = 50_000_000
    body_seconds: float = 20.0
    query_seconds: float = 30.0
    model_seconds: float = 120.0
    """For an answer that may have to wait until the model is loaded."""
    queries: int = 4
    """Questions worked on at a time; others wait. More would only contend for the interpreter."""
    exports: int = 2
    """Downloads of all rows at a time; others are refused."""


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Which Host headers are ours: ``names``, and any literal address where ``addresses``.

    A rebinding site always comes with its own name, so a literal address can't be one.
    """

    names: frozenset[str] = LOOPBACK
    addresses: bool = False

    @classmethod
    def serving(cls, host: str, others: Iterable[str] = ()) -> AllowedHosts:
        """The hosts of a server that listens on ``host``, besides ``others``."""
        names = {host.lower().strip("[]"), *LOOPBACK, *(name.lower() for name in others)}
        return cls(frozenset(names), addresses=not is_loopback(host))

    def allow(self, header: str) -> bool:
        """Whether a request with this Host header is for us, whatever its port."""
        name = host_name(header)
        if name in self.names:
            return True
        return self.addresses and _is_address(name)


def host_name(header: str) -> str:
    """The host of a Host header, in lower case, without its port and brackets; "" where it isn't one."""
    text = header.strip().lower()
    if text.startswith("["):
        name, closed, port = text[1:].partition("]")
        valid = bool(closed) and (not port or (port[0] == ":" and port[1:].isdecimal()))
        return name if valid else ""
    name, colon, port = text.partition(":")
    return name if not colon or port.isdecimal() else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on ``host``."""
    name = host.lower().strip("[]")
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Denied(Exception):  # noqa: N818 - an answer, not a failure
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI app around ``app``: checks, limits, headers, and a log line for every refusal."""

    app: App
    hosts: AllowedHosts
    token: str = field(repr=False)
    limits: Limits
    uploads: frozenset[str]
    """Paths that take an image."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = self._with_headers(scope, send)
        try:
            self._check(scope)
            body = await self._body(scope, receive)
        except _Denied as refusal:
            await _answer(answer, refusal)
            return
        await self.app(scope, _replayed(body, receive), answer)

    def _check(self, scope: Message) -> None:
        headers = _single(scope["headers"])
        if not self.hosts.allow(headers.get(b"host", "")):
            raise _Denied(
                403,
                f"the host {headers.get(b'host', '')!r:.100} isn't this server's name; use localhost, or "
                "start captrawl serve with --allow-host NAME",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition("://")[2].lower() != headers[b"host"].lower():
            raise _Denied(403, f"requests from the origin {origin!r:.100} aren't answered")
        site = headers.get(b"sec-fetch-site", "none")
        page = scope["path"] == "/" and headers.get(b"sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not page:
            raise _Denied(403, "requests from other sites aren't answered")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            token = headers.get(TOKEN_HEADER.encode(), "")
            if not hmac.compare_digest(token.encode(), self.token.encode()):
                raise _Denied(403, f"this needs the page's own token in the header {TOKEN_HEADER}")

    async def _body(self, scope: Message, receive: Receive) -> bytes:
        """The whole body; refused where it is too large or too slow."""
        most = self.limits.upload if scope["path"] in self.uploads else self.limits.body
        length = _single(scope["headers"]).get(b"content-length", "0")
        if length.isdecimal() and int(length) > most:
            raise _Denied(413, f"the body has {length} bytes, this takes {most} at most")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise _Denied(413, f"the body has more than {most} bytes, which this takes at most")
                    parts.append(part)
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError as error:
            raise _Denied(408, f"the body took longer than {self.limits.body_seconds:g} seconds") from error

    def _with_headers(self, scope: Message, send: Send) -> Send:
        """``send`` with our headers on every answer; refusals are logged."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in LOGGED:
                    _log(scope, message["status"])
                names = {name for name, _ in message["headers"]}
                policy = POLICY.format(remote=REMOTE if _wants_remote(scope) else "")
                ours = [*HEADERS, (b"content-security-policy", policy.encode())]
                if scope["path"].startswith("/api/"):
                    ours.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *(pair for pair in ours if pair[0] not in names)]
            await send(message)

        return answer


def _log(scope: Message, status: int) -> None:
    """One line a refusal; %r keeps a hostile path from writing lines of its own."""
    client = (scope.get("client") or ("?",))[0]
    logger.warning("refused %s %r from %s: %d", scope["method"], scope["path"][:200], client, status)


def _wants_remote(scope: Message) -> bool:
    return scope["path"] == "/" and parse_qs(scope["query_string"]).get(b"remote") == [b"1"]


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The headers by name; one that is repeated is joined by commas, so that it equals nothing of ours."""
    values: dict[bytes, str] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        values[name] = f"{values[name]},{text}" if name in values else text
    return values


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A receive that gives ``body``, then waits for the client to go."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


async def _answer(send: Send, refusal: _Denied) -> None:
    body = json.dumps({"error": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
