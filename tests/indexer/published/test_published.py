"""Published vectors: registered, read row by row, and pools ranked by them before any image is fetched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import save_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import InputError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.match_stage import read_matches
from captrawl.indexer.published.register import VectorSource, register
from captrawl.indexer.published.row_reader import runs
from captrawl.search.vectors.models import ModelId, model_of
from captrawl.workspace import pipeline
from captrawl.workspace.settings import CaptionSettings, MatchSettings, ModelSettings, Settings
from captrawl.workspace.workspace import State, Workspace
from numpy.typing import NDArray

ROWS, FILES, D = 600, 3, 16
CLASSES = tuple(ClassEntry(at, name, (Synonym(name),)) for at, name in enumerate(("dog", "cat", "yeti")))
Layout = Callable[[Path, int, NDArray[Any], pa.Table], None]


def captions_of(file: int) -> list[str]:
    words = ("dog", "cat", "tree", "dog and cat", "house", "lake", "car", "bird", "sea", "road")
    return [f"a {words[row % 10]} number {file} {row}" for row in range(ROWS)]


def table_of(file: int) -> pa.Table:
    urls = [f"http://host/{file}/{row}.jpg" for row in range(ROWS)]
    return pa.table({"url": urls, "caption": captions_of(file)})


def vectors_of(file: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng([file, seed]).normal(size=(ROWS, D)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clip_retrieval(folder: Path, file: int, vectors: NDArray[Any], table: pa.Table) -> None:
    for name, array in (("img", vectors), ("text", vectors_of(file, 1).astype(vectors.dtype))):
        (folder / f"{name}_emb").mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}_emb" / f"{name}_emb_{file}.npy", array)
    (folder / "metadata").mkdir(exist_ok=True)
    pq.write_table(table, folder / "metadata" / f"metadata_{file}.parquet")


def datacomp(folder: Path, file: int, vectors: NDArray[Any], table: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{file:032x}.npz", b32_txt=vectors_of(file, 1), b32_img=vectors)
    pq.write_table(table, folder / f"{file:032x}.parquet")


def column(folder: Path, file: int, vectors: NDArray[Any], table: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = table.append_column("image_embedding", pa.array(list(vectors)))
    pq.write_table(table, folder / f"{file}.parquet", row_group_size=100)


LAYOUTS: dict[str, Layout] = {"npy": clip_retrieval, "npz": datacomp, "parquet": column}


@dataclass
class Corpus:
    """An index, published vectors, and a workspace that asks both."""

    workspace: Workspace
    folder: Path
    index: Path
    model: ModelId

    def register(self, **changes: Any) -> Any:
        return register(str(self.index), replace(self.source, **changes))

    @property
    def source(self) -> VectorSource:
        return VectorSource(str(self.folder), self.model, normalised=True, names={})

    def match(self, **settings: Any) -> pa.Table:
        pipeline.match(self.workspace.overriding({"match": {"sample": "all", **settings}}))
        return read_matches(self.workspace)


@pytest.fixture
def publish(tmp_path: Path, tiny_model: Path) -> Callable[..., Corpus]:
    """publish(layout, …) → a corpus whose metadata is what is indexed, or (same=False) isn't."""

    def make(layout: str = "npy", *, same: bool = True, dtype: str = "float32", scale: float = 1) -> Corpus:
        folder, index, elsewhere = tmp_path / "vectors", tmp_path / "idx", tmp_path / "corpus"
        elsewhere.mkdir()
        for file in range(FILES):
            LAYOUTS[layout](folder, file, (vectors_of(file) * scale).astype(dtype), table_of(file))
            backwards = pa.array(np.arange(ROWS)[::-1])
            pq.write_table(table_of(file).take(backwards), elsewhere / f"{file}.parquet")
        files = find_files([folder if same else elsewhere])
        index_captions(index, files, workers=1)
        save_classes(CLASSES, tmp_path / "classes.json")
        settings = Settings(
            captions=CaptionSettings(index=str(index)),
            model=ModelSettings(name=f"local-dir:{tiny_model}", batch=8, templates=["a {}"]),
            match=MatchSettings(sample="all"),
        )
        workspace = Workspace.create(tmp_path / "ws", settings, CLASSES)
        return Corpus(workspace, folder, index, model_of(workspace))

    return make


def expected(corpus: Corpus, seed: int = 0) -> list[tuple[int, str]]:
    """(class id, caption) in rank order, from the whole matrices and the model's own prompts."""
    from captrawl.search.vectors.loading import load_encoder

    prompts = load_encoder(corpus.model).encode_texts([f"a {entry.name}" for entry in CLASSES])
    lines: list[tuple[int, str]] = []
    for entry, prompt in zip(CLASSES, prompts, strict=True):
        pool = [
            (-round(float(vectors_of(file, seed)[row] @ prompt), 4), caption)
            for file in range(FILES)
            for row, caption in enumerate(captions_of(file))
            if entry.name in caption
        ]
        lines += [(entry.id, caption) for _, caption in sorted(pool)]
    return lines


def pairs(table: pa.Table) -> list[tuple[int, str]]:
    return list(zip(table["class_id"].to_pylist(), table["caption"].to_pylist(), strict=True))


def spearman(mine: Sequence[tuple[int, str]], theirs: Sequence[tuple[int, str]]) -> float:
    place = {pair: at for at, pair in enumerate(theirs)}
    return float(np.corrcoef([place[pair] for pair in mine], np.arange(len(mine)))[0, 1])


@pytest.mark.parametrize("same", [True, False], ids=["row", "uid"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pool_is_ranked_by_published_vectors(
    publish: Callable[..., Corpus], layout: str, same: bool
) -> None:
    corpus = publish(layout, same=same)
    counts = corpus.register()
    assert (counts.files, counts.rows, counts.unindexed) == (FILES, FILES * ROWS, 0)
    assert counts.by_uid is not same
    ranked = corpus.match(rank="T2I")
    whole = expected(corpus)
    assert sorted(pairs(ranked)) == sorted(whole)
    assert spearman(pairs(ranked), whole) > 0.9999
    first = corpus.match(rank="T2I", top=50)
    second = ranked["class_id"].to_pylist().index(1)
    assert first.equals(pa.concat_tables([ranked.slice(0, 50), ranked.slice(second, 50)]))


@pytest.mark.parametrize(("layout", "same"), [("npy", True), ("npz", False), ("parquet", True)])
def test_vectors_in_a_store(publish: Callable[..., Corpus], layout: str, same: bool) -> None:
    """They rank as they do from a folder: s3:// and hf:// are read by the same file system interface."""
    corpus = publish(layout, same=same)
    store = fsspec.filesystem("memory")
    try:
        for path in corpus.folder.rglob("*.*"):
            store.pipe_file(f"/bucket/{path.relative_to(corpus.folder)}", path.read_bytes())
        counts = corpus.register(folder="memory://bucket")
        assert (counts.files, counts.rows, counts.by_uid) == (FILES, FILES * ROWS, not same)
        shutil.rmtree(corpus.folder)
        assert spearman(pairs(corpus.match(rank="T2I")), expected(corpus)) > 0.9999
    finally:
        store.store.clear()


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(file, bytes) of every read by range."""
    reads: list[tuple[str, int]] = []
    pread = os.pread

    def counted(handle: int, length: int, offset: int) -> bytes:
        data = pread(handle, length, offset)
        reads.append((str(Path(f"/proc/self/fd/{handle}").readlink()), len(data)))
        return data

    monkeypatch.setattr(os, "pread", counted)
    return reads


def test_only_the_pools_vectors_are_read(
    publish: Callable[..., Corpus], bytes_read: list[tuple[str, int]]
) -> None:
    corpus = publish(dtype="float16")
    corpus.register()
    bytes_read.clear()
    table = corpus.match(rank="T2I", sample=40)
    distinct = len(set(zip(table["file"].to_pylist(), table["row"].to_pylist(), strict=True)))
    assert 0 < distinct < table.num_rows == 80  # a caption of both classes is read once
    read = sum(size for name, size in bytes_read if name.endswith(".npy"))
    assert distinct * D * 2 <= read <= 1.5 * distinct * D * 2


def test_gaps_are_read_over_only_where_they_are_small() -> None:
    rows = np.array([0, 1, 3, 9, 10, 30, 50, 51])
    assert runs(rows, 5, 2) == [(0, 3), (3, 5), (5, 6), (6, 8)]
    assert runs(rows, 5, 6) == [(0, 5), (5, 6), (6, 8)]
    assert runs(rows, 0, 9) == [(0, 2), (2, 3), (3, 5), (5, 6), (6, 8)]
    assert runs(rows[:0], 5, 5) == []


def test_captions_are_ranked_by_published_vectors_or_embedded_here(publish: Callable[..., Corpus]) -> None:
    from captrawl.search.vectors.loading import load_encoder

    corpus = publish()
    here = corpus.match(rank="T2T", sample=30)
    encoder = load_encoder(corpus.model)
    prompts = encoder.encode_texts(["a dog", "a cat"])
    for class_id in (0, 1):
        captions = [caption for id_, caption in pairs(here) if id_ == class_id]
        scores = encoder.encode_texts(captions) @ prompts[class_id]
        assert len(scores) == 30
        assert np.all(np.diff(scores) < 1e-5)
    corpus.register()  # clip-retrieval's text_emb: vectors of captions, of another seed
    assert pipeline.status(corpus.workspace)[0].state is State.STALE
    assert spearman(pairs(corpus.match(rank="T2T")), expected(corpus, seed=1)) > 0.9999


def test_shots_rank_by_their_mean(publish: Callable[..., Corpus], tmp_path: Path, picture: Any) -> None:
    from captrawl.search.vectors.loading import load_encoder

    corpus = publish()
    corpus.register()
    with pytest.raises(InputError, match="the task has none; set shots"):
        corpus.match(rank="I2I")
    for number, name in enumerate(("dog", "dog", "cat")):
        (tmp_path / "shots" / name).mkdir(parents=True, exist_ok=True)
        picture(number).save(tmp_path / "shots" / name / f"{number}.png")
    corpus.workspace = corpus.workspace.overriding({"task": {"shots": str(tmp_path / "shots")}})
    ranked = [pair for pair in pairs(corpus.match(rank="I2I")) if pair[0] == 0]
    paths = sorted((tmp_path / "shots" / "dog").iterdir())
    mean = load_encoder(corpus.model).encode_images(paths).mean(axis=0)
    scores = {
        caption: float(vectors_of(file)[row] @ mean)
        for file in range(FILES)
        for row, caption in enumerate(captions_of(file))
    }
    assert np.all(np.diff([scores[caption] for _, caption in ranked]) < 1e-5)


def damaged(corpus: Corpus, how: str) -> Corpus:
    path = corpus.folder / "img_emb" / "img_emb_1.npy"
    vectors = np.load(path)
    changes: dict[str, NDArray[Any]] = {
        "short": vectors[:-1], "narrow": vectors[:, :-1], "flat": vectors.ravel(), "long": vectors * 3,
        "whole numbers": (vectors * 100).astype(np.int32), "by column": np.asfortranarray(vectors),
    }  # fmt: skip
    np.save(path, changes[how])
    return corpus


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "short",
            r"img_emb_1.npy has 599 vectors, .*metadata_1.parquet 600 rows: they don't belong together",
        ),
        ("narrow", r"has 16-d vectors, .*img_emb_1.npy 15-d"),
        ("flat", r"contains float32 of shape \(9600,\); a row-by-row matrix"),
        ("by column", r"of shape \(600, 16\), by column; a row-by-row"),
        ("whole numbers", r"contains int32 of shape"),
    ],
)
def test_shapes_that_dont_fit_are_refused(publish: Callable[..., Corpus], how: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        damaged(publish(), how).register()


def test_lengths_other_than_one_must_be_declared(publish: Callable[..., Corpus]) -> None:
    corpus = publish(scale=3)
    with pytest.raises(InputError, match=r"img_emb_0.npy: vector 0 has length 3, .*--unnormalised"):
        corpus.register()
    corpus.register(normalised=False)
    assert spearman(pairs(corpus.match(rank="T2I")), expected(corpus)) > 0.9999


def test_lengths_that_no_sample_showed_are_refused_in_use(publish: Callable[..., Corpus]) -> None:
    corpus = damaged(publish(), "long")  # the first and the last file are looked at when registering
    corpus.register()
    with pytest.raises(
        InputError, match=r"img_emb_1.npy: vector \d+ has length 3, .* registered as normalised"
    ):
        corpus.match(rank="T2I")


def test_vectors_of_another_model_are_refused(publish: Callable[..., Corpus]) -> None:
    corpus = publish()
    with pytest.raises(
        InputError, match="T2I compares with published vectors of images, and none are regist"
    ):
        corpus.match(rank="T2I")
    corpus.register(model=ModelId("ViT-B-32", "openai"))
    with pytest.raises(InputError, match=r"are of ViT-B-32 / openai, the prompts are of local-dir:.*tiny"):
        corpus.match(rank="T2I")


def test_files_that_changed_are_refused(publish: Callable[..., Corpus]) -> None:
    corpus = publish()
    corpus.register()
    path = corpus.folder / "img_emb" / "img_emb_1.npy"
    os.utime(path, (1, 1))
    with pytest.raises(InputError, match=r"img_emb_1\.npy changed since it was registered"):
        corpus.match(rank="T2I")


def test_compressed_arrays_and_unclear_names_are_refused(publish: Callable[..., Corpus]) -> None:
    corpus = publish("npz")
    path = corpus.folder / f"{1:032x}.npz"
    np.savez(path, b32_img=vectors_of(1), l14_img=vectors_of(1))
    with pytest.raises(InputError, match="are b32_img, l14_img; say which by --images NAME"):
        corpus.register()
    np.savez_compressed(path, b32_img=vectors_of(1))
    with pytest.raises(InputError, match="b32_img is compressed"):
        corpus.register()


def test_rows_without_a_vector_come_last(publish: Callable[..., Corpus], caplog: Any) -> None:
    corpus = publish()
    path = corpus.folder / "img_emb" / "img_emb_1.npy"
    vectors = np.load(path)
    vectors[10] = np.nan
    vectors[13] = 0
    np.save(path, vectors)
    corpus.register()
    dogs = [caption for id_, caption in pairs(corpus.match(rank="T2I")) if id_ == 0]
    assert {dogs[-2], dogs[-1]} == {captions_of(1)[10], captions_of(1)[13]}
    assert "3 rows of" in caplog.text  # one of them is of two classes


def test_the_download_asks_in_rank_order(publish: Callable[..., Corpus]) -> None:
    from captrawl.indexer.download.enqueue import enqueue_matches
    from captrawl.indexer.ledger import Ledger

    corpus = publish()
    corpus.register()
    corpus.match(rank="")
    ledger_path = corpus.workspace.ledger_path
    ledger_path.parent.mkdir(exist_ok=True)
    with Ledger(ledger_path) as ledger:
        path = corpus.workspace.matches_path
        enqueue_matches(ledger, path, digest="1", blocked_uids=frozenset())
        table = corpus.match(rank="T2I", top=20)
        enqueue_matches(ledger, path, digest="2", blocked_uids=frozenset(), ranked=True)
        asked = [job.url for job in ledger.lease(100)]
    urls = [table.filter(pa.compute.equal(table["class_id"], id_))["url"].to_pylist() for id_ in (0, 1)]
    place = {url: min(some.index(url) for some in urls if url in some) for some in urls for url in some}
    assert sorted(asked) == sorted(place)
    assert [place[url] for url in asked] == sorted(place.values())


def test_the_commands_register_and_rank(publish: Callable[..., Corpus], run_captrawl: Any) -> None:
    corpus = publish()
    root = str(corpus.workspace.root)
    done = run_captrawl("index", "vectors", str(corpus.folder), "--model", corpus.model.name,
                        "--index", str(corpus.index), "--json")  # fmt: skip
    assert json.loads(done)["address"] == "row"
    run_captrawl("-C", root, "match", "--all", "--rank", "T2I", "--top", "7")
    assert read_matches(corpus.workspace).num_rows == 14
    assert corpus.workspace.settings().match.top == 7
    assert pipeline.status(corpus.workspace)[0].state is State.DONE
