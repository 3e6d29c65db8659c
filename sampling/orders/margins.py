"""Margins: how much better a row fits its own class than the best other class of the task.

How well it fits is its product with the class's prompt (or the mean of the class's shots) less that
prompt's mean product over all the task's rows: some prompts lie near everything, and that mean is how near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute
from numpy.typing import NDArray

from ...core.records import Vectors
from ...search.vectors.exact import rounded
from ...search.vectors.store import Embeddings, Matrix

BLOCK = 8192
TWINS = 1 - 1e-5
"""The cosine above which two classes' prompts are one: neither is the other's rival."""


def mean_vector(vectors: Matrix) -> NDArray[np.float64]:
    """The mean of all rows that aren't broken (d,)."""
    total = np.zeros(vectors.dimension)
    count = 0
    for block in vectors.blocks(BLOCK):
        whole = block[~np.isnan(block).any(axis=1)]
        total += whole.sum(axis=0, dtype=np.float64)
        count += len(whole)
    return total / max(count, 1)


def picture_numbers(embeddings: Embeddings) -> NDArray[np.int64]:
    """A number for each embedding row, equal where the sha256 is; below the number of rows."""
    encoded: Any = pyarrow.compute.dictionary_encode(embeddings.metadata.column("sha256").combine_chunks())
    return np.asarray(encoded.indices, dtype=np.int64)


def fits(vectors: Vectors, references: Vectors, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """How well each row (rows, d) fits each class (classes, d): (rows, classes); NaN for a class of NaN."""
    return vectors @ references.T - (references @ mean).astype(np.float32)


def margin(fit: NDArray[np.float32], own: int, references: Vectors) -> NDArray[np.float64]:
    """The fit to the class at ``own`` less the best other fit (rows,); NaN where there is no other."""
    twins = references @ references[own] > TWINS
    twins[own] = True
    others = np.where(twins | np.isnan(references).any(axis=1), -np.inf, fit)
    best = others.max(axis=1, initial=-np.inf)
    return rounded(np.where(np.isfinite(best), fit[:, own] - best, np.nan))
