"""``probe``: the posterior of a row's own class, by discriminant analysis on the task's shots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ...search.vectors.exact import rounded
from ..probe import Probe

SAME = 1 - 1e-5
"""The cosine above which a row is one of the shots."""


def posterior(probe: Probe, images: Vectors, own: int, shots: Vectors) -> NDArray[np.float64]:
    """P(the class at ``own``) of each of ``images`` (rows, d), fitted by ``probe`` on all shots.

    A row that is itself one of the class's ``shots`` is judged by a probe that never saw it.
    """
    out = np.exp(probe.log_posterior(images)[:, own])
    if len(shots) and len(images):
        for row in np.flatnonzero((images @ shots.T > SAME).any(axis=1)).tolist():
            without = probe.without(own, images[row : row + 1])
            out[row] = np.exp(without.log_posterior(images[row : row + 1])[0, own])
    out[np.isnan(images).any(axis=1)] = np.nan
    return rounded(out)
