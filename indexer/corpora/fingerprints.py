"""What tells one version of a corpus file from another."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import CorpusError
from ...core.records import CorpusPath, Fingerprint

UNKNOWN_ROWS = -1
"""The row count in the fingerprint of a text or a database: counting would read it all on every run."""

_END = 1 << 20
_MAGIC = b"PAR1"


def fingerprint(path: CorpusPath) -> Fingerprint:
    """What tells this version of the file from another, without reading it all.

    Parquet: rows, bytes and the footer's sha256 (the footer holds every chunk's place, size and statistics).
    Anything else: bytes, and the sha256 of its first and last MiB; its rows are UNKNOWN_ROWS.
    CorpusError where the file can't be read.
    """
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(0)
            if handle.read(4) == _MAGIC and size >= 12:
                handle.seek(size - 8)
                length = min(int.from_bytes(handle.read(4), "little") + 8, size)
                handle.seek(size - length)
                digest = hashlib.sha256(handle.read(length)).hexdigest()
                return Fingerprint(_parquet_rows(path, handle), size, digest)
            handle.seek(0)
            hashed = hashlib.sha256(handle.read(_END))
            handle.seek(max(size - _END, 0))
            hashed.update(handle.read(_END))
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror or error})") from error
    return Fingerprint(UNKNOWN_ROWS, size, hashed.hexdigest())


def _parquet_rows(path: CorpusPath, handle: BinaryIO) -> int:
    try:
        return int(pq.read_metadata(handle).num_rows)
    except pa.ArrowException as error:
        raise CorpusError(f"{path} is truncated or no Parquet file ({error}): fetch it again") from error
