"""All rows of a question as one download, made while it is sent: memory stays constant."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ..search.api import CREDITED_SCHEMA, all_rows, frequencies
from ..search.captions import CaptionIndex
from ..search.query import CaptionQuery

Format = Literal["parquet", "csv"]
TYPES: dict[Format, str] = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv; charset=utf-8"}
ENOUGH = 1 << 16


class _Outbox(io.RawIOBase):
    """A file that only grows; what was written is taken out in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._place += len(piece)
        self.waiting += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Everything written since the last time."""
        data = b"".join(self._pieces)
        self._pieces, self.waiting = [], 0
        return data


def stream(index: CaptionIndex, query: CaptionQuery, kind: Format) -> Iterator[bytes]:
    """The bytes of a Parquet or CSV file with every matching row once (search.api.CREDITED_SCHEMA).

    The counting is done, and its errors raised, before the first piece is asked for.
    """
    totals = frequencies(index, query)
    return _pieces(all_rows(index, query, totals), kind)


def _pieces(batches: Iterator[pa.RecordBatch], kind: Format) -> Iterator[bytes]:
    outbox = _Outbox()
    with _writer(outbox, kind) as writer:
        for batch in batches:
            writer.write_batch(batch)
            if outbox.waiting >= ENOUGH:
                yield outbox.take()
    if outbox.waiting:
        yield outbox.take()


def _writer(outbox: _Outbox, kind: Format) -> pq.ParquetWriter | pyarrow.csv.CSVWriter:
    sink: Any = outbox  # both take any file-like object, which their stubs don't say
    if kind == "csv":
        return pyarrow.csv.CSVWriter(sink, CREDITED_SCHEMA)
    return pq.ParquetWriter(sink, CREDITED_SCHEMA, compression="zstd")
