"""``clean`` and ``clean-text``: rows judged by a probe that was fitted on other rows of the pools.

The best half of every class's pool, with the shots, teaches a probe (discriminant analysis); it judges rows
that it never saw: two random halves of the task's pictures judge each other. A second round chooses the best
half by the first round's verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ...core.row_ids import splitmix
from ..probe import Probe
from .blends import Values, z_score

ROUNDS = 2
SHARE = 0.5
"""Of a class's pool that teaches."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The pools of a task, ``pools[i]`` the embedding rows of class i, each once, and what judges them.

    ``halves`` gives each embedding row's half, 0 or 1; a picture's rows are in one.
    """

    pools: Sequence[NDArray[np.int64]]
    images: Callable[[NDArray[np.int64]], Vectors]
    halves: NDArray[np.int8]
    shots: Probe

    def judged(self, base: Sequence[Values]) -> list[Values]:
        """For each class, how much more likely its rows (of its pool) are its own than the next class's.

        As a difference of log posteriors beside ``base``, the values that choose the first teachers. A row
        that the other half can't judge, since it teaches nothing of the class, has its ``base`` alone.
        """
        verdicts = list(base)
        for _ in range(ROUNDS):
            probes = self._probes([best(values) for values in verdicts])
            margins = [self._verdict(index, probes) for index in range(len(self.pools))]
            verdicts = [
                z_score(one) + np.nan_to_num(z_score(other)) for one, other in zip(base, margins, strict=True)
            ]
        return [np.round(values, 6) + 0.0 for values in verdicts]

    def _probes(self, teachers: Sequence[NDArray[np.bool_]]) -> list[Probe]:
        """A probe fitted on the shots and each half's ``teachers`` (rows of each class's pool)."""
        probes = [self.shots.copy(), self.shots.copy()]
        for index, (rows, mask) in enumerate(zip(self.pools, teachers, strict=True)):
            for half, probe in enumerate(probes):
                probe.add(index, self.images(rows[mask & (self.halves[rows] == half)]))
        return probes

    def _verdict(self, index: int, probes: Sequence[Probe]) -> Values:
        rows = self.pools[index]
        out = np.full(len(rows), np.nan)
        for half, probe in enumerate(probes):
            judged = np.flatnonzero(self.halves[rows] != half)
            logits = probe.log_posterior(self.images(rows[judged]))
            own = logits[:, index].copy()
            logits[:, index] = -np.inf
            with np.errstate(invalid="ignore"):  # a class that nothing was fitted for
                out[judged] = np.clip(own - logits.max(axis=1, initial=-np.inf), -50, 50)
        return out


def best(values: Values) -> NDArray[np.bool_]:
    """The SHARE of the rows with the highest values (ties by place); never a row without a value."""
    usable = int(np.isfinite(values).sum())
    mask = np.zeros(len(values), dtype=bool)
    order = np.argsort(np.where(np.isfinite(values), -values, np.inf), kind="stable")
    mask[order[: int(np.ceil(usable * SHARE))]] = True
    return mask


def halves_of(pictures: NDArray[np.int64]) -> NDArray[np.int8]:
    """A random half, 0 or 1, for each picture number."""
    return (splitmix(pictures.astype(np.uint64)) & np.uint64(1)).astype(np.int8)
