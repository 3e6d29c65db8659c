"""Published vectors in place of images' own embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import ModelError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.embed.stage import embed, embed_status
from captrawl.indexer.published.register import VectorSource, register
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings, image_sources, shard_paths
from captrawl.workspace.workspace import State

N = 24


@pytest.fixture
def published(make_workspace: Any, tmp_path: Any, picture: Any) -> Any:
    """published(sign) → a workspace, its images' own vectors, and the published ones, times ``sign``."""

    def make(sign: int = 1) -> Any:
        rows = [(0, f"http://x/{at}", f"a dog {at}", at) for at in range(N)]
        workspace = make_workspace(rows, precision="float32")
        encoder = load_encoder(model_of(workspace))
        files = [workspace.root / f"images/00000/{at}.png" for at in range(N)]
        own = encoder.encode_images(files)
        vectors = own.copy()
        vectors[:2] = np.nan  # two have none
        vectors[2:] += 0.001  # so that it shows whose they are
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        folder = tmp_path / "corpus"
        folder.mkdir()
        table = pa.table({"url": [row[1] for row in rows], "caption": [row[2] for row in rows]})
        pq.write_table(table, folder / "a.parquet")
        np.save(folder / "a.npy", sign * vectors)
        index_captions(workspace.root / "idx", find_files([folder / "a.parquet"]), workers=1)
        source = VectorSource(str(folder), model_of(workspace), normalised=True, names={})
        register(str(workspace.root / "idx"), source)
        return workspace.overriding({"model": {"published": True}}), own, vectors

    return make


def test_published_vectors_are_taken_and_marked(published: Any, tmp_path: Any) -> None:
    workspace, own, vectors = published()
    embed(workspace)
    folder = workspace.embeddings_folder(model_of(workspace).slug)
    stored = Embeddings.open(folder)
    at = [int(url.rpartition("/")[2]) for url in stored.metadata["url"].to_pylist()]
    wanted = np.where(np.arange(N)[:, None] < 2, own, vectors)[at]
    assert np.abs(stored.images.take(np.arange(N)) - wanted).max() < 1e-6
    marks = pq.read_table(shard_paths(folder, 0)[2])["image_source"].to_pylist()
    assert [mark is None for mark in marks] == [number < 2 for number in at]
    assert set(image_sources(folder, 1).values()) == {str(tmp_path / "corpus")}
    assert embed_status(workspace).state is State.DONE


def test_vectors_of_something_else_are_refused(published: Any) -> None:
    workspace, _, _ = published(sign=-1)
    with pytest.raises(
        ModelError, match=r"aren't those of the images here: their median cosine to .* is -[01]"
    ):
        embed(workspace)
