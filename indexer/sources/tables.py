"""The member table of an archive: made once, kept as a small Parquet, made anew when the archive changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.files import atomic
from .blobs import MissingArchiveError
from .image_parquet import parquet_table
from .locations import Archive
from .opening import opened
from .tar_pictures import tar_table

_FORMAT = "1"


class MemberTables:
    """The member tables that are kept in ``folder``; whether an archive changed is looked at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current: set[str] = set()

    def of(self, archive: Archive) -> pa.Table:
        """The pictures of ``archive`` (MEMBER_SCHEMA); ArchiveError where it can't be read."""
        path = self._folder / f"{hashlib.sha256(archive.where.encode()).hexdigest()[:24]}.parquet"
        stored = _stored(path)
        if stored is not None and archive.where in self._current:
            return stored
        with opened(archive.where, archive.agent) as blob:
            stamp = f"{_FORMAT} {blob.stamp} {archive.beside and _stamp_beside(archive)}".encode()
            if stored is None or (stored.schema.metadata or {}).get(b"stamp") != stamp:
                stored = parquet_table(blob) if archive.is_parquet else tar_table(blob, archive)
                with atomic(path) as temporary:
                    table = stored.replace_schema_metadata({b"stamp": stamp})
                    pq.write_table(table, temporary, compression="zstd")
        self._current.add(archive.where)
        return stored


def _stamp_beside(archive: Archive) -> str:
    try:
        with opened(archive.beside, archive.agent) as blob:
            return blob.stamp
    except MissingArchiveError:
        return ""


def _stored(path: Path) -> pa.Table | None:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
