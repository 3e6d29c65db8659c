"""How well an inexact index finds what is nearest, and how many lists it must search for that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...search.vectors.neighbours import proposals
from ...search.vectors.store import Matrix

BLOCK = 65_536
SEED = 1234
RECALL_AT = 10
RECALL_QUERIES = 256
GOOD_RECALL = 0.95


def sample_queries(matrix: Matrix) -> NDArray[np.float32]:
    """Queries to measure recall with: rows of the other kind, as a text asks for images; no broken ones."""
    size = min(len(matrix), RECALL_QUERIES)
    rows = matrix.take(np.sort(np.random.default_rng(SEED).choice(len(matrix), size, replace=False)))
    return rows[np.isfinite(rows).all(axis=1)]


def tune(faiss: Any, index: Any, matrix: Matrix, queries: NDArray[np.float32]) -> float:
    """Search so many lists that recall@10 is good, or a quarter of them; gives that recall.

    It is that of search.vectors.neighbours: what the index proposes, in the order of the exact scores. A row
    counts when its score reaches the true tenth's, so equal vectors are equally right.
    """
    if not len(matrix) or not len(queries):
        return 1.0
    least = _tenth_scores(faiss, matrix, queries)
    lists = inverted_lists(faiss, index)
    most = max(1, lists.nlist // 4) if lists is not None else 1
    probes = min(8, most)
    while True:
        if lists is not None:
            lists.nprobe = probes
        right = np.zeros(len(queries))
        for at, places in enumerate(index.search(queries, min(proposals(RECALL_AT), len(matrix)))[1]):
            scores = matrix.take(places[places >= 0]) @ queries[at]
            right[at] = np.count_nonzero(scores >= least[at] - 1e-6)
        size = min(RECALL_AT, len(matrix))
        recall = float(np.minimum(right, size).mean() / size)
        if recall >= GOOD_RECALL or probes >= most:
            return round(recall, 4)
        probes = min(2 * probes, most)


def _tenth_scores(faiss: Any, matrix: Matrix, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """The exact tenth best score of each query, block by block."""
    best = np.zeros((len(queries), 0), np.float32)
    k = min(RECALL_AT, len(matrix))
    for block in matrix.blocks(BLOCK):
        scores = faiss.knn(queries, block, min(k, len(block)), metric=faiss.METRIC_INNER_PRODUCT)[0]
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :k]
    return best[:, -1]


def inverted_lists(faiss: Any, index: Any) -> Any | None:
    """The inverted lists inside ``index``, None where it has none."""
    try:
        return faiss.downcast_index(faiss.extract_index_ivf(index))
    except RuntimeError:
        return None
