"""What --json prints of the commands that show and pass on what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from ..results import CountsJson, StageJson, VersionedJson


class ChangeJson(TypedDict):
    """An artefact that isn't as its stage left it."""

    stage: str
    path: str
    change: str


class StatusJson(TypedDict):
    """Every stage; ``changes`` with --verify."""

    stages: list[StageJson]
    changes: NotRequired[list[ChangeJson]]


class ReportJson(TypedDict):
    """The page's path and the stage's counts, beside the keys of report/numbers.json."""

    path: str
    counts: Mapping[str, int]


class DescriptorsJson(TypedDict):
    """How many test images the file at ``path`` has the hashes of."""

    images: int
    path: str


class ExportJson(TypedDict):
    """``notes`` say what a reader of the folder should know."""

    folder: str
    counts: Mapping[str, int]
    notes: Sequence[str]


class PurgeJson(TypedDict):
    """The proof without its tombstones, of which there are so many; ``residue`` is file → what is left."""

    clean: bool
    path: str
    time: str
    named: Mapping[str, int]
    removed: Mapping[str, int]
    tombstones: int
    files: int
    residue: Mapping[str, str]
    remains: Sequence[str]


class PurgePreviewJson(TypedDict):
    """How much would go."""

    named: Mapping[str, int]


OUTPUTS: Mapping[str, tuple[type | str, ...]] = {
    "status": (StatusJson,),
    "evaluate": ("sampling.evaluate:Evaluation",),
    "report": (ReportJson, VersionedJson, "sampling.report.counts:ReportCounts"),
    "export": (ExportJson,),
    "descriptors": (DescriptorsJson,),
    "purge": (PurgeJson,),
    "purge --dry-run": (PurgePreviewJson,),
    "import swat": (CountsJson,),
}
"""Command → what its --json prints: the keys of all parts, of which a text is a dataclass of the package."""
