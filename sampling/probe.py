"""Linear probes on unit vectors, and intervals of their accuracies.

`auto` compares dozens of samples by linear discriminant analysis (:class:`Probe`); `evaluate` fits logistic
regression, as the field does.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from ..core.errors import import_failure
from ..core.records import Vectors
from .references import Shots

SHRINK = 0.1
"""The share of the isotropic part in the within-class covariance."""
MOST_IMAGES = 50_000
"""Logistic regression is trained on at most so many images, taken evenly from the classes."""
NORM = 10.0
"""It sees the unit vectors at this length, about that of CLIP's own, and …"""
PENALTY = 0.316
"""… CLIP's C (Radford et al. 2021, appendix A.3)."""
CONFIDENCE = 0.95
RESAMPLES = 1000


class Probe:
    """Linear discriminant analysis in closed form: gathers labelled unit vectors and classifies others.

    It is fed class by class and keeps class sums and one scatter matrix, never the vectors.
    """

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

    def copy(self) -> Probe:
        """Another probe of the same vectors."""
        return self.added(Probe(*self._sums.shape))

    def added(self, other: Probe) -> Probe:
        """A probe of this one's vectors and ``other``'s together."""
        both = Probe(*self._sums.shape)
        both.counts = self.counts + other.counts
        both._sums = self._sums + other._sums
        both._scatter = self._scatter + other._scatter
        return both

    def without(self, index: int, vectors: NDArray[np.float32]) -> Probe:
        """A probe of this one's vectors but for ``vectors`` of the class at ``index``, which it has."""
        less = Probe(*self._sums.shape)
        less.counts, less._sums = self.counts.copy(), self._sums.copy()
        less.counts[index] -= len(vectors)
        less._sums[index] -= vectors.sum(axis=0, dtype=np.float64)
        less._scatter = self._scatter - vectors.T @ vectors
        return less

    def log_posterior(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log P(class | vector) (n, classes) under equal priors; -inf for a class without vectors."""
        filled = np.flatnonzero(self.counts)
        out = np.full((len(vectors), len(self.counts)), -np.inf)
        if not len(filled) or not len(vectors):
            return out
        means = self._sums[filled] / self.counts[filled, None]
        within = self._scatter - (means * self.counts[filled, None]).T @ means
        within /= max(int(self.counts.sum()) - len(filled), 1)
        size = len(within)
        scale = np.trace(within) / size
        within = (1 - SHRINK) * within + SHRINK * max(scale, 1e-6) * np.eye(size)
        weights = np.linalg.solve(within, means.T)
        logits = vectors.astype(np.float64) @ weights - 0.5 * np.einsum("cd,dc->c", means, weights)
        logits -= logits.max(axis=1, keepdims=True)
        out[:, filled] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return out


def probe_of(shots: Shots, classes: int) -> Probe:
    """A probe of ``shots``, which are labelled by class index."""
    probe = Probe(classes, shots.vectors.shape[1])
    for index in np.unique(shots.labels).tolist():
        probe.add(index, shots.of(index))
    return probe


def evenly(labels: NDArray[np.int64], most: int = MOST_IMAGES) -> NDArray[np.int64]:
    """Rows of ``labels``, all of them, or beyond ``most`` an equal number of each class, drawn by seed 0."""
    if len(labels) <= most:
        return np.arange(len(labels))
    generator = np.random.default_rng(0)
    present, counts = np.unique(labels, return_counts=True)
    each = max(most // len(present), 1)
    parts = [
        generator.choice(np.flatnonzero(labels == label), min(int(count), each), replace=False)
        for label, count in zip(present, counts, strict=True)
    ]
    return np.sort(np.concatenate(parts))


def predicted(train: Shots, vectors: Vectors) -> NDArray[np.int64]:
    """The class of each of ``vectors`` (n, d) by logistic regression on ``train``.

    A single class is always predicted; without any training image it is -1.
    """
    present = np.unique(train.labels)
    if len(present) < 2 or not len(vectors):
        return np.full(len(vectors), present[0] if len(present) else -1, dtype=np.int64)
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise import_failure(error, "a linear probe", "cpu") from error
    probe = LogisticRegression(C=PENALTY, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough after 300 steps
        probe.fit(train.vectors * NORM, train.labels)
    return np.asarray(probe.predict(vectors * NORM), dtype=np.int64)


def resampled(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Accuracies (RESAMPLES, lines) of ``correct`` (lines, images) by a bootstrap of the images.

    The draws are the same for every line, so that lines can be compared draw by draw.
    """
    lines, images = correct.shape
    generator = np.random.default_rng(0)
    out = np.zeros((RESAMPLES, lines))
    for row in out if images else ():
        times = np.bincount(generator.integers(0, images, images), minlength=images)
        row[:] = correct @ times / images
    return out


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of correct / total; (0, 1) for none."""
    from scipy.stats import binomtest

    if not total:
        return 0.0, 1.0
    share = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(share.low), float(share.high)
