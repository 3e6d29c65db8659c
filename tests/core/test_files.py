"""What killed writes leave is swept: by exact name, with one listing a folder, and nothing else goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from captrawl.core.files import atomic, sweep, sweep_writes

STAYS = (".x.tmp", ".7.tmp", "a.json", ".a.json.tmp", ".a.json.12x.tmp", "a.json.7.tmp", ".b.7.part")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*STAYS, ".a.json.7.tmp", ".a[1].json.7.tmp", ".a1.json.7.tmp", ".a.parquet.7.dropped"):
        (tmp_path / name).touch()
    (tmp_path / ".folder.7.tmp").mkdir()
    return tmp_path


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_everything_that_a_write_left_goes(folder: Path) -> None:
    sweep(folder)
    assert names(folder) == {*STAYS, ".folder.7.tmp"}
    sweep(folder / "nowhere")


def test_names_are_compared_whole(folder: Path) -> None:
    """A name may have a glob's characters; another file's leftovers are its writer's business."""
    before = names(folder)
    sweep_writes(folder / "a[1].json", folder / "x", folder / "nowhere" / "a.json")
    assert before - names(folder) == {".a[1].json.7.tmp"}
    sweep_writes(folder / "a.json", folder / "a.parquet")
    assert before - names(folder) == {".a[1].json.7.tmp", ".a.json.7.tmp", ".a.parquet.7.dropped"}


def test_a_thousand_files_of_one_folder_cost_one_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: list[Path] = []
    plain = Path.iterdir

    def counting(path: Path):
        listings.append(path)
        return plain(path)

    monkeypatch.setattr(Path, "iterdir", counting)
    sweep_writes(*(folder / f"{number}.parquet" for number in range(1000)), folder.parent / "x")
    assert sorted(listings) == sorted([folder, folder.parent])


def test_without_the_lock_a_running_writer_keeps_its_file(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running, own = tmp_path / f".a.{other.pid}.tmp", tmp_path / f".a.{os.getpid()}.tmp"
    try:
        for path in (running, own):
            path.touch()
        sweep(tmp_path, shared=True)
        assert names(tmp_path) == {running.name}
    finally:
        other.communicate(b"\n")
    sweep(tmp_path, shared=True)
    assert names(tmp_path) == set()


def test_a_killed_write_is_swept_by_its_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom captrawl.core.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=False)
    assert len(names(tmp_path)) == 1
    sweep_writes(tmp_path / "a.json")
    assert names(tmp_path) == set()
    with atomic(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == {"a.json"}
