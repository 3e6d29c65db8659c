"""A linear probe in closed form: linear discriminant analysis from class sums and one scatter matrix.

It is fed class by class and never holds the vectors, so dozens of samples can be compared in one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHRINK = 0.1
"""The share of the isotropic part in the within-class covariance."""


class Probe:
    """Gathers labelled unit vectors and classifies others."""

    def __init__(self, classes: int, dimension: int) -> None:
        self.counts = np.zeros(classes, dtype=np.int64)
        self._sums = np.zeros((classes, dimension))
        self._scatter = np.zeros((dimension, dimension), dtype=np.float32)

    def add(self, index: int, vectors: NDArray[np.float32]) -> None:
        """Add ``vectors`` (n, d) of the class at ``index``; broken ones (NaN) are passed over."""
        whole = vectors[~np.isnan(vectors).any(axis=1)]
        self.counts[index] += len(whole)
        self._sums[index] += whole.sum(axis=0, dtype=np.float64)
        self._scatter += whole.T @ whole

    def added(self, other: Probe) -> Probe:
        """A probe of this one's vectors and ``other``'s together."""
        both = Probe(*self._sums.shape)
        both.counts = self.counts + other.counts
        both._sums = self._sums + other._sums
        both._scatter = self._scatter + other._scatter
        return both

    def log_posterior(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log P(class | vector) (n, classes) under equal priors; -inf for a class without vectors."""
        known = np.flatnonzero(self.counts)
        out = np.full((len(vectors), len(self.counts)), -np.inf)
        if not len(known) or not len(vectors):
            return out
        means = self._sums[known] / self.counts[known, None]
        within = self._scatter - (means * self.counts[known, None]).T @ means
        within /= max(int(self.counts.sum()) - len(known), 1)
        size = len(within)
        scale = np.trace(within) / size
        within = (1 - SHRINK) * within + SHRINK * max(scale, 1e-6) * np.eye(size)
        weights = np.linalg.solve(within, means.T)
        logits = vectors.astype(np.float64) @ weights - 0.5 * np.einsum("cd,dc->c", means, weights)
        logits -= logits.max(axis=1, keepdims=True)
        out[:, known] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return out
