"""images/ledger.sqlite: one row a unique URL: what was asked, what came, why not.

``urls`` holds the URLs, ``files`` the distinct images (by the sha256 of the bytes as they came), ``meta``
what the ledger was filled from. One process writes at a time; changes that belong together are one
transaction. A URL is *wanted* while the latest matches hold it; rows of earlier matches stay, unasked.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import DownloadError
from ..core.files import atomic
from ..core.records import IMAGE_SCHEMA
from .outcomes import Answer, Asked, PackedFile, Settled
from .reasons import UrlState, is_transient, state_of
from .tables import COUNT, EXPORT, LOSE, ORPHANS, PACK_FILE, SCHEMA, SETTLE

FORMAT = 1
_EXPORTED_AT_ONCE = 50_000


class Ledger:
    """The open ledger; a context manager. Errors of the disk come as DownloadError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with self._translated():
            self.database = sqlite3.connect(path, isolation_level=None, timeout=60)
            self.database.execute("PRAGMA journal_mode = WAL")
            self.database.execute("PRAGMA synchronous = NORMAL")
            self.database.executescript(SCHEMA)
        known = self.meta("format", str(FORMAT))
        if known != str(FORMAT):
            self.close()
            raise DownloadError(f"{path} has format {known}, this captrawl reads {FORMAT}; move images/ away")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what isn't committed is gone."""
        self.database.close()

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """All of the block, or nothing of it."""
        with self._translated():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.database
                self.database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                    self.database.execute("ROLLBACK")
                raise

    def meta(self, key: str, default: str = "") -> str:
        """A note of the ledger about itself."""
        row = self.database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    def note(self, **values: str) -> None:
        """Keep notes; see :meth:`meta`."""
        entries = [("format", str(FORMAT)), *values.items()]
        self.database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", entries)

    @property
    def generation(self) -> int:
        """How many times matches were taken in."""
        return int(self.meta("generation", "0"))

    # Asking --------------------------------------------------------------------------------------------

    def lease(self, limit: int, *, until: float | None = None) -> list[Asked]:
        """The next URLs to ask, at most ``limit``, in priority order, marked as leased."""
        due = time.time() if until is None else until
        with self.transaction() as database:
            rows = database.execute(
                "SELECT id, url, attempts FROM urls WHERE state = 'queued' AND wanted = ? AND next_try <= ?"
                " ORDER BY priority, id LIMIT ?",
                (self.generation, due, limit),
            ).fetchall()
            database.executemany("UPDATE urls SET state = 'leased' WHERE id = ?", [(row[0],) for row in rows])
        return [Asked(*row) for row in rows]

    def release(self, ids: Sequence[int] | None = None, *, next_try: float = 0.0) -> None:
        """Put leased URLs (all, where ``ids`` is None) back into the queue; not before ``next_try``."""
        with self.transaction() as database:
            if ids is None:
                database.execute("UPDATE urls SET state = 'queued' WHERE state = 'leased'")
            else:
                query = "UPDATE urls SET state = 'queued', next_try = max(next_try, ?) WHERE id = ?"
                database.executemany(query, [(next_try, leased) for leased in ids])

    def next_due(self) -> float | None:
        """When the next queued URL may be asked, in seconds since 1970; None where none is queued."""
        query = "SELECT next_try FROM urls WHERE state = 'queued' AND wanted = ? ORDER BY next_try LIMIT 1"
        due = self.database.execute(query, (self.generation,)).fetchone()
        return None if due is None else float(due[0])

    def queued(self) -> int:
        """How many wanted URLs wait to be asked."""
        query = "SELECT count(*) FROM urls WHERE state = 'queued' AND wanted = ?"
        return int(self.database.execute(query, (self.generation,)).fetchone()[0])

    def settle(self, answers: Sequence[Answer], *, retries: int, retry_after: float) -> Settled:
        """Note the answers.

        A transient failure is queued again while attempts last; an image that is there already is packed (or
        dropped) at once, and its spooled bytes are needless.
        """
        needless: list[str] = []
        spooled: list[tuple[str, int]] = []
        number = 0
        with self.transaction() as database:
            for answer in answers:
                state, reason, again = self._judged(answer, retries, retry_after)
                body = answer.body
                number += state is UrlState.QUEUED
                if body is not None and state is UrlState.SPOOLED:
                    spooled.append((body.sha256, body.size))
                elif body is not None and not answer.reason:
                    needless.append(body.sha256)
                seen: tuple[object, ...] = (None,) * 6
                if body is not None:
                    seen = (body.size, body.width, body.height, body.sha256, body.sha1, body.md5)
                final = (answer.status, answer.final_url or None, again, answer.consent or None)
                database.execute(SETTLE, (state, reason, *final, *seen, answer.id))
        return Settled(spooled, needless, number)

    def _judged(self, answer: Answer, retries: int, retry_after: float) -> tuple[UrlState, str | None, float]:
        """The state, reason and next try that ``answer`` leads to; a new image enters ``files``."""
        if answer.reason:
            attempts = self.database.execute(
                "SELECT attempts FROM urls WHERE id = ?", (answer.id,)
            ).fetchone()[0]
            if is_transient(answer.reason) and attempts < retries:
                return UrlState.QUEUED, answer.reason, time.time() + max(retry_after, answer.wait)
            return state_of(answer.reason), answer.reason, 0.0
        if answer.body is None:
            raise ValueError(f"answer {answer.id} has neither a body nor a reason")
        sha256 = answer.body.sha256
        self.database.execute(
            "INSERT OR IGNORE INTO files (sha256, state, bytes) VALUES (?, 'spooled', ?)",
            (sha256, answer.body.size),
        )
        state, reason = self.database.execute(
            "SELECT state, reason FROM files WHERE sha256 = ?", (sha256,)
        ).fetchone()
        return UrlState(state), reason, 0.0

    # Packing -------------------------------------------------------------------------------------------

    def spooled(self) -> list[tuple[str, int]]:
        """(sha256, bytes) of the images that wait to be packed, by sha256."""
        query = "SELECT sha256, bytes FROM files WHERE state = 'spooled' ORDER BY sha256"
        return self.database.execute(query).fetchall()

    def paths(self) -> list[tuple[str, str]]:
        """(sha256, path) of the packed images, by path."""
        query = "SELECT sha256, path FROM files WHERE state = 'packed' ORDER BY path"
        return self.database.execute(query).fetchall()

    def orphans(self) -> list[tuple[str, str | None]]:
        """(sha256, path or None) of the packed and spooled images whose URLs are all refused by now."""
        return self.database.execute(ORPHANS).fetchall()

    def expects(self, sha256: str) -> bool:
        """Whether that image isn't packed yet."""
        query = "SELECT 1 FROM files WHERE sha256 = ? AND state <> 'spooled'"
        return self.database.execute(query, (sha256,)).fetchone() is None

    def pack(self, files: Sequence[PackedFile]) -> None:
        """Note what packing made of images, for all URLs that gave them."""
        with self.transaction() as database:
            for file in files:
                state = UrlState.DROPPED if file.reason else UrlState.PACKED
                values = (
                    state,
                    file.reason or None,
                    file.path or None,
                    file.width or None,
                    file.height or None,
                )
                database.execute(PACK_FILE, (file.sha256, *values))
                database.execute(
                    "UPDATE urls SET state = ?, reason = ? WHERE sha256 = ? AND state = 'spooled'",
                    (state, file.reason or None, file.sha256),
                )

    def lose(self, sha256s: Sequence[str]) -> None:
        """Forget images whose bytes are gone; their URLs are asked again."""
        with self.transaction() as database:
            for sha256 in sha256s:
                database.execute("DELETE FROM files WHERE sha256 = ?", (sha256,))
                database.execute(LOSE, (sha256,))

    # Telling -------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Wanted URLs by state, and by ``state:reason`` where they ended without an image, and ``no_url``."""
        counts: dict[str, int] = {}
        for state, reason, number in self.database.execute(COUNT, (self.generation,)):
            counts[state] = counts.get(state, 0) + number
            if reason and state != UrlState.QUEUED:
                counts[f"{state}:{reason}"] = number
        without = int(self.meta("no_url", "0"))
        return {**counts, "no_url": without} if without else counts

    def export(self, path: Path) -> None:
        """Write images.parquet (IMAGE_SCHEMA), sorted by URL bytewise, atomically and in constant memory."""
        with (
            self._translated(),
            atomic(path) as temporary,
            pq.ParquetWriter(temporary, IMAGE_SCHEMA) as writer,
        ):
            rows = self.database.execute(EXPORT)
            while batch := rows.fetchmany(_EXPORTED_AT_ONCE):
                columns = [
                    pa.array(column, field.type)
                    for column, field in zip(zip(*batch, strict=True), IMAGE_SCHEMA, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=IMAGE_SCHEMA))

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            raise DownloadError(
                f"the ledger {self.path} can't be written ({error}); "
                "nothing noted so far is lost: make room or fix the disk, and run captrawl download again"
            ) from error
