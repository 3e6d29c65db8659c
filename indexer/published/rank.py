"""The pools of classes in the order of a score, by vectors that are there before any image is.

Which score, and by which vectors:

    T2T   the class's prompt · the caption: published vectors, else the captions are embedded here
    T2I   the class's prompt · the image: published vectors
    I2I   the mean of the class's shots · the image: published vectors
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...core.arrow import pc
from ...core.errors import InputError
from ...core.files import atomic, digest, sha256_file
from ...core.records import Progress, Vectors
from ...core.wording import counted
from ...search.vectors.encoder import Encoder
from ...search.vectors.models import ModelId
from .layout import CAPTIONS, IMAGES
from .lookup import NOWHERE, PublishedLookup
from .registration import NAME, Published, registered_in, registration_of
from .row_reader import BLOCK

logger = logging.getLogger(__name__)

KIND_OF = {"T2T": CAPTIONS, "T2I": IMAGES, "I2I": IMAGES}
"""What the vectors that a score compares with are of."""
_PAIRS = 1 << 20
"""(class, row) pairs that are scored together: a row that several classes have is read once."""
_Blocks = Iterator[tuple[NDArray[np.int64], Vectors]]


class RankReference(Protocol):
    """What the pools are compared with: prompts or shots of one model."""

    @property
    def model(self) -> ModelId:
        """The model that gives the vectors."""
        ...

    def weights(self) -> str:
        """The fingerprint of a local model, "" of others."""
        ...

    def digest(self) -> str:
        """A hash of the texts or images; no model is loaded."""
        ...

    def encoder(self) -> Encoder:
        """The loaded model."""
        ...

    def queries(self) -> Mapping[int, NDArray[np.float32]]:
        """The vector of each class that has one, by class id; loads the model where it must."""
        ...


@dataclass(frozen=True, slots=True)
class PoolFiles:
    """A class's pool as it was matched, and where it goes in rank order."""

    class_id: int
    pool: Path
    ranked: Path


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks pools by ``score`` and keeps the first ``top`` (0: all); ``root`` has the registrations."""

    score: str
    top: int
    reference: RankReference
    root: Path | None

    def inputs(self) -> dict[str, str]:
        """Hashes of what the order depends on, by the name that `status` says."""
        published = self._published(required=False)
        mark = sha256_file(published.folder / NAME) if published else ""
        model = [str(self.reference.model), self.reference.weights()]
        return {"rank": digest([self.score, self.top, self.reference.digest(), model, mark])}

    def rank(self, pools: Sequence[PoolFiles], corpus: Mapping[str, str], progress: Progress) -> None:
        """Write every pool's rows in rank order; ``corpus`` is file → fingerprint of the index.

        Highest score first, then uid; rows without a vector stand behind, in the pool's order.
        """
        scorer = self._scorer(corpus)
        done = 0
        for group in _groups(pools):
            progress("match: ranking", done, len(pools))
            self._rank_group(group, scorer)
            done += len(group)
        progress("match: ranking", done, len(pools))

    def _scorer(self, corpus: Mapping[str, str]) -> _Scorer:
        published = self._published(required=self.score != "T2T")
        lookup = PublishedLookup(published, KIND_OF[self.score]) if published else None
        queries = self.reference.queries()
        if lookup:
            lookup.check(corpus)
            dimension = len(next(iter(queries.values()))) if queries else lookup.published.dimension
            if dimension != lookup.published.dimension:
                raise InputError(
                    f"the vectors of {lookup.published.source} are {lookup.published.dimension}-d, "
                    f"{self.reference.model} gives {dimension}-d: they are of another model"
                )
        return _Scorer(self.reference, queries, lookup)

    def _published(self, *, required: bool) -> Published | None:
        """The registration of the prompts' model that has the vectors; InputError where one must be there."""
        kind = KIND_OF[self.score]
        if self.root is None or not registered_in(self.root):
            if required:
                raise InputError(
                    f"{self.score} compares with published vectors of {kind}, and none are registered; "
                    f"captrawl index vectors FOLDER --model {self.reference.model} --index INDEX does it"
                )
            return None
        published = registration_of(self.root, self.reference.model, self.reference.weights())
        if published.has(kind):
            return published
        if required:
            raise InputError(
                f"{published.source} has no vectors of {kind}, and {self.score} compares with them"
            )
        return None

    def _rank_group(self, group: Sequence[PoolFiles], scorer: _Scorer) -> None:
        columns = ["uid", "file", "row", *([] if scorer.lookup else ["caption"])]
        tables = [pq.read_table(one.pool, columns=columns) for one in group]
        owners = np.repeat([one.class_id for one in group], [table.num_rows for table in tables])
        rows = pa.concat_tables(tables)
        scores = scorer.scores(rows, owners)
        bare = int(np.isnan(scores).sum())
        if bare:
            logger.warning(
                "%s of %s have no vector: they come last", counted(bare, "row"), f"{len(scores):,}"
            )
        start = 0
        for one, table in zip(group, tables, strict=True):
            order = rank_order(scores[start : start + table.num_rows], table["uid"].to_numpy())
            _write_ranked(one, order[: self.top or None])
            start += table.num_rows


@dataclass(frozen=True, slots=True)
class _Scorer:
    reference: RankReference
    queries: Mapping[int, NDArray[np.float32]]
    lookup: PublishedLookup | None

    def scores(self, rows: pa.Table, owners: NDArray[np.int64]) -> NDArray[np.float64]:
        """The score of each row with the query of its class; NaN where one of them has no vector."""
        ids, class_of = np.unique(owners, return_inverse=True)
        missing = [id_ for id_ in ids.tolist() if id_ not in self.queries]
        if missing:
            raise InputError(
                f"class {missing[0]} has nothing to rank its pool by: no shots, or no name to prompt with"
            )
        queries = (
            np.stack([self.queries[id_] for id_ in ids.tolist()])
            if len(ids)
            else np.zeros((0, 1), np.float32)
        )
        scores = np.full(len(owners), np.nan)
        if self.lookup:
            places = self.lookup.places(rows)
            distinct, of_row = np.unique(places, return_inverse=True)
            skip = int(len(distinct) > 0 and distinct[0] == NOWHERE)
            _fill(scores, self.lookup.vectors(distinct[skip:]), of_row - skip, queries, class_of)
        else:
            encoded: Any = pc.fill_null(rows["caption"], "").combine_chunks().dictionary_encode()
            of_row = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            _fill(scores, self._captions(encoded.dictionary), of_row, queries, class_of)
        return scores.round(6)

    def _captions(self, captions: pa.Array[Any]) -> _Blocks:
        encoder = self.reference.encoder()
        for first in range(0, len(captions), BLOCK):
            texts: Any = captions.slice(first, BLOCK).to_pylist()
            yield np.arange(first, first + len(texts)), encoder.encode_texts(texts)


def rank_order(scores: NDArray[np.float64], uids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows by score, the highest first, then by uid; those without one (NaN) behind, as they stand."""
    bare = np.isnan(scores)
    return np.lexsort((np.where(bare, 0, uids), np.where(bare, 0, -scores), bare))


def _fill(
    scores: NDArray[np.float64], blocks: _Blocks, of_row: NDArray[np.int64], queries: Vectors,
    class_of: NDArray[np.int64],
) -> None:  # fmt: skip
    """Set the scores of the rows whose vector (number ``of_row``) is in ``blocks``, of ascending numbers."""
    order = np.argsort(of_row, kind="stable")
    numbers = of_row[order]
    for indices, vectors in blocks:
        first, last = np.searchsorted(numbers, [indices[0], indices[-1] + 1])
        for start in range(int(first), int(last), BLOCK):
            rows = order[start : min(start + BLOCK, int(last))]
            some = vectors[of_row[rows] - indices[0]]
            scores[rows] = np.einsum("ij,ij->i", some, queries[class_of[rows]])


def _groups(pools: Sequence[PoolFiles]) -> Iterator[list[PoolFiles]]:
    group: list[PoolFiles] = []
    pairs = 0
    for one in pools:
        group.append(one)
        pairs += pq.read_metadata(one.pool).num_rows
        if pairs >= _PAIRS:
            yield group
            group, pairs = [], 0
    if group:
        yield group


def _write_ranked(files: PoolFiles, order: NDArray[np.int64]) -> None:
    """Write the rows ``order`` of the pool, in that order; the others are never in memory together."""
    ascending = np.sort(order)
    tables: list[pa.Table] = []
    first = 0
    with pq.ParquetFile(files.pool) as file:
        schema = file.schema_arrow
        for batch in file.iter_batches(1 << 15):
            some = ascending[slice(*np.searchsorted(ascending, [first, first + batch.num_rows]))]
            tables.append(pa.Table.from_batches([batch.take(some - first)]))
            first += batch.num_rows
    rows = pa.concat_tables(tables) if tables else schema.empty_table()
    with atomic(files.ranked) as temporary:
        pq.write_table(rows.take(np.searchsorted(ascending, order)), temporary)
