"""The loop that fetches and packs at once: what is asked when, what is noted, what is packed.

Everything here runs in one event loop and one thread, and it alone writes the ledger; connections wait in
the loop, hashing and spooling in threads, decoding in worker processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.errors import DownloadError
from ...core.records import Progress
from ..fetch.fetcher import Fetcher
from ..fetch.host_queue import HostQueue
from ..fetch.urls import host_of
from ..outcomes import FetchJob, FetchResult, Reason, SettledCounts
from ..pack.queue import PackQueue
from ..pack.spool import Spool

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 600.0
"""Seconds a run waits for a host that asked to be left alone; beyond, its rows are left to a later run."""

_WINDOW = 20_000  # URLs leased at once, so that many hosts get their turn
_FLUSH_SECONDS = 0.25
_FLUSH_RESULTS = 256
_SPOOL_BYTES = 4_000_000_000
_TICK = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests at once, how often again, and after how many seconds."""

    in_flight: int
    retries: int
    retry_after: float


class UrlQueue(Protocol):
    """What a crawl asks and notes: the ledger, or a source's part of it."""

    def queued(self) -> int:
        """How many URLs wait, at most."""
        ...

    def next_due(self) -> float | None:
        """When the next one may be asked, in seconds since 1970."""
        ...

    def lease(self, limit: int) -> list[FetchJob]:
        """The next URLs, marked as leased."""
        ...

    def release(self, ids: Sequence[int] | None = None, *, next_try: float = 0.0) -> None:
        """Put leased URLs back."""
        ...

    def settle(self, results: Sequence[FetchResult], *, retries: int, retry_after: float) -> SettledCounts:
        """Note what came."""
        ...


class Crawl:
    """Runs over a ledger, one after another; what hosts asked for holds in all of them."""

    def __init__(
        self, urls: UrlQueue, spool: Spool, queue: PackQueue, *, pace: Pace, progress: Progress
    ) -> None:
        self._urls, self._spool, self._queue = urls, spool, queue
        self._pace, self._progress = pace, progress
        self.hosts = HostQueue()
        self._stir = asyncio.Event()
        self._tasks: set[asyncio.Task[FetchResult]] = set()
        self._results: list[FetchResult] = []
        self._flushed = 0.0
        self._total = self._done = 0

    async def run(self, fetcher: Fetcher) -> None:
        """Fetch and pack until nothing is left that may be asked now; DownloadError where it can't go on."""
        loop = asyncio.get_running_loop()
        self._stir = asyncio.Event()  # of this loop
        self._queue.wake = lambda: loop.call_soon_threadsafe(self._stir.set)
        self._total = self._done + self._urls.queued()
        try:
            while await self._round(fetcher):
                pass
        finally:
            await self._stop()

    async def _round(self, fetcher: Fetcher) -> bool:
        """Note what happened, start what can be started, wait for the next thing; False when all is done."""
        self._stir.clear()
        self._collect()
        self._lease()
        self._start(fetcher)
        self._flush(force=not self._tasks)
        if not self._tasks and self._seconds_to_due() is None:
            self._probe(fetcher)
        due = self._seconds_to_due()
        waits = bool(self._tasks) or self.hosts.size > 0 or due is not None
        packing = self._queue.pump(rest=not waits)
        self._report()
        if not (waits or packing):
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stir.wait(), self._patience(due))
        return True

    def _seconds_to_due(self) -> float | None:
        """Seconds until a queued URL may be asked; None where none may be in this run."""
        due = self._urls.next_due()
        seconds = LONGEST_PAUSE + 1 if due is None else due - time.time()
        return seconds if seconds <= LONGEST_PAUSE else None

    def _collect(self) -> None:
        """Take in the results of the fetches that ended; raises what they raise."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            self._results.append(task.result())

    def _lease(self) -> None:
        """Keep enough URLs waiting, unless the spool is full."""
        for seconds, jobs in self.hosts.drain(LONGEST_PAUSE):
            self._urls.release([job.id for job in jobs], next_try=time.time() + seconds)
        size = self.hosts.size - self.hosts.silent_size
        if size > _WINDOW // 2 or self._queue.bytes > _SPOOL_BYTES:
            return
        due = self._seconds_to_due()
        if due is not None and due <= 0:
            for job in self._urls.lease(_WINDOW - size):
                self.hosts.add(host_of(job.url), job)

    def _start(self, fetcher: Fetcher) -> None:
        while len(self._tasks) < self._pace.in_flight and (ready := self.hosts.take()):
            self._tasks.add(asyncio.create_task(self._fetch(fetcher, *ready)))

    def _probe(self, fetcher: Fetcher) -> None:
        """When only silent hosts are left: ask each once more, and give up those that fail again for good."""
        if self.hosts.size > self.hosts.silent_size:
            return
        self._flush(force=True)
        given_up = [FetchResult(job.id, Reason.SILENT_HOST) for job in self.hosts.give_up()]
        self._urls.settle(given_up, retries=0, retry_after=0.0)
        self._done += len(given_up)
        while len(self._tasks) < self._pace.in_flight and (ready := self.hosts.take_probe()):
            self._tasks.add(asyncio.create_task(self._fetch(fetcher, *ready)))

    async def _fetch(self, fetcher: Fetcher, host: str, job: FetchJob) -> FetchResult:
        try:
            return await fetcher.fetch(job, host)
        finally:
            asyncio.get_running_loop().call_soon(self._stir.set)  # once the task is done

    def _flush(self, *, force: bool) -> None:
        """Note the results that came, from time to time."""
        late = time.monotonic() - self._flushed > _FLUSH_SECONDS
        if not self._results or not (force or late or len(self._results) >= _FLUSH_RESULTS):
            return
        results, self._results = self._results, []
        pace = self._pace
        settled = self._urls.settle(results, retries=pace.retries, retry_after=pace.retry_after)
        self._spool.discard(settled.needless)
        for sha256, size in settled.spooled:
            self._queue.add(sha256, size)
        self._done += len(results) - settled.again
        self._flushed = time.monotonic()

    def _patience(self, due: float | None) -> float:
        """Seconds until something may be started without anything happening."""
        moments = [_TICK, _FLUSH_SECONDS if self._results else _TICK]
        moments += [
            seconds for seconds in (self.hosts.next_wake(), due) if seconds is not None and seconds > 0
        ]
        return max(0.005, min(moments))

    def _report(self) -> None:
        self._progress("fetch", self._done, self._total)
        self._progress("pack", self._queue.packed, self._queue.packed + self._queue.images)

    async def _stop(self) -> None:
        """Cancel what is under way, note the results that came, and put the rest back into the queue."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, FetchResult):
                self._results.append(outcome)
        self._tasks.clear()
        self._queue.wake = lambda: None
        self._flush(force=True)
        self._urls.release()


def in_flight_limit(requests: int, soft_limit: int) -> int:
    """How many requests may be in flight under that limit of open files; DownloadError where none may."""
    room = (soft_limit - 64) // 2  # a connection that closes overlaps with the next one
    if room < 8:
        raise DownloadError(f"the open-file limit is {soft_limit}, too low to download; try ulimit -n 1024")
    if room < requests:
        logger.warning(
            "the open-file limit of %d allows %d requests at once, not %d", soft_limit, room, requests
        )
    return min(requests, room)
