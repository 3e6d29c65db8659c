"""What a whole site says before any of its pictures is asked for: robots.txt and tdmrep.json, once a day.

RFC 9309: a file that isn't there (4xx, more than five redirects) allows everything; one that can't be reached
(5xx, 429, no answer) forbids everything, and is asked again with the URL. What came, and when, stays in the
ledger as evidence.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from ...core.retry_after import retry_after
from ..outcomes import Reason, SiteRecord
from .client import ConnectionUse, Rules, asking_once
from .consent import ConsentVerdict, Signal
from .errors import HOSTILE, FetchError, reason_of
from .robots import LONGEST, RobotsRules, decode_robots, parse_robots
from .tdmrep import judge_tdmrep
from .urls import Link, LinkError, parse_link

if TYPE_CHECKING:
    import aiohttp

FRESH = 86_400.0
"""Seconds for which an answer counts; the RFC's longest."""
UNREACHABLE_FOR = 60.0
"""Seconds after which a site whose robots.txt couldn't be reached is asked again."""
MAX_REDIRECTS = 5
_IN_ROBOTS = frozenset({Signal.ROBOTS_TXT, Signal.CONTENT_USAGE, Signal.CONTENT_SIGNAL})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAUSING = frozenset({429, 503})
_SITES_AT_ONCE = 4096


class SiteStore(Protocol):
    """Keeps records; the ledger."""

    def site(self, site: str) -> SiteRecord | None:
        """The record of ``site``, None where there is none."""
        ...

    def note_site(self, record: SiteRecord) -> None:
        """Keep ``record`` in the place of the one before."""
        ...


class Sites:
    """The sites of one crawl; everything runs in its event loop."""

    def __init__(self, session: aiohttp.ClientSession, rules: Rules, store: SiteStore) -> None:
        self._session, self._rules, self._store = session, rules, store
        self._sites: OrderedDict[str, tuple[SiteRecord, RobotsRules]] = OrderedDict()
        self._requests: dict[str, asyncio.Task[SiteRecord]] = {}
        self._waits: dict[str, float] = {}
        """Site → seconds for which it asked to be left alone, in the place of robots.txt."""

    async def judge(self, link: Link) -> ConsentVerdict:
        """What the site of ``link`` says of it; FetchError where it can't be asked now."""
        honoured = self._rules.honoured
        if not honoured & (_IN_ROBOTS | {Signal.TDM_RESERVATION}):
            return ConsentVerdict(True, None, "")
        site, path = _parts(link.url)
        record, robots = self._sites.get(site) or await self._learn(site)
        if _is_old(record):
            record, robots = await self._learn(site)
        if record.unreachable and Signal.ROBOTS_TXT in honoured:
            raise FetchError(Reason.ROBOTS_UNREACHABLE, wait=self._waits.pop(site, 0.0))
        verdict = robots.judge(path, honoured=honoured)
        if verdict.allowed and Signal.TDM_RESERVATION in honoured:
            return judge_tdmrep(record.tdmrep, path)
        return verdict

    def interval(self, link: Link) -> float:
        """Seconds between two requests that the site of ``link``, judged just now, asks for."""
        if Signal.ROBOTS_TXT not in self._rules.honoured:
            return 0.0
        _, robots = self._sites.get(_parts(link.url)[0], (None, RobotsRules()))
        return robots.interval

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._requests.values():
            task.cancel()
        await asyncio.gather(*self._requests.values(), return_exceptions=True)

    async def _learn(self, site: str) -> tuple[SiteRecord, RobotsRules]:
        """The record of ``site``: kept, or asked for now, once for all that wait for it."""
        record = self._store.site(site)
        if record is None or _is_old(record):
            task = self._requests.get(site)
            if task is None:
                task = self._requests[site] = asyncio.create_task(self._request(site))
                task.add_done_callback(lambda done: self._ended(site, done))
            record = await asyncio.shield(task)
        self._sites[site] = (record, parse_robots(record.robots))
        self._sites.move_to_end(site)
        if len(self._sites) > _SITES_AT_ONCE:
            self._sites.popitem(last=False)
        return self._sites[site]

    def _ended(self, site: str, task: asyncio.Task[SiteRecord]) -> None:
        self._requests.pop(site, None)
        if not task.cancelled():
            task.exception()  # those who waited for it may have gone meanwhile

    async def _request(self, site: str) -> SiteRecord:
        import aiohttp

        try:
            async with asyncio.timeout(self._rules.deadline):
                status, robots, tdmrep = 404, b"", b""
                if self._rules.honoured & _IN_ROBOTS:
                    status, robots = await self._get(f"{site}/robots.txt", asking_for=site)
                if Signal.TDM_RESERVATION in self._rules.honoured:
                    answer, tdmrep = await self._get(f"{site}/.well-known/tdmrep.json")
                    tdmrep = tdmrep if answer == 200 else b""
        except TimeoutError as error:
            raise FetchError(Reason.TIMEOUT) from error
        except (aiohttp.ClientError, *HOSTILE) as error:
            raise FetchError(reason_of(error)) from error
        text = decode_robots(robots) if 200 <= status < 300 else ""
        record = SiteRecord(site, time.time(), status, text, tdmrep.decode("utf-8-sig", "replace"))
        self._store.note_site(record)
        return record

    async def _get(self, url: str, *, asking_for: str = "") -> tuple[int, bytes]:
        """(status, at most LONGEST bytes and one) of ``url``, redirects followed; (0, none) beyond five.

        The same where one leads nowhere that may be asked: there is no such file then.
        """
        from yarl import URL

        link = parse_link(url)
        for _ in range(MAX_REDIRECTS + 1):
            if self._rules.blocklist.blocks_host(link.host):
                break
            connection = ConnectionUse()
            async with self._session.get(
                URL(link.url, encoded=True),
                allow_redirects=False,
                middlewares=(asking_once(connection),),
                trace_request_ctx=connection,
            ) as response:
                try:
                    if asking_for and response.status in _PAUSING:
                        self._waits[asking_for] = retry_after(response.headers) or 0.0
                    if response.status not in _REDIRECTS or "Location" not in response.headers:
                        whole = 200 <= response.status < 300
                        return response.status, await _start(response) if whole else b""
                    link = parse_link(response.headers["Location"], base=link.url)
                except LinkError:
                    break
                finally:
                    if not response.content.is_eof():
                        response.close()
        return 0, b""


async def _start(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST:
            break
    if response.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}:
        try:
            return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(bytes(body), LONGEST + 1)
        except zlib.error as error:
            raise FetchError(Reason.ENCODING) from error
    return bytes(body[: LONGEST + 1])


def _is_old(record: SiteRecord) -> bool:
    age = time.time() - record.time
    return not 0 <= age < (UNREACHABLE_FOR if record.unreachable else FRESH)


def site_of(url: str) -> str:
    """The site that ``url`` is asked of, "" where it can't be asked."""
    try:
        return _parts(parse_link(url).url)[0]
    except LinkError:
        return ""


def _parts(url: str) -> tuple[str, str]:
    """The site and the path with its query of a Link's URL."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash + path
