"""Embeddings and indices of every format version must keep opening.

golden_v1 was written once by ``write`` below (8 rows of 16 dimensions in two shards, one failed image) and is
never written again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captrawl.indexer.embed.rows import load_failed
from captrawl.search.vectors.neighbours import NeighbourIndex, VectorsInfo
from captrawl.search.vectors.store import Embeddings, EmbeddingsInfo

GOLDEN = Path(__file__).parent / "golden_v1"
ROWS = 8


def vectors(seed: int) -> np.ndarray:
    """Unit rows from whole numbers: the same on every machine."""
    numbers = (np.arange(ROWS * 16).reshape(ROWS, 16) * (7 + seed) % 11 - 5).astype(np.float32)
    return numbers / np.linalg.norm(numbers, axis=1, keepdims=True)


def write() -> None:
    """How golden_v1 was made."""
    import pyarrow as pa
    from captrawl.core.records import EMBEDDED_SCHEMA
    from captrawl.indexer.embed.faiss_index import _build
    from captrawl.indexer.embed.rows import FAILED_SCHEMA, add_failed
    from captrawl.search.vectors.store import write_shard

    folder = GOLDEN / "embeddings"
    EmbeddingsInfo("ViT-B-32-quickgelu", "laion400m_e32", "0" * 64, 16, "float16").save(folder)
    for shard, part in enumerate((np.arange(5), np.arange(5, ROWS))):
        names = [f"{row}" for row in part]
        table = pa.table(
            {"uid": 100 - part, "url": names, "caption": names, "image_path": names, "sha256": names},
            schema=EMBEDDED_SCHEMA,
        )
        images, captions = (vectors(seed)[part].astype(np.float16) for seed in (0, 1))
        write_shard(folder, shard, table, images=images, captions=captions)
    entry = {"sha256": "9", "path": "images/00000/9.jpg", "reason": "not an image", "shard": 1}
    add_failed(folder, FAILED_SCHEMA.empty_table(), [entry])
    for factory in ("Flat", "IVF2,SQfp16"):
        _build(GOLDEN / factory.split(",")[0], Embeddings.open(folder), factory, lambda *_: None)


def test_embeddings():
    stored = Embeddings.open(GOLDEN / "embeddings")
    assert stored.info == EmbeddingsInfo("ViT-B-32-quickgelu", "laion400m_e32", "0" * 64, 16, "float16")
    assert stored.shards == 2
    assert stored.metadata["url"].to_pylist() == [f"{row}" for row in range(ROWS)]
    assert stored.rows_of(np.array([100, 93, 1])).tolist() == [0, 7, -1]
    for matrix, seed in ((stored.images, 0), (stored.captions, 1)):
        np.testing.assert_array_equal(
            matrix.take(np.array([7, 0, 4])), vectors(seed)[[7, 0, 4]].astype(np.float16)
        )
    assert load_failed(GOLDEN / "embeddings", 2)["path"].to_pylist() == ["images/00000/9.jpg"]
    assert load_failed(GOLDEN / "embeddings", 1).num_rows == 0


@pytest.mark.parametrize(("name", "factory"), [("Flat", "Flat"), ("IVF2", "IVF2,SQfp16")])
def test_indices(name, factory):
    stored = Embeddings.open(GOLDEN / "embeddings")
    info = VectorsInfo.load(GOLDEN / name)
    assert (info.factory, info.rows, info.dimension, info.exact) == (factory, ROWS, 16, name == "Flat")
    for where, seed in (("images", 0), ("captions", 1)):
        matrix = vectors(seed).astype(np.float16).astype(np.float32)
        found = NeighbourIndex.open(GOLDEN / name, stored, where).nearest(
            vectors(0)[2:3], 3, rows=np.arange(ROWS)
        )
        scores = matrix @ vectors(0)[2]
        assert found.rows[0].tolist() == np.argsort(-scores, kind="stable")[:3].tolist()
        np.testing.assert_allclose(found.scores[0], np.sort(scores)[::-1][:3], atol=1.5e-6)
