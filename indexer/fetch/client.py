"""The HTTP client of all fetches: the only place that opens a connection, and every one is guarded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...core.version import __version__
from ...workspace.parts import StagePart
from .addresses import GuardedResolver, Resolver, guarded_sockets
from .blocklist import Blocklist
from .consent import Signal
from .errors import FetchError, reason_of
from .host_queue import PER_HOST

if TYPE_CHECKING:
    from types import SimpleNamespace

    import aiohttp

_KEEP_ALIVE = 2.0
_DNS_SECONDS = 300
_LONGEST_LINE = 65_536
_MOST_HEADERS = 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """What a fetch keeps to: seconds, bytes, pixels."""

    deadline: float = 30.0
    max_bytes: int = 20_000_000
    min_side: int = 85
    allow_private: bool = False
    blocklist: Blocklist = field(default_factory=Blocklist)
    agent: str = f"captrawl/{__version__}"
    vouched: str = ""
    """Who answers for consent in the hosts' place, as the ledger notes it; then no header is looked at."""
    honoured: frozenset[Signal] = frozenset(Signal)
    """The ways of saying no that are listened to."""
    part: StagePart | None = None
    """Whose hosts alone may be asked; None: all."""


@dataclass(slots=True)
class ConnectionUse:
    """What a request goes out on."""

    reused: bool = False
    """The connection had served before."""


def agent_name(contact: str) -> str:
    """The User-Agent: what we are and, where the settings say it, whom to write to."""
    text = "".join(c if " " <= c <= "~" else "?" for c in contact.strip())
    return f"captrawl/{__version__} (+{text})" if text else f"captrawl/{__version__}"


def open_client(
    rules: Rules, resolver: Resolver | None = None
) -> tuple[aiohttp.ClientSession, GuardedResolver]:
    """A session whose every connection is guarded, and its resolver; close both. Needs a running loop."""
    import aiohttp
    from aiohttp.resolver import DefaultResolver

    guarded = GuardedResolver(resolver or DefaultResolver(), allow_private=rules.allow_private)
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=PER_HOST,
        resolver=guarded,  # pyright: ignore[reportArgumentType] it asks for no more than our protocol
        ttl_dns_cache=_DNS_SECONDS,
        keepalive_timeout=_KEEP_ALIVE,
        socket_factory=guarded_sockets(allow_private=rules.allow_private),
    )
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    session = aiohttp.ClientSession(
        connector=connector,
        trace_configs=[tracing],
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # ours holds for the whole chain of redirects
        trust_env=False,  # a proxy would dial for us, unguarded
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
        max_headers=_MOST_HEADERS,
        auto_decompress=False,  # unpacked under the size cap instead
        headers={"User-Agent": rules.agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
    )
    return session, guarded


async def _note_reuse(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.reused = True


def asking_once(connection: ConnectionUse) -> aiohttp.ClientMiddlewareType:
    """Asks again where a kept connection breaks before the answer, and only there.

    The server may have closed that meanwhile, and the next kept one too; on a new connection aiohttp's own
    second try would ask a server that hangs up twice as often as `retries` says.
    """
    import aiohttp

    async def once(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        kept = PER_HOST
        while True:
            connection.reused = False
            try:
                return await handler(request)
            except (aiohttp.ClientConnectionError, OSError) as error:
                if not connection.reused or not kept:
                    raise FetchError(reason_of(error)) from error
                kept -= 1

    return once
