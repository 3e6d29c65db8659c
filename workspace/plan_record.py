"""plan.json: what the last `captrawl plan` expected, for the report to compare with what happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..core.files import write_json
from .workspace import Workspace, read_document

FORMAT = 1
NAME = "plan.json"


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What was expected on ``date``: URLs that end, distinct images, refused URLs; hours that are to come."""

    date: str
    ended_urls: int
    images: int
    refused: int
    fetch_hours: float
    embed_hours: float | None

    def save(self, workspace: Workspace) -> None:
        """Write plan.json."""
        write_json(workspace.root / NAME, {"format": FORMAT, **asdict(self)})


def load_plan(workspace: Workspace) -> PlanRecord | None:
    """The last plan, None where there is none; WorkspaceError where plan.json is damaged."""
    path = workspace.root / NAME
    if not path.is_file():
        return None
    return read_document(path, "plan", _record)


def _record(data: dict[str, Any]) -> PlanRecord:
    return PlanRecord(**{name: value for name, value in data.items() if name != "format"})
