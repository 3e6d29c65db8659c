"""Which pictures are copies, by their hashes (core.picture_hash)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.picture_hash import BYTES, COPY, Hashes, comparable, positions
from ...search.vectors.exact import import_faiss

FARTHEST = BYTES * 8


class HashIndex:
    """Pictures that others are compared with, in any position and crop of theirs: (rows, CROPS, BYTES)."""

    def __init__(self, hashes: Hashes) -> None:
        crops = hashes.reshape(-1, BYTES)
        self._index = _index(positions(crops[comparable(crops)]).reshape(-1, BYTES))

    def distances(self, pictures: Hashes) -> NDArray[np.int64]:
        """(pictures,) how many bits each is from the nearest; FARTHEST where there is nothing to compare."""
        nearest = np.full(len(pictures), FARTHEST)
        for which in (0, 1):
            rows = _telling(pictures, which)
            if self._index.ntotal and len(rows):
                bits, _ = self._index.search(np.ascontiguousarray(pictures[rows, which]), 1)
                nearest[rows] = np.minimum(nearest[rows], bits[:, 0])
        return nearest


def copies_among(pictures: Hashes) -> dict[int, set[int]]:
    """Which of ``pictures`` (rows, CROPS, BYTES) are copies of which: row → the others."""
    of = np.repeat(np.arange(len(pictures)), pictures.shape[1])
    crops = pictures.reshape(-1, BYTES)
    there = comparable(crops)
    pairs: dict[int, set[int]] = {}
    if not there.any():
        return pairs
    index, of = _index(crops[there]), of[there]
    for which in (0, 1):
        rows = _telling(pictures, which)
        queries = positions(pictures[rows, which]).reshape(-1, BYTES)
        limits, _, neighbours = index.range_search(queries, COPY + 1)
        asking = np.repeat(np.repeat(rows, 8), np.diff(limits.astype(np.int64)))
        for row, other in {*zip(asking.tolist(), of[neighbours].tolist(), strict=True)}:
            if row != other:
                pairs.setdefault(row, set()).add(other)
                pairs.setdefault(other, set()).add(row)
    return pairs


def _telling(pictures: Hashes, which: int) -> NDArray[np.int64]:
    """The rows whose whole hash (0), or other one without a frame (1), says something."""
    framed = np.any(pictures[:, 1] != pictures[:, 0], axis=1) if which else True
    return np.flatnonzero(comparable(pictures[:, which]) & framed)


def _index(hashes: Hashes) -> Any:
    index = import_faiss().IndexBinaryFlat(BYTES * 8)
    index.add(np.ascontiguousarray(hashes))
    return index
