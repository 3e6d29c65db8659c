"""Thresholds that a class's own scores give: a quantile, or where a mixture's better half begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
STEPS = 100
FEWEST = 8
"""Rows that a mixture is fitted to at least."""


def quantile_of(values: Values, percent: float) -> float:
    """The value that ``percent`` of 100 rows fall below; NaN without any."""
    usable = values[np.isfinite(values)]
    return float(np.quantile(usable, percent / 100, method="higher")) if len(usable) else np.nan


def mixture_cut(values: Values) -> float:
    """The least value whose posterior of the higher of two normal components is 0.5 or more.

    Fitted by expectation maximisation from the halves about the mean. -inf, so that all pass, where rows are
    fewer than FEWEST or a single component explains them as well (by the Bayesian information criterion).
    """
    usable = np.sort(values[np.isfinite(values)])
    if len(usable) < FEWEST or usable[-1] - usable[0] < 1e-9:
        return -np.inf
    scaled = (usable - usable.mean()) / usable.std()
    high = (scaled > 0).astype(np.float64) * 0.8 + 0.1
    log_parts = np.zeros((2, len(scaled)))
    for _ in range(STEPS):
        log_parts = np.stack([_log_part(scaled, part) for part in (1 - high, high)])
        before, high = high, np.exp(log_parts[1] - np.logaddexp(*log_parts))
        if np.abs(high - before).max() < 1e-5:
            break
    one = _log_part(scaled, np.ones(len(scaled))).sum()
    two = np.logaddexp(*log_parts).sum()
    if 2 * (two - one) < 3 * np.log(len(scaled)):  # three more parameters
        return -np.inf
    mean = (high * scaled).sum() / high.sum()
    sure = (high >= 0.5) & (scaled <= mean) | (scaled > mean)  # far above both, either may be the wider
    lowest = len(sure) - int(np.argmin(sure[::-1])) if not sure.all() else 0
    return float(usable[min(lowest, len(usable) - 1)])


def _log_part(values: Values, weights: Values) -> Values:
    """Log of a component's share times its density, the component fitted to ``weights``."""
    total = weights.sum() + 1e-12
    mean = (weights * values).sum() / total
    variance = (weights * (values - mean) ** 2).sum() / total + 1e-3
    return (
        np.log(total / len(values))
        - 0.5 * np.log(2 * np.pi * variance)
        - (values - mean) ** 2 / (2 * variance)
    )
