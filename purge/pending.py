"""What is being purged, in .purge.json until it is gone: a purge that was killed goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.files import write_json
from ..workspace.workspace import Workspace, read_document
from .targets import Doomed

NAME = ".purge.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class PendingPurge:
    """A purge under way: what goes, whether the caption index stays as it is, what each step has done."""

    doomed: Doomed
    keep_index: bool
    done: Mapping[str, int] = field(default_factory=dict[str, int])
    """Step → how many things it removed."""

    @classmethod
    def load(cls, workspace: Workspace) -> PendingPurge | None:
        """The journal of a purge that isn't finished; None where there is none."""
        path = pending_path(workspace)
        return read_document(path, "purge", _parsed) if path.exists() else None

    def save(self, workspace: Workspace) -> None:
        """Write it."""
        doomed = self.doomed
        texts = {name: sorted(getattr(doomed, name)) for name in ("urls", "hosts", "hashes", "paths")}
        uids = [str(uid) for uid in sorted(doomed.uids)]
        target = {**texts, "uids": uids, "rows": dict(doomed.rows), "here": doomed.here}
        document = {"doomed": target, "keep_index": self.keep_index, "done": dict(self.done)}
        write_json(pending_path(workspace), {"format": FORMAT, **document})


def pending_path(workspace: Workspace) -> Path:
    """Where the journal lies."""
    return workspace.root / NAME


def _parsed(document: Any) -> PendingPurge:
    if document["format"] != FORMAT:
        raise ValueError(f"it has format {document['format']}, this captrawl reads {FORMAT}")
    target = document["doomed"]
    sets = {name: frozenset[str](target[name]) for name in ("urls", "hosts", "hashes", "paths")}
    uids = frozenset(map(int, target["uids"]))
    doomed = Doomed(**sets, uids=uids, rows=target["rows"], here=target["here"])
    return PendingPurge(doomed, document["keep_index"], document["done"])
