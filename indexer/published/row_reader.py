"""Some rows of an array of vectors, by range: what lies between them isn't read, but for small gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...core.errors import InputError
from ...core.records import Vectors
from ..corpora.unpacked import BoundedFile
from ..sources.blobs import ArchiveError, Blob, BlobFile
from ..sources.image_parquet import bounded
from ..sources.opening import opened
from .arrays import VectorArray

BLOCK = 8192
"""Vectors that are in memory at once."""
_GAPS = 0.25
"""Bytes of gaps that are read, as a share of the bytes of rows."""


def read_rows(array: VectorArray, rows: NDArray[np.int64]) -> Iterator[tuple[slice, Vectors]]:
    """Blocks of the vectors of ``rows`` (ascending, distinct), each behind its place in ``rows``; float32.

    A row without a vector (NULL) is NaN. InputError where the file is another than was registered.
    """
    with opened(array.where, "") as blob:
        if blob.stamp != array.stamp:
            raise InputError(
                f"{array.where} changed since it was registered; run captrawl index vectors again"
            )
        reader = _parquet_blocks if array.column else _matrix_blocks
        yield from reader(blob, array, rows)


def runs(rows: NDArray[np.int64], gap: int, most: int) -> list[tuple[int, int]]:
    """The places (start, end) in ``rows`` that are read at once: what lies between is at most ``gap`` rows.

    The smallest gaps are read first, until they are ``most`` rows together.
    """
    if not len(rows):
        return []
    gaps = np.diff(rows) - 1
    order = np.argsort(gaps, kind="stable")
    bridged = np.zeros(len(gaps), bool)
    sizes = gaps[order]
    bridged[order[(sizes <= gap) & (np.cumsum(sizes) <= most)]] = True
    cuts = np.flatnonzero(~bridged) + 1
    return list(zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True))


def _matrix_blocks(
    blob: Blob, array: VectorArray, rows: NDArray[np.int64]
) -> Iterator[tuple[slice, Vectors]]:
    size, kind = array.row_bytes, np.dtype(array.dtype)
    for first in range(0, len(rows), BLOCK):
        some = rows[first : first + BLOCK]
        vectors = np.empty((len(some), array.dimension), np.float32)
        for start, end in runs(some, blob.ahead // size, int(len(some) * _GAPS)):
            top, last = int(some[start]), int(some[end - 1])
            data = blob.read(array.offset + top * size, (last - top + 1) * size)
            matrix = np.frombuffer(data, kind).reshape(-1, array.dimension)
            vectors[start:end] = matrix[some[start:end] - top]
        yield slice(first, first + len(some)), vectors


def _parquet_blocks(
    blob: Blob, array: VectorArray, rows: NDArray[np.int64]
) -> Iterator[tuple[slice, Vectors]]:
    """A row group is read up to the last of its rows that is wanted; one without any isn't."""
    try:
        source = pa.PythonFile(BlobFile(blob), "r")
        with pq.ParquetFile(source, buffer_size=1 << 18, pre_buffer=False) as file:
            start = place = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                mine = int(np.searchsorted(rows, end))
                yield from _group_blocks(bounded(blob, file), group, array, rows[place:mine] - start, place)
                start, place = end, mine
    except (pa.ArrowException, OSError) as error:
        text = str(error).partition("\n")[0]
        raise ArchiveError(f"{blob.where} is truncated or damaged ({text})") from error


def _group_blocks(
    file: BoundedFile, group: int, array: VectorArray, rows: NDArray[np.int64], place: int
) -> Iterator[tuple[slice, Vectors]]:
    first = done = 0
    if not len(rows):
        return
    for batch in file.batches([array.column], BLOCK, groups=[group]):
        end = int(np.searchsorted(rows, first + batch.num_rows))
        some = rows[done:end] - first
        if len(some):
            yield slice(place + done, place + end), _vectors(batch.column(0).take(some), array)
        first, done = first + batch.num_rows, end
        if done == len(rows):
            return


def _vectors(values: Any, array: VectorArray) -> Vectors:
    vectors = np.full((len(values), array.dimension), np.nan, np.float32)
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    flat = values.drop_null().flatten().to_numpy(zero_copy_only=False)
    if len(flat) != valid.sum() * array.dimension:
        raise InputError(
            f"{array.where}: a vector in column {array.column} isn't of length {array.dimension}"
        )
    vectors[valid] = flat.reshape(-1, array.dimension)
    return vectors
