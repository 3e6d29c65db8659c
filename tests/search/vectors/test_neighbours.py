"""FAISS indices and what they answer, against a plain numpy oracle."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest
from captrawl.core.errors import ModelError, WorkspaceError
from captrawl.core.records import EMBEDDED_SCHEMA
from captrawl.indexer.embed.faiss_index import build_vectors, choose_factory, content_of, vectors_status
from captrawl.indexer.embed.recall import sample_queries
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.neighbours import NeighbourIndex, VectorsInfo
from captrawl.search.vectors.store import Embeddings, EmbeddingsInfo, write_shard
from captrawl.workspace.workspace import State, Workspace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DIMENSION = 16
FACTORIES = ["Flat", "IVF4,Flat", "IVF4,SQfp16", "IVF4,RaBitQ", "OPQ8,IVF4,PQ8x4", "HNSW8"]


def unit(rows: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store(
    folder: Path, images: np.ndarray, *, shards: int = 2, precision: str = "float16", first: int = 0
) -> None:
    """Write embeddings whose uids don't ascend with the rows; captions are the images in reverse."""
    EmbeddingsInfo("name", "tag", "weights", DIMENSION, precision).save(folder)
    parts = np.array_split(np.arange(len(images)), shards) if len(images) else []
    captions = images[::-1]
    for shard, part in enumerate(parts, start=first):
        uids = [(int(row) + 1000 * first) * 7919 % 10007 - 5000 for row in part]
        names = [f"{row + 1000 * first}" for row in part]
        table = pa.table(
            {"uid": uids, "url": names, "caption": names, "image_path": names, "sha256": names},
            schema=EMBEDDED_SCHEMA,
        )
        write_shard(
            folder,
            shard,
            table,
            images=images[part].astype(precision),
            captions=captions[part].astype(precision),
        )


@pytest.fixture
def workspace(make_workspace, monkeypatch) -> Workspace:
    return make_workspace([(0, "http://x/1", "a", 1)])


def fill(workspace: Workspace, images: np.ndarray, **options: object) -> Embeddings:
    folder = workspace.embeddings_folder(model_of(workspace).slug)
    store(folder, images, **options)
    return Embeddings.open(folder)


def opened(workspace: Workspace, stored: Embeddings, where: str = "images") -> NeighbourIndex:
    return NeighbourIndex.open(workspace.vectors_folder(model_of(workspace).slug), stored, where)


def oracle(matrix: np.ndarray, uids: np.ndarray, query: np.ndarray, k: int) -> list[tuple[float, int]]:
    """(score, uid), best first, by a plain sort."""
    scores = np.round(matrix.astype(np.float64) @ query.astype(np.float64), 6)
    return sorted(zip((-scores).tolist(), uids.tolist(), strict=True))[:k]


def assert_as_oracle(
    found, embeddings: Embeddings, matrix: np.ndarray, queries: np.ndarray, rows: np.ndarray
) -> None:
    """Same scores within a rounding step; same uids wherever the oracle's scores tell them apart."""
    for query, got_rows, got_scores in zip(queries, found.rows, found.scores, strict=True):
        wanted = oracle(matrix[rows], embeddings.uids[rows], query, len(got_rows))
        np.testing.assert_allclose(got_scores, [-score for score, _ in wanted], atol=1.5e-6)
        assert len(set(got_rows.tolist())) == len(got_rows)
        exact = matrix[got_rows].astype(np.float64) @ query.astype(np.float64)
        np.testing.assert_allclose(got_scores, exact, atol=1e-6)
        keys = list(zip((-got_scores).tolist(), embeddings.uids[got_rows].tolist(), strict=True))
        assert keys == sorted(keys)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_pools_are_exact_on_every_index(workspace, factory, precision):
    stored = fill(workspace, unit(400), precision=precision)
    build_vectors(workspace, factory=factory)
    neighbours = opened(workspace, stored)
    matrix = stored.images.take(np.arange(400))
    rng = np.random.default_rng(3)
    for size in (1, 2, 57, 400):
        rows = rng.choice(400, size, replace=False)
        queries = unit(3, seed=size)
        for k in (1, 10, 1000):
            found = neighbours.nearest(queries, k, rows=rows)
            assert found.rows.shape == (3, min(k, size))
            assert_as_oracle(found, stored, matrix, queries, rows)
        scores = neighbours.pool_scores(queries, rows)
        np.testing.assert_allclose(scores, (queries @ matrix[rows].T), atol=1.5e-6)
        assert np.array_equal(scores, np.round(scores, 6))
        ranking = neighbours.pool_ranking(queries[0], rows)
        assert sorted(ranking.rows.tolist()) == sorted(rows.tolist())


def test_over_all_rows_of_an_exact_index(workspace):
    stored = fill(workspace, unit(300), shards=3)
    build_vectors(workspace)
    queries = unit(5, seed=9)
    for where, matrix in (("images", stored.images), ("captions", stored.captions)):
        rows = np.arange(300)
        for k in (1, 7, 300, 999):
            found = opened(workspace, stored, where).nearest(queries, k)
            assert_as_oracle(found, stored, matrix.take(rows), queries, rows)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 4), min_size=0, max_size=40),
    st.integers(1, 50),
    st.integers(0, 5),
    st.sampled_from(["Flat", "IVF1,SQfp16"]),
)
def test_ties_are_settled_by_uid(tmp_path_factory, chosen, k, seed, factory):
    """Rows drawn from five vectors: nearly everything is a tie, also at the last place."""
    from captrawl.indexer.embed.faiss_index import _build

    if not chosen and factory != "Flat":
        return
    folder = tmp_path_factory.mktemp("ties")
    store(folder / "e", unit(5)[np.array(chosen, int)].reshape(-1, DIMENSION), shards=1)
    stored = Embeddings.open(folder / "e")
    _build(folder / "v", stored, factory, lambda *_: None)
    neighbours = NeighbourIndex.open(folder / "v", stored, "images")
    query = unit(1, seed=seed)
    everything = np.arange(stored.rows)
    matrix = stored.images.take(everything)
    wanted = [uid for _, uid in oracle(matrix, stored.uids, query[0], k)]
    for rows in (None, everything) if factory == "Flat" else (everything,):
        found = neighbours.nearest(query, k, rows=rows)
        assert stored.uids[found.rows[0]].tolist() == wanted


def test_many_equal_rows_at_the_last_place(workspace):
    images = np.repeat(unit(3), [500, 3, 500], axis=0)
    stored = fill(workspace, images)
    build_vectors(workspace)
    query = unit(3)[:1]
    found = opened(workspace, stored).nearest(query, 10)
    assert stored.uids[found.rows[0]].tolist() == sorted(stored.uids[:500].tolist())[:10]


def test_vectors_that_are_no_numbers_are_never_found(workspace):
    images = unit(20)
    images[4] = np.nan
    stored = fill(workspace, images)
    build_vectors(workspace)
    neighbours = opened(workspace, stored)
    for rows in (None, np.arange(20)):
        found = neighbours.nearest(unit(1, seed=5), 20, rows=rows)
        assert sorted(found.rows[0].tolist()) == [-1, *(row for row in range(20) if row != 4)]
        assert found.rows[0][-1] == -1
        assert np.isnan(found.scores[0][-1])
    assert np.isnan(neighbours.pool_scores(unit(1), np.array([3, 4]))).tolist() == [[False, True]]


@pytest.mark.parametrize("factory", FACTORIES)
def test_one_broken_vector_spoils_no_index(workspace, factory):
    """Training refuses what is no number, so that one bad image kept a million rows from an index."""
    images = unit(400)
    images[7] = np.nan
    stored = fill(workspace, images)
    assert build_vectors(workspace, factory=factory) == {"rows": 400}
    neighbours = opened(workspace, stored)
    queries = unit(3, seed=1)
    found = neighbours.nearest(queries, 10)
    assert not (found.rows == 7).any()
    assert (found.rows >= 0).all()
    exact = np.take_along_axis(queries @ stored.images.take(np.arange(400)).T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, exact, atol=1.5e-6)
    rows = np.array([6, 7, 8])
    assert np.isnan(neighbours.pool_scores(queries, rows)).tolist() == [[False, True, False]] * 3


def test_an_inexact_index_answers_with_exact_scores(workspace):
    stored = fill(workspace, unit(2000))
    build_vectors(workspace, factory="IVF16,PQ8x4")
    queries = unit(20, seed=2)
    found = opened(workspace, stored).nearest(queries, 10)
    matrix = stored.images.take(np.arange(2000))
    exact = np.take_along_axis(queries @ matrix.T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, exact, atol=1.5e-6)
    best = np.sort(queries @ matrix.T, axis=1)[:, -10:].min(axis=1)
    assert (found.scores >= best[:, None] - 1e-6).mean() > 0.5


def test_empty(workspace):
    stored = fill(workspace, unit(0), shards=0)
    assert build_vectors(workspace) == {"rows": 0}
    neighbours = opened(workspace, stored)
    assert neighbours.nearest(unit(2), 5).rows.shape == (2, 0)
    assert neighbours.nearest(unit(2), 5, rows=np.zeros(0, np.int64)).rows.shape == (2, 0)


class TestBuilding:
    def test_index_json(self, workspace):
        stored = fill(workspace, unit(300))
        build_vectors(workspace)
        data = json.loads((workspace.vectors_folder(model_of(workspace).slug) / "index.json").read_text())
        assert data == {
            "format": 1,
            "model": {"name": "name", "pretrained": "tag", "weights": "weights"},
            "dimension": 16,
            "metric": "inner_product",
            "precision": "float16",
            "rows": 300,
            "content": content_of(stored, 300),
            "factory": "Flat",
            "recall": None,
        }

    @pytest.mark.parametrize("factory", FACTORIES[1:])
    def test_recall_is_measured(self, workspace, factory):
        fill(workspace, unit(1000))
        build_vectors(workspace, factory=factory)
        recall = VectorsInfo.load(workspace.vectors_folder(model_of(workspace).slug)).recall
        assert recall is not None
        assert set(recall) == {"images", "captions"}
        assert all(0.05 < value <= 1 for value in recall.values())

    def test_the_recall_is_of_what_is_given(self, workspace):
        """A bit a dimension puts rows in a rough order, and their own vectors put the best ones right."""
        stored = fill(workspace, unit(1000))
        build_vectors(workspace, factory="IVF4,RaBitQ")
        folder = workspace.vectors_folder(model_of(workspace).slug)
        asked = sample_queries(stored.captions)
        rows = opened(workspace, stored).nearest(asked, 10).rows
        truth = np.argsort(-(asked @ stored.images.take(np.arange(1000)).T), axis=1)[:, :10]
        right = [len({*some} & {*best}) for some, best in zip(rows.tolist(), truth.tolist(), strict=True)]
        assert sum(right) / truth.size == pytest.approx(VectorsInfo.load(folder).recall["images"], abs=0.01)
        index = faiss.read_index(str(folder / "images.faiss"))
        _, proposed = index.search(asked, 10)
        rough = [len({*some} & {*best}) for some, best in zip(proposed.tolist(), truth.tolist(), strict=True)]
        assert sum(rough) < 0.8 * sum(right)
        assert index.qb == 4  # with FAISS's own 0 a search takes a hundred times as long

    def test_equal_embeddings_give_equal_indices(self, make_workspace):
        made = []
        for name in ("one", "two"):
            some = make_workspace([(0, "http://x/1", "a", 1)], name=name)
            fill(some, unit(1000))
            build_vectors(some, factory="IVF8,SQfp16")
            folder = some.vectors_folder(model_of(some).slug)
            made.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert made[0] == made[1]

    @pytest.mark.parametrize("factory", ["", "IVF4,SQfp16"])
    def test_added_rows_are_added(self, workspace, factory):
        images = unit(300)
        fill(workspace, images)
        build_vectors(workspace, factory=factory)
        assert vectors_status(workspace).state is State.DONE
        stored = fill(workspace, unit(50, seed=4), shards=1, first=2)
        status = vectors_status(workspace)
        assert (status.state, status.reason) == (State.PARTIAL, "300 rows indexed, 350 embedded")
        assert build_vectors(workspace) == {"rows": 350}
        info = VectorsInfo.load(workspace.vectors_folder(model_of(workspace).slug))
        assert info.factory == (factory or "Flat")  # a user's choice is kept
        query = stored.images.take(np.array([333]))
        assert opened(workspace, stored).nearest(query, 1).rows.tolist() == [[333]]

    def test_other_rows_are_built_anew(self, workspace):
        fill(workspace, unit(300))
        build_vectors(workspace)
        stored = fill(workspace, unit(300, seed=8), shards=3)
        meta = stored.folder / "metadata/metadata_00.parquet"
        assert meta.is_file()
        changed = stored.metadata.slice(0, 100).set_column(
            4, EMBEDDED_SCHEMA.field("sha256"), pa.array([f"new {n}" for n in range(100)])
        )
        vectors = stored.images.take(np.arange(100)).astype(np.float16)
        write_shard(stored.folder, 0, changed, images=vectors, captions=vectors)
        status = vectors_status(workspace)
        assert (status.state, status.reason) == (State.STALE, "other rows are embedded")
        build_vectors(workspace)
        assert vectors_status(workspace).state is State.DONE

    def test_killed_between_its_files(self, workspace):
        """images.faiss was replaced, captions.faiss and index.json weren't."""
        fill(workspace, unit(300))
        build_vectors(workspace)
        folder = workspace.vectors_folder(model_of(workspace).slug)
        old = {name: (folder / name).read_bytes() for name in ("captions.faiss", "index.json")}
        stored = fill(workspace, unit(50, seed=4), shards=1, first=2)
        build_vectors(workspace)
        whole = {path.name: path.read_bytes() for path in folder.iterdir()}
        for name, content in old.items():
            (folder / name).write_bytes(content)
        with pytest.raises(WorkspaceError, match="captrawl embed"):
            opened(workspace, stored)
        build_vectors(workspace)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole

    def test_without_embeddings(self, workspace):
        assert vectors_status(workspace).state is State.MISSING
        with pytest.raises(WorkspaceError, match="captrawl embed"):
            build_vectors(workspace)

    @pytest.mark.parametrize("factory", ["nonsense", "IVF4000,Flat", "IVF4,PQ7"])
    def test_what_faiss_cant_make(self, workspace, factory):
        fill(workspace, unit(300))
        with pytest.raises(ModelError, match=f"can't make '{factory}'"):
            build_vectors(workspace, factory=factory)

    @pytest.mark.parametrize(
        ("rows", "dimension", "factory"),
        [
            (0, 512, "Flat"),
            (1_000_000, 512, "Flat"),
            (1_000_001, 512, "IVF4096,SQfp16"),
            (10_000_000, 512, "IVF16384,SQfp16"),
            (86_000_000, 768, "IVF32768,RaBitQ"),
        ],
    )
    def test_the_factory_goes_by_size(self, rows, dimension, factory):
        assert choose_factory(rows, dimension) == factory

    @pytest.mark.parametrize(
        ("rows", "dimension", "factory"),
        [
            (10_000_000, 512, "IVF16384,SQfp16"),
            (86_000_000, 768, "OPQ64,IVF32768,PQ64x8"),
            (86_000_000, 1000, "OPQ8,IVF32768,PQ8x8"),
        ],
    )
    def test_on_a_gpu_it_is_one_that_a_gpu_fills(self, rows, dimension, factory):
        assert choose_factory(rows, dimension, gpu=True) == factory


class TestRefusals:
    def test_another_model(self, workspace):
        stored = fill(workspace, unit(30))
        build_vectors(workspace)
        path = workspace.vectors_folder(model_of(workspace).slug) / "index.json"
        for key, value, told in (
            ("weights", "others", "weights others, the embeddings have weights"),
            ("name", "ViT-L-14", "model ViT-L-14 tag, the embeddings have name tag"),
        ):
            data = json.loads(path.read_text())
            data["model"][key] = value
            path.write_text(json.dumps(data))
            with pytest.raises(ModelError, match=told):
                opened(workspace, stored)
            data["model"][key] = "name" if key == "name" else "weights"
            path.write_text(json.dumps(data))

    def test_queries_of_another_dimension(self, workspace):
        stored = fill(workspace, unit(30))
        build_vectors(workspace)
        with pytest.raises(ModelError, match=r"16-d vectors, the queries have shape \(1, 8\)"):
            opened(workspace, stored).nearest(np.zeros((1, 8), np.float32), 1)

    def test_not_built(self, workspace):
        stored = fill(workspace, unit(30))
        with pytest.raises(WorkspaceError, match="captrawl embed"):
            opened(workspace, stored)

    def test_damaged(self, workspace):
        stored = fill(workspace, unit(30))
        build_vectors(workspace)
        (workspace.vectors_folder(model_of(workspace).slug) / "images.faiss").write_bytes(b"nothing")
        with pytest.raises(WorkspaceError, match=r"images\.faiss"):
            opened(workspace, stored)
