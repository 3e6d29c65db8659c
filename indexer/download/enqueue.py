"""matches.parquet → the ledger's rows: each URL once, in the smallest priority of its rows.

Of ranked matches, a row's priority is its place in its class: the first of every class are asked first.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...workspace.workspace import readable
from ..ledger import Ledger

_ROWS_AT_ONCE = 65_536


def matched_batches(matches: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Those columns of matches.parquet, batch by batch; WorkspaceError where it isn't there or readable."""
    with readable(matches, "match"), pq.ParquetFile(matches) as file:
        yield from file.iter_batches(_ROWS_AT_ONCE, columns=columns)


def matched_rows(matches: Path, columns: list[str]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The values of ``columns`` ("url" among them) of every row that has a URL, batch by batch."""
    for batch in matched_batches(matches, columns):
        rows = batch.filter(batch.column("url").is_valid())
        yield zip(*(rows[name].to_pylist() for name in columns), strict=True)


def matches_digest(matches: Path) -> str:
    """A hash of the values that the ledger reads: URL, uid and priority of every row, in the rows' order."""
    total = hashlib.sha256()
    for batch in matched_batches(matches, ["url", "uid", "priority"]):
        urls = batch.column("url").fill_null("\0").to_pylist()
        total.update("\n".join(map(str, urls)).encode())
        for name in ("uid", "priority"):
            total.update(batch.column(name).to_numpy().tobytes())
    return total.hexdigest()


def enqueue_matches(
    ledger: Ledger, matches: Path, *, digest: str, blocked_uids: frozenset[int], ranked: bool = False
) -> None:
    """Make the URLs of ``matches`` the wanted ones; nothing happens where ``digest`` was taken in last.

    ``digest`` must change with the matches and with ``blocked_uids``. A URL one of whose rows has a blocked
    uid is marked so. Rows without a URL are counted, each (file, row) once. A kill half-way leaves the
    wanted rows as they were.
    """
    if ledger.meta("taken_in") == digest:
        return
    generation = ledger.generation + 1
    without: set[tuple[str, int]] = set()
    uids = pa.array(sorted(blocked_uids), pa.int64())
    places: defaultdict[int, itertools.count[int]] = defaultdict(itertools.count)
    for batch in matched_batches(matches, ["url", "uid", "priority", "file", "row", "class_id"]):
        missing = batch.filter(batch.column("url").is_null())
        without.update((row["file"], row["row"]) for row in missing.select(["file", "row"]).to_pylist())
        rows = batch.filter(batch.column("url").is_valid())
        blocked = np.isin(rows["uid"].to_numpy(), uids.to_numpy()) if len(uids) else np.zeros(len(rows), bool)
        values = zip(
            rows["url"].to_pylist(),
            [next(places[id_]) for id_ in rows["class_id"].to_numpy().tolist()]
            if ranked
            else rows["priority"].to_pylist(),
            [generation] * len(rows),
            (blocked * generation).tolist(),
            strict=True,
        )
        with ledger.transaction():
            ledger.enqueue(values)
    with ledger.transaction():
        ledger.note(generation=str(generation), no_url=str(len(without)), taken_in=digest)
