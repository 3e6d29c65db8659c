"""Parquet with a column of pictures: bytes, or Hugging Face's struct of bytes and path.

The unit that is read is a row group's column of pictures, page by page, up to the last row that is wanted.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .blobs import ArchiveError, Blob, BlobFile
from .member_table import table_of_lines
from .owners import NAMES, owner_of

_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "img", "picture", "photo", "image_bytes", "bytes", "data")
"""Columns of bytes that are pictures by their names; a struct of bytes is one by its type."""
_AT_ONCE = 16
_BUFFER = 1 << 18
_VAST = 1 << 30
_TIGHTEST = 200


def parquet_table(blob: Blob) -> pa.Table:
    """The rows of the file (MEMBER_SCHEMA), its row number for their place; ArchiveError without pictures."""
    with _opened(blob) as file:
        _picture_column(blob, file)
        columns = [name for name in NAMES if name in file.schema_arrow.names]
        if not columns:
            nobody = owner_of({})
            return table_of_lines((str(row), row, 0, nobody, "") for row in range(file.metadata.num_rows))
        batches = file.iter_batches(10_000, columns=columns, use_threads=False)
        rows = enumerate(row for batch in batches for row in batch.to_pylist())
        return table_of_lines((str(number), number, 0, owner_of(row), "") for number, row in rows)


def read_rows(blob: Blob, rows: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
    """(row, the picture's bytes or None) of ``rows``, ascending; a row group without one isn't read."""
    with _opened(blob) as file:
        column = _picture_column(blob, file)
        firsts = [0]
        for group in range(file.num_row_groups):
            firsts.append(firsts[-1] + file.metadata.row_group(group).num_rows)
        for group, some in groupby(rows, key=lambda row: _group_of(firsts, row)):
            _check_size(blob, file, group, column)
            yield from _read_group(file, group, column, firsts[group], list(some))


def _read_group(
    file: pq.ParquetFile, group: int, column: str, first: int, rows: list[int]
) -> Iterator[tuple[int, bytes | None]]:
    ahead = iter(rows)
    row = next(ahead, None)
    for batch in file.iter_batches(_AT_ONCE, row_groups=[group], columns=[column], use_threads=False):
        while row is not None and row < first + batch.num_rows:
            value: Any = batch.column(0)[row - first].as_py()
            yield row, value.get("bytes") if isinstance(value, dict) else value
            row = next(ahead, None)
        if row is None:
            return
        first += batch.num_rows


@contextlib.contextmanager
def _opened(blob: Blob) -> Generator[pq.ParquetFile]:
    try:
        source = pa.PythonFile(BlobFile(blob), "r")
        with pq.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        text = str(error).partition("\n")[0]
        raise ArchiveError(f"{blob.where} is truncated or damaged ({text})") from error


def _picture_column(blob: Blob, file: pq.ParquetFile) -> str:
    schema = file.schema_arrow
    structs = [field.name for field in schema if _is_picture_struct(field.type)]
    named = [name for name in _COLUMNS if name in schema.names and _is_bytes(schema.field(name).type)]
    for name in (*structs, *named):
        return name
    raise ArchiveError(
        f"{blob.where} has no column of pictures (its columns: {', '.join(schema.names)[:200]})"
    )


def _is_picture_struct(kind: pa.DataType) -> bool:
    if not isinstance(kind, pa.StructType):
        return False
    return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _check_size(blob: Blob, file: pq.ParquetFile, group: int, column: str) -> None:
    """ArchiveError where a row group unpacks to far more than pictures do."""
    metadata = file.metadata.row_group(group)
    chunks = [metadata.column(at) for at in range(metadata.num_columns)]
    for chunk in chunks:
        full, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
        if chunk.path_in_schema.split(".")[0] == column and full > max(_VAST, packed * _TIGHTEST):
            raise ArchiveError(f"{blob.where}: {packed:,} bytes of row group {group} unpack to {full:,}")


def _group_of(firsts: Sequence[int], row: int) -> int:
    """The row group of ``row``, by the first rows of all."""
    return bisect_right(firsts, row) - 1
