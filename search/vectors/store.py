"""Stored embeddings in clip-retrieval's layout: written and read here.

    embeddings/<model>/
      model.json                         format, model, weights' fingerprint, dimension, precision
      img_emb/img_emb_00.npy             unit rows; row i of all three belongs together
      text_emb/text_emb_00.npy
      metadata/metadata_00.parquet       records.EMBEDDED_SCHEMA; renamed last: commits the shard;
                                         image_source where some image's vector is a published one
      failed.parquet                     images that couldn't be decoded, see indexer.embed

Two digits, always: clip-retrieval's readers sort the names, so the width can't grow. Shards grow instead
(:func:`shard_rows`): a kill loses at most a sixth of the rows that are done, and 100 shards hold 35 million.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...core.errors import ModelError, WorkspaceError
from ...core.files import atomic, read_json, write_json
from ...core.records import EMBEDDED_SCHEMA
from .matrix import Matrix
from .models import FLOAT32, INFO

FORMAT = 1
RAW = "raw"
"""Captions as they are."""
_LATER = {"caption_text": RAW, "compute": FLOAT32}
SHARDS = 100
_FIRST_SHARD = 256
_LARGEST_SHARD = 1 << 20
_SOURCE = "image_source"
"""The column of a shard's metadata that says where an image's vector was published."""


@dataclass(frozen=True, slots=True)
class EmbeddingsInfo:
    """model.json: what made the vectors; vectors of two infos never mix."""

    name: str
    pretrained: str
    weights: str
    """search.vectors.Encoder.weights."""
    dimension: int
    precision: str
    """Of the stored vectors: float16 or float32."""
    caption_text: str = RAW
    """What of a caption was embedded, a key of indexer.embed.caption_text.CAPTION_TEXTS."""
    compute: str = FLOAT32
    """The type of the forward pass, search.vectors.Encoder.compute."""

    def save(self, folder: Path) -> None:
        """Write ``folder``/model.json."""
        values = {key: value for key, value in asdict(self).items() if key not in _LATER}
        write_json(folder / INFO, {"format": FORMAT, **values, **self.unusual})

    @property
    def unusual(self) -> dict[str, str]:
        """The values that no folder had before there was a choice; they alone are written and hashed."""
        return {key: getattr(self, key) for key, usual in _LATER.items() if getattr(self, key) != usual}

    @classmethod
    def load(cls, folder: Path) -> EmbeddingsInfo:
        """model.json of ``folder``; WorkspaceError where it isn't there or isn't readable."""
        path = folder / INFO
        try:
            data = read_json(path)
            number = data.pop("format", None)
            if number != FORMAT:
                raise WorkspaceError(f"{path} has format {number}, this captrawl reads {FORMAT}")
            return cls(**data)
        except FileNotFoundError as error:
            raise WorkspaceError(f"{folder} contains no embeddings; make them with captrawl embed") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(
                f"{path} isn't readable ({error!s:.100}); delete {folder}, embed again"
            ) from error


def shard_rows(shard: int) -> int:
    """How many rows shard number ``shard`` (from 0) takes before failures: 256, doubled every six shards."""
    if shard >= SHARDS:
        raise WorkspaceError(f"one model's embeddings contain {SHARDS} shards and all are full")
    return min(_FIRST_SHARD << (shard // 6), _LARGEST_SHARD)


def shard_paths(folder: Path, shard: int) -> tuple[Path, Path, Path]:
    """The shard's image vectors, text vectors and metadata."""
    return (
        folder / "img_emb" / f"img_emb_{shard:02d}.npy",
        folder / "text_emb" / f"text_emb_{shard:02d}.npy",
        folder / "metadata" / f"metadata_{shard:02d}.parquet",
    )


def write_shard(
    folder: Path,
    shard: int,
    rows: pa.Table,
    *,
    images: NDArray[Any],
    captions: NDArray[Any],
    sources: Sequence[str | None] = (),
) -> None:
    """Write one shard (``rows`` of EMBEDDED_SCHEMA, aligned arrays); it is there when the metadata is.

    ``sources`` says of each image's vector where it was published; None: it was embedded here.
    """
    image_path, text_path, metadata_path = shard_paths(folder, shard)
    for path, vectors in ((image_path, images), (text_path, captions)):
        with atomic(path) as temporary, temporary.open("wb") as handle:
            np.save(handle, vectors)
    rows = rows.cast(EMBEDDED_SCHEMA)
    if any(sources):
        rows = rows.append_column(_SOURCE, pa.array(sources, pa.string()))
    with atomic(metadata_path) as temporary:
        pq.write_table(rows, temporary)


def image_sources(folder: Path, shards: int) -> dict[str, str]:
    """The images (sha256) whose vectors were published, and where."""
    sources: dict[str, str] = {}
    for shard in range(shards):
        path = shard_paths(folder, shard)[2]
        if _SOURCE in pq.read_schema(path).names:
            for row in pq.read_table(path, columns=["sha256", _SOURCE]).to_pylist():
                if row[_SOURCE]:
                    sources[row["sha256"]] = row[_SOURCE]
    return sources


class Embeddings:
    """Stored embeddings, open for reading: row i of ``images``, ``captions`` and ``metadata``."""

    def __init__(self, folder: Path, info: EmbeddingsInfo, shards: int) -> None:
        self.folder, self.info, self.shards = folder, info, shards
        self.rows = sum(_metadata_rows(folder, shard) for shard in range(shards))
        self.images = Matrix([self._vectors(shard, 0) for shard in range(shards)], info.dimension)
        self.captions = Matrix([self._vectors(shard, 1) for shard in range(shards)], info.dimension)
        if not len(self.images) == len(self.captions) == self.rows:
            raise WorkspaceError(
                f"{folder} contains {len(self.images)} image and {len(self.captions)} caption vectors for "
                f"{self.rows} rows; delete it and run captrawl embed"
            )

    @classmethod
    def open(cls, folder: Path) -> Embeddings:
        """The committed shards of ``folder``; WorkspaceError where there are none or they are damaged."""
        info = EmbeddingsInfo.load(folder)
        return cls(folder, info, count_shards(folder))

    @cached_property
    def metadata(self) -> pa.Table:
        """Every column of every row (EMBEDDED_SCHEMA)."""
        tables = [_metadata(self.folder, shard) for shard in range(self.shards)]
        return pa.concat_tables(tables).combine_chunks() if tables else EMBEDDED_SCHEMA.empty_table()

    def batches(self, columns: Sequence[str]) -> Generator[pa.RecordBatch]:
        """Some columns of the metadata, streamed in the order of the rows."""
        for shard in range(self.shards):
            yield from _metadata(self.folder, shard, columns).to_batches()

    def take(self, column: str, rows: NDArray[np.int64]) -> pa.ChunkedArray[Any]:
        """A column's values of these rows, in their order, NULL for -1; the metadata is read through once."""
        distinct = np.unique(rows[rows >= 0])
        field = EMBEDDED_SCHEMA.field(column)
        values: list[Any] = [pa.array([], field.type)]
        start = 0
        for batch in self.batches([column]):
            end = start + batch.num_rows
            first, last = np.searchsorted(distinct, [start, end]).tolist()
            values.append(batch.column(column).take(distinct[first:last] - start))
            start = end
        places: Any = pa.array(np.searchsorted(distinct, rows), mask=rows < 0)
        return pa.chunked_array(values).take(places)

    @property
    def dimension(self) -> int:
        return self.info.dimension

    @cached_property
    def uids(self) -> NDArray[np.int64]:
        """The uid of each row. A uid whose image came anew stands twice; the later row holds."""
        parts = [batch.column("uid").to_numpy() for batch in self.batches(["uid"])]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.uids, kind="stable")
        uids = self.uids[order]
        last = np.append(uids[1:] != uids[:-1], True)[: len(uids)]
        return uids[last], order[last]

    def rows_of(self, uids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each uid; -1 where it isn't embedded."""
        sorted_uids, rows = self._sorted
        if not len(sorted_uids):
            return np.full(len(uids), -1, np.int64)
        at = np.minimum(np.searchsorted(sorted_uids, uids), len(sorted_uids) - 1)
        return np.where(sorted_uids[at] == uids, rows[at], -1)

    def _vectors(self, shard: int, which: int) -> NDArray[Any]:
        path = shard_paths(self.folder, shard)[which]
        try:
            vectors: NDArray[Any] = np.load(path, mmap_mode="r")
        except FileNotFoundError as error:
            raise WorkspaceError(f"{path} is gone; captrawl embed makes it anew") from error
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"can't read {path} ({error}); delete {self.folder}, embed again") from error
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension or vectors.dtype != self.info.precision:
            raise ModelError(
                f"{path} contains {vectors.dtype} vectors of shape {vectors.shape}, {INFO} says "
                f"{self.info.precision} of {self.dimension} dimensions; delete {self.folder} and embed again"
            )
        return vectors


def count_shards(folder: Path) -> int:
    """How many shards are committed."""
    shards = 0
    while shards < SHARDS and shard_paths(folder, shards)[2].is_file():
        shards += 1
    return shards


def whole_shards(folder: Path) -> int:
    """How many shards are committed and still have all their files, up to the first that hasn't."""
    committed = range(count_shards(folder))
    gone = (s for s in committed if not all(path.is_file() for path in shard_paths(folder, s)))
    return next(gone, len(committed))


def drop_shards(folder: Path, first: int) -> None:
    """Delete what there is of the shards from ``first`` on, the metadata first: it makes a shard count."""
    for shard in range(first, SHARDS):
        for path in reversed(shard_paths(folder, shard)):
            path.unlink(missing_ok=True)


def _metadata(folder: Path, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
    path = shard_paths(folder, shard)[2]
    try:
        return pq.read_table(path, schema=EMBEDDED_SCHEMA, columns=list(columns) if columns else None)
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(f"can't read {path} ({error}); delete {folder} and embed again") from error


def _metadata_rows(folder: Path, shard: int) -> int:
    path = shard_paths(folder, shard)[2]
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(f"can't read {path} ({error}); delete {folder} and embed again") from error
