"""Pictures in archives → the ledger and images/, before (or after) the web is asked.

The table of an archive is read once and kept in images/members/; only the pictures that a row waits for are
read. Archives are read by a few threads; this thread alone writes the ledger, in the archives' order, so
that the first archive that has a picture gives it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ...core.files import digest
from ...core.records import Progress, silent
from ...core.wording import counted
from ..outcomes import FetchResult, Reason
from ..pack.queue import PackQueue
from ..sources.blobs import ArchiveError
from ..sources.locations import Archive, archives_at, is_remote
from ..sources.pictures import Picture, PictureBytes, read_pictures
from ..sources.row_lookup import NOBODY, RowLookup
from ..sources.tables import MemberTables
from .enqueue import matched_rows
from .session import DownloadSession, spooled

logger = logging.getLogger(__name__)

_THREADS = 8
_AT_ONCE = 256
_SPOOL_BYTES = 4_000_000_000


@dataclass(frozen=True, slots=True)
class _Results:
    """What came of some pictures of an archive: bytes judged, and those whose bytes can't be had."""

    archive: Archive
    results: list[FetchResult]
    unreadable: list[tuple[int, str]]


def take_from_archives(
    session: DownloadSession, queue: PackQueue, tables: MemberTables, *, progress: Progress = silent
) -> None:
    """Take what ``[download] archives`` have of the URLs that have no image; no host of theirs is asked.

    Bytes that came settle a row, picture or not. A picture whose bytes can't be read (a link, a sparse or
    cut-off member) leaves its row to the next source, with ``bad_member`` for its reason meanwhile. The
    ledger notes that consent wasn't checked by us. InputError where the settings name no archive.
    """
    archives = archives_at(session.settings.archives, session.workspace.root, session.rules.agent)
    looked_at = _archives_digest(session, archives)
    if not archives or (not session.ledger.queued() and session.ledger.meta("archives") == looked_at):
        return
    columns = matched_rows(session.workspace.matches_path, ["url", "uid", "file", "row"])
    lookup = RowLookup.of(session.ledger.candidates(), columns)
    with _threads() as threads:
        reading = _Reading(session, lookup, tables, threads)
        for number, archive in enumerate(archives if len(lookup.urls.ids) else ()):
            for results in reading.read(archive, archives[number + 1 : number + _THREADS]):
                _settle(session, queue, results)
            progress("archives", number + 1, len(archives))
    nowhere = sorted(lookup.addressed - {lookup.file_of(archive) for archive in archives})
    if nowhere:
        logger.warning(
            "[download] archives: no path ends with %s%s, where matched pictures are; name the folder that "
            "was indexed, whose name is the corpus's",
            nowhere[0], f" (nor with {counted(len(nowhere) - 1, 'other')})" if nowhere[1:] else "",
        )  # fmt: skip
    if not reading.failures:
        session.ledger.note(archives=looked_at)


@contextlib.contextmanager
def _threads() -> Generator[ThreadPoolExecutor]:
    """The reading threads; Ctrl-C doesn't wait for what a slow server still has to say."""
    threads = ThreadPoolExecutor(_THREADS, "archives")
    wait = True
    try:
        yield threads
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        threads.shutdown(wait=wait, cancel_futures=True)


def _archives_digest(session: DownloadSession, archives: list[Archive]) -> str:
    """Another one when there are other archives, or other rows, to look at; servers aren't asked."""
    local = (archive.where for archive in archives if not is_remote(archive.where))
    stamps = [[status.st_size, status.st_mtime_ns] for status in map(os.stat, local)]
    return digest([[archive.where for archive in archives], stamps, session.ledger.meta("taken_in")])


class _Reading:
    """Archives read in order, the next few tables ahead."""

    def __init__(
        self,
        session: DownloadSession,
        lookup: RowLookup,
        tables: MemberTables,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._session, self._lookup, self._tables, self._threads = session, lookup, tables, threads
        self._planned: dict[Archive, Future[list[Picture]]] = {}
        self._done: set[int] = set()
        self.failures = 0
        """Archives that couldn't be read: another time they may be."""

    def read(self, archive: Archive, ahead: list[Archive]) -> Iterator[_Results]:
        """What comes of the pictures of ``archive``; one that can't be read is passed over with a warning."""
        for one in (archive, *ahead):
            if one not in self._planned:
                self._planned[one] = self._threads.submit(self._plan, one)
        try:
            pictures = self._planned.pop(archive).result()
        except ArchiveError as error:
            logger.warning("%s; it is passed over", error)
            self.failures += 1
            return
        pictures = [picture for picture in pictures if picture.id not in self._done]
        running: deque[Future[_Results]] = deque()
        at_once = max(1, len(pictures)) if archive.is_parquet else _AT_ONCE  # a row group is read once
        for start in range(0, len(pictures), at_once):
            running.append(self._threads.submit(self._take, archive, pictures[start : start + at_once]))
            if len(running) == _THREADS:
                yield self._finished(running.popleft())
        while running:
            yield self._finished(running.popleft())

    def _finished(self, future: Future[_Results]) -> _Results:
        results = future.result()
        self._done.update(result.id for result in results.results)
        return results

    def _plan(self, archive: Archive) -> list[Picture]:
        """The pictures of ``archive`` that a row waits for, one a row, in their order."""
        table = self._tables.of(archive)
        ids = self._lookup.of_table(table, archive)
        lines = np.flatnonzero(ids != NOBODY)
        columns = table.select(["key", "offset", "size", "original", "problem"]).take(lines).to_pylist()
        pictures: dict[int, Picture] = {}
        for id_, row in zip(ids[lines].tolist(), columns, strict=True):
            picture = Picture(
                id_, row["key"], row["offset"], row["size"], row["original"] or "", row["problem"]
            )
            if id_ not in pictures or pictures[id_].problem:
                pictures[id_] = picture
        return list(pictures.values())

    def _take(self, archive: Archive, pictures: list[Picture]) -> _Results:
        results: list[FetchResult] = []
        unreadable: list[tuple[int, str]] = []
        try:
            for came in read_pictures(archive, pictures, self._session.rules.max_bytes):
                if came.problem:
                    unreadable.append((came.picture.id, came.problem))
                else:
                    results.append(self._judged(archive, came))
        except ArchiveError as error:
            done = {result.id for result in results} | {id_ for id_, _ in unreadable}
            unreadable += [(one.id, str(error)) for one in pictures if one.id not in done]
        return _Results(archive, results, unreadable)

    def _judged(self, archive: Archive, came: PictureBytes) -> FetchResult:
        picture = came.picture
        result = FetchResult(
            picture.id,
            reason=Reason.TOO_LARGE if came.vast else "",
            consent=f"unchecked: from {archive.name} {picture.key}",
        )
        if came.vast:
            return result
        originals = [picture.original] if picture.original else []
        return spooled(result, came.data, self._session, originals=originals)


def _settle(session: DownloadSession, queue: PackQueue, taken: _Results) -> None:
    ledger = session.ledger
    settled = ledger.settle(taken.results, retries=0, retry_after=0.0)
    session.spool.discard(settled.needless)
    for sha256, size in settled.spooled:
        queue.add(sha256, size)
    if taken.unreadable:
        ledger.pass_on([FetchResult(id_, reason=Reason.BAD_MEMBER) for id_, _ in taken.unreadable])
        problems = Counter(problem for _, problem in taken.unreadable)
        text = ", ".join(f"{number} × {problem}" for problem, number in problems.most_common(3))
        logger.warning("%s: pictures that can't be read: %s", taken.archive.name, text)
    while queue.pump(rest=False) and queue.bytes > _SPOOL_BYTES:
        time.sleep(0.05)
