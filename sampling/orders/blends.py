"""Orders made of several scores: a sum of z-scores, or a fusion of ranks, inside a class's pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .names import Score

FUSION = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blend:
    """``T2I+I2I.mean`` or ``rrf(T2T,T2I)``; a row that lacks one of the scores has no value."""

    kind: Literal["sum", "rrf"]
    scores: tuple[Score, ...]

    @property
    def column(self) -> str:
        """Its column in NAME.parquet, one for every blend."""
        return "blend"

    @property
    def needs_shots(self) -> bool:
        return any(score.needs_shots for score in self.scores)

    def of(self, values: Sequence[Values]) -> Values:
        """The value of every row, from the values of the scores, each (rows,)."""
        return np.round(BLENDS[self.kind](values), 6) + 0.0

    def __str__(self) -> str:
        return "+".join(self.scores) if self.kind == "sum" else f"rrf({','.join(self.scores)})"


def z_score(values: Values) -> Values:
    """``values`` less their mean, over their standard deviation; 0 where all are equal, NaN stays NaN."""
    usable = values[np.isfinite(values)]
    if not len(usable):
        return values
    spread = float(usable.std())
    return (values - usable.mean()) / (spread if spread > 1e-9 else np.inf)


def ranks(values: Values) -> Values:
    """1 for the highest, equal values sharing the best of their ranks; NaN stays NaN."""
    usable = np.sort(-values[np.isfinite(values)])
    return np.where(np.isfinite(values), np.searchsorted(usable, -values) + 1.0, np.nan)


def sum_of(values: Sequence[Values]) -> Values:
    """The sum of the z-scores."""
    return np.sum([z_score(some) for some in values], axis=0)


def fusion_of(values: Sequence[Values]) -> Values:
    """Reciprocal rank fusion, times its constant: 1 a score at most."""
    return np.sum([FUSION / (FUSION + ranks(some)) for some in values], axis=0)


BLENDS: dict[str, Callable[[Sequence[Values]], Values]] = {"sum": sum_of, "rrf": fusion_of}
"""The kinds of blends."""
