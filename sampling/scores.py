"""The products of a pool: T2T and T2I to the class's prompt, I2I and I2T to its shots.

A score is a float32 inner product of stored unit vectors, rounded to 6 decimals and held as float64, so that
``score >= 0.25`` means what it says. It comes from an exact k-NN search in FAISS inside the pool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import WorkspaceError
from ..core.records import Vectors
from ..search.vectors.exact import exact_scores
from ..search.vectors.neighbours import NeighbourIndex
from ..search.vectors.store import Embeddings
from .methods import Order
from .orders.blends import Blend
from .orders.names import Score

logger = logging.getLogger(__name__)

QUERIES = 16
Products = Callable[[Vectors], NDArray[np.float64]]
"""Scores of queries (queries, d) with all rows of a pool: (queries, rows), NaN where a vector is broken."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of some rows, a whole pool's: ``values`` is (rows, scores) float64 in Score's order.

    NaN where there is none, or none was asked for.
    """

    values: NDArray[np.float64]

    def of(self, order: Order) -> NDArray[np.float64]:
        """One score of every row, or a blend of several."""
        if isinstance(order, Blend):
            return order.of([self.of(score) for score in order.scores])
        return self.values[:, ORDER.index(order)]

    def __len__(self) -> int:
        return len(self.values)


ORDER: tuple[Score, ...] = tuple(Score)


def score(images: Products, captions: Products, *, prompt: Vectors, shots: Vectors, rows: int) -> Scores:
    """The six products of a pool of ``rows`` rows, asked of its ``images`` and ``captions``.

    ``prompt`` is (d,), ``shots`` (shots, d). A class without shots (0 rows) has no I2I and I2T, a prompt of
    NaN no T2T and T2I. The mean over shots is the product with the shots' mean, which is the same number.
    """
    values = np.full((rows, len(ORDER)), np.nan)
    queries = (
        np.concatenate([prompt[None], shots.mean(axis=0, keepdims=True), shots])
        if len(shots)
        else prompt[None]
    )
    for ask, to_prompt, mean, largest in (
        (captions, Score.T2T, Score.I2T_MEAN, Score.I2T_MAX),
        (images, Score.T2I, Score.I2I_MEAN, Score.I2I_MAX),
    ):
        products_of = ask(queries)
        values[:, ORDER.index(to_prompt)] = products_of[0]
        if len(shots):
            values[:, ORDER.index(mean)] = products_of[1]
            values[:, ORDER.index(largest)] = products_of[2:].max(axis=0)
    return Scores(values)


def products(vectors: Vectors) -> Products:
    """Exact k-NN over ``vectors`` (rows, d) themselves, every row a neighbour, put back in their order."""
    return lambda queries: in_blocks(lambda some: exact_scores(some, vectors), queries)


def in_blocks(ask: Products, queries: Vectors) -> NDArray[np.float64]:
    """``ask`` a few queries at a time.

    From 20 queries on, FAISS multiplies matrices, whose last bits differ from those of its single products.
    """
    parts = [ask(queries[start : start + QUERIES]) for start in range(0, len(queries), QUERIES)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class PoolScorer:
    """Scores the pools of one workspace: on its FAISS indices where pools are searched there, else on the
    stored vectors.

    Both are exact inside a pool and give the same scores.
    """

    def __init__(self, embeddings: Embeddings, vectors_folder: Path) -> None:
        self._embeddings = embeddings
        try:
            indices = tuple(
                NeighbourIndex.open(vectors_folder, embeddings, where) for where in ("images", "captions")
            )
        except WorkspaceError as error:
            logger.info("scoring from the stored vectors: %s", error)
            indices = ()
        self._indices = indices if all(index.selects for index in indices) else ()

    def score(self, rows: NDArray[np.int64], *, prompt: Vectors, shots: Vectors) -> Scores:
        """The six products of the embedding ``rows``, which may repeat."""
        distinct, inverse = np.unique(rows, return_inverse=True)
        images, captions = (self._on(which, distinct) for which in (0, 1))
        scores = score(images, captions, prompt=prompt, shots=shots, rows=len(distinct))
        return Scores(scores.values[inverse])

    def _on(self, which: int, rows: NDArray[np.int64]) -> Products:
        """Products with image (0) or caption vectors (1), which are read when they are asked for."""
        if self._indices:
            return lambda queries: in_blocks(
                lambda some: self._indices[which].pool_scores(some, rows), queries
            )
        matrix = (self._embeddings.images, self._embeddings.captions)[which]

        def ask(queries: Vectors) -> NDArray[np.float64]:
            return products(matrix.take(rows))(queries)

        return ask
