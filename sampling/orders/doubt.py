"""Which rows are in doubt: between sure and hopeless, so that an answer about them says most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ..scores import Scores
from .blends import Values
from .names import Score

DOUBTING = frozenset({Score.PROBE, Score.T2I_MARGIN})
"""The scores that doubt is read from."""
ALIKE = 0.95
"""The cosine above which an answer about one image answers for the other."""


def certainty(scores: Scores) -> Values:
    """How far each row is from the decision, 0 for the most doubtful; NaN where nothing is known.

    By the probe the distance of the posterior from a half; in a class without shots that of T2I.margin from
    0, where the best other class's prompt fits as well.
    """
    posterior = scores.of(Score.PROBE)
    if np.isfinite(posterior).any():
        return np.abs(posterior - 0.5)
    return np.abs(scores.of(Score.T2I_MARGIN))


def most_doubtful(
    certainties: Values, images: Vectors, *, settled: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """At most ``count`` places of ``images`` (rows, d), the most doubtful first, none like another.

    ``settled`` (rows,): answered already; rows like these are left out too.
    """
    usable = np.isfinite(certainties) & ~np.isnan(images).any(axis=1)
    order = np.argsort(np.where(usable, certainties, np.inf), kind="stable")[: int(usable.sum())]
    answered = images[settled & usable]
    left = order[~(images[order] @ answered.T > ALIKE).any(axis=1) & ~settled[order]]
    taken: list[int] = []
    for row in left.tolist():
        if len(taken) == count:
            break
        if not (images[taken] @ images[row] > ALIKE).any():
            taken.append(row)
    return np.array(taken, dtype=np.int64)
