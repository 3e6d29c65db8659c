"""Pools, one class after the other: matches joined with their images and the rows of their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..classes.model import ClassList
from ..core.arrow import pc
from ..core.errors import WorkspaceError
from ..core.records import EMBEDDED_SCHEMA, UrlState
from ..search.vectors.store import Embeddings
from ..workspace.workspace import Workspace, readable
from .filters import Candidates, DropReason
from .pool_images import LedgerImages, SpilledRows
from .scores import Scores

BATCH_ROWS = 1 << 18
Hashes = Callable[[NDArray[np.int64]], Any]
"""The sha256 of embedded rows, by their numbers; NULL for -1."""
COLUMNS = ["class_id", "synonym", "uid", "url", "caption", "nsfw", "priority", "file", "row"]


@dataclass(frozen=True, slots=True)
class Pool:
    """All matches of a class.

    ``table`` has COLUMNS, path, sha256 and ``missing`` (why the row has no image or vectors, "" where it
    has both); ``embedded`` (rows,) is the row in the embeddings, or -1.
    """

    class_id: int
    table: pa.Table
    embedded: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows in the embeddings of the matches that have one."""
        return self.embedded[self.embedded >= 0]


def read_pool(workspace: Workspace, class_id: int, embeddings: Embeddings) -> Pool:
    """The pool of one class; WorkspaceError before `captrawl match` and `captrawl download`.

    The ledger and the embeddings' metadata are read through, and only the class's rows stay.
    """
    _check_stages(workspace)
    of_class = pc.field("class_id") == class_id
    with readable(workspace.matches_path, "match"):
        table = pq.read_table(workspace.matches_path, columns=COLUMNS, filters=of_class)
    images = _read_images(workspace, table.column("url").combine_chunks())
    with_images = _with_images(table, images).combine_chunks()
    return _pool(class_id, with_images, embeddings, lambda rows: embeddings.take("sha256", rows))


def read_pools(workspace: Workspace, classes: ClassList, embeddings: Embeddings) -> Iterator[Pool]:
    """The pool of every class, ascending; a class without matches has an empty one.

    Streams matches.parquet; in memory are the largest class and 12 bytes for each URL of the ledger. Matches
    of classes that are no longer in the list are passed over.
    """
    _check_stages(workspace)
    images, pictures = _read_images(workspace), _pictures(workspace, embeddings)
    ids = [entry.id for entry in classes]
    in_list = set(ids)
    place = 0
    path = workspace.matches_path
    with readable(path, "match"), pq.ParquetFile(path) as source:
        empty = _with_images(source.schema_arrow.empty_table().select(COLUMNS), images)
        for class_id, table in _by_class(source, images):
            if class_id not in in_list:
                continue
            while ids[place] != class_id:
                yield _pool(ids[place], empty, embeddings, pictures)
                place += 1
            yield _pool(class_id, table, embeddings, pictures)
            place += 1
    for class_id in ids[place:]:
        yield _pool(class_id, empty, embeddings, pictures)


def _check_stages(workspace: Workspace) -> None:
    for path, stage in ((workspace.matches_path, "match"), (workspace.images_path, "download")):
        if not path.exists():
            raise WorkspaceError(f"{path} isn't there; run captrawl {stage} first")


def _read_images(workspace: Workspace, urls: Any = None) -> LedgerImages:
    with readable(workspace.images_path, "download"):
        return LedgerImages(workspace.images_path, urls)


def _pictures(workspace: Workspace, embeddings: Embeddings) -> Hashes:
    schema = pa.schema([EMBEDDED_SCHEMA.field("sha256")])
    spilled = SpilledRows(embeddings.batches(["sha256"]), schema, workspace.root)
    return lambda rows: spilled.take(rows).column("sha256")


def _by_class(source: pq.ParquetFile, images: LedgerImages) -> Iterator[tuple[int, pa.Table]]:
    """(class id, its matches with their images) in the file's order, which is ascending by class id."""
    parts: list[pa.Table] = []
    current: int | None = None
    for batch in source.iter_batches(BATCH_ROWS, columns=COLUMNS):
        rows = _with_images(pa.Table.from_batches([batch]), images)
        ids = batch.column("class_id").to_numpy()
        starts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist()]
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            class_id = int(ids[start])
            if current is not None and class_id < current:
                raise WorkspaceError("matches.parquet isn't in class order; run captrawl match again")
            if current is not None and class_id != current:
                yield current, pa.concat_tables(parts).combine_chunks()
                parts = []
            current = class_id
            parts.append(rows.slice(start, end - start))
    if current is not None:
        yield current, pa.concat_tables(parts).combine_chunks()


def _with_images(rows: pa.Table, images: LedgerImages) -> pa.Table:
    """``rows`` with path and sha256 of their URL's image, and ``missing``: why there is none, "" else."""
    image: Any = images.of(rows.column("url"))
    usable = pc.fill_null(
        pc.and_(pc.equal(image.column("state"), UrlState.PACKED), pc.is_valid(image.column("path"))), False
    )
    why = pc.coalesce(
        image.column("reason"),
        image.column("state"),
        pc.if_else(pc.is_null(rows.column("url")), "no_url", "not_asked"),
    )
    nothing = pa.scalar(None, pa.string())
    missing = pc.if_else(usable, "", pc.binary_join_element_wise(DropReason.NO_IMAGE.value, why, ": "))
    return (
        rows.append_column("path", pc.if_else(usable, image.column("path"), nothing))
        .append_column("sha256", pc.if_else(usable, image.column("sha256"), nothing))
        .append_column("missing", missing)
    )


def _pool(class_id: int, table: pa.Table, embeddings: Embeddings, pictures: Hashes) -> Pool:
    """Join the rows' vectors by uid; the vectors of another picture than the ledger's aren't the row's."""
    at = embeddings.rows_of(table.column("uid").to_numpy())
    if embeddings.rows:
        same = pc.fill_null(pc.equal(table.column("sha256"), pictures(at)), False)
        at = np.where(same.to_numpy(), at, -1)
    missing: Any = table.column("missing")
    blank = pc.fill_null(pc.match_substring_regex(table.column("path"), r"\s"), False)
    missing = pc.if_else(blank, DropReason.BLANK_IN_PATH.value, missing)
    at = np.where(blank.to_numpy(), -1, at)
    unknown = pc.and_(pc.equal(missing, ""), pa.array(at < 0))
    missing = pc.if_else(unknown, DropReason.NOT_EMBEDDED.value, missing)
    place = table.column_names.index("missing")
    return Pool(class_id, table.set_column(place, "missing", missing), at)


def candidates_of(pool: Pool, scores: Scores, images: NDArray[np.float32]) -> Candidates:
    """The embedded rows of ``pool`` as plain arrays; ``scores`` and ``images`` are aligned with them."""
    rows = pool.table.take(np.flatnonzero(pool.embedded >= 0))
    uid = rows.column("uid").to_numpy()
    order = np.lexsort((rows.column("row").to_numpy(), _bytewise(rows.column("file")), uid))
    position = np.empty(len(uid), dtype=np.int64)
    position[order] = np.arange(len(uid))
    identity = np.stack([uid, _codes(rows.column("url")), _codes(rows.column("sha256"))], axis=1)
    return Candidates(scores, rows.column("priority").to_numpy(), position, identity, images)


def _codes(column: Any) -> NDArray[np.int64]:
    """Numbers that are equal where the texts are."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _bytewise(column: Any) -> NDArray[np.int64]:
    """Numbers that are ordered as the texts are, by their bytes."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    names: list[str] = encoded.dictionary.to_pylist()
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=lambda at: names[at].encode())] = np.arange(len(names))
    return place[encoded.indices.to_numpy(zero_copy_only=False)]
