"""The file of a ledger: opened to write or to read, its transactions, its notes, its errors in words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

from ..core.errors import CaptrawlError, DownloadError, InputError, WorkspaceError
from . import ledger_sql as sql

T = TypeVar("T")
FORMAT = 1
_DISK = frozenset(
    getattr(sqlite3, f"SQLITE_{name}")
    for name in ("FULL", "IOERR", "READONLY", "CANTOPEN", "PERM", "BUSY", "LOCKED", "NOMEM")
)
"""SQLite's errors that the file isn't to blame for."""


class LedgerFile:
    """The open file of a ledger; a context manager.

    Errors of the disk and of a damaged file come as DownloadError from the block that it is opened for; as
    InputError where the ledger is only read, which changes nothing on the disk.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path, self._read_only = path, read_only
        with self._translated():
            self.database = _opened_to_read(path) if read_only else _opened(path)
            stored = self.meta("format", str(FORMAT))
        if stored != str(FORMAT):
            self.close()
            raise DownloadError(
                f"{path} has format {stored}, this captrawl reads {FORMAT}; move images/ away"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise self._explained(error) from error

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
                with contextlib.suppress(sqlite3.Error):  # the first error is the one to report
                    self.database.execute("ROLLBACK")
                raise

    def meta(self, key: str, default: str = "") -> str:
        """A note of the ledger about itself."""
        row = self.database.execute(sql.META, (key,)).fetchone()
        return default if row is None else str(row[0])

    def note(self, **values: str) -> None:
        """Keep notes; see :meth:`meta`."""
        self.database.executemany(sql.NOTE, [("format", str(FORMAT)), *values.items()])

    @property
    def generation(self) -> int:
        """How many times matches were taken in."""
        return self._as(int, self.meta("generation", "0"))

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # of SQLite's own words, which quote the file
            raise self._damaged(error) from error
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error | OSError) -> CaptrawlError:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DISK:
            return self._damaged(error)
        if self._read_only:
            return InputError(f"{self.path} can't be read ({error})")
        return DownloadError(
            f"the ledger {self.path} can't be written ({error}); "
            "nothing noted so far is lost: make room or fix the disk, and run captrawl download again"
        )

    def _damaged(self, reason: object) -> WorkspaceError:
        words = " ".join(str(reason).split())[:200]  # SQLite quotes whole statements
        return WorkspaceError(
            f"the ledger {self.path} is damaged ({words}); put a copy of it back, or delete it: captrawl "
            "download then asks every URL again, and packed images stay"
        )

    def _as(self, kind: Callable[[str], T], value: str) -> T:
        """A stored ``value`` as what it should be; WorkspaceError where it isn't."""
        try:
            return kind(value)
        except ValueError as error:
            raise self._damaged(error) from error


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, timeout=60)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(sql.SCHEMA)
    return database


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; an empty ledger where a kill left the tables half made."""
    log = path.with_name(f"{path.name}-wal")
    closed = not os.access(path.parent, os.W_OK) and not log.exists()
    mode = "mode=ro&immutable=1" if closed else "mode=ro"  # SQLite would make files beside it
    database = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=60)
    if database.execute(sql.HAS_TABLES).fetchone()[0]:
        if not database.execute(sql.HAS_PICTURES).fetchone()[0]:  # of an earlier captrawl
            database.execute(sql.NO_PICTURES)
        return database
    database.close()
    empty = sqlite3.connect(":memory:")
    empty.executescript(sql.SCHEMA)
    return empty
