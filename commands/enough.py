"""What `download` and `run` say of a download until enough: how each class ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from ..core.wording import counted

if TYPE_CHECKING:
    from ..indexer.download.until import ClassImages, Sufficiency
    from ..workspace.workspace import Workspace

MOST = 12
"""Classes named in a line."""


class ClassUntilJson(TypedDict):
    """A class's usable images, the URLs asked for it, and how it ended."""

    id: int
    name: str
    images: int
    asked: int
    end: str


class UntilJson(TypedDict):
    """How a download until ``n`` images per class ended."""

    n: int
    classes: list[ClassUntilJson]


def enough_lines(workspace: Workspace) -> Iterator[str]:
    """How many classes have enough, and the others by name, the emptiest first; nothing of a whole one."""
    from ..indexer.download.until import PoolEnd, sufficiency_of

    done = sufficiency_of(workspace.recorded("download"))
    if done is None:
        return
    classes = _named(workspace, done)
    full = sum(one.end is PoolEnd.ENOUGH for _, one in classes)
    yield f"until {done.n:,}: {full:,} of {counted(len(classes), 'class')} have enough"
    for end in (PoolEnd.DRY, PoolEnd.WAITING):
        short = sorted((one.images, one.id, name) for name, one in classes if one.end is end)
        if short:
            names = ", ".join(f"{name} {images:,}" for images, _, name in short[:MOST])
            more = f" and {len(short) - MOST:,} more" if len(short) > MOST else ""
            yield f"{end}: {names}{more}"


def enough_json(workspace: Workspace) -> UntilJson | None:
    """How a download until enough ended; None of a whole one."""
    from ..indexer.download.until import sufficiency_of

    done = sufficiency_of(workspace.recorded("download"))
    if done is None:
        return None
    classes = [
        ClassUntilJson(id=one.id, name=name, images=one.images, asked=one.asked_urls, end=one.end.value)
        for name, one in _named(workspace, done)
    ]
    return UntilJson(n=done.n, classes=classes)


def _named(workspace: Workspace, done: Sufficiency) -> list[tuple[str, ClassImages]]:
    """Every class of the list with its name, those without a URL too; then those that left the list since."""
    from ..classes.files import load_classes
    from ..indexer.download.until import ClassImages, PoolEnd

    by_id = {one.id: one for one in done.classes}
    path = workspace.classes_path()
    names = {entry.id: entry.name for entry in load_classes(path)} if path.is_file() else {}
    ids = [*names, *(id_ for id_ in by_id if id_ not in names)]
    return [(names.get(id_, str(id_)), by_id.get(id_, ClassImages(id_, 0, 0, PoolEnd.DRY))) for id_ in ids]
