"""Vectors made in parts, by uid: folders below ``parts/embed/`` that are copied from when one takes all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from ...core.files import read_json, write_json
from ...search.vectors.models import INFO
from ...search.vectors.store import Embeddings, EmbeddingsInfo
from ...workspace.parts import StagePart, parts_folder, parts_to_merge
from ...workspace.workspace import Workspace

STAGE = "embed"
_MARK = "part.json"


def rows_of_part(rows: pa.Table, part: StagePart) -> pa.Table:
    """The rows whose uid is ``part``'s."""
    return rows.filter(pa.array(part.of_uids(rows["uid"].to_numpy())))


def note_done(folder: Path, rows: pa.Table) -> None:
    """Note that ``folder`` has the vectors of these ``rows``."""
    write_json(folder / _MARK, {"rows": _digest(rows)})


def part_is_done(folder: Path, rows: pa.Table) -> bool:
    """Whether ``folder`` has the vectors of all ``rows``."""
    try:
        done = read_json(folder / _MARK)["rows"] == _digest(rows)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return done and (folder / INFO).is_file()


def part_folders(workspace: Workspace, slug: str) -> list[Path]:
    """The folders of the parts that were begun."""
    folder = parts_folder(workspace, STAGE, slug)
    return sorted(path.parent for path in folder.glob(f"*/{INFO}"))


def finished_parts(
    workspace: Workspace, slug: str, rows: pa.Table, info: EmbeddingsInfo
) -> tuple[Embeddings, ...]:
    """The vectors of all parts of ``rows``, or (); WorkspaceError where one isn't complete."""
    folder = parts_folder(workspace, STAGE, slug)

    def is_done(part: StagePart) -> bool:
        own = folder / part.name
        return part_is_done(own, rows_of_part(rows, part)) and EmbeddingsInfo.load(own) == info

    return tuple(Embeddings.open(folder / part.name) for part in parts_to_merge(folder, STAGE, is_done))


def _digest(rows: pa.Table) -> str:
    total = hashlib.sha256(rows["uid"].to_numpy().tobytes())
    total.update("\n".join(map(str, rows["sha256"].to_pylist())).encode())
    return total.hexdigest()
