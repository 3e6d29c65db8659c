"""The referee: one image that several classes matched goes to the class it fits best, or to none.

How well an image fits a class is its T2I less the class's mean T2I over all the task's images: some prompts
lie near everything, and that mean is how near.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..search.vectors.exact import rounded
from ..search.vectors.store import Embeddings, Matrix
from .orders.margins import mean_vector, picture_numbers

BLOCK = 8192


class Policy(StrEnum):
    """What becomes of an image in several pools: the best margin wins it, or all lose it."""

    MARGIN = "margin"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Referee:
    """The verdicts. ``images`` gives each embedding row the number of its image (equal sha256, equal number).

    ``lost`` are (class index, image number) pairs as one int64 each, ascending: see :func:`_pairs`.
    """

    images: NDArray[np.int64]
    lost: NDArray[np.int64]

    def keeps(self, index: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the class's embedding ``rows`` it may keep."""
        return ~np.isin(_pairs(np.full(len(rows), index), self.images[rows]), self.lost)


def judge(
    pools: Iterable[NDArray[np.int64]], embeddings: Embeddings, prompts: NDArray[np.float32], policy: Policy
) -> Referee:
    """Judge all images that lie in several pools.

    ``pools`` are each class's embedding rows (>= 0) in the order of ``prompts`` (classes, d). Classes whose
    fit is equal at 6 decimals, such as two of one name, both keep the image.
    """
    images = picture_numbers(embeddings)
    owners = [np.unique(_pairs(np.full(len(rows), index), images[rows])) for index, rows in enumerate(pools)]
    pairs = np.concatenate([np.zeros(0, np.int64), *owners])
    image = pairs & _MASK
    _, inverse, counts = np.unique(image, return_inverse=True, return_counts=True)
    contested = pairs[counts[inverse] > 1]
    if policy is Policy.DROP:
        return Referee(images, np.sort(contested))
    first = np.zeros(len(images), dtype=np.int64)
    first[images[::-1]] = np.arange(len(images))[::-1]  # the first row of each image
    classes, image = contested >> _BITS, contested & _MASK
    fit = (
        fits(embeddings.images, first[image], prompts[classes])
        - _hubness(embeddings.images, prompts)[classes]
    )
    return Referee(images, np.sort(contested[losing(image, rounded(fit))]))


def losing(image: NDArray[np.int64], fit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which (image, class) pairs fit worse than another pair of the same image; NaN loses to any number."""
    usable = np.where(np.isnan(fit), -np.inf, fit)
    _, inverse = np.unique(image, return_inverse=True)
    best = np.full(len(image), -np.inf)
    np.maximum.at(best, inverse, usable)
    return usable < best[inverse]


def fits(images: Matrix, rows: NDArray[np.int64], prompts: NDArray[np.float32]) -> NDArray[np.float64]:
    """The product of each of ``rows`` with the prompt in the same place (pairs, d)."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        out[part] = np.einsum("ij,ij->i", images.take(rows[part]), prompts[part])
    return out


def _hubness(images: Matrix, prompts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each prompt's mean product with all images that aren't broken (classes,)."""
    return prompts.astype(np.float64) @ mean_vector(images)


_BITS = 40
_MASK = (1 << _BITS) - 1


def _pairs(index: NDArray[np.int64], image: NDArray[np.int64]) -> NDArray[np.int64]:
    """(class index, image number) as one number: 2^23 classes, 2^40 images."""
    return (index.astype(np.int64) << _BITS) | image
