"""Which image a row's URL has, in memory bounded for any ledger.

The ledger's values lie in a temporary file; in memory are a hash and a row number of each URL.
"""

from __future__ import annotations

import itertools
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..core.arrow import pc
from ..core.row_ids import uids

VALUES = ["state", "reason", "path", "sha256"]
_BATCH_ROWS = 1 << 17
_MOST_TAKEN = 1 << 16
"""Rows that are taken before the pages they stood on are given back."""


class SpilledRows:
    """Rows in a temporary file that is gone with this object, and with the process."""

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, folder: Path) -> None:
        with _temporary_file(folder) as file:
            with pa.ipc.new_stream(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with pa.ipc.open_stream(pa.py_buffer(self._map)) as reader:
            self._batches = [batch for batch in reader if batch.num_rows]
            self._empty = reader.schema.empty_table()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._taken = 0

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """The rows with these numbers, in their order; NULLs for -1."""
        owners = np.where(rows < 0, -1, np.searchsorted(self._starts, rows, "right") - 1)
        order = np.argsort(owners, kind="stable")
        pieces = [self._empty]
        for owner in np.unique(owners[owners >= 0]).tolist():
            mine = pa.array(rows[owners == owner] - self._starts[owner])
            pieces.append(pa.Table.from_batches([self._batches[owner].take(mine)]))
        missing = int((owners < 0).sum())
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows)) - missing
        places: Any = pa.array(place, mask=rows < 0)
        table = pa.concat_tables(pieces).combine_chunks().take(places)
        self._taken += len(rows)
        if self._taken > _MOST_TAKEN:
            self._map.madvise(mmap.MADV_DONTNEED)
            self._taken = 0
        return table


def _temporary_file(folder: Path) -> Any:
    """A file in ``folder``, which has room for much; in the system's where that can't be written."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


class LedgerImages:
    """images.parquet, asked by URL; with ``urls`` only what it has of these."""

    def __init__(self, path: Path, urls: Any = None) -> None:
        hashes: list[NDArray[np.int64]] = [np.empty(0, np.int64)]

        def hashed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                rows = batch if urls is None else batch.filter(pc.is_in(batch.column("url"), value_set=urls))
                hashes.append(_hashes_of(rows.column("url")))
                yield rows

        with pq.ParquetFile(path) as source:
            columns = ["url", *VALUES]
            schema = source.schema_arrow.empty_table().select(columns).schema
            batches = hashed(source.iter_batches(_BATCH_ROWS, columns=columns))
            self._rows = SpilledRows(batches, schema, path.parent)
        every = np.concatenate(hashes)
        order = np.argsort(every, kind="stable")
        self._sorted = every[order]
        self._order = order.astype(np.int32) if len(order) < 1 << 31 else order

    def of(self, urls: pa.ChunkedArray[Any]) -> pa.Table:
        """The URL and VALUES that the ledger has for each of ``urls``; NULL where it isn't in."""
        hashes = _hashes_of(urls.combine_chunks())
        first = np.searchsorted(self._sorted, hashes)
        rows = np.full(len(hashes), -1, np.int64)
        undecided = pc.is_valid(urls).to_numpy()
        for place in itertools.count():
            at = first + place
            inside = at < len(self._sorted)
            undecided[undecided] = inside[undecided]
            undecided[undecided] = self._sorted[at[undecided]] == hashes[undecided]
            if not undecided.any():
                return self._rows.take(rows)
            rows[undecided] = self._order[at[undecided]]
            images = self._rows.take(rows)
            # another URL may have the hash, and then the next row of that hash is looked at
            same = pc.fill_null(pc.equal(images.column("url"), urls), False).to_numpy()
            undecided &= ~same
            rows[undecided] = -1
            if not undecided.any():
                return images
        raise AssertionError("the loop ends behind the last hash")


def _hashes_of(urls: pa.Array[Any]) -> NDArray[np.int64]:
    return uids(urls, pa.nulls(len(urls), pa.string()))
