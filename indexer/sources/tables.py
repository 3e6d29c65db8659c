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


def member_table(archive: Archive, folder: Path) -> pa.Table:
    """The pictures of ``archive`` (MEMBER_SCHEMA), from ``folder`` where they were read before.

    ArchiveError where the archive can't be read.
    """
    name = hashlib.sha256(archive.where.encode()).hexdigest()[:24]
    path = folder / f"{name}.parquet"
    with opened(archive.where, archive.agent) as blob:
        stamp = f"{_FORMAT} {blob.stamp} {archive.beside and _stamp_beside(archive)}"
        stored = _stored(path, stamp)
        if stored is not None:
            return stored
        table = parquet_table(blob) if archive.is_parquet else tar_table(blob, archive)
    with atomic(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"stamp": stamp}), temporary, compression="zstd")
    return table


def _stamp_beside(archive: Archive) -> str:
    try:
        with opened(archive.beside, archive.agent) as blob:
            return blob.stamp
    except MissingArchiveError:
        return ""


def _stored(path: Path, stamp: str) -> pa.Table | None:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
    metadata = table.schema.metadata or {}
    return table if metadata.get(b"stamp") == stamp.encode() else None
