"""Corpus files as batches of source columns: Parquet by row group, text by block, SQLite by cursor.

Every reader streams: no file, and no row group, is ever wholly in memory. Foreign errors (a truncated
Parquet, a broken gzip, a malformed database) become CorpusError naming the file here.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from ..sources.image_parquet import picture_column
from .unpacked import check_lengths, rows_at_once

BATCH_ROWS = 1 << 14
"""The most rows of a batch: more cost up to a microsecond a row, in pages given back and faulted in again."""


_HEAD = 512
_TAR_MAGIC = 257


class Format(Enum):
    """What a corpus file is inside, by its first bytes."""

    PARQUET = b"PAR1"
    SQLITE = b"SQLite format 3\x00"
    GZIP = b"\x1f\x8b"
    TAR = b"ustar"  # at byte 257
    TEXT = b""


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """Some rows of a file: the number of the first, how many, and the columns read, by canonical name.

    ``keys``: of rows whose picture is in the file; where they have no URL, it is what names the picture.
    """

    first_row: int
    rows: int
    columns: Mapping[str, pa.Array[Any]]
    keys: pa.Array[Any] | None = None


def format_of(path: CorpusPath) -> Format:
    """The format by magic bytes; CorpusError for an empty or unreadable file."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
    except OSError as error:
        raise CorpusError(f"{path} can't be read ({error.strerror or error})") from error
    if not head:
        raise CorpusError(f"{path} is empty (0 bytes): fetch it again, or leave it out")
    if head[_TAR_MAGIC:].startswith(Format.TAR.value) or path.suffix.lower() == ".tar":
        return Format.TAR
    if head.startswith(Format.GZIP.value) and path.name.lower().endswith((".tar.gz", ".tgz")):
        raise CorpusError(f"{path} is a tar packed with gzip, whose members can't be read apart: unpack it")
    for kind in Format:
        if head.startswith(kind.value):
            if kind is Format.TEXT and path.suffix.lower() == ".parquet":
                raise CorpusError(f"{path} is no Parquet file (it starts with {head[:4]!r}): fetch it again")
            return kind
    raise CorpusError(f"{path} is of no known format")


# Parquet ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened_parquet(path: CorpusPath) -> Generator[pq.ParquetFile, None, None]:
    """The open file; errors within the block name it. Buffered, so that a huge row group isn't read whole."""
    try:
        with (
            contextlib.nullcontext(path) if isinstance(path, Path) else path.open("rb") as opened_path,
            pq.ParquetFile(opened_path, buffer_size=1 << 20, pre_buffer=False) as source,
        ):
            yield source
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path} is truncated or damaged ({_first_line(error)}): fetch it again") from error


def row_group_rows(path: CorpusPath) -> list[int]:
    """The rows of each row group of a Parquet file, or table of SWAT's database, in order; [] of a text."""
    kind = format_of(path)
    if kind is Format.SQLITE:
        return [last for _, last in part_tables(path)]
    if kind is not Format.PARQUET:
        return []
    with opened_parquet(path) as source:
        return [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]


def parquet_columns(path: CorpusPath) -> tuple[list[str], bool]:
    """The top-level columns of a Parquet file, and whether one of them has pictures."""
    with opened_parquet(path) as source:
        return list(source.schema_arrow.names), picture_column(source.schema_arrow) is not None


def check_row_groups(path: CorpusPath, columns: Collection[str], most: int) -> None:
    """CorpusError where the file says that a row group's ``columns`` unpack to more than ``most`` bytes."""
    with opened_parquet(path) as source:
        for number in range(source.num_row_groups):
            group = source.metadata.row_group(number)
            chunks = [group.column(at) for at in range(group.num_columns)]
            size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] in columns)
            if size > most:
                raise CorpusError(
                    f"{path}: row group {number} unpacks to {size / 2**30:,.1f} GiB, more than the "
                    f"{most / 2**30:,.1f} GiB of --max-row-group; leave the file out, or allow more"
                )


def parquet_batches(
    path: CorpusPath, sources: Mapping[str, str], row_groups: range | None, *, has_pictures: bool
) -> Iterator[SourceBatch]:
    """The rows of the row groups (None: all), numbered in the whole file."""
    with opened_parquet(path) as source:
        sizes = [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]
        groups = range(len(sizes)) if row_groups is None else row_groups
        row = sum(sizes[: groups.start])
        if not groups:
            return
        columns_read = sorted(set(sources.values()))
        with path.open("rb") as handle:
            rows = rows_at_once(handle, source.metadata, groups, columns_read, BATCH_ROWS)
        for batch in source.iter_batches(
            rows, row_groups=list(groups), columns=columns_read, use_threads=False
        ):
            arrays = {name: batch.column(column) for name, column in sources.items()}
            check_lengths(path, row, arrays)
            end = row + batch.num_rows
            keys = pa.array(np.arange(row, end)).cast(pa.string()) if has_pictures else None
            yield SourceBatch(row, batch.num_rows, arrays, keys)
            row = end


# SQLite (SWAT's laion400m.db) ---------------------------------------------------------------------


@contextlib.contextmanager
def opened_sqlite(path: CorpusPath) -> Generator[sqlite3.Connection, None, None]:
    """The database, read-only; errors within the block name it."""
    if not isinstance(path, Path):
        raise CorpusError(f"{path} is a SQLite database, and can't be read where it lies: copy it here first")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
        connection.text_factory = bytes
        with contextlib.closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise CorpusError(f"{path} can't be read as SWAT's SQLite database ({error})") from error


def part_tables(path: CorpusPath) -> list[tuple[str, int]]:
    """SWAT's tables part0, part1, … by number, each with its highest rowid (its rows if none was deleted).

    CorpusError where there is no such table.
    """
    with opened_sqlite(path) as connection:
        names = [
            name.decode()
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        parts = sorted(int(name[4:]) for name in names if name.startswith("part") and name[4:].isdecimal())
        if not parts:
            raise CorpusError(
                f"{path} has no tables part0, part1, … (SWAT's database); it has {', '.join(names)}"
            )
        tables: list[tuple[str, int]] = []
        for part in parts:
            (last,) = connection.execute(f"SELECT max(rowid) FROM part{part}").fetchone()  # noqa: S608
            tables.append((f"part{part}", last or 0))
        return tables


def sqlite_columns(path: CorpusPath) -> list[str]:
    """The columns of the first of SWAT's tables."""
    table = part_tables(path)[0][0]
    with opened_sqlite(path) as connection:
        return [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]


def sqlite_batches(
    path: CorpusPath, sources: Mapping[str, str], row_groups: range | None
) -> Iterator[SourceBatch]:
    """Table after table, in rowid order; a row's number is its rowid - 1 plus the last rowids before.

    A batch ends where rowids have a gap, so that rows in it are numbered without one.
    """
    selected = ", ".join('"' + column.replace('"', '""') + '"' for column in sources.values())
    before = 0
    for number, (table, last) in enumerate(part_tables(path)):
        if row_groups is not None and number not in row_groups:
            before += last
            continue
        with opened_sqlite(path) as connection:
            cursor = connection.execute(f"SELECT rowid, {selected} FROM {table} ORDER BY rowid")  # noqa: S608
            while rows := cursor.fetchmany(BATCH_ROWS):
                starts = [0, *(i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0] + 1), len(rows)]
                for start, end in itertools.pairwise(starts):
                    run = list(zip(*rows[start:end], strict=True))
                    columns = {name: _sqlite_column(run[i + 1]) for i, name in enumerate(sources)}
                    yield SourceBatch(before + run[0][0] - 1, end - start, columns)
        before += last


def _sqlite_column(values: tuple[object, ...]) -> pa.Array[Any]:
    """SQLite's values are typed one by one: numbers if all are, else bytes."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())  # pyright: ignore[reportArgumentType]
    texts = [value if value is None or isinstance(value, bytes) else str(value).encode() for value in values]
    return pa.array(texts, pa.binary())


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
