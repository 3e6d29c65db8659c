"""URLs → bytes, with deadlines, limits and consent (aiohttp).

A row passes, in order: blocklist, scheme and port, what its site says as a whole, the address dialled, the
status, the opt-out headers (before the body is read), the size caps, the picture's own header, the hash
lists, what the picture says of itself. Only then do its bytes touch the disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.retry_after import retry_after
from ..outcomes import Body, FetchJob, FetchResult, Reason, http_reason, is_silence
from ..pack.sniff import sniff
from ..pack.spool import Spool
from .body import MemoryBudget, MemoryShare, read_body
from .client import ConnectionUse, Rules, asking_once
from .consent import REFUSALS, judge
from .errors import HOSTILE, FetchError, reason_of
from .host_queue import HostQueue
from .picture_consent import judge_picture
from .sites import Sites
from .urls import Link, LinkError, domain_of, parse_link

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAUSING = frozenset({429, 503})
_LONGEST_TURN = 60.0
"""Seconds that a request waits for its turn under a slot; longer, and its URL is queued again."""
_LONGEST_COOKIES = 16_384


@dataclass(slots=True)
class _Visit:
    """How far one URL got: filled hop by hop, so that a failure knows it too."""

    job: FetchJob
    host: str | None  # whose slot is held
    clock: asyncio.Timeout
    status: int | None = None
    final_url: str = ""
    consent: str = ""
    cookies: aiohttp.CookieJar | None = None
    """What this URL's redirects set, made when the first does, and dropped with the visit."""

    def cookie_header(self, url: URL) -> str:
        """The Cookie line for ``url``; "" for none, or more than a browser would send."""
        if self.cookies is None:
            return ""
        line = "; ".join(f"{name}={one.value}" for name, one in self.cookies.filter_cookies(url).items())
        return line if len(line) <= _LONGEST_COOKIES else ""

    def keep_cookies(self, response: aiohttp.ClientResponse) -> None:
        """Note what a redirect sets."""
        import aiohttp

        if response.cookies:
            self.cookies = self.cookies or aiohttp.CookieJar(unsafe=True)  # a host may be an address
            self.cookies.update_cookies(response.cookies, response.url)

    def credit(self, seconds: float) -> None:
        """Move the deadline by time that the server isn't to blame for."""
        when = self.clock.when()
        if seconds > 0.001 and when is not None:
            self.clock.reschedule(when + seconds)


class Fetcher:
    """Asks URLs, each once; what to ask, when, and again, is the caller's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hosts: HostQueue,
        spool: Spool,
        rules: Rules,
        *,
        sites: Sites | None = None,
    ) -> None:
        self._session = session
        self._sites = sites
        self._hosts = hosts
        self._spool = spool
        self._rules = rules
        self._budget = MemoryBudget()

    async def fetch(self, job: FetchJob, host: str) -> FetchResult:
        """What came of ``job`` under a slot of ``host``, which is given back.

        DownloadError where this machine can't go on: a full disk, no descriptors.
        """
        import aiohttp

        clock = asyncio.timeout(self._rules.deadline)
        visit = _Visit(job, host, clock)
        body, reason, wait = None, "", 0.0
        try:
            async with clock:
                body, reason = await self._visit(visit)
        except FetchError as error:
            reason, wait = error.reason, error.wait
        except LinkError as error:
            reason = error.reason
        except TimeoutError:
            reason = Reason.TIMEOUT
        except HOSTILE as error:
            reason = reason_of(error)
        except aiohttp.ClientError as error:
            reason = reason_of(error)
        finally:
            if visit.host is not None:
                self._note(visit.host, job, reason)
                self._hosts.leave(visit.host)
        return FetchResult(job.id, reason, visit.status, visit.final_url, wait, visit.consent, body)

    def _note(self, host: str, job: FetchJob, reason: str) -> None:
        """Count an answer or a silence of ``host``; a URL asked again says nothing new by its silence."""
        silent = bool(reason) and is_silence(reason)
        if not (silent and job.attempts):
            self._hosts.note(host, answered=not silent)

    async def _visit(self, visit: _Visit) -> tuple[Body, str]:
        from yarl import URL

        link = parse_link(visit.job.url)
        if self._rules.blocklist.blocks_url(visit.job.url):
            raise FetchError(Reason.BLOCKED_URL)
        seen: set[tuple[str, str]] = set()
        while True:
            blocked = self._rules.blocklist.blocks_link(link.url, link.host)
            if blocked:
                raise FetchError(blocked)
            step = (link.url, visit.cookie_header(URL(link.url, encoded=True)))
            if step in seen or len(seen) > MAX_REDIRECTS:
                raise FetchError(Reason.REDIRECTS)
            seen.add(step)
            await self._ask_site(visit, link)
            await self._wait_turn(visit, link)
            outcome = await self._hop(visit, link)
            if not isinstance(outcome, Link):
                return outcome
            link = outcome
            if link.host != visit.host:
                part = self._rules.part
                if part is not None and not part.has(domain_of(link.host)):
                    raise FetchError(Reason.OTHER_PART)
                await self._move(visit, link.host)

    async def _ask_site(self, visit: _Visit, link: Link) -> None:
        """Raise FetchError where the site as a whole says no; its answer's time is no part of the visit's."""
        if self._sites is None:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        left = (visit.clock.when() or started) - started
        visit.clock.reschedule(None)  # the request has a deadline of its own
        try:
            verdict = await self._sites.judge(link)
        except FetchError as error:
            if error.wait:
                self._hosts.pause(link.host, error.wait)
            raise
        visit.clock.reschedule(loop.time() + left)
        if verdict.signal is not None:
            visit.consent, visit.final_url = verdict.evidence, link.url
            raise FetchError(REFUSALS[verdict.signal])

    async def _wait_turn(self, visit: _Visit, link: Link) -> None:
        """Wait until the host's pace allows a request; the time is no part of the visit's."""
        if self._sites is not None:
            self._hosts.slow_to(link.host, self._sites.interval(link))
        while (seconds := self._hosts.reserve(link.host)) > 0:
            if seconds > _LONGEST_TURN:
                self._hosts.pause(link.host, seconds)
                raise FetchError(Reason.TIMEOUT, wait=seconds)
            visit.credit(seconds)
            await asyncio.sleep(seconds)

    async def _move(self, visit: _Visit, host: str) -> None:
        """Give back the slot held, of a host that answered, and wait for one of ``host``, uncounted."""
        if visit.host is not None:
            self._hosts.note(visit.host, answered=True)
            self._hosts.leave(visit.host)
        visit.host = None
        if self._hosts.is_silent(host):
            raise FetchError(Reason.SILENT_HOST)
        pause = self._hosts.pause_left(host)
        if pause > 0:
            raise FetchError(Reason.TIMEOUT, wait=pause)
        loop = asyncio.get_running_loop()
        seconds = (visit.clock.when() or 0.0) - loop.time()
        visit.clock.reschedule(None)
        await self._hosts.enter(host)
        visit.host = host
        visit.clock.reschedule(loop.time() + seconds)

    async def _hop(self, visit: _Visit, link: Link) -> Link | tuple[Body, str]:
        """One request: where it redirects to, or the body and the reason why it is no use after all."""
        from yarl import URL

        url, last = URL(link.url, encoded=True), not self._hosts.wanted(link.host)
        headers = {"Connection": "close"} if last else {}
        connection = ConnectionUse()
        cookies = visit.cookie_header(url)
        if cookies:
            headers["Cookie"] = cookies
        async with self._session.get(
            url,
            allow_redirects=False,
            headers=headers,
            middlewares=(asking_once(connection),),
            trace_request_ctx=connection,
        ) as response:
            if last and response.connection is not None and response.connection.protocol is not None:
                response.connection.protocol.force_close()  # idle connections would eat up the descriptors
            visit.status, visit.final_url = response.status, link.url
            try:
                self._judge(visit, link, response)
                if response.status in _REDIRECTS:
                    visit.keep_cookies(response)
                    return parse_link(response.headers["Location"], base=link.url)
                share = MemoryShare(self._budget)
                try:
                    limit = self._rules.max_bytes
                    data = await read_body(response, share, limit=limit, credit=visit.credit)
                    return await self._accept(visit, data)
                finally:
                    share.close()
            finally:
                if not response.content.is_eof():
                    response.close()  # else what is left of the body would be read

    def _judge(self, visit: _Visit, link: Link, response: aiohttp.ClientResponse) -> None:
        """Raise FetchError where the status or an opt-out header says no."""
        status, headers = response.status, response.headers
        moved = status in _REDIRECTS and "Location" in headers
        if status != 200 and not moved:
            wait = (retry_after(headers) or 0.0) if status in _PAUSING else 0.0
            if wait:
                self._hosts.pause(link.host, wait)
            elif status in _PAUSING:
                self._hosts.slow_down(link.host)
            raise FetchError(http_reason(status), wait=wait)
        self._hosts.speed_up(link.host)
        if self._rules.vouched:
            visit.consent = self._rules.vouched
            return
        verdict = judge(headers.items(), honoured=self._rules.honoured)
        visit.consent = verdict.evidence or "silent"
        if verdict.signal is not None:
            raise FetchError(REFUSALS[verdict.signal])

    async def _accept(self, visit: _Visit, data: bytes) -> tuple[Body, str]:
        """Hash ``data``, read its header and spool it; a reason where it isn't spooled."""
        header = sniff(data, min_side=self._rules.min_side)
        body = await asyncio.to_thread(Body.of, data, header.width, header.height)
        if self._rules.blocklist.blocks_bytes(body.sha256, body.sha1, body.md5):
            return body, Reason.BLOCKED_HASH
        verdict = await asyncio.to_thread(judge_picture, data, honoured=self._rules.honoured)
        if verdict.signal is not None:
            visit.consent = verdict.evidence
            return body, REFUSALS[verdict.signal]
        if header.reason is None:
            await asyncio.to_thread(self._spool.write, body.sha256, data)
        return body, header.reason or ""
