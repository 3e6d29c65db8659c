"""The scores of a pool: T2T and T2I to the class's prompt, I2I and I2T to its shots.

A score is a float32 inner product of stored unit vectors, rounded to 6 decimals and held as float64, so that
``score >= 0.25`` means what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .methods import Score

DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of some rows: ``values`` is (rows, 6) float64 in Score's order, NaN where there is none."""

    values: NDArray[np.float64]

    def of(self, score: Score) -> NDArray[np.float64]:
        """One score of every row."""
        return self.values[:, ORDER.index(score)]

    def __len__(self) -> int:
        return len(self.values)


ORDER: tuple[Score, ...] = tuple(Score)


def score(
    images: NDArray[np.float32],
    captions: NDArray[np.float32],
    *,
    prompt: NDArray[np.float32],
    shots: NDArray[np.float32],
) -> Scores:
    """All six scores of a pool.

    ``images`` and ``captions`` are (rows, d), ``prompt`` is (d,), ``shots`` (shots, d); all float32. A class
    without shots (0 rows) has no I2I and I2T; a vector that holds NaN has no score.
    """
    values = np.full((len(images), len(ORDER)), np.nan)
    for vectors, to_prompt, mean, largest in (
        (captions, Score.T2T, Score.I2T_MEAN, Score.I2T_MAX),
        (images, Score.T2I, Score.I2I_MEAN, Score.I2I_MAX),
    ):
        values[:, ORDER.index(to_prompt)] = products(prompt[None], vectors)[0]
        if len(shots):
            each = products(shots, vectors)
            values[:, ORDER.index(mean)] = each.mean(axis=0)
            values[:, ORDER.index(largest)] = each.max(axis=0)
    return Scores(rounded(values))


def products(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (queries, rows): an exact k-NN search in FAISS over all rows, put back in order.

    NaN where a vector holds NaN: FAISS never returns such a row.
    """
    import faiss

    rows = len(vectors)
    out = np.full((len(queries), rows), np.nan, dtype=np.float32)
    if rows and len(queries):
        found, at = faiss.knn(queries, vectors, rows, metric=faiss.METRIC_INNER_PRODUCT)
        query, place = np.nonzero(at >= 0)
        out[query, at[query, place]] = found[query, place]
    return out


def rounded(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """``values`` as float64 at 6 decimals, -0.0 as 0.0."""
    return np.round(values.astype(np.float64), DECIMALS) + 0.0
