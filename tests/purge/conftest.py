"""A finished small workspace (the golden one) with everything that a user adds to it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.core.files import digest, sha256_file
from captrawl.core.pictures import PIXELS_VERSION
from captrawl.sampling.export.formats import export
from captrawl.sampling.marks import Mark, set_marks
from captrawl.sampling.vector_cache import save
from captrawl.workspace.workspace import Workspace

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "workspace-1"
EXPORTS = ("imagefolder", "webdataset", "huggingface", "csv", "urls", "swat", "fiftyone")


@dataclass(frozen=True)
class Finished:
    """The workspace, and a row of its list by what it is known as."""

    workspace: Workspace
    row: dict[str, Any]
    """Of samples/T2T500.parquet, with md5 and the picture's bytes."""
    exports: Path

    @property
    def root(self) -> Path:
        return self.workspace.root


def finished(place: Path, *, exported: tuple[str, ...] = ("imagefolder", "webdataset")) -> Finished:
    shutil.copytree(GOLDEN, place, dirs_exist_ok=True)
    (place / "rows.parquet").unlink()  # the corpus itself, which isn't captrawl's to change
    workspace = Workspace(place / "birds")
    text = workspace.settings_path.read_text()
    workspace.settings_path.write_text(re.sub(r'index = ".*"', 'index = "../captions"', text))
    for listing in workspace.samples_folder.glob("*.txt"):
        listing.write_text(listing.read_text().replace("/tmp/captrawl-golden/birds", str(workspace.root)))
    [row] = pq.read_table(workspace.samples_folder / "T2T500.parquet").slice(1, 1).to_pylist()
    images = {one["url"]: one for one in pq.read_table(workspace.images_path).to_pylist()}
    picture = workspace.root / row["path"]
    row |= {"md5": images[row["url"]]["md5"], "bytes": picture.read_bytes()}
    set_marks(workspace, row["class_id"], {row["uid"]: Mark.CONFIRMED, 77: Mark.REJECTED})
    keys = [digest([sha256_file(picture), PIXELS_VERSION]), "0" * 64]
    [model] = (workspace.root / "vectors").iterdir()
    save(model / "labelled.npz", keys, np.eye(2, 512, dtype=np.float32), "w")
    plan = pq.read_table(workspace.matches_path, columns=["url", "uid"])
    pq.write_table(plan, workspace.root / "urls.parquet")
    (workspace.root / ".matches" / "x").mkdir(parents=True)
    shutil.copy(workspace.matches_path, workspace.root / ".matches" / "x" / "0.parquet")
    spool = workspace.images_folder / "spool"
    spool.mkdir()
    (workspace.images_folder / "members").mkdir()
    pq.write_table(plan, workspace.images_folder / "members" / "0.parquet")
    (spool / row["sha256"]).write_bytes(picture.read_bytes())
    (spool / f".{row['sha256']}.1.2.part").write_bytes(picture.read_bytes()[:50])
    (workspace.samples_folder / ".T2T500.parquet.99999999.tmp").write_bytes(row["url"].encode())
    for to in exported:
        export(workspace, "T2T500", to, place / "exports" / to)
    return Finished(workspace, row, place / "exports")


@pytest.fixture
def place(tmp_path: Path) -> Finished:
    return finished(tmp_path)


@pytest.fixture
def tools() -> Any:
    class Tools:
        pass

    made = Tools()
    for helper in (finished, left_over):
        setattr(made, helper.__name__, staticmethod(helper))
    made.EXPORTS = EXPORTS
    return made


def left_over(home: Path, row: dict[str, Any]) -> dict[str, str]:
    """Every file below ``home`` that still has something of ``row``, found by the dumbest means."""
    left: dict[str, str] = {}
    needles = {"url": row["url"].encode(), "sha256": row["sha256"].encode(), "md5": row["md5"].encode()}
    needles |= {"uid": str(row["uid"]).encode(), "picture": row["bytes"]}
    for path in sorted(home.rglob("*")):
        if not path.is_file() or "golden" in path.parts:
            continue
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        for what, needle in needles.items():
            for at in (m.start() for m in re.finditer(re.escape(needle), data)):
                after = data[at + len(needle) : at + len(needle) + 1]
                if not (what in ("url", "uid") and after.isdigit()):
                    left[path.relative_to(home).as_posix()] = what
    return left
