"""What is to be embedded: the matched rows whose image is there, less what is done or can't be decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.arrow import pc
from ...core.errors import WorkspaceError
from ...core.files import atomic
from ...core.records import EMBEDDED_SCHEMA
from ...search.vectors.decode import MISSING_FILE
from ...search.vectors.store import Embeddings
from ...workspace.workspace import Workspace, readable
from ..outcomes import UrlState

FAILED_SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
    ]
)
"""embeddings/<model>/failed.parquet: images without a vector, and why.

``shard`` is the shard that was being made; -1 where nothing of it was left to write. Entries of a shard that
isn't committed belong to a run that was killed between the two writes, and don't count.
"""

NO_SHARD = -1


def rows_to_embed(workspace: Workspace) -> pa.Table:
    """One row (EMBEDDED_SCHEMA) a distinct matched uid with a usable image, ascending by uid.

    Where several URLs share a uid, the bytewise smallest with an image stands. Streams matches.parquet;
    raises WorkspaceError where a stage before isn't done.
    """
    for path, stage in ((workspace.matches_path, "match"), (workspace.images_path, "download")):
        if not path.is_file():
            raise WorkspaceError(f"{path} isn't there; run captrawl {stage} first")
    images = packed_images(workspace)
    tables: list[pa.Table] = []
    path = workspace.matches_path
    with readable(path, "match"), pq.ParquetFile(path) as source:
        for batch in source.iter_batches(1 << 18, columns=["uid", "url", "caption"]):
            rows = pa.Table.from_batches([batch])
            at = pc.index_in(rows["url"], value_set=images["url"])
            here = pc.is_valid(at)
            rows, at = rows.filter(here), pc.drop_null(at)
            rows = rows.append_column("image_path", images["path"].take(at))
            tables.append(rows.append_column("sha256", images["sha256"].take(at)))
    if not tables:
        return EMBEDDED_SCHEMA.empty_table()
    rows = _first_of_each_uid(pa.concat_tables(tables))
    return rows.cast(EMBEDDED_SCHEMA).combine_chunks()


def _first_of_each_uid(rows: pa.Table) -> pa.Table:
    """One row a uid, ascending; of several the one with the smallest (url, caption)."""
    rows = rows.take(np.argsort(rows["uid"].to_numpy(), kind="stable"))
    uids = rows["uid"].to_numpy()
    first = np.append(True, uids[1:] != uids[:-1])[: len(uids)]
    urls = rows["url"]
    new_url = pc.not_equal(urls.slice(1), urls.slice(0, max(0, len(urls) - 1))).to_numpy()
    if np.any(new_url & ~first[1:]):  # rare: only then is it worth sorting the texts
        rows = rows.sort_by([(name, "ascending") for name in ("uid", "url", "caption")])
    return rows.filter(pa.array(first))


def packed_images(workspace: Workspace) -> pa.Table:
    """url, path and sha256 of every usable image in images.parquet."""
    with readable(workspace.images_path, "download"):
        images = pq.read_table(workspace.images_path, columns=["url", "state", "path", "sha256"])
    good = pc.and_(pc.equal(images["state"], UrlState.PACKED), pc.is_valid(images["path"]))
    return images.filter(pc.and_(good, pc.is_valid(images["sha256"]))).drop_columns(["state"])


def remaining_rows(rows: pa.Table, stored: Embeddings | None, failed: pa.Table) -> pa.Table:
    """The rows of ``rows`` that have no vectors yet and whose image isn't known to be undecodable.

    A row is done when its uid is embedded with the image that the ledger names now.
    """
    sha256 = rows["sha256"]
    open_ = pc.invert(pc.is_in(sha256, value_set=failed["sha256"]))
    if stored is not None and stored.rows:
        at = stored.rows_of(rows["uid"].to_numpy())
        same = pc.equal(stored.metadata["sha256"].take(np.maximum(at, 0)), sha256)
        done = pc.and_(pa.chunked_array([pa.array(at >= 0)]), same)
        open_ = pc.and_(open_, pc.invert(done))
    return rows.filter(open_)


def load_failed(folder: Path, shards: int) -> pa.Table:
    """failed.parquet's entries of the first ``shards`` shards; empty where there is none."""
    path = folder / "failed.parquet"
    if not path.is_file():
        return FAILED_SCHEMA.empty_table()
    table = pq.read_table(path, schema=FAILED_SCHEMA)
    return table.filter(pc.less(table["shard"], shards))


def add_failed(folder: Path, failed: pa.Table, entries: list[dict[str, Any]]) -> None:
    """Append ``entries`` to failed.parquet, whose valid entries are ``failed``."""
    if entries:
        _save(folder, pa.concat_tables([failed, pa.Table.from_pylist(entries, FAILED_SCHEMA)]))


def forgive_missing(workspace: Workspace, folder: Path, rows: pa.Table, shards: int) -> None:
    """Drop the failures of image files that weren't there but are now."""
    failed = load_failed(folder, shards)
    missing = failed.filter(pc.equal(failed["reason"], MISSING_FILE))["sha256"]
    if not len(missing):
        return
    again = rows.filter(pc.is_in(rows["sha256"], value_set=missing)).select(["sha256", "image_path"])
    there = {row["sha256"] for row in again.to_pylist() if (workspace.root / row["image_path"]).is_file()}
    if there:
        keep = pc.invert(pc.is_in(failed["sha256"], value_set=pa.array(sorted(there))))
        _save(folder, failed.filter(keep))


def _save(folder: Path, table: pa.Table) -> None:
    with atomic(folder / "failed.parquet") as temporary:
        pq.write_table(table, temporary)
