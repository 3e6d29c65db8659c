"""One of n shares of a stage's work: what belongs to it, and where it lies until the shares are merged.

    parts/download/003-of-016/      a workspace of its own, with the rows of its hosts
    parts/embed/MODEL/003-of-016/   an embeddings folder of its own

No two parts write one file, so they may run on as many machines as share the workspace's file system.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmh3
import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError, WorkspaceError
from .workspace import Workspace

_NAME = re.compile(r"([0-9]+)-of-([0-9]+)")


@dataclass(frozen=True, slots=True)
class StagePart:
    """The ``number``-th of ``count`` shares, counted from 1."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> StagePart | None:
        """``3/16``; None for "". InputError where it is no such pair."""
        number, slash, count = text.partition("/")
        if not text:
            return None
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise InputError(f"part {text}: give PART/PARTS, counted from 1, such as 3/16")
        return cls(int(number), int(count))

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.number:03d}-of-{self.count:03d}"

    def has(self, key: str) -> bool:
        """Whether what goes by this key is this part's."""
        return mmh3.hash64(key.encode(), signed=False)[0] % self.count == self.number - 1

    def of_uids(self, uids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the uids, hashes themselves, are this part's."""
        return uids.view(np.uint64) % np.uint64(self.count) == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def check_count(folder: Path, part: StagePart) -> None:
    """InputError where ``folder`` contains parts of another number of shares than ``part`` is of."""
    other = next((one for one in parts_in(folder) if one.count != part.count), None)
    if other is not None:
        raise InputError(
            f"--part {part}: {folder} contains parts of {other.count}; run captrawl without --part, which "
            "merges them, or delete that folder"
        )


def parts_in(folder: Path) -> list[StagePart]:
    """The parts that were begun in ``folder``."""
    names = (_NAME.fullmatch(entry.name) for entry in (folder.iterdir() if folder.is_dir() else ()))
    return sorted((StagePart(int(n[1]), int(n[2])) for n in names if n), key=lambda part: part.number)


def parts_to_merge(folder: Path, stage: str, is_done: Callable[[StagePart], bool]) -> Sequence[StagePart]:
    """The parts in ``folder``; WorkspaceError where one of them, or of their number, isn't complete."""
    parts = parts_in(folder)
    if not parts:
        return []
    count = parts[0].count
    done = {part.number for part in parts if part.count == count and is_done(part)}
    missing = [str(number) for number in range(1, count + 1) if number not in done]
    if missing:
        raise WorkspaceError(
            f"{folder} lacks part {', '.join(missing[:20])} of {count}; run captrawl {stage} "
            f"--part {missing[0]}/{count} …, or delete that folder to do without parts"
        )
    return parts


def drop_parts(folder: Path) -> None:
    """Delete merged parts; killed half-way, none of them counts any longer."""
    gone = folder.with_name(f".{folder.name}.merged")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.is_dir():
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    for parent in (folder.parent, folder.parent.parent):
        if parent.name in {"parts", "embed"}:
            with contextlib.suppress(OSError):  # other parts lie there
                parent.rmdir()


def parts_folder(workspace: Workspace, *names: Any) -> Path:
    """Where the parts of a stage (and model) lie."""
    return workspace.root.joinpath("parts", *map(str, names))
