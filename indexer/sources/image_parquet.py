"""Parquet with a column of pictures: bytes, or Hugging Face's struct of bytes and path.

The unit that is read is a row group's column of pictures, page by page, up to the last row that is wanted.
"""

from __future__ import annotations

import contextlib
import io
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import InputError
from ..corpora.unpacked import BoundedFile
from .blobs import ArchiveError, Blob, BlobFile
from .member_table import table_of_lines
from .owners import NAMES, owner_of

_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "img", "picture", "photo", "image_bytes", "bytes", "data")
"""Columns of bytes that are pictures by their names; a struct of bytes is one by its type."""
_AT_ONCE = 16
_BUFFER = 1 << 18


def parquet_table(blob: Blob) -> pa.Table:
    """The rows of the file (MEMBER_SCHEMA), its row number for their place; ArchiveError without pictures."""
    with _opened(blob) as file:
        _picture_column(blob, file)
        if file.metadata.num_rows > blob.size:
            raise ArchiveError(f"{blob.where} says {file.metadata.num_rows:,} rows in {blob.size:,} bytes")
        columns = [name for name in NAMES if name in file.schema_arrow.names]
        if not columns:
            nobody = owner_of({})
            return table_of_lines((str(row), row, 0, nobody, "") for row in range(file.metadata.num_rows))
        batches = bounded(blob, file).batches(columns, 10_000)
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
            batches = bounded(blob, file).batches([column], _AT_ONCE, groups=[group])
            yield from _rows_of(batches, firsts[group], list(some))


def _rows_of(
    batches: Iterator[pa.RecordBatch], first: int, rows: list[int]
) -> Iterator[tuple[int, bytes | None]]:
    """The pictures of ``rows`` in the batches, which begin with row ``first``."""
    ahead = iter(rows)
    row = next(ahead, None)
    for batch in batches:
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
    except ArchiveError:
        raise
    except InputError as error:
        raise ArchiveError(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        text = str(error).partition("\n")[0]
        raise ArchiveError(f"{blob.where} is truncated or damaged ({text})") from error


def picture_column(schema: pa.Schema) -> str | None:
    """The column of pictures, if there is one."""
    structs = [field.name for field in schema if _is_picture_struct(field.type)]
    named = [name for name in _COLUMNS if name in schema.names and _is_bytes(schema.field(name).type)]
    return next(iter((*structs, *named)), None)


def _picture_column(blob: Blob, file: pq.ParquetFile) -> str:
    column = picture_column(file.schema_arrow)
    if column is None:
        names = ", ".join(file.schema_arrow.names)[:200]
        raise ArchiveError(f"{blob.where} has no column of pictures (its columns: {names})")
    return column


def _is_picture_struct(kind: pa.DataType) -> bool:
    if not isinstance(kind, pa.StructType):
        return False
    return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def bounded(blob: Blob, file: pq.ParquetFile) -> BoundedFile:
    """``file``, which is ``blob`` opened."""
    return BoundedFile(blob.where, blob.size, file, io.BufferedReader(BlobFile(blob)))


def _group_of(firsts: Sequence[int], row: int) -> int:
    """The row group of ``row``, by the first rows of all."""
    return bisect_right(firsts, row) - 1
