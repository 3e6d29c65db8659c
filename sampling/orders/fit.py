"""``fit`` and ``fit-text``: how well a row fits its class by everything there is, inside the class's pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.records import Vectors
from ..scores import Scores
from .blends import Values, ranks, z_score
from .margins import fits, margin
from .names import Score


def fit(scores: Scores, joint_margin: Values) -> Values:
    """z(T2I) + z(I2I.mean) + z(margin over the other classes, prompts and shots together).

    A class without shots has no second term, one that no other class differs from no third.
    """
    values = [scores.of(Score.T2I), scores.of(Score.I2I_MEAN), joint_margin]
    terms = [z_score(some) for some in values if np.isfinite(some).any()]
    return np.round(np.sum(terms, axis=0), 6) + 0.0 if terms else joint_margin


def fit_text(scores: Scores, prompt_margin: Values) -> Values:
    """How many rows of 100 each row is better than, by T2I, T2T and T2I.margin, on average."""
    values = [scores.of(Score.T2I), scores.of(Score.T2T), prompt_margin]
    terms = [ranks(some) / len(some) for some in values if np.isfinite(some).any()]
    return np.round(100 * (1 - np.mean(terms, axis=0)), 6) + 0.0 if terms else values[0]


def joint_margins(
    images: Vectors, prompts: Vectors, centroids: Vectors, mean: NDArray[np.float64], own: int
) -> Values:
    """The margin of the class at ``own`` by prompts and shots together, each in units of its own spread.

    A class without shots (NaN in ``centroids``) fits as its prompt says.
    """
    by_prompt, by_shots = (_scaled(fits(images, references, mean)) for references in (prompts, centroids))
    both = by_prompt + np.where(np.isnan(by_shots), by_prompt, by_shots)
    pairs = np.concatenate([prompts, np.nan_to_num(centroids)], axis=1)  # rivals differ in either
    return margin(both, own, pairs / np.linalg.norm(pairs, axis=1, keepdims=True))


def _scaled(fit: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = float(np.nanstd(fit)) if np.isfinite(fit).any() else 0.0
    return fit / max(spread, 1e-6)
