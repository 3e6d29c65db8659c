"""What the user said of images by hand: marks.json, read and written here, honoured by `captrawl sample`.

    {"format": 1, "classes": {"7": {"confirmed": ["-12", …], "rejected": ["34", …]}}}

A mark belongs to a class and a uid. A rejected row, and every row with the same image, never comes into a
sample of its class. A confirmed one is a shot: it counts among the class's shots in I2I and I2T, meets no
condition, and comes before all others.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from ..core.errors import StorageError, WorkspaceError
from ..core.files import digest, read_json, sweep_writes, write_json
from ..workspace.workspace import Workspace

FORMAT = 1
NAME = "marks.json"


class Mark(StrEnum):
    """What a user says of an image in a class."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of a workspace: class id → uid → mark."""

    by_class: Mapping[int, Mapping[int, Mark]] = field(default_factory=dict[int, Mapping[int, Mark]])

    @classmethod
    def load(cls, workspace: Workspace) -> Self:
        """The marks of ``workspace``, none where it has none; WorkspaceError where marks.json is damaged."""
        path = workspace.root / NAME
        try:
            data = read_json(path)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"{path} isn't readable ({error}); mend or delete it") from error
        try:
            if data["format"] != FORMAT:
                raise WorkspaceError(f"{path} has format {data['format']}, this captrawl reads {FORMAT}")
            return cls({int(key): _of_class(lists) for key, lists in data["classes"].items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(
                f"{path} isn't a list of marks ({error!r:.100}); mend or delete it"
            ) from error

    def of(self, class_id: int) -> Mapping[int, Mark]:
        """The marks of one class, by uid."""
        return self.by_class.get(class_id, {})

    def uids(self, class_id: int, mark: Mark) -> list[int]:
        """The uids of a class with this mark, ascending."""
        return sorted(uid for uid, one in self.of(class_id).items() if one is mark)

    @property
    def any_confirmed(self) -> bool:
        """Whether any class has a confirmed image."""
        return any(mark is Mark.CONFIRMED for marks in self.by_class.values() for mark in marks.values())

    def fingerprint(self) -> str:
        """A hash of the marks; "" where there are none."""
        document = self._document()["classes"]
        return digest(document) if document else ""

    def save(self, workspace: Workspace) -> None:
        """Write marks.json."""
        write_json(workspace.root / NAME, self._document())

    def _document(self) -> dict[str, Any]:
        marked = {
            str(class_id): {mark.value: [str(uid) for uid in self.uids(class_id, mark)] for mark in Mark}
            for class_id in sorted(self.by_class)
            if self.by_class[class_id]
        }
        return {"format": FORMAT, "classes": marked}


def set_marks(workspace: Workspace, class_id: int, changes: Mapping[int, Mark | None]) -> Marks:
    """Store marks of one class by uid (None takes one back), and give all marks.

    Waits for another process or thread that is marking. StorageError where the workspace is read-only.
    """
    with _locked(workspace):
        sweep_writes(workspace.root / NAME)
        before = Marks.load(workspace)
        by_class = {key: dict(value) for key, value in before.by_class.items()}
        of_class = by_class.setdefault(class_id, {})
        for uid, mark in changes.items():
            of_class.pop(uid, None)
            if mark is not None:
                of_class[uid] = mark
        marks = Marks(by_class)
        if marks.fingerprint() != before.fingerprint():
            marks.save(workspace)
        return marks


def _of_class(lists: Mapping[str, list[str]]) -> dict[int, Mark]:
    return {int(uid): Mark(mark) for mark, uids in lists.items() for uid in uids}


@contextlib.contextmanager
def _locked(workspace: Workspace) -> Generator[None]:
    folder = workspace.root / ".locks"
    try:
        folder.mkdir(exist_ok=True)
        with (folder / "marks.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StorageError(
            f"the mark isn't saved: {error.filename or workspace.root} can't be written ({error.strerror}); "
            "make the workspace writable and mark again"
        ) from error
