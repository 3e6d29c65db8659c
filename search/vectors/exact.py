"""Exact k-NN inside a pool: every row a neighbour of every query, on a GPU where FAISS has one."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import import_failure
from ...core.records import Vectors
from ...core.startup import memory_left
from .gpu import has_gpu

DECIMALS = 6
GPU_LIMIT = 2048
"""FAISS on a GPU returns so many neighbours of a query at most."""


def exact_scores(queries: Vectors, vectors: Vectors) -> NDArray[np.float64]:
    """The score of every query (n, d) with every row of ``vectors`` (rows, d): (n, rows), in their order.

    NaN where a vector isn't a number: FAISS finds no such row.
    """
    faiss = import_faiss()
    scores = np.full((len(queries), len(vectors)), np.nan)
    for start, products, places in _products(faiss, contiguous(queries), contiguous(vectors)):
        query, place = np.nonzero(places >= 0)
        scores[query, start + places[query, place]] = rounded(products[query, place])
    return scores


def _products(faiss: Any, queries: Vectors, vectors: Vectors) -> list[tuple[int, Vectors, NDArray[np.int64]]]:
    """(first row, products, places from it) of one part of ``vectors`` after the other."""
    metric = faiss.METRIC_INNER_PRODUCT
    if not len(vectors) or not len(queries):
        return []
    if not has_gpu(faiss):
        return [(0, *faiss.knn(queries, vectors, len(vectors), metric=metric))]
    resources = _gpu_resources(faiss)
    parts: list[tuple[int, Vectors, NDArray[np.int64]]] = []
    for start in range(0, len(vectors), GPU_LIMIT):
        part = vectors[start : start + GPU_LIMIT]
        parts.append((start, *faiss.knn_gpu(resources, queries, part, len(part), metric=metric)))
    return parts


_TO_LOAD = 512 << 20
"""Bytes of addresses (ulimit -v) without which FAISS's OpenBLAS crashes the process while it is loaded."""
_THREAD = threading.local()
"""Holds a thread's GPU memory and streams: slow to make, and not to be used by two threads at once."""


def _gpu_resources(faiss: Any) -> Any:
    if not hasattr(_THREAD, "resources"):
        _THREAD.resources = faiss.StandardGpuResources()
    return _THREAD.resources


def import_faiss() -> Any:
    """The faiss module; MissingExtraError without it."""
    left = None if "faiss" in sys.modules else memory_left()
    try:
        if left is not None and left < _TO_LOAD:
            raise ImportError(f"{left >> 20:,} MiB of memory are left")
        import faiss
    except ImportError as error:
        raise import_failure(error, "searching vectors", "cpu") from error
    return faiss


def rounded(products: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Products as scores: 6 decimals in float64, so that ``score >= 0.25`` means what it says; -0 as 0."""
    return np.round(products.astype(np.float64), DECIMALS) + 0.0


def contiguous(vectors: NDArray[Any]) -> Vectors:
    """``vectors`` as FAISS takes them: float32, row after row."""
    return np.ascontiguousarray(vectors, np.float32)
