"""Spooled images → jobs → packed folders, several at once, beside a fetch or alone."""

from __future__ import annotations

import concurrent.futures
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ...core.errors import DownloadError
from ...core.records import Progress, silent
from ..ledger import Ledger
from .folders import Shards
from .pool import A_SHARD, PackPool, Shard, WorkerDeathError, dropped
from .spool import Spool

logger = logging.getLogger(__name__)

_SHARD_BYTES = 1_000_000_000
_DEATHS = 20  # without one image packed: then no image is to blame


def _nobody_waits() -> None:
    """Do nothing: nobody waits for a job to end."""


class PackQueue:
    """What waits to be packed and what is being packed. Only its owner's thread touches the ledger.

    ``wake`` is called from another thread when a job ends; :meth:`pump` then does the rest.
    """

    def __init__(self, ledger: Ledger, spool: Spool, shards: Shards, *, pool: PackPool, packers: int) -> None:
        self._ledger, self._spool, self._shards, self._pool = ledger, spool, shards, pool
        self._waiting = deque(ledger.spooled())
        self._waiting_bytes = sum(size for _, size in self._waiting)
        self._sizes = dict(self._waiting)
        self._jobs: deque[list[str]] = deque()
        self._running: dict[Future[Shard], list[str]] = {}
        self._packers = packers
        self._next = max(shards.numbers(), default=-1) + 1
        self._threads = ThreadPoolExecutor(packers, "pack")
        self.wake: Callable[[], object] = _nobody_waits
        self.bytes = self._waiting_bytes
        """Bytes in the spool."""
        self.packed = 0
        """Images packed so far."""
        self._deaths = 0

    @property
    def images(self) -> int:
        """Images in the spool."""
        return len(self._sizes)

    def add(self, sha256: str, size: int) -> None:
        """Let a newly spooled image wait; one that is there already does so once."""
        if sha256 not in self._sizes:
            self._sizes[sha256] = size
            self._waiting.append((sha256, size))
            self._waiting_bytes += size
            self.bytes += size

    def pump(self, *, rest: bool) -> bool:
        """Note the jobs that ended and start new ones; with ``rest`` also one that fills no folder.

        True while jobs run or wait. DownloadError where packing can't go on.
        """
        for future in [future for future in self._running if future.done()]:
            self._ended(self._running.pop(future), future)
        while self._waiting and (rest or self._full()):
            self._jobs.append(self._cut())
        while self._jobs and len(self._running) < self._packers:
            job = self._jobs.popleft()
            future = self._threads.submit(self._pool.pack, self._next, job)
            self._next += 1
            self._running[future] = job
            future.add_done_callback(lambda _: self.wake())
        return bool(self._running)

    def finish(self, progress: Progress = silent) -> None:
        """Pack everything that waits, and return when it is done."""
        while self.pump(rest=True):
            progress("pack", self.packed, self.packed + self.images)
            concurrent.futures.wait(self._running, return_when=concurrent.futures.FIRST_COMPLETED)

    def close(self) -> None:
        """Stop the workers, whatever they do."""
        self._pool.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._pool.close()

    def _full(self) -> bool:
        return len(self._waiting) >= A_SHARD or self._waiting_bytes >= _SHARD_BYTES

    def _cut(self) -> list[str]:
        """The next job: a folder's worth of what waits."""
        job: list[str] = []
        size = 0
        while self._waiting and len(job) < A_SHARD and size < _SHARD_BYTES:
            sha256, one = self._waiting.popleft()
            job.append(sha256)
            size += one
        self._waiting_bytes -= size
        return job

    def _ended(self, job: list[str], future: Future[Shard]) -> None:
        try:
            self._commit(future.result())
        except WorkerDeathError as death:
            logger.warning(
                "a packing worker died on %d images, at %s", len(job), death.suspect or "none of them"
            )
            self._divide(job, death.suspect)

    def _divide(self, job: list[str], suspect: str) -> None:
        """After a death: the suspect alone and the rest again, or halves; an image alone is dropped."""
        self._deaths += 1
        if (len(job) == 1 and not suspect) or (self._deaths > _DEATHS and not self.packed):
            raise DownloadError(
                f"packing workers died {self._deaths} times and packed {self.packed} images; nothing fetched "
                "is lost: check that Pillow and opencv work on this machine, and run captrawl download again"
            )
        if job == [suspect]:
            self._commit(dropped(suspect))
        elif suspect in job:
            self._jobs.extend([[suspect], [sha256 for sha256 in job if sha256 != suspect]])
        else:
            self._jobs.extend([job[: len(job) // 2], job[len(job) // 2 :]])

    def _commit(self, shard: Shard) -> None:
        self._shards.commit(shard, self._ledger, self._spool)
        for sha256 in [*(file.sha256 for file in shard.files), *shard.lost]:
            self.bytes -= self._sizes.pop(sha256, 0)
        self.packed += sum(1 for file in shard.files if file.path)
