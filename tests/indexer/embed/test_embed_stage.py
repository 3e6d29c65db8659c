"""The embed stage: layout, contents, extension, failures, kills, refusals."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.cli import app
from captrawl.core.errors import ModelError, WorkspaceError
from captrawl.core.records import EMBEDDED_SCHEMA
from captrawl.indexer.embed.rows import load_failed, rows_to_embed
from captrawl.indexer.embed.stage import embed, embed_status
from captrawl.search.vectors import store as layout
from captrawl.search.vectors.encoder import Encoder
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings import save_settings
from captrawl.workspace.workspace import State, Workspace
from PIL import Image
from typer.testing import CliRunner

ROWS = [
    (0, "http://x/1", "a golden retriever", 1),
    (0, "http://x/2", "a cat", 2),
    (1, "http://x/1", "a golden retriever", 1),  # the same row in a second class
    (1, "http://x/3", None, 3),
    (1, "http://x/4", "a cat", 2),  # the same picture and caption at another address
    (1, "http://x/5", "gone", None),
]


def folder_of(workspace: Workspace) -> Path:
    return workspace.embeddings_folder(model_of(workspace).slug)


def files_of(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` by its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def expected(workspace: Workspace, stored: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Each row's vectors by the model's own calls, one at a time and at full length."""
    import torch

    encoder = load_encoder(model_of(workspace))
    images, captions = [], []
    with torch.inference_mode():
        for row in stored.metadata.to_pylist():
            with Image.open(workspace.root / row["image_path"]) as image:
                images.append(
                    encoder.network.encode_image(encoder.preprocess(image)[None], normalize=True)[0]
                )
            tokens = encoder.tokenizer([row["caption"] or ""])
            captions.append(encoder.network.encode_text(tokens, normalize=True)[0])
    return np.stack(images), np.stack(captions)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_every_distinct_uid_with_an_image_has_one_aligned_row(make_workspace, precision):
    workspace = make_workspace(ROWS, precision=precision)

    counts = embed(workspace)

    assert counts == {"rows": 4, "images": 3, "captions": 3, "failed": 0}
    folder = folder_of(workspace)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "img_emb/img_emb_00.npy", "metadata/metadata_00.parquet", "model.json", "text_emb/text_emb_00.npy",
    ]  # fmt: skip
    stored = Embeddings.open(folder)
    assert stored.metadata.schema.equals(EMBEDDED_SCHEMA)
    assert stored.metadata.sort_by("url")["url"].to_pylist() == [f"http://x/{n}" for n in (1, 2, 3, 4)]
    assert stored.uids.tolist() == sorted(stored.uids.tolist())
    assert np.load(folder / "img_emb/img_emb_00.npy").dtype == precision
    everything = np.arange(4)
    images, captions = expected(workspace, stored)
    tolerance = 1e-5 if precision == "float32" else 1e-3
    np.testing.assert_allclose(stored.images.take(everything), images, atol=tolerance)
    np.testing.assert_allclose(stored.captions.take(everything), captions, atol=tolerance)
    by_url = dict(zip(stored.metadata["url"].to_pylist(), stored.captions.take(everything), strict=True))
    assert np.array_equal(by_url["http://x/2"], by_url["http://x/4"])


def test_status_follows_the_work(make_workspace, rewrite):
    workspace = make_workspace(ROWS)
    assert embed_status(workspace).state is State.MISSING
    embed(workspace)
    assert embed_status(workspace).state is State.DONE
    assert workspace.recorded("embed").counts["rows"] == 4
    rewrite(workspace, [*ROWS, (2, "http://x/9", "new", 9)])
    status = embed_status(workspace)
    assert (status.state, status.counts["missing"]) == (State.PARTIAL, 1)
    embed(workspace)
    assert embed_status(workspace).state is State.DONE


@pytest.mark.parametrize(
    ("lost", "state", "reason"),
    [
        ("img_emb/img_emb_01.npy", State.PARTIAL, "a file of shard 1 is gone"),
        ("text_emb/text_emb_00.npy", State.PARTIAL, "a file of shard 0 is gone"),
        ("metadata/metadata_00.parquet", State.MISSING, "5 rows not embedded"),
    ],
)
def test_what_a_lost_file_held_is_embedded_again(make_workspace, rewrite, lost, state, reason):
    workspace = make_workspace(ROWS)
    embed(workspace)
    rewrite(workspace, [*ROWS, (2, "http://x/9", "new", 9)])
    embed(workspace)
    folder = folder_of(workspace)
    (folder / lost).unlink()

    status = embed_status(workspace)
    assert (status.state, status.reason) == (state, reason)
    assert embed(workspace)["rows"] == 5
    assert embed_status(workspace).state is State.DONE
    stored = Embeddings.open(folder)
    assert sorted(stored.metadata["url"].to_pylist()) == [f"http://x/{n}" for n in (1, 2, 3, 4, 9)]
    images, captions = expected(workspace, stored)
    np.testing.assert_allclose(stored.images.take(np.arange(5)), images, atol=1e-3)
    np.testing.assert_allclose(stored.captions.take(np.arange(5)), captions, atol=1e-3)


def test_the_command_tells_its_counts_in_json(make_workspace):
    workspace = make_workspace(ROWS)
    done = CliRunner().invoke(app, ["-C", str(workspace.root), "embed", "--json"])
    assert json.loads(done.stdout) == {
        "counts": {"embed": {"rows": 4, "images": 3, "captions": 3, "failed": 0}, "vectors": {"rows": 4}}
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "ViT-B-32", "--pretrained", "nope"], "has no weights 'nope'"),
        (["--model", "nope"], "no model 'nope'"),
        (["--model", "local-dir:nowhere"], "isn't an open_clip model"),
    ],
)
def test_a_model_that_cannot_be_had_leaves_the_settings_as_they_were(make_workspace, options, told):
    workspace = make_workspace(ROWS)
    embed(workspace)
    edited = "# mine\n" + workspace.settings_path.read_text()
    workspace.settings_path.write_text(edited)
    failed = CliRunner().invoke(app, ["-C", str(workspace.root), "embed", *options])
    assert failed.exit_code == 1
    assert told in failed.stderr
    assert workspace.settings_path.read_text() == edited
    assert embed_status(workspace).state is State.DONE


def test_extension_adds_a_shard_and_reuses_vectors(make_workspace, rewrite, monkeypatch):
    workspace = make_workspace(ROWS)
    embed(workspace)
    before = files_of(folder_of(workspace))
    rewrite(workspace, [*ROWS, (2, "http://x/9", "a cat", 9), (2, "http://x/8", "a dog", 1)])
    seen: dict[str, list[object]] = {"texts": [], "images": []}
    texts, images = Encoder.text_batches, Encoder.image_batches

    def spy_texts(self, given):
        seen["texts"] += list(given)
        return texts(self, given)

    def spy_images(self, given):
        seen["images"] += [path.name for path in given]
        return images(self, given)

    monkeypatch.setattr(Encoder, "text_batches", spy_texts)
    monkeypatch.setattr(Encoder, "image_batches", spy_images)
    assert embed(workspace) == {"rows": 6, "images": 4, "captions": 4, "failed": 0}

    assert seen == {"texts": ["a dog"], "images": ["9.png"]}
    after = files_of(folder_of(workspace))
    assert {name: after[name] for name in before} == before
    stored = Embeddings.open(folder_of(workspace))
    row = {url: at for at, url in enumerate(stored.metadata["url"].to_pylist())}
    assert np.array_equal(
        stored.images.take(np.array([row["http://x/1"]])), stored.images.take(np.array([row["http://x/8"]]))
    )
    assert np.array_equal(
        stored.captions.take(np.array([row["http://x/2"]])),
        stored.captions.take(np.array([row["http://x/9"]])),
    )


def test_a_finished_stage_loads_no_model(make_workspace, monkeypatch):
    workspace = make_workspace(ROWS)
    embed(workspace)
    monkeypatch.setattr("captrawl.indexer.embed.stage.load_encoder", None)
    assert embed(workspace)["rows"] == 4


def test_rows_no_longer_matched_stay_and_are_found_by_uid(make_workspace, rewrite):
    workspace = make_workspace(ROWS)
    embed(workspace)
    rewrite(workspace, ROWS[3:4])
    assert embed(workspace)["rows"] == 4
    stored = Embeddings.open(folder_of(workspace))
    uid = rows_to_embed(workspace)["uid"].to_numpy()
    (row,) = stored.rows_of(uid)
    assert stored.metadata["url"][row].as_py() == "http://x/3"
    assert stored.rows_of(np.array([12345], np.int64)).tolist() == [-1]


def test_a_new_picture_for_a_uid_is_embedded_and_holds(make_workspace, rewrite):
    workspace = make_workspace([(0, "http://x/1", "a", 1)])
    embed(workspace)
    rewrite(workspace, [(0, "http://x/1", "a", 5)])
    assert embed_status(workspace).state is State.PARTIAL
    assert embed(workspace)["rows"] == 2
    stored = Embeddings.open(folder_of(workspace))
    assert stored.rows_of(rows_to_embed(workspace)["uid"].to_numpy()).tolist() == [1]


def test_the_smallest_url_stands_for_a_uid(make_workspace):
    # url + caption is what is hashed: three ways to cut one text give one uid
    workspace = make_workspace(
        [(0, "http://x/ab", "c", 2), (0, "http://x/a", "bc", 1), (0, "http://x/", "abc", None)]
    )
    embed(workspace)
    stored = Embeddings.open(folder_of(workspace))
    assert stored.metadata["url"].to_pylist() == ["http://x/a"]
    assert stored.metadata["image_path"].to_pylist() == ["images/00000/1.png"]


def test_undecodable_images_are_recorded_and_not_tried_again(make_workspace, rewrite, monkeypatch):
    damaged = [(0, f"http://x/bad{n}", "bad", -n) for n in (1, 2)]
    workspace = make_workspace([*ROWS, *damaged])
    missing = workspace.root / "images/00000/3.png"
    missing.unlink()

    assert embed(workspace) == {"rows": 3, "images": 2, "captions": 2, "failed": 3}
    failed = pq.read_table(folder_of(workspace) / "failed.parquet").sort_by("path").to_pylist()
    assert [(row["path"], row["reason"], row["shard"]) for row in failed] == [
        ("images/00000/-1.png", "not an image", 0),
        ("images/00000/-2.png", "not an image", 0),
        ("images/00000/3.png", "missing file", 0),
    ]
    assert embed_status(workspace).state is State.DONE
    assert embed(workspace)["failed"] == 3

    Image.new("RGB", (40, 40)).save(missing)  # the file is back: it is tried again, the damaged ones aren't
    assert embed(workspace) == {"rows": 4, "images": 3, "captions": 3, "failed": 2}


def test_only_undecodable_images_end_too(make_workspace):
    workspace = make_workspace([(0, "http://x/bad", "bad", -1)])
    assert embed(workspace) == {"rows": 0, "images": 0, "captions": 0, "failed": 1}
    assert embed_status(workspace).state is State.DONE


def test_nothing_usable(make_workspace):
    workspace = make_workspace([(0, "http://x/5", "gone", None)])
    assert embed(workspace) == {"rows": 0, "images": 0, "captions": 0, "failed": 0}
    assert embed_status(workspace).state is State.DONE


def test_a_stage_before_is_missing(make_workspace):
    workspace = make_workspace(ROWS)
    workspace.images_path.unlink()
    assert embed_status(workspace).state is State.MISSING
    with pytest.raises(WorkspaceError, match="captrawl download"):
        embed(workspace)


class TestAnotherModel:
    def test_changed_weights(self, make_workspace, make_model):
        model = make_model(seed=1)
        workspace = make_workspace(ROWS, model=model)
        embed(workspace)
        (model / "open_clip_model.safetensors").write_bytes(
            (make_model(seed=2) / "open_clip_model.safetensors").read_bytes()
        )
        assert embed_status(workspace).state is State.STALE
        before = files_of(folder_of(workspace))
        with pytest.raises(ModelError, match="was made with weights"):
            embed(workspace)
        assert files_of(folder_of(workspace)) == before
        assert embed(workspace, replace=True)["rows"] == 4
        assert embed_status(workspace).state is State.DONE
        assert files_of(folder_of(workspace)) != before
        assert [path.name for path in folder_of(workspace).parent.iterdir()] == [folder_of(workspace).name]

    def test_other_precision(self, make_workspace):
        workspace = make_workspace(ROWS)
        embed(workspace)
        text = workspace.settings_path.read_text().replace("float16", "float32")
        workspace.settings_path.write_text(text)
        assert "float16" in embed_status(workspace).reason
        with pytest.raises(ModelError, match="contains float16 vectors, the settings ask for float32"):
            embed(workspace)


MANY = [
    (n % 3, f"http://x/{n}", f"picture number {n} of {n % 7}", n if n % 11 else -n - 1) for n in range(60)
]

CHILD = """
import sys, time
from pathlib import Path
from captrawl.indexer.embed.stage import embed
from captrawl.search.vectors import decode, store
from captrawl.workspace.workspace import Workspace
store._FIRST_SHARD = 8
slow = decode.decode
decode.decode = lambda source, prepare: (time.sleep(0.01), slow(source, prepare))[1]
embed(Workspace.open(Path(sys.argv[1])))
"""


def test_killed_and_resumed_runs_write_the_same_bytes(make_workspace):
    calm = make_workspace(MANY, name="calm")
    killed = make_workspace(MANY, name="killed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(workspace: Workspace) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CHILD, str(workspace.root)], env=environment)

    assert run(calm).wait(120) == 0
    kills = 0
    pause = np.random.default_rng(0)
    while kills < 3:
        child = run(killed)
        before = len(files_of(folder_of(killed)))
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
            if len(files_of(folder_of(killed))) > before:  # it has begun to write
                time.sleep(pause.uniform(0, 0.2))
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
    assert run(killed).wait(120) == 0

    same = files_of(folder_of(calm))
    assert len(same) > 10
    assert files_of(folder_of(killed)) == same
    assert load_failed(folder_of(calm), 99).num_rows == 6


def test_shards_keep_their_order_when_names_are_sorted():
    names = [layout.shard_paths(Path(), shard)[0].name for shard in range(layout.SHARDS)]
    assert names == sorted(names)
    assert [layout.shard_rows(shard) for shard in (0, 5, 6, 12, 71, 72, 99)] == [
        256, 256, 512, 1024, 524288, 1048576, 1048576,
    ]  # fmt: skip
    assert sum(layout.shard_rows(shard) for shard in range(layout.SHARDS)) > 35_000_000
    with pytest.raises(WorkspaceError, match="100 shards"):
        layout.shard_rows(100)


class TestDamage:
    def test_missing_vectors(self, make_workspace):
        workspace = make_workspace(ROWS)
        embed(workspace)
        (folder_of(workspace) / "text_emb/text_emb_00.npy").unlink()
        with pytest.raises(WorkspaceError, match=r"text_emb_00\.npy"):
            Embeddings.open(folder_of(workspace))

    def test_wrong_shape(self, make_workspace):
        workspace = make_workspace(ROWS)
        embed(workspace)
        np.save(folder_of(workspace) / "img_emb/img_emb_00.npy", np.zeros((4, 8), np.float16))
        with pytest.raises(ModelError, match="16 dimensions"):
            Embeddings.open(folder_of(workspace))

    def test_other_format(self, make_workspace):
        workspace = make_workspace(ROWS)
        embed(workspace)
        info = folder_of(workspace) / "model.json"
        info.write_text(info.read_text().replace('"format": 1', '"format": 99'))
        with pytest.raises(WorkspaceError, match="format 99"):
            Embeddings.open(folder_of(workspace))

    def test_none(self, tmp_path):
        with pytest.raises(WorkspaceError, match="captrawl embed"):
            Embeddings.open(tmp_path)


class TestAModelThatMoved:
    """A folder of weights is the same model wherever it lies; hours of embedding aren't done again."""

    def test_its_vectors_stay_its_own(self, make_workspace, tiny_model, tmp_path):
        folder = shutil.copytree(tiny_model, tmp_path / "small")
        workspace = make_workspace(ROWS, model=folder)
        counts = embed(workspace)
        moved = folder.rename(tmp_path / "big")
        folder.symlink_to(moved)
        assert embed_status(workspace).state is State.DONE
        assert embed(workspace) == counts
        assert len(list(workspace.embeddings_folder("x").parent.glob("*/model.json"))) == 1

    def test_other_weights_are_named_with_both(self, make_workspace, make_model, tiny_model, tmp_path):
        workspace = make_workspace(ROWS, model=shutil.copytree(tiny_model, tmp_path / "small"))
        embed(workspace)
        other = make_model(seed=7)
        settings = workspace.settings()
        model = settings.model.model_copy(update={"name": f"local-dir:{other}"})
        save_settings(settings.model_copy(update={"model": model}), workspace.settings_path)
        status = embed_status(workspace)
        assert status.state is State.MISSING
        assert str(tmp_path / "small") in status.reason
        assert str(other) in status.reason
