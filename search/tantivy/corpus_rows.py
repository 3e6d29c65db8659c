"""Rows of an index without a row store: read back from the corpus's own Parquet files, by row group.

What is read is what indexing read: the same reader, for the same columns, of a file whose fingerprint is the
same. Unpacked row groups stay for the next question, as many as fit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.errors import CaptionIndexError, CorpusError
from ...core.records import CorpusFile, CorpusReader
from .folder import Group
from .row_blocks import COLUMNS, in_order
from .schema import places_of

_CACHE_BYTES = 256 << 20

PlacedRows = tuple[NDArray[np.int64], pa.RecordBatch]
"""Where rows stand among those asked for, and their COLUMNS."""


class RowGroups:
    """Row groups of corpus files, the last that were asked for unpacked. Threads may share it.

    Without a ``reader`` there are none: every question is a CaptionIndexError.
    """

    def __init__(self, reader: CorpusReader | None) -> None:
        self._reader = reader
        self._tables: OrderedDict[tuple[tuple[str, str], int], pa.Table] = OrderedDict()
        self._starts: dict[tuple[str, str], tuple[tuple[int, int], NDArray[np.int64]]] = {}
        self._lock = threading.Lock()

    def rows(self, file: CorpusFile, numbers: NDArray[np.int64]) -> list[PlacedRows]:
        """The rows of the file with these numbers; CaptionIndexError where it is gone or another one."""
        if self._reader is None:
            raise CaptionIndexError(
                f"the rows of {file.file} are in {file.path}, and the index was opened without its reader: "
                "open it with captrawl.open_captions"
            )
        with self._lock:
            starts = self._checked(file, self._reader)
            groups = np.searchsorted(starts, numbers, "right") - 1
            order = np.argsort(groups, kind="stable")
            distinct, bounds = np.unique(groups[order], return_index=True)
            rows: list[PlacedRows] = []
            for group, places in zip(distinct.tolist(), np.split(order, bounds[1:]), strict=True):
                inside = numbers[places] - starts[group]
                table = self._table(file, group, self._reader).take(inside).combine_chunks()
                rows.append((places, table.to_batches()[0]))
            return rows

    def _checked(self, file: CorpusFile, reader: CorpusReader) -> NDArray[np.int64]:
        """The first row of each row group; the file's fingerprint is looked at whenever it was touched."""
        path = Path(str(file.path))
        try:
            stat = path.stat()
        except OSError as error:
            raise CaptionIndexError(
                f"the rows of {file.file} are in {path}, which can't be read ({error.strerror}): "
                "put it back, or remove the file from the index (captrawl index remove)"
            ) from error
        state = (stat.st_size, stat.st_mtime_ns)
        version = (str(path), file.fingerprint.digest)
        if version not in self._starts or self._starts[version][0] != state:
            _check_unchanged(file, path, reader)
            self._starts[version] = state, np.cumsum([0, *reader.row_group_rows(path)[:-1]])
            for key in [key for key in self._tables if key[0] == version]:
                del self._tables[key]
        return self._starts[version][1]

    def _table(self, file: CorpusFile, group: int, reader: CorpusReader) -> pa.Table:
        key = ((str(file.path), file.fingerprint.digest), group)
        table = self._tables.pop(key, None)
        if table is None:
            batches = reader.read_batches(file, row_groups=range(group, group + 1))
            table = pa.Table.from_batches([batch.select(list(COLUMNS)) for batch in batches])
        self._tables[key] = table
        while len(self._tables) > 1 and sum(each.nbytes for each in self._tables.values()) > _CACHE_BYTES:
            self._tables.popitem(last=False)
        return table


class CorpusRows(NamedTuple):
    """The rows of a group's parts, in the corpus files that they came from; ``files`` are by ordinal."""

    files: Sequence[CorpusFile]
    groups: RowGroups

    def rows(self, positions: NDArray[np.int64]) -> Iterator[PlacedRows]:
        """The rows at these positions, those of each row group together."""
        ordinals, numbers = places_of(positions)
        for ordinal in np.unique(ordinals).tolist():
            of_file = np.flatnonzero(ordinals == ordinal)
            for places, batch in self.groups.rows(self.files[ordinal], numbers[of_file]):
                yield of_file[places], batch


def corpus_rows(group: Group, groups: RowGroups) -> CorpusRows | None:
    """Where the rows of the group's parts are; None where they lie beside the parts."""
    files = [member.source for member in group.files if member.source is not None]
    return CorpusRows(files, groups) if files else None


def read_corpus_rows(
    rows: Sequence[tuple[CorpusRows, NDArray[np.int64]]], order: NDArray[np.int64]
) -> dict[str, pa.Array[Any]]:
    """The COLUMNS of the rows at these positions, in an order: the numbers of all, as they shall come."""
    parts: list[pa.RecordBatch] = []
    places: list[NDArray[np.int64]] = []
    start = 0
    for source, positions in rows:
        for inside, batch in source.rows(positions):
            parts.append(batch)
            places.append(inside + start)
        start += len(positions)
    return in_order(parts, np.argsort(np.concatenate(places))[order]) if parts else {}


def check_source(file: CorpusFile) -> None:
    """CaptionIndexError where rows can't be read back from the file: no Parquet, or not on this machine."""
    if not isinstance(file.path, Path) or not _is_parquet(file.path):
        raise CaptionIndexError(
            f"{file.path} isn't a Parquet file on this machine, and an index without rows (--store none) "
            "reads them back from such files only; build it with its rows, in a new folder"
        )


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"PAR1"


def _check_unchanged(file: CorpusFile, path: Path, reader: CorpusReader) -> None:
    try:
        same = reader.fingerprint(path, file.more_captions) == file.fingerprint
    except CorpusError:
        same = False
    if not same:
        raise CaptionIndexError(
            f"{path} was changed since {file.file} was indexed, so its rows can't be read from it: "
            "put the old file back, or index the new one with --replace"
        )
