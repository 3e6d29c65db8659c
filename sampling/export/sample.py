"""A sample in the forms that others read: SWAT's folder, ImageFolder, WebDataset, Hugging Face, URLs.

An export is a new folder, made under a temporary name and renamed at the end. Class names never become
paths as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from ...classes.model import ClassList
from ...core.errors import WorkspaceError
from ...core.records import Progress
from ...workspace.workspace import Workspace
from ..files import SamplePaths
from .class_folders import folder_names


@dataclass(frozen=True)
class Sample:
    """A sample to export: ``rows`` are its kept rows (SAMPLE_SCHEMA), by class and rank.

    ``target`` is the folder's name in the end; exporters write into a temporary one.
    """

    workspace: Workspace
    paths: SamplePaths
    classes: ClassList
    rows: pa.Table
    target: Path

    @property
    def class_ids(self) -> list[int]:
        """The class of each row."""
        return cast("list[int]", list[Any](self.rows.column("class_id").to_pylist()))

    @cached_property
    def folders(self) -> dict[int, str]:
        """Each class's folder name."""
        return folder_names(self.classes)

    @cached_property
    def names(self) -> dict[int, str]:
        """Each class's name."""
        return {entry.id: entry.name for entry in self.classes}

    def images(self) -> Iterator[tuple[dict[str, Any], Path]]:
        """(row, its image file), in order; WorkspaceError where a file is gone or was changed."""
        self.workspace.check_images(self.rows.column("path").to_pylist())
        for batch in self.rows.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                yield row, self.image(row["path"])

    def image(self, path: str) -> Path:
        """The image file at ``path`` in the workspace; WorkspaceError where it is gone."""
        file = self.workspace.root / path
        if not file.is_file():
            raise WorkspaceError(f"image {file} of sample {self.paths.name} is gone; download it again")
        return file

    def label_notes(self) -> list[str]:
        """What readers that number classes by their folders must be told: empty ones, ids with gaps."""
        ids, filled = [entry.id for entry in self.classes], set(self.class_ids)
        empty = [f"{self.names[i]} ({i})" for i in ids if i not in filled]
        notes: list[str] = []
        if empty:
            notes.append(
                f"no image of {_some(empty)}: the folder is there, so that the others keep their labels; "
                "torchvision's ImageFolder takes it with allow_empty=True"
            )
        if ids != list(range(len(ids))):
            moves = [f"{i} is {place}" for place, i in enumerate(ids) if i != place]
            notes.append(f"class ids have gaps, labels by folder don't ({_some(moves)}): see classes.json")
        return notes


def _some(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


Exporter = Callable[[Sample, Path, Progress], dict[str, int]]
"""(sample, a new empty folder, progress) → counts."""


def described(row: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    """What travels with an image: its class, source and scores; missing values are null."""
    scores = {key: row[key] for key in ("T2T", "T2I", "I2I_mean", "I2I_max", "I2T_mean", "I2T_max")}
    return {
        "class_id": row["class_id"],
        "class": names[row["class_id"]],
        "rank": row["rank"],
        "url": row["url"],
        "caption": row["caption"],
        "synonym": row["synonym"],
        "uid": str(row["uid"]),  # JSON numbers lose 64 bits
        "sha256": row["sha256"],
        **scores,
    }
