"""FAISS's factories beyond ten million rows, on vectors like embeddings: build, bytes, recall at equal time.

    python benchmarks/faiss_factories.py [--rows 500000] [--dimension 512] [--lists 2048] [--work FOLDER]

The vectors are a mixture: clusters of Zipf's sizes, each with a few directions of its own and noise, unit
length, float16 in a .npy file that is read by blocks, as the embeddings are. Queries are further draws of it.
Every factory is trained on the same bounded sample and searched with and without refinement: the nearest of
`k x factor` candidates by the exact products with their vectors, read from the .npy file. The bare peer is
exact search over all rows. Times are one thread's processor time: machines are shared. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from peers import machine

K = 10
BLOCK = 65_536


def draw(generator: np.random.Generator, rows: int, mixture: dict[str, np.ndarray]) -> np.ndarray:
    """Unit rows of the mixture, float32."""
    centres, directions = mixture["centres"], mixture["directions"]
    cluster = generator.choice(len(centres), rows, p=mixture["weights"])
    coordinates = generator.standard_normal((rows, directions.shape[1]), dtype=np.float32)
    vectors = centres[cluster] + 0.25 * np.einsum("rk,rkd->rd", coordinates, directions[cluster])
    vectors += generator.standard_normal(vectors.shape, dtype=np.float32) * (0.35 / vectors.shape[1] ** 0.5)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mixture_of(generator: np.random.Generator, clusters: int, dimension: int) -> dict[str, np.ndarray]:
    centres = generator.standard_normal((clusters, dimension), dtype=np.float32)
    # like CLIP's, all vectors share a cone
    centres = 0.6 * centres / np.linalg.norm(centres, axis=1, keepdims=True) + 0.4 * dimension**-0.5
    directions = generator.standard_normal((clusters, 12, dimension), dtype=np.float32) / dimension**0.5
    weights = 1 / np.arange(1, clusters + 1) ** 0.7
    return {"centres": centres, "directions": directions, "weights": weights / weights.sum()}


def made(path: Path, rows: int, dimension: int, queries: int) -> np.ndarray:
    """Write the rows to ``path``; the queries."""
    generator = np.random.default_rng(7)
    mixture = mixture_of(generator, 2000, dimension)
    stored = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dimension))
    for start in range(0, rows, 8192):
        size = min(8192, rows - start)
        stored[start : start + size] = draw(generator, size, mixture)
    stored.flush()
    return draw(generator, queries, mixture)


def exact(stored: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The K nearest rows of each query."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(stored), BLOCK):
        products = queries @ stored[start : start + BLOCK].astype(np.float32).T
        top = np.argpartition(-products, K, axis=1)[:, :K]
        best = np.hstack([best, np.take_along_axis(products, top, 1)])
        rows = np.hstack([rows, top + start])
        order = np.argsort(-best, axis=1)[:, :K]
        best, rows = np.take_along_axis(best, order, 1), np.take_along_axis(rows, order, 1)
    return rows


def built(factory: str, stored: np.ndarray, train_rows: int) -> tuple[Any, dict[str, float]]:
    """The index of all rows, and the seconds of its training and filling."""
    sample = np.sort(
        np.random.default_rng(1).choice(len(stored), min(train_rows, len(stored)), replace=False)
    )
    index = faiss.index_factory(stored.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if factory.endswith("RaBitQ"):
        index.qb = 4  # as captrawl sets it; with FAISS's own 0 it is a hundred times as slow
    started = time.process_time()
    index.train(stored[sample].astype(np.float32))
    trained = time.process_time()
    for start in range(0, len(stored), BLOCK):
        index.add(stored[start : start + BLOCK].astype(np.float32))
    return index, {
        "train_seconds": round(trained - started, 1),
        "add_seconds": round(time.process_time() - trained, 1),
    }


def searched(index: Any, stored: np.ndarray, queries: np.ndarray, factor: int) -> np.ndarray:
    """The K nearest rows of each query, of K x factor candidates by their own vectors (1: unrefined)."""
    _, rows = index.search(queries, K * factor)
    if factor == 1:
        return rows
    refined = np.empty((len(queries), K), np.int64)
    for at, (query, row) in enumerate(zip(queries, rows, strict=True)):
        candidates = np.sort(row[row >= 0])
        products = stored[candidates].astype(np.float32) @ query
        refined[at] = np.pad(candidates[np.argsort(-products)[:K]], (0, max(0, K - len(candidates))))
    return refined


def curve(index: Any, stored: np.ndarray, queries: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """Recall@K and milliseconds a query for the lists probed and the candidates refined."""
    lists = faiss.extract_index_ivf(index)
    points: list[dict[str, float]] = []
    for probes in (1, 4, 16, 64):
        lists.nprobe = probes
        for factor in (1, 4, 16):
            started = time.process_time()
            rows = searched(index, stored, queries, factor)
            seconds = time.process_time() - started
            hits = [len(set(r) & set(t)) for r, t in zip(rows.tolist(), truth.tolist(), strict=True)]
            points.append(
                {
                    "probes": probes, "factor": factor,
                    "ms": round(1000 * seconds / len(queries), 3), "recall": round(sum(hits) / truth.size, 4),
                }
            )  # fmt: skip
    return points


def best_within(points: list[dict[str, float]], ms: float) -> float | None:
    """The best recall of the points that take at most so long."""
    return max((point["recall"] for point in points if point["ms"] <= ms), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--lists", type=int, default=2048)
    parser.add_argument("--train-rows", type=int, default=0, help="0: 40 for each list")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    ivf = f"IVF{arguments.lists}"
    faiss.omp_set_num_threads(1)
    factories = [f"{ivf},RaBitQ", f"{ivf},SQ8", f"OPQ64,{ivf},PQ64x8"]
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        path = Path(folder) / "vectors.npy"
        queries = made(path, arguments.rows, arguments.dimension, arguments.queries)
        stored = np.load(path, mmap_mode="r")
        started = time.process_time()
        truth = exact(stored, queries)
        bare = 1000 * (time.process_time() - started) / len(queries)
        runs: dict[str, Any] = {}
        for factory in factories:
            index, seconds = built(factory, stored, arguments.train_rows or 40 * arguments.lists)
            faiss.write_index(index, str(Path(folder) / "index"))
            size = (Path(folder) / "index").stat().st_size / arguments.rows
            points = curve(index, stored, queries, truth)
            within = {f"recall within {ms} ms": best_within(points, ms) for ms in (0.5, 1, 2, 5)}
            runs[factory] = {**seconds, "bytes_a_row": round(size, 1), **within, "points": points}
            print(factory, {**seconds, **within}, file=sys.stderr, flush=True)
    result = {
        "benchmark": "faiss_factories",
        "machine": machine(),
        "faiss": faiss.__version__,
        "rows": arguments.rows,
        "dimension": arguments.dimension,
        "bare_ms": round(bare, 2),
        "runs": runs,
    }
    json.dump(result, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
