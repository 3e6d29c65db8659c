"""Artefacts that a disk or a copy damaged: one line that names the file and the stage to run again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from captrawl.core.errors import WorkspaceError
from captrawl.indexer.download.enqueue import matches_digest
from captrawl.indexer.embed.rows import rows_to_embed
from captrawl.indexer.match_stage import read_matches
from captrawl.sampling.evaluate import read_evaluation
from captrawl.sampling.marks import Marks
from captrawl.sampling.outcome import outcomes
from captrawl.sampling.report.counts import count
from captrawl.sampling.report.stage import read_numbers
from captrawl.search.vectors.neighbours import VectorsInfo
from captrawl.search.vectors.store import EmbeddingsInfo
from captrawl.web.class_pools import _matches
from captrawl.workspace.workspace import Workspace

GOLDEN = Path(__file__).parents[1] / "golden" / "workspace-1" / "birds"
READERS: dict[str, tuple[str, Callable[[Workspace], object]]] = {
    "matches": ("match", read_matches),
    "the ledger's matches": ("match", lambda workspace: matches_digest(workspace.matches_path)),
    "rows to embed": ("match", rows_to_embed),
    "the report's counts": ("match", lambda workspace: count(workspace, (), ())),
    "the page's pool": ("match", lambda workspace: _matches(workspace, 0)),
    "rows to embed, images": ("download", rows_to_embed),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, scribble])
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_table_is_named(reader: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    stage, read = READERS[reader]
    workspace = Workspace(shutil.copytree(GOLDEN, tmp_path / "birds"))
    read(workspace)
    path = workspace.matches_path if stage == "match" else workspace.images_path
    damage(path)
    with pytest.raises(
        WorkspaceError, match=f"{path.name} can't be read .*; run captrawl {stage} again"
    ) as told:
        read(workspace)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", [1000, 20])
@pytest.mark.parametrize("command", [["status", "--json"], ["download", "--allow-private"]])
def test_a_damaged_ledger_is_a_line_of_every_command(
    command: list[str], size: int, tmp_path: Path, captrawl
) -> None:
    workspace = Workspace(shutil.copytree(GOLDEN, tmp_path / "birds"))
    with workspace.ledger_path.open("r+b") as file:
        file.truncate(size)
    done = captrawl("-C", workspace.root, *command, check=False)
    told = " ".join((done.stdout + done.stderr).split())
    assert "ledger.sqlite is damaged (" in told
    assert "Traceback" not in told
    assert done.returncode == (command[0] != "status")


DOCUMENTS: dict[str, Callable[[Workspace], object]] = {
    "marks.json": Marks.load,
    "captrawl.lock.json": lambda workspace: workspace.recorded("match"),
    "samples/evaluation.json": read_evaluation,
    "samples/T2T500_num_imgs_sampled.json": outcomes,
    "report/numbers.json": read_numbers,
    "embeddings/local/model.json": lambda workspace: EmbeddingsInfo.load(
        workspace.embeddings_folder("local")
    ),
    "vectors/local/index.json": lambda workspace: VectorsInfo.load(workspace.vectors_folder("local")),
}


@pytest.mark.parametrize("damage", [b"[" * 100_000, b"[3]", b"{", b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_damaged_document_is_named(name: str, damage: bytes, tmp_path: Path) -> None:
    workspace = Workspace(shutil.copytree(GOLDEN, tmp_path / "birds"))
    path = workspace.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damage)
    with pytest.raises(WorkspaceError, match=rf"^{re.escape(str(path))} [^\n]+$"):
        DOCUMENTS[name](workspace)
