"""Parquet tables without the rows that go; each is renamed into place, or left where nothing goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..core.arrow import pc
from ..core.files import atomic
from ..workspace.workspace import readable
from .targets import Doomed

_ROWS_AT_ONCE = 1 << 16
_TEXTS = {
    "url": "urls",
    "sha256": "hashes",
    "md5": "hashes",
    "path": "paths",
    "image_path": "paths",
}


def doomed_rows(rows: pa.RecordBatch | pa.Table, doomed: Doomed) -> NDArray[np.bool_]:
    """Which of ``rows`` go, by whichever of the columns url, uid, hash and path they have."""
    going = np.zeros(rows.num_rows, bool)
    for name, kind in _TEXTS.items():
        if name in rows.schema.names:
            values = pa.array(sorted(getattr(doomed, kind)), pa.string())
            column = rows.column(name)
            going |= np.asarray(pc.is_in(pc.cast(column, pa.string()), value_set=values), bool)
    if "uid" in rows.schema.names:
        uids = np.array(sorted(doomed.uids), np.int64)
        going |= np.isin(rows.column("uid").to_numpy(), uids)
    return going


def drop_rows(path: Path, doomed: Doomed, change: Callable[[pa.Table], pa.Table] | None = None) -> int:
    """Rewrite the table at ``path`` without the rows that go; how many went. ``change``: of what stays."""
    if not path.is_file():
        return 0
    with readable(path, "status --verify"), pq.ParquetFile(path) as file:
        batches = file.iter_batches(_ROWS_AT_ONCE)
        going = sum(int(doomed_rows(batch, doomed).sum()) for batch in batches)
        if not going:
            return 0
        schema = file.schema_arrow
        with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                rest = pa.Table.from_batches([batch]).filter(pa.array(~doomed_rows(batch, doomed)))
                writer.write_table(change(rest) if change else rest)
    return going


class Ranks:
    """Numbers the kept rows of a sample's table anew, class by class from 1."""

    def __init__(self) -> None:
        self._last: Counter[int] = Counter()

    def __call__(self, rows: pa.Table) -> pa.Table:
        """``rows``, the next of the table, with their ranks."""
        ranks: list[int | None] = []
        columns: Any = (rows.column("class_id").to_pylist(), rows.column("kept").to_pylist())
        for class_id, kept in zip(*columns, strict=True):
            self._last[class_id] += kept
            ranks.append(self._last[class_id] if kept else None)
        place = rows.schema.get_field_index("rank")
        return rows.set_column(place, rows.schema.field("rank"), pa.array(ranks, pa.int32()))
