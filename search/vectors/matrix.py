"""Memory-mapped vectors as one matrix, of which only what was read lately stays in memory."""

from __future__ import annotations

import mmap
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors

_AROUND = 1 << 16
"""Bytes that the kernel maps around a page that is read, where they are cached."""
_MOST_MAPPED = 1 << 28
"""Mapped bytes count as this process's memory; beyond so many they are given back, to the page cache."""


class Matrix:
    """The rows of several memory-mapped .npy files as one matrix; gives float32."""

    def __init__(self, shards: Sequence[NDArray[Any]], dimension: int) -> None:
        self._shards = list(shards)
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self._mapped = 0
        self.dimension = dimension

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: NDArray[np.int64]) -> Vectors:
        """float32 (len(rows), dimension), in the order of ``rows``."""
        vectors = np.empty((len(rows), self.dimension), np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(owner):
            mine = owner == shard
            vectors[mine] = self._shards[shard][rows[mine] - self._starts[shard]]
        self._mapped += len(rows) * max(_AROUND, 4 * self.dimension)
        if self._mapped > _MOST_MAPPED:
            self._give_back()
        return vectors

    def blocks(self, size: int, start: int = 0) -> Generator[Vectors, None, None]:
        """float32 blocks of at most ``size`` rows, in order from row ``start``."""
        for first in range(start, len(self), size):
            yield self.take(np.arange(first, min(first + size, len(self)), dtype=np.int64))

    def _give_back(self) -> None:
        for shard in self._shards:
            if isinstance(shard.base, mmap.mmap):
                shard.base.madvise(mmap.MADV_DONTNEED)
        self._mapped = 0
