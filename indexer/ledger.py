"""images/ledger.sqlite: one row a unique URL: what was asked, what came, why not.

``urls`` holds the URLs, ``files`` the distinct images (by the sha256 of the bytes as they came), ``meta``
what the ledger was filled from. One process writes at a time; changes that belong together are one
transaction. A URL is *wanted* while the latest matches hold it; rows of earlier matches stay, unasked.
Nothing but the ledger modules reads or writes the database; the statements stand in ledger_sql.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.files import atomic
from ..core.records import IMAGE_SCHEMA
from . import ledger_sql as sql
from .ledger_file import LedgerFile
from .outcomes import (
    FetchJob,
    FetchResult,
    PackedFile,
    Reason,
    SettledCounts,
    SiteRecord,
    UrlState,
    is_transient,
    state_of,
)

_ROWS_AT_ONCE = 50_000


class Ledger(LedgerFile):
    """The open ledger: what to ask, what came, what is packed; its errors are those of LedgerFile."""

    # Filling the queue; inside a transaction of the caller's ---------------------------------------------

    def enqueue(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add (url, priority, generation, generation in which it is blocked or 0); known URLs are updated."""
        self.database.executemany(sql.ENQUEUE, rows)

    def requeue(self, reason: Reason, *, min_side: int = 0) -> None:
        """Queue the URLs that ended for ``reason``, as if never asked; of at least ``min_side`` pixels."""
        self.database.execute(sql.REQUEUE, (reason, min_side, min_side))

    def requeue_transient(self, retries: int) -> None:
        """Queue what failed in passing and has attempts left by now."""
        for (reason,) in self.database.execute(sql.RETRYABLE, (retries,)).fetchall():
            if self._as(is_transient, reason):
                self.database.execute(sql.RETRY, (reason, retries))

    def identities(self, reasons: Sequence[Reason] = ()) -> Iterator[tuple[Any, ...]]:
        """(id, url, reason, blocked, sha256, sha1, md5) of all URLs, or of those with one of ``reasons``."""
        narrow = f" WHERE reason IN ({', '.join('?' * len(reasons))})" if reasons else ""
        yield from self.database.execute(sql.IDENTITIES + narrow, reasons)

    def refuse(self, refused: Sequence[tuple[Reason, int]], freed: Sequence[int]) -> None:
        """Refuse URLs, (reason, id), and queue the ids that nothing refuses any longer."""
        self.database.executemany(sql.REFUSE, refused)
        self.database.executemany(sql.REQUEUE_ID, [(id_,) for id_ in freed])

    # Asking --------------------------------------------------------------------------------------------

    def find(self, url: str) -> tuple[FetchJob, UrlState] | None:
        """The row of ``url``, None where no match ever named it."""
        row = self.database.execute(sql.FIND, (url,)).fetchone()
        return None if row is None else (FetchJob(*row[:3]), self._as(UrlState, row[3]))

    def lease(self, limit: int, *, until: float | None = None) -> list[FetchJob]:
        """The next URLs to ask, at most ``limit``, in priority order, marked as leased."""
        due = time.time() if until is None else until
        with self.transaction() as database:
            rows = database.execute(sql.LEASABLE, (self.generation, due, limit)).fetchall()
            database.executemany(sql.LEASE, [(row[0],) for row in rows])
        return [FetchJob(*row) for row in rows]

    def queued_page(self, after: tuple[int, int], limit: int) -> list[tuple[int, int, str, int, str | None]]:
        """(priority, id, url, attempts, last address) of the next URLs to ask behind (priority, id)."""
        values = (self.generation, time.time(), *after, limit)
        return self.database.execute(sql.PAGE, values).fetchall()

    def mark_leased(self, ids: Sequence[int]) -> None:
        """Mark these as leased."""
        with self.transaction() as database:
            database.executemany(sql.LEASE, [(id_,) for id_ in ids])

    def release(self, ids: Sequence[int] | None = None, *, next_try: float = 0.0) -> None:
        """Put leased URLs (all, where ``ids`` is None) back into the queue; not before ``next_try``."""
        with self.transaction() as database:
            if ids is None:
                database.execute(sql.RELEASE_ALL)
            else:
                database.executemany(sql.RELEASE, [(next_try, leased) for leased in ids])

    def follow_clock(self) -> None:
        """Where the clock was put back since the last note, bring the waits forward by as much."""
        now = time.time()
        back = self._as(float, self.meta("clock", "0")) - now
        with self.transaction() as database:
            if back > 1.0:
                database.execute(sql.EARLIER, (back, now))
            self.note(clock=repr(now))

    def next_due(self) -> float | None:
        """When the next queued URL may be asked, in seconds since 1970; None where none is queued."""
        due = self.database.execute(sql.NEXT_DUE, (self.generation,)).fetchone()
        return None if due is None else float(due[0])

    def queued(self) -> int:
        """How many wanted URLs wait to be asked."""
        return int(self.database.execute(sql.QUEUED, (self.generation,)).fetchone()[0])

    def candidates(self) -> Iterator[tuple[int, str]]:
        """(id, url) of the wanted URLs without an image or a refusal, which an archive may end."""
        yield from self.database.execute(sql.CANDIDATES, (self.generation,))

    def pass_on(self, results: Sequence[FetchResult]) -> None:
        """Note why a source didn't have these; those that are queued stay so, for the next source."""
        with self.transaction() as database:
            for result in results:
                row = (result.reason, result.status, result.final_url or None, result.id)
                database.execute(sql.NEXT_SOURCE, row)

    def end_sources(self, addresses: str = "") -> None:
        """No source is left: what is queued fails, for the last source's reason where one had any.

        ``addresses``: only URLs that begin so.
        """
        with self.transaction() as database:
            database.execute(sql.NO_SOURCE, (Reason.NO_SOURCE, self.generation, f"{addresses}*"))

    def settle(self, results: Sequence[FetchResult], *, retries: int, retry_after: float) -> SettledCounts:
        """Note the results.

        A transient failure is queued again while attempts last; an image that is there already is packed (or
        dropped) at once, and its spooled bytes are needless.
        """
        needless: list[str] = []
        spooled: list[tuple[str, int]] = []
        again = 0
        with self.transaction() as database:
            for result in results:
                state, reason, next_try = self._judged(result, retries, retry_after)
                body = result.body
                again += state is UrlState.QUEUED
                if body is not None and state is UrlState.SPOOLED:
                    spooled.append((body.sha256, body.size))
                elif body is not None and not result.reason:
                    needless.append(body.sha256)
                content: tuple[object, ...] = (None,) * 6
                if body is not None:
                    content = (body.size, body.width, body.height, body.sha256, body.sha1, body.md5)
                final = (result.status, result.final_url or None, next_try, result.consent or None)
                database.execute(sql.SETTLE, (state, reason, *final, *content, result.id))
            self.note(clock=repr(time.time()))
        return SettledCounts(spooled, needless, again)

    def _judged(
        self, result: FetchResult, retries: int, retry_after: float
    ) -> tuple[UrlState, str | None, float]:
        """The state, reason and next try that ``result`` leads to; a new image enters ``files``."""
        if result.reason:
            attempts = self.database.execute(sql.ATTEMPTS, (result.id,)).fetchone()[0]
            if is_transient(result.reason) and attempts < retries:
                return UrlState.QUEUED, result.reason, time.time() + max(retry_after, result.wait)
            return state_of(result.reason), result.reason, 0.0
        if result.body is None:
            raise ValueError(f"result {result.id} has neither a body nor a reason")
        self.database.execute(sql.SPOOL_FILE, (result.body.sha256, result.body.size))
        state, reason = self.database.execute(sql.FILE_STATE, (result.body.sha256,)).fetchone()
        return self._as(UrlState, state), reason, 0.0

    # Packing -------------------------------------------------------------------------------------------

    def spooled(self) -> list[tuple[str, int]]:
        """(sha256, bytes) of the images that wait to be packed, by sha256."""
        return self.database.execute(sql.SPOOLED).fetchall()

    def paths(self) -> list[tuple[str, str]]:
        """(sha256, path) of the packed images, by path."""
        return self.database.execute(sql.PATHS).fetchall()

    def orphans(self) -> list[tuple[str, str | None]]:
        """(sha256, path or None) of the packed and spooled images whose URLs are all refused by now."""
        return self.database.execute(sql.ORPHANS).fetchall()

    def expects(self, sha256: str) -> bool:
        """Whether that image isn't packed yet."""
        row = self.database.execute(sql.FILE_STATE, (sha256,)).fetchone()
        return row is None or row[0] == UrlState.SPOOLED

    def pack(self, files: Sequence[PackedFile]) -> None:
        """Note what packing made of images, for all URLs that gave them."""
        with self.transaction() as database:
            for file in files:
                state = UrlState.DROPPED if file.reason else UrlState.PACKED
                reason, path = file.reason or None, file.path or None
                size = (file.width or None, file.height or None)
                database.execute(sql.PACK_FILE, (file.sha256, state, reason, path, *size))
                database.execute(sql.PACK_URLS, (state, reason, file.sha256))
                if file.signature:
                    database.execute(sql.NOTE_PICTURE, (file.sha256, file.signature))

    def signature(self, sha256: str) -> bytes:
        """The signature of a picture; empty where nobody made one."""
        row = self.database.execute(sql.SIGNATURE, (sha256,)).fetchone()
        return row[0] if row else b""

    def lose(self, sha256s: Sequence[str]) -> None:
        """Forget images whose bytes are gone; their URLs are asked again."""
        with self.transaction() as database:
            for sha256 in sha256s:
                database.execute(sql.LOSE_FILE, (sha256,))
                database.execute(sql.LOSE_URLS, (sha256,))

    # Reporting -----------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Wanted URLs by state, and by ``state:reason`` where they ended without an image, and ``no_url``."""
        counts: dict[str, int] = {}
        for state, reason, number in self.database.execute(sql.COUNT, (self.generation,)):
            counts[state] = counts.get(state, 0) + number
            if reason and state != UrlState.QUEUED:
                counts[f"{state}:{reason}"] = number
        without = self._as(int, self.meta("no_url", "0"))
        return {**counts, "no_url": without} if without else counts

    def export(self, path: Path) -> None:
        """Write images.parquet (IMAGE_SCHEMA), sorted by URL bytewise, atomically and in constant memory."""
        with (
            self._translated(),
            atomic(path) as temporary,
            pq.ParquetWriter(temporary, IMAGE_SCHEMA) as writer,
        ):
            for batch in _fetched(self.database.execute(sql.EXPORT)):
                columns = [
                    pa.array(column, field.type)
                    for column, field in zip(zip(*batch, strict=True), IMAGE_SCHEMA, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=IMAGE_SCHEMA))

    def packed_images(self) -> Iterator[tuple[Any, ...]]:
        """(url, path, width, height, sha256, sha1, md5, bytes, came_width, came_height, consent) of each."""
        with self._translated():
            yield from self.database.execute(sql.PACKED_IMAGES)

    # Sites ---------------------------------------------------------------------------------------------

    def site(self, site: str) -> SiteRecord | None:
        """What ``site`` said of itself last; None where it wasn't asked."""
        row = self.database.execute(sql.SITE, (site,)).fetchone()
        return None if row is None else SiteRecord(*row)

    def note_site(self, record: SiteRecord) -> None:
        """Keep what a site says, in the place of what it said before."""
        values = (record.site, record.time, record.status, record.robots, record.tdmrep)
        with self.transaction() as database:
            database.execute(sql.NOTE_SITE, values)

    # Purging -------------------------------------------------------------------------------------------

    def contents(self) -> Iterator[tuple[Any, ...]]:
        """(id, url, final URL, sha256, sha1, md5) of every URL."""
        with self._translated():
            yield from self.database.execute(sql.CONTENTS)

    def erase(self, urls: Iterable[str], sha256s: Iterable[str], sites: Iterable[str] = ()) -> int:
        """Delete URLs, images and what sites said for good: no page of the file has them. How many URLs."""
        with self._translated():
            self.database.execute("PRAGMA secure_delete = ON")
            with self.transaction() as database:
                before = database.total_changes
                database.executemany(sql.ERASE_URL, [(url,) for url in urls])
                erased = database.total_changes - before
                for sha256 in sha256s:
                    for statement in (sql.LOSE_FILE, sql.FORGET_PICTURE, sql.FORGET_SAME):
                        database.execute(statement, (sha256,))
                database.executemany(sql.ERASE_SITE, [(site,) for site in sites])
            self.database.execute("VACUUM")
            self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return erased

    # Merging -------------------------------------------------------------------------------------------

    def inherit(self, other: Ledger, *, without: Reason) -> None:
        """Take what ``other`` knows of URLs that wait here or are packed here; not what ended ``without``.

        The images themselves must be here already. What sites said comes along, the latest word of each.
        """
        copied = (
            (sql.OUTCOMES, (without,), sql.INHERIT),
            (sql.DROPPED_FILES, (), sql.INHERIT_FILE),
            (sql.SITES, (), sql.INHERIT_SITE),
        )
        for source, values, target in copied:
            for batch in _fetched(other.database.execute(source, values)):
                with self.transaction() as database:
                    database.executemany(target, batch)

    # Joining -------------------------------------------------------------------------------------------

    def plan(self, matches: Iterable[Iterable[tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
        """Batches of (url, uid, priority, classes "1,2") of the queued URLs among ``matches``, by URL.

        ``matches`` are batches of (url, class id, uid, priority); a URL's row is its first in priority.
        """
        self.database.execute(sql.MATCHED)
        for batch in matches:
            self.database.executemany(sql.ADD_MATCHED, batch)
        yield from _fetched(self.database.execute(sql.PLAN))

    def name_uids(self, pairs: Iterable[Iterable[tuple[Any, ...]]]) -> None:
        """Let :meth:`url_of` know these batches of (uid, url); the first URL of a uid counts."""
        self.database.execute(sql.UIDS)
        for batch in pairs:
            self.database.executemany(sql.ADD_UID, batch)

    def url_of(self, uid: int) -> str:
        """The URL of ``uid``, "" where no pair names it."""
        row = self.database.execute(sql.URL_OF, (uid,)).fetchone()
        return row[0] if row else ""


def _fetched(rows: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield batch
