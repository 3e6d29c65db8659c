"""Exact k-NN inside a pool, on the CPU and through the calls that FAISS documents for GPUs.

No GPU is needed: the calls go to a stand-in for faiss-gpu that takes what its documentation allows and
computes in numpy. What a real device answers is another matter.
"""

from __future__ import annotations

import threading

import faiss
import numpy as np
import pyarrow as pa
import pytest
from captrawl.core.records import EMBEDDED_SCHEMA
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.search.vectors.exact import exact_scores
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.neighbours import NeighbourIndex
from captrawl.search.vectors.store import Embeddings, EmbeddingsInfo, write_shard


def unit(rows: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class DocumentedGpu:
    """knn_gpu of faiss/python/gpu_wrappers.py: float32 row-major input, at most 2,048 neighbours.

    As on a device, a row that isn't a number is never selected: its place is -1, its product the lowest.
    """

    def __init__(self) -> None:
        self.made: list[int] = []
        self.used: list[tuple[int, int, int]] = []

    def resources(self) -> object:
        self.made.append(threading.get_ident())
        return ("resources", threading.get_ident())

    def knn(self, res, xq, xb, k, D=None, I=None, metric=faiss.METRIC_L2, device=-1):  # noqa: E741
        assert res == ("resources", threading.get_ident())
        assert metric == faiss.METRIC_INNER_PRODUCT
        assert xq.dtype == xb.dtype == np.float32
        assert xq.flags.c_contiguous
        assert xb.flags.c_contiguous
        assert 0 < k <= 2048
        assert k <= len(xb)
        self.used.append((len(xq), len(xb), k))
        products = xq @ xb.T
        lowest = np.float32(-np.finfo(np.float32).max)
        order = np.argsort(-np.nan_to_num(products, nan=lowest), axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(products, order, axis=1)
        return np.nan_to_num(found, nan=lowest), np.where(np.isnan(found), -1, order)


def install(monkeypatch: pytest.MonkeyPatch) -> DocumentedGpu:
    stand_in = DocumentedGpu()
    monkeypatch.setattr(faiss, "StandardGpuResources", stand_in.resources, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr(faiss, "knn_gpu", stand_in.knn, raising=False)
    monkeypatch.setattr("captrawl.search.vectors.exact._THREAD", threading.local())
    # The stand-in is this process's; the child that tries the GPU has the real FAISS (test_gpu.py).
    monkeypatch.setattr("captrawl.search.vectors.gpu._search_fault", str)
    return stand_in


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> DocumentedGpu:
    return install(monkeypatch)


@pytest.mark.parametrize("rows", [0, 1, 7, 2048, 2049, 5000])
def test_every_row_is_scored_in_its_place(rows: int) -> None:
    vectors, queries = unit(rows), unit(3, seed=1)
    vectors[rows // 2 : rows // 2 + 1] = np.nan
    expected = np.round(queries.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    np.testing.assert_allclose(exact_scores(queries, vectors), expected, atol=1.1e-6)
    assert exact_scores(queries[:0], vectors).shape == (0, rows)


@pytest.mark.parametrize("rows", [0, 1, 7, 2048, 2049, 5000])
def test_a_gpu_scores_pools_of_any_size(gpu: DocumentedGpu, rows: int) -> None:
    vectors, queries = unit(rows), unit(3, seed=1)
    vectors[rows // 2 : rows // 2 + 1] = np.nan
    expected = np.round(queries.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    np.testing.assert_allclose(exact_scores(queries, vectors), expected, atol=1.1e-6)
    sizes = [min(2048, rows - start) for start in range(0, rows, 2048)]
    assert gpu.used == [(3, size, size) for size in sizes]
    exact_scores(queries, vectors)
    assert len(gpu.made) == (rows > 0)  # made once: it takes a gigabyte and a while


def test_threads_share_no_gpu_resources(gpu: DocumentedGpu) -> None:
    threads = [threading.Thread(target=exact_scores, args=(unit(1), unit(9))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exact_scores(unit(1), unit(9))
    assert len(gpu.made) == len(gpu.used) == 3


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQfp16"])
def test_a_gpu_searches_the_pools_rows_whatever_the_index(make_workspace, monkeypatch, factory) -> None:
    """FAISS on a GPU passes over selectors, so that no index is asked inside a pool."""
    workspace = make_workspace([(0, "http://x/1", "a", 1)])
    folder = workspace.embeddings_folder(model_of(workspace).slug)
    EmbeddingsInfo("name", "tag", "weights", 16, "float16").save(folder)
    names = [str(row) for row in range(400)]
    columns = {"uid": range(400), "url": names, "caption": names, "image_path": names, "sha256": names}
    images = unit(400).astype(np.float16)
    table = pa.table({name: pa.array(column) for name, column in columns.items()}, schema=EMBEDDED_SCHEMA)
    write_shard(folder, 0, table, images=images, captions=images)
    stored = Embeddings.open(folder)
    build_vectors(workspace, factory=factory)
    neighbours = NeighbourIndex.open(workspace.vectors_folder(model_of(workspace).slug), stored, "images")
    rows = np.random.default_rng(3).choice(400, 57, replace=False)
    on_cpu = neighbours.nearest(unit(3, seed=2), 10, rows=rows)
    gpu = install(monkeypatch)
    on_gpu = neighbours.nearest(unit(3, seed=2), 10, rows=rows)
    assert on_gpu.rows.tolist() == on_cpu.rows.tolist()
    np.testing.assert_allclose(on_gpu.scores, on_cpu.scores, atol=1.1e-6)
    assert gpu.used == [(3, 57, 57)]
