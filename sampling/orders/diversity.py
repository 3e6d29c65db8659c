"""``--diverse``: which of the best rows make the sample, so that it doesn't show one thing many times.

A number weighs rank against likeness (maximal marginal relevance, Carbonell and Goldstein 1998); ``facility``
takes the rows that all the candidates lie nearest to (facility location, by lazy greedy steps). Both choose
among the first CANDIDATES × n rows, so that what is diverse is still good.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors

FACILITY = "facility"
CANDIDATES = 2


def diverse(images: Vectors, n: int, how: float | str, *, first: int = 0) -> NDArray[np.int64]:
    """The places of ``n`` of ``images`` (rows, d), which are in rank order, in the order they are taken.

    The ``first`` rows are taken anyway.
    """
    images = np.nan_to_num(images[: max(CANDIDATES * n, first)])
    if len(images) <= n:
        return np.arange(len(images))
    likeness = np.clip(images @ images.T, 0.0, 1.0)
    first = min(first, n)
    if isinstance(how, str):
        return _facility(likeness, n, first)
    return _marginal(likeness, n, how, first)


def _marginal(likeness: NDArray[np.float32], n: int, weight: float, first: int) -> NDArray[np.int64]:
    """Greedily the highest of weight × relevance (1 for the first rank, 0 beyond the last) − (1 − weight)
    × the likeness to the nearest row taken.
    """
    size = len(likeness)
    relevance = 1 - np.arange(size) / size
    nearest = np.zeros(size)
    left = np.ones(size, dtype=bool)
    taken: list[int] = []
    for step in range(n):
        value = np.where(left, weight * relevance - (1 - weight) * nearest, -np.inf)
        row = step if step < first else int(value.argmax())
        taken.append(row)
        left[row] = False
        nearest = np.maximum(nearest, likeness[row])
    return np.array(taken, dtype=np.int64)


def _facility(likeness: NDArray[np.float32], n: int, first: int) -> NDArray[np.int64]:
    """Greedily the row that raises most the sum, over all rows, of the likeness to the nearest row taken.

    A row's gain only falls, so one whose gain is up to date and the highest is the best; ties by rank.
    """
    taken = list(range(first))
    nearest = likeness[:first].max(axis=0, initial=0.0)
    heap = [(-_gain(likeness[row], nearest), row) for row in range(first, len(likeness))]
    heapq.heapify(heap)
    while len(taken) < n:
        _, row = heap[0]
        heapq.heapreplace(heap, (-_gain(likeness[row], nearest), row))
        if heap[0][1] == row:
            heapq.heappop(heap)
            taken.append(row)
            nearest = np.maximum(nearest, likeness[row])
    return np.array(taken, dtype=np.int64)


def _gain(likeness: NDArray[np.float32], nearest: NDArray[np.float32]) -> float:
    """At 6 decimals: two rows that are each other's nearest gain the same, and the better rank goes first."""
    return round(float(np.maximum(likeness - nearest, 0).sum(dtype=np.float64)), 6)
