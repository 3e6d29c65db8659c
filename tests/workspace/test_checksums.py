"""Every artefact is hashed when its stage ends, and what changed since is named."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import WorkspaceError
from captrawl.sampling.report.stage import REPORT
from captrawl.sampling.task import sample_facts
from captrawl.workspace import checksums
from captrawl.workspace.checksums import Change, FileChange, record_hashes
from captrawl.workspace.pipeline import STAGES, verify
from captrawl.workspace.settings import Settings
from captrawl.workspace.workspace import Workspace

FILES = {
    "match": ["matches.parquet"],
    "download": ["images.parquet", "images/00000/000000000.jpg", "images/00000/000000001.jpg",
                 "images/00001/000010000.jpg"],
    "embed": ["embeddings/m/model.json", "embeddings/m/img_emb/img_emb_00.npy",
              "embeddings/m/text_emb/text_emb_00.npy", "embeddings/m/metadata/metadata_00.parquet"],
    "vectors": ["vectors/m/images.faiss", "vectors/m/captions.faiss", "vectors/m/index.json"],
    "sample:T2T500": ["samples/T2T500.txt", "samples/T2T500.parquet", "samples/T2T500_sampled_list.txt"],
}  # fmt: skip
WORKING = ["images/ledger.sqlite", "images/spool/x", "vectors/m/prompts.npz", "embeddings/.m.new/model.json"]


FACTS = {name: stage.facts for name, stage in STAGES.items()} | {
    "report": REPORT,
    "sample:T2T500": sample_facts("T2T500"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(
        tmp_path / "w",
        Settings.model_validate({"captions": {"index": "i"}}),
        (ClassEntry(0, "dog", (Synonym("dog"),)),),
    )
    for name in [*(name for names in FILES.values() for name in names), *WORKING]:
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for stage in FILES:
        FACTS[stage].record(made, {}, {})
    return made


def changes(workspace: Workspace) -> list[tuple[str, str, str]]:
    return [(one.stage, one.path, one.change.value) for one in verify(workspace)]


def test_the_lock_file_holds_the_hash_of_every_artefact(workspace: Workspace) -> None:
    held = json.loads(workspace.lock_path.read_text())["artefacts"]
    plain = {
        stage: {name: hashlib.sha256(name.encode()).hexdigest() for name in names if "images/0" not in name}
        for stage, names in FILES.items()
    }
    for folder in ("images/00000", "images/00001"):
        lines = "".join(
            f"{Path(name).name}\0{hashlib.sha256(name.encode()).hexdigest()}\n"
            for name in FILES["download"]
            if name.startswith(folder)
        )
        plain["download"][folder] = hashlib.sha256(lines.encode()).hexdigest()
    assert held == plain
    assert changes(workspace) == []


def test_what_changed_is_named(workspace: Workspace) -> None:
    root = workspace.root
    (root / "matches.parquet").write_text("other")
    (root / "images/00000/000000001.jpg").write_text("images/00000/000000001.jpG")  # the same size
    (root / "images/00002").mkdir()
    (root / "embeddings/m/img_emb/img_emb_00.npy").unlink()
    (root / "vectors/m/prompts.npz").write_text("a cache, no artefact")
    assert verify(workspace) == [
        FileChange("match", "matches.parquet", Change.CHANGED),
        FileChange("download", "images/00000", Change.CHANGED),
        FileChange("download", "images/00002", Change.ADDED),
        FileChange("embed", "embeddings/m/img_emb/img_emb_00.npy", Change.MISSING),
    ]


def test_artefacts_without_a_lock_file_are_not_called_verified(workspace: Workspace) -> None:
    workspace.lock_path.unlink()
    names = {name for _, name, _ in changes(workspace)}
    assert names >= {"matches.parquet", "images.parquet", "images/00000"}
    assert {change for *_, change in changes(workspace)} == {"added"}


def test_a_stage_that_ends_again_reads_only_what_is_new(workspace: Workspace, monkeypatch) -> None:
    read: list[str] = []
    plain = checksums._sha256

    def counting(path: Path) -> str:
        read.append(path.relative_to(workspace.root).as_posix())
        return plain(path)

    monkeypatch.setattr(checksums, "_sha256", counting)
    FACTS["download"].record(workspace, {}, {})
    assert read == []
    (workspace.root / "images/00002").mkdir()
    (workspace.root / "images.parquet").write_text("longer than before")
    FACTS["download"].record(workspace, {}, {})
    assert read == ["images.parquet", "images/00002"]
    assert changes(workspace) == []


def test_damage_before_a_stage_ends_again_is_still_seen(workspace: Workspace) -> None:
    """Bits that rot keep their file's size and times; recording anew must not make them right."""
    path = workspace.root / "images/00000/000000000.jpg"
    times = path.stat()
    path.write_text("images/00000/000000000.jpX")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    FACTS["download"].record(workspace, {}, {})
    assert changes(workspace) == [("download", "images/00000", "changed")]


def test_a_kill_before_the_lock_file_hides_no_change(workspace: Workspace) -> None:
    """The stamps are written first: of a stage killed then, its rerun records what is there."""
    (workspace.root / "matches.parquet").write_text("what the stage makes now")
    record_hashes(workspace.root, FACTS["match"].files)
    assert changes(workspace) == [("match", "matches.parquet", "changed")]
    FACTS["match"].record(workspace, {}, {})
    assert changes(workspace) == []


@pytest.mark.parametrize("damage", ["earlier", "[]", "[" * 100_000, '{"images.parquet": 3, "x": []}'])
def test_stamps_of_an_earlier_version_or_damaged_are_made_anew(workspace: Workspace, damage: str) -> None:
    store = workspace.root / ".locks" / "stamps.json"
    stamps = json.loads(store.read_text())
    store.write_text(
        json.dumps({name: stamp[:-1] for name, stamp in stamps.items()}) if damage == "earlier" else damage
    )
    workspace.check_images(["images/00000/000000000.jpg"])
    FACTS["download"].record(workspace, {}, {})
    assert changes(workspace) == []
    mended = json.loads(store.read_text())
    assert mended.items() >= {n: s for n, s in stamps.items() if n.startswith("images")}.items()


def test_a_packed_image_that_was_edited_is_noticed(workspace: Workspace) -> None:
    """By size and time, then by its bytes; what was only copied, or is gone, isn't judged."""
    images = workspace.root / "images/00000"
    first, *_ = sorted(images.iterdir())
    paths = ["images/00000/000000000.jpg", None]
    workspace.check_images(paths)
    os.utime(first)  # as in a copied workspace
    workspace.check_images(paths)
    content = first.read_bytes()
    first.write_bytes(content[:-1] + b"?")
    with pytest.raises(WorkspaceError, match=rf"{first.name} isn't what was packed; put it back"):
        workspace.check_images(paths)
    for copied in images.iterdir():
        os.utime(copied)
    with pytest.raises(WorkspaceError, match=rf"{first.name} \(or one of \d images? written since\) isn't"):
        workspace.check_images(paths)
    workspace.check_images(["images/00009/1.jpg"])
    first.write_bytes(content)
    workspace.check_images(paths)
    first.unlink()
    workspace.check_images(paths)


def test_the_command_says_it(workspace: Workspace, captrawl, tmp_path: Path) -> None:
    from captrawl.indexer.captions import index_captions
    from captrawl.indexer.corpora.files import find_files

    corpus = tmp_path / "corpus.tsv"
    corpus.write_text("url\tcaption\nhttp://127.0.0.1/1.jpg\ta dog\nhttp://127.0.0.1/2.jpg\tdogs\n")
    index_captions(str(tmp_path / "w" / "i"), find_files([corpus]), part=None, replace=False, workers=1)
    (workspace.root / "matches.parquet").unlink()
    captrawl("-C", workspace.root, "match")
    (workspace.root / "images" / "ledger.sqlite").unlink()
    for stage in FILES:
        if stage != "match":
            workspace.forget(stage)
    (workspace.root / "embeddings/m/model.json").unlink()
    done = captrawl("-C", workspace.root, "status", "--verify")
    assert "verified: 1 artefacts are as their stages left them" in done.stdout
    with (workspace.root / "matches.parquet").open("ab") as handle:
        handle.write(b"x")
    done = captrawl("-C", workspace.root, "status", "--verify", "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["changes"] == [
        {"stage": "match", "path": "matches.parquet", "change": "changed"}
    ]
    shown = captrawl("-C", workspace.root, "status", "--verify", check=False)
    assert (shown.returncode, "matches.parquet" in shown.stdout) == (1, True)
    assert "changes" not in json.loads(captrawl("-C", workspace.root, "status", "--json").stdout)
