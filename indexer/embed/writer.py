"""Fill an embeddings folder with shards.

Killed and undisturbed runs write the same bytes: a shard is the next rows by uid of what is still to be
done, it is there whole or not at all, and the batches inside it depend on nothing else. A distinct caption
or image (sha256) that an earlier shard holds is copied from there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.arrow import pc
from ...core.records import Progress
from ...search.vectors.encoder import Encoder
from ...search.vectors.models import INFO
from ...search.vectors.store import (
    Embeddings,
    EmbeddingsInfo,
    Matrix,
    count_shards,
    image_sources,
    shard_rows,
    write_shard,
)
from ...workspace.workspace import Workspace
from .caption_text import CAPTION_TEXTS
from .published import PublishedImages
from .rows import NO_SHARD, add_failed, forgive_missing, load_failed, remaining_rows

logger = logging.getLogger(__name__)

RowsDone = Callable[[int], None]
"""Takes how many rows of the shard are done."""


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct values of a column in order of appearance; ``of_row`` is which of them each row has."""

    values: Any
    of_row: NDArray[np.int64]
    first: NDArray[np.int64]
    """The first row of each value."""

    @classmethod
    def of(cls, column: pa.ChunkedArray[Any]) -> Distinct:
        """Of a column without NULLs."""
        encoded: Any = column.combine_chunks().dictionary_encode()
        of_row = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(encoded.dictionary, of_row, np.unique(of_row, return_index=True)[1].astype(np.int64))


@dataclass(frozen=True, slots=True)
class EmbeddingWriter:
    """Fills ``folder`` (model.json = ``info``) with the encoder's vectors."""

    workspace: Workspace
    folder: Path
    info: EmbeddingsInfo
    encoder: Encoder
    published: PublishedImages | None = None
    """Whose vectors are taken for the images that have one."""
    parts: tuple[Embeddings, ...] = ()
    """Vectors made elsewhere in the same way, which are copied."""

    def fill(self, rows: pa.Table, progress: Progress) -> None:
        """Write shards until every row of ``rows`` has its vectors or a failure."""
        if not (self.folder / INFO).is_file():
            self.info.save(self.folder)
        forgive_missing(self.workspace, self.folder, rows, count_shards(self.folder))
        total = rows.num_rows
        while True:
            stored = Embeddings.open(self.folder)
            failed = load_failed(self.folder, stored.shards)
            rows = remaining_rows(rows, stored, failed)
            done = total - rows.num_rows
            progress("embed", done, total)
            if not rows.num_rows:
                return

            def report(rows_done: int, *, before: int = done) -> None:
                progress("embed", before + rows_done, total)

            self._shard(stored, rows.slice(0, shard_rows(stored.shards)), failed, report)

    def _shard(self, stored: Embeddings, rows: pa.Table, failed: pa.Table, report: RowsDone) -> None:
        """Embed ``rows`` and write them as the next shard, less those whose image can't be decoded."""
        images = Distinct.of(rows["sha256"])
        paths: Any = rows.take(images.first)["image_path"].to_pylist()
        sources = self._sources(stored, images)
        vectors, reasons = self._images(stored, images, rows.take(images.first), report, sources)
        bad = np.zeros(len(paths), dtype=bool)
        bad[list(reasons)] = True
        decodable = ~bad[images.of_row]
        shard = stored.shards if decodable.any() else NO_SHARD
        if reasons:
            logger.warning(
                "%d images can't be decoded; %s says why", len(reasons), self.folder / "failed.parquet"
            )
            entries = [
                {"sha256": images.values[at].as_py(), "path": paths[at], "reason": reason, "shard": shard}
                for at, reason in sorted(reasons.items())
            ]
            add_failed(self.folder, failed, entries)
        if shard == NO_SHARD:
            return
        rows = rows.filter(pa.array(decodable))
        captions = self._captions(stored, rows["caption"])
        of_row = images.of_row[decodable]
        write_shard(
            self.folder,
            shard,
            rows,
            images=vectors[of_row],
            captions=captions,
            sources=sources[of_row].tolist(),
        )

    def _sources(self, stored: Embeddings, images: Distinct) -> NDArray[Any]:
        """Where each distinct image's vector was published, as far as it is embedded; None: it's its own."""
        before: dict[str, str] = {}
        for one in (*self.parts, stored):
            before |= image_sources(one.folder, one.shards)
        return np.array([before.get(value) for value in images.values.to_pylist()], dtype=object)

    def _images(
        self, stored: Embeddings, images: Distinct, rows: pa.Table, report: RowsDone, sources: NDArray[Any]
    ) -> tuple[NDArray[Any], dict[int, str]]:
        """(a vector a distinct image, the images that have none → reason); ``rows``: the first of each.

        ``sources`` gets the source of those that are published.
        """
        paths: Any = rows["image_path"].to_pylist()
        vectors = np.zeros((len(paths), self.info.dimension), self.info.precision)
        origins = [(one.metadata["sha256"], one.images) for one in (stored, *self.parts)]
        new = _copy_known(vectors, images.values, origins)
        if self.published and len(new):
            here, some = self.published.vectors(rows.take(new))
            vectors[new[here]] = some
            sources[new[here]] = self.published.source
            new = np.delete(new, here)
        files = [self.workspace.root / paths[at] for at in new.tolist()]
        reasons: dict[int, str] = {}
        finished = 0
        with contextlib.closing(self.encoder.image_batches(files)) as batches:
            for batch in batches:
                vectors[new[batch.indices]] = batch.vectors
                reasons.update({int(new[at]): reason for at, reason in batch.failed.items()})
                finished += len(batch.indices) + len(batch.failed)
                report(finished * len(images.of_row) // len(paths))
        return vectors, reasons

    def _captions(self, stored: Embeddings, column: pa.ChunkedArray[Any]) -> NDArray[Any]:
        """A vector a caption, of its text as model.json says; NULL is read as ""."""
        captions = Distinct.of(pc.fill_null(column, ""))
        vectors = np.zeros((len(captions.first), self.info.dimension), self.info.precision)
        before = (stored, *self.parts)
        sources = [(pc.fill_null(one.metadata["caption"], ""), one.captions) for one in before]
        new = _copy_known(vectors, captions.values, sources)
        raw: list[str] = captions.values.take(pa.array(new)).to_pylist()
        texts = list(map(CAPTION_TEXTS[self.info.caption_text], raw))
        for indices, some in self.encoder.text_batches(texts):
            vectors[new[indices]] = some
        return vectors[captions.of_row]


def _copy_known(
    vectors: NDArray[Any], values: Any, sources: Sequence[tuple[Any, Matrix]]
) -> NDArray[np.int64]:
    """Fill the ``vectors`` whose value a source (values, their vectors) has; the indices of the others."""
    new = np.arange(len(vectors))
    for values_before, matrix in sources:
        places = pc.index_in(values.take(pa.array(new)), value_set=values_before)
        at = pc.fill_null(places, -1).to_numpy(zero_copy_only=False)
        vectors[new[at >= 0]] = matrix.take(at[at >= 0].astype(np.int64))
        new = new[at < 0]
    return new
