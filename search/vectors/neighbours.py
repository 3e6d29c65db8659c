"""Open a FAISS index over stored embeddings, and ask it for the nearest rows.

    vectors/<model>/
      images.faiss, captions.faiss     inner product; id = row in the embeddings
      index.json                       what they were made from and how (VectorsInfo)

A score is the float32 product of the query and a stored vector, rounded to 6 decimals. Order: score
descending, then uid, then row. An inexact index only proposes rows; what comes back is scored exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ModelError, WorkspaceError
from ...core.files import read_json, write_json
from ...core.records import Vectors
from .exact import contiguous, exact_scores, import_faiss, rounded
from .gpu import has_gpu
from .store import Embeddings

FORMAT = 1
METRIC = "inner_product"
WHERE = ("images", "captions")

Where = Literal["images", "captions"]
Rows = NDArray[np.int64]


def proposals(size: int) -> int:
    """How many rows an inexact index is asked for; of them the ``size`` best by exact scores are given."""
    return 4 * size + 64


@dataclass(frozen=True, slots=True)
class VectorsInfo:
    """index.json. ``content`` is a hash of the embedded rows' identities, in order."""

    name: str
    pretrained: str
    weights: str
    dimension: int
    metric: str
    precision: str
    rows: int
    content: str
    factory: str
    recall: Mapping[str, float] | None
    """recall@10 of what :meth:`NeighbourIndex.nearest` gives, of a sample; None for an exact index."""

    @property
    def exact(self) -> bool:
        return self.recall is None

    def save(self, folder: Path) -> None:
        """Write ``folder``/index.json."""
        values = asdict(self)
        model = {key: values.pop(key) for key in ("name", "pretrained", "weights")}
        write_json(folder / "index.json", {"format": FORMAT, "model": model, **values})

    @classmethod
    def load(cls, folder: Path) -> VectorsInfo:
        """index.json of ``folder``; WorkspaceError where it isn't there or isn't readable."""
        path = folder / "index.json"
        try:
            data = read_json(path)
            number = data.pop("format", None)
            if number != FORMAT:
                raise WorkspaceError(f"{path} has format {number}, this captrawl reads {FORMAT}")
            return cls(**data.pop("model"), **data)
        except FileNotFoundError as error:
            raise WorkspaceError(f"{folder} contains no vectors; build them with captrawl embed") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(
                f"{path} isn't readable ({error!s:.100}); run captrawl embed again"
            ) from error


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest rows of each query, best first: both (queries, found); row -1 and score NaN fill up."""

    rows: Rows
    scores: NDArray[np.float64]


class NeighbourIndex:
    """The vectors of one kind (``where``), asked by unit vectors of the model that made them."""

    def __init__(self, index: Any, info: VectorsInfo, embeddings: Embeddings, where: Where) -> None:
        self.info, self.embeddings = info, embeddings
        self.matrix = embeddings.images if where == "images" else embeddings.captions
        self._index = index

    @classmethod
    def open(cls, folder: Path, embeddings: Embeddings, where: Where) -> NeighbourIndex:
        """The index of ``folder`` over ``embeddings``.

        Raises WorkspaceError where it isn't there or doesn't hold all the rows, ModelError where another
        model or precision made it, MissingExtraError without FAISS.
        """
        faiss = import_faiss()
        info, stored_info = VectorsInfo.load(folder), embeddings.info
        for name, of_index, of_vectors in (
            (
                "model",
                f"{info.name} {info.pretrained}".strip(),
                f"{stored_info.name} {stored_info.pretrained}".strip(),
            ),
            ("weights", info.weights[:12], stored_info.weights[:12]),
            ("dimension", info.dimension, stored_info.dimension),
            ("precision", info.precision, stored_info.precision),
        ):
            if of_index != of_vectors:
                raise ModelError(
                    f"{folder} was built from {name} {of_index}, the embeddings have {of_vectors}; "
                    "rebuild it with captrawl embed"
                )
        path = folder / f"{where}.faiss"
        try:
            index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        except RuntimeError as error:
            raise WorkspaceError(f"can't read {path}; run captrawl embed again") from error
        if not index.ntotal == info.rows == embeddings.rows or index.d != info.dimension:
            raise WorkspaceError(
                f"{path} contains {index.ntotal} rows of {index.d} dimensions, the embeddings "
                f"{embeddings.rows} of {info.dimension}; run captrawl embed"
            )
        return cls(index, info, embeddings, where)

    @property
    def selects(self) -> bool:
        """Whether pools are searched on the index: it is exact, and there is no GPU.

        Else they are read from the stored vectors: FAISS on a GPU passes over selectors without a word.
        """
        return self.info.factory == "Flat" and not has_gpu(import_faiss())

    def nearest(self, queries: Vectors, k: int, *, rows: Rows | None = None) -> Nearest:
        """The ``k`` nearest rows of each query (n, dimension), among ``rows`` (distinct) or all.

        Exact inside ``rows``, and over all where the index is exact; ties at the last place are settled by
        the order too. Gives min(k, rows) columns; none for an empty pool.
        """
        self._check(queries)
        if rows is not None:
            scores = self.pool_scores(queries, rows)
            return self._ordered([rows] * len(queries), list(scores), min(k, len(rows)))
        total = len(self.matrix)
        size = min(k, total)
        if not size:
            return Nearest(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0)))
        candidates, scores = zip(*(self._candidates(query, size) for query in queries), strict=True)
        return self._ordered(list(candidates), list(scores), size)

    def pool_scores(self, queries: Vectors, rows: Rows) -> NDArray[np.float64]:
        """The score of every query with every one of ``rows`` (distinct), (queries, rows), in their order.

        NaN where a stored vector isn't a number.
        """
        self._check(queries)
        if not self.selects:
            return exact_scores(queries, self.matrix.take(rows))
        faiss = import_faiss()
        pool = np.ascontiguousarray(rows, np.int64)
        scores = np.full((len(queries), len(pool)), np.nan)
        if not len(pool) or not len(queries):
            return scores
        selector = faiss.IDSelectorArray(pool)
        among = faiss.SearchParameters(sel=selector)
        products, rows_found = self._index.search(contiguous(queries), len(pool), params=among)
        order = np.argsort(pool)
        places = order[np.minimum(np.searchsorted(pool, rows_found, sorter=order), len(pool) - 1)]
        query, place = np.nonzero(rows_found >= 0)
        scores[query, places[query, place]] = rounded(products[query, place])
        return scores

    def pool_ranking(self, query: Vectors, rows: Rows) -> Nearest:
        """All of ``rows`` (distinct) by their score with one query (dimension,), as one line each."""
        nearest = self.nearest(query[None], len(rows), rows=rows)
        return Nearest(nearest.rows[0], nearest.scores[0])

    def _candidates(self, query: Vectors, size: int) -> tuple[Rows, NDArray[np.float64]]:
        """Rows and scores that hold the ``size`` best and every tie of the last one.

        An inexact index proposes rows; they are scored from the stored vectors.
        """
        total = len(self.matrix)
        ask = min(total, size + 64 if self.info.exact else proposals(size))
        while True:
            products, neighbours = self._index.search(contiguous(query[None]), ask)
            rows = neighbours[0][neighbours[0] >= 0]
            if not self.info.exact:
                scores = rounded(self.matrix.take(rows) @ contiguous(query))
                return rows, scores
            scores = rounded(products[0][neighbours[0] >= 0])
            if ask == total or len(rows) < ask or scores[-1] < scores[size - 1]:
                return rows, scores
            ask = min(total, ask * 4)

    def _ordered(self, rows: list[Rows], scores: list[NDArray[np.float64]], size: int) -> Nearest:
        """The first ``size`` of each query's candidates in order."""
        out = Nearest(
            np.full((len(rows), size), -1, np.int64), np.full((len(rows), size), np.nan, np.float64)
        )
        for at, (some, values) in enumerate(zip(rows, scores, strict=True)):
            real = np.flatnonzero(~np.isnan(values))
            some, values = some[real], values[real]  # noqa: PLW2901
            order = np.lexsort((some, self.embeddings.uids[some], -values))[:size]
            out.rows[at, : len(order)] = some[order]
            out.scores[at, : len(order)] = values[order]
        return out

    def _check(self, queries: Vectors) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.info.dimension:
            raise ModelError(
                f"the index contains {self.info.dimension}-d vectors, the queries have shape "
                f"{queries.shape}; encode them with {self.info.name}, or embed again with the other model"
            )
