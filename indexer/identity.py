"""Who a corpus row and a corpus file are: uid, priority and fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import mmh3
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import CorpusError
from ..records import Fingerprint

pc: Any = pyarrow.compute  # its kernels take more than the stubs say

UNKNOWN_ROWS = -1
"""The row count in the fingerprint of a text or a database: counting would read it all on every run."""

_END = 1 << 20
_MAGIC = b"PAR1"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uids(urls: pa.Array[Any], captions: pa.Array[Any]) -> NDArray[np.int64]:
    """LAION's join key of each row: the signed low half of MurmurHash3 x64-128 over UTF-8 url + caption.

    NULL counts as empty; the texts are hashed raw, before any normalisation. Equals
    ``mmh3.hash64(url + caption)[0]`` (LAION's join key, laion.ai/blog/laion-5b). Empty in, empty out.
    """
    empty = pa.scalar(b"", pa.binary())
    joined = pc.binary_join_element_wise(
        pc.fill_null(urls.cast(pa.binary()), empty), pc.fill_null(captions.cast(pa.binary()), empty), empty
    )
    hashes = b"".join(map(mmh3.hash_bytes, joined.to_pylist()))
    return np.frombuffer(hashes, dtype="<i8")[::2].astype(np.int64)


def priorities(uid: NDArray[np.int64], file: str, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """A signed 64-bit hash of each row's uid, file identity and number: uniform, and stable for ever.

    Three rounds of splitmix64's finaliser (Steele, Lea, Flood 2014), one for each input. Rows that repeat a
    uid get other priorities, and equal rows in equal files always the same.
    """
    name = np.uint64(mmh3.hash64(file.encode(), signed=False)[0])
    mixed = _splitmix(uid.view(np.uint64) + _GOLDEN)
    mixed = _splitmix((mixed ^ name) + _GOLDEN)
    return _splitmix((mixed ^ row.view(np.uint64)) + _GOLDEN).view(np.int64)


def _splitmix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def fingerprint(path: Path) -> Fingerprint:
    """What tells this version of the file from another, without reading it all.

    Parquet: rows, bytes and the footer's sha256 (the footer holds every chunk's place, size and statistics).
    Anything else: bytes, and the sha256 of its first and last MiB; its rows are UNKNOWN_ROWS.
    CorpusError where the file can't be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            if handle.read(4) == _MAGIC and size >= 12:
                handle.seek(size - 8)
                length = min(int.from_bytes(handle.read(4), "little") + 8, size)
                handle.seek(size - length)
                digest = hashlib.sha256(handle.read(length)).hexdigest()
                return Fingerprint(_parquet_rows(path), size, digest)
            handle.seek(0)
            hashed = hashlib.sha256(handle.read(_END))
            handle.seek(max(size - _END, 0))
            hashed.update(handle.read(_END))
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror or error})") from error
    return Fingerprint(UNKNOWN_ROWS, size, hashed.hexdigest())


def _parquet_rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowException as error:
        raise CorpusError(f"{path} is truncated or no Parquet file ({error}): fetch it again") from error
