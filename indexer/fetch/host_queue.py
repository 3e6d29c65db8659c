"""Which host may be asked now: two requests a host, the pace that hosts ask for, hosts that don't answer.

A host's pace is the interval between two requests that its robots.txt names; one that says 429 or 503 without
saying for how long is asked half as fast, and faster again with every answer.

A host that gave no HTTP answer to SILENT_AFTER requests in a row is silent: what waits for it stays until
the caller asks for a probe, and an answer ends the silence. Everything runs in one event loop. Items come
out in the order they went in, as far as their hosts are free.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque

from ..outcomes import FetchJob

PER_HOST = 2
SILENT_AFTER = 5
FIRST_INTERVAL, LONGEST_INTERVAL = 1.0, 4.0
"""Seconds between two requests to a host that has too many: at first, and at most."""


class HostQueue:
    """The waiting URLs by host, and the slots of every host."""

    def __init__(self, *, per_host: int = PER_HOST) -> None:
        self._per_host = per_host
        self._waiting: dict[str, deque[tuple[int, FetchJob]]] = {}
        self._active: dict[str, int] = {}
        self._hops: dict[str, deque[asyncio.Future[None]]] = {}
        self._paused: dict[str, float] = {}
        self._intervals: dict[str, float] = {}  # interval that the host names
        self._slowed: dict[str, float] = {}  # interval that its answers gave it
        self._next: dict[str, float] = {}  # when the next request may start (monotonic), of hosts with a pace
        self._ready: list[tuple[int, str]] = []  # heap: the place of a host's first item, host
        self._in_heap: set[str] = set()
        self._sleeping: list[tuple[float, str]] = []  # heap: until when (monotonic), host
        self._unanswered: dict[str, int] = {}  # requests in a row
        self._silent: set[str] = set()
        self._probed: set[str] = set()
        self._added = 0
        self.size = 0
        """How many items wait."""

    def add(self, host: str, job: FetchJob) -> None:
        """Let ``job`` wait for a slot of ``host``."""
        self._waiting.setdefault(host, deque()).append((self._added, job))
        self._added += 1
        self.size += 1
        self._list(host)

    def take(self) -> tuple[str, FetchJob] | None:
        """The first waiting item whose host has a free slot, which it now holds; None where there is none."""
        now = time.monotonic()
        while self._sleeping and self._sleeping[0][0] <= now:
            _, host = heapq.heappop(self._sleeping)
            self._list(host)
        while self._ready:
            _, host = heapq.heappop(self._ready)
            self._in_heap.discard(host)
            if host not in self._waiting or not self._free(host) or self.pause_left(host) > 0:
                continue  # listed again when a slot comes free or the pause ends
            if not self.is_silent(host):  # else listed again when it answers
                return host, self._first(host)
        return None

    def take_probe(self) -> tuple[str, FetchJob] | None:
        """An item of a silent host that has no probe yet, the one asked most often; its slot is held.

        An item that has no attempt left ends with its probe, and nobody waits for its retry.
        """
        hosts = (host for host in self._waiting if host in self._silent and host not in self._probed)
        host = next((host for host in hosts if self._free(host)), None)
        if host is None:
            return None
        self._probed.add(host)
        waiting = self._waiting[host]
        oldest = max(waiting, key=lambda entry: entry[1].attempts)
        waiting.remove(oldest)
        waiting.appendleft(oldest)
        return host, self._first(host)

    def give_up(self) -> list[FetchJob]:
        """Take out what waits for silent hosts whose probe failed; the next probe may be made."""
        ended = [host for host in self._probed if host not in self._active]
        self._probed.difference_update(ended)
        return [job for host in ended if host in self._waiting for job in self._drained(host)]

    def is_silent(self, host: str) -> bool:
        """Whether ``host`` left so many requests in a row unanswered that it isn't asked."""
        return host in self._silent

    @property
    def silent_size(self) -> int:
        """How many items wait for silent hosts."""
        return sum(len(self._waiting[host]) for host in self._silent if host in self._waiting)

    def note(self, host: str, *, answered: bool) -> None:
        """Count a request's end: an HTTP answer of whatever kind, or none."""
        if not answered:
            self._unanswered[host] = self._unanswered.get(host, 0) + 1
            if self._unanswered[host] >= SILENT_AFTER:
                self._silent.add(host)
        elif self._unanswered.pop(host, 0):
            self._silent.discard(host)
            self._probed.discard(host)
            self._list(host)

    async def enter(self, host: str) -> None:
        """Wait for a slot of ``host`` and hold it, for a redirect's next hop; pauses aren't waited for."""
        if self._free(host):
            self._active[host] = self._active.get(host, 0) + 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._hops.setdefault(host, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(host)  # the slot came with the cancellation
            raise

    def leave(self, host: str) -> None:
        """Give back a slot of ``host``: to a redirect that waits for it, else to the next item."""
        hops = self._hops.get(host)
        while hops:
            turn = hops.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._hops.pop(host, None)
        self._active[host] -= 1
        if not self._active[host]:
            del self._active[host]
        self._list(host)

    def wanted(self, host: str) -> bool:
        """Whether more waits for ``host``: its connection is worth keeping."""
        return host in self._waiting or host in self._hops

    def pause(self, host: str, seconds: float) -> None:
        """Start nothing more at ``host`` for so many seconds."""
        until = time.monotonic() + seconds
        if until > self._paused.get(host, 0.0):
            self._paused[host] = until
            heapq.heappush(self._sleeping, (until, host))

    def slow_to(self, host: str, interval: float) -> None:
        """Keep the seconds between two requests that ``host`` asks for; it was asked for that just now."""
        if interval > 0 and self._intervals.get(host) != interval:
            self._intervals[host] = interval
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + interval)

    def slow_down(self, host: str) -> None:
        """Ask ``host`` half as fast."""
        interval = 2 * self._slowed.get(host, FIRST_INTERVAL / 2)
        self._slowed[host] = min(interval, LONGEST_INTERVAL)
        self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + self._slowed[host])
        self.pause(host, self._slowed[host])

    def speed_up(self, host: str) -> None:
        """Ask ``host``, which answered, twice as fast as it was slowed down to."""
        if host in self._slowed:
            self._slowed[host] /= 2
            if self._slowed[host] < FIRST_INTERVAL:
                del self._slowed[host]

    def reserve(self, host: str) -> float:
        """Seconds until a request to ``host`` may start; 0.0: it starts now, and counts."""
        interval = max(self._intervals.get(host, 0.0), self._slowed.get(host, 0.0))
        if interval <= 0:
            return 0.0
        seconds = self._next.get(host, 0.0) - time.monotonic()
        if seconds > 0:
            return seconds
        self._next[host] = time.monotonic() + interval
        self.pause(host, interval)
        return 0.0

    def pause_left(self, host: str) -> float:
        """Seconds for which ``host`` still wants to be left alone."""
        seconds = self._paused.get(host, 0.0) - time.monotonic()
        if seconds <= 0:
            self._paused.pop(host, None)
            return 0.0
        return seconds

    def drain(self, longer_than: float) -> list[tuple[float, list[FetchJob]]]:
        """Take out what waits for hosts that pause longer than so many seconds: (seconds left, items)."""
        pauses = [(host, until - time.monotonic()) for host, until in self._paused.items()]
        return [
            (seconds, self._drained(host))
            for host, seconds in pauses
            if seconds > longer_than and host in self._waiting
        ]

    def next_wake(self) -> float | None:
        """Seconds until the first pause ends; None where nobody pauses."""
        return self._sleeping[0][0] - time.monotonic() if self._sleeping else None

    def _first(self, host: str) -> FetchJob:
        """Take out the first item of ``host``, and a slot for it."""
        _, job = self._waiting[host].popleft()
        if not self._waiting[host]:
            del self._waiting[host]
        self.size -= 1
        self._active[host] = self._active.get(host, 0) + 1
        self._list(host)
        return job

    def _drained(self, host: str) -> list[FetchJob]:
        jobs = [job for _, job in self._waiting.pop(host)]
        self.size -= len(jobs)
        return jobs

    def _free(self, host: str) -> bool:
        return self._active.get(host, 0) < self._per_host

    def _list(self, host: str) -> None:
        if host in self._waiting and host not in self._in_heap and self._free(host):
            self._in_heap.add(host)
            heapq.heappush(self._ready, (self._waiting[host][0][0], host))
