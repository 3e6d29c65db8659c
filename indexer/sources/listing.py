"""The files below a folder, here or in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.errors import InputError
from .locations import is_remote
from .store_blob import store_of


def files_below(folder: str) -> list[tuple[str, str]]:
    """(name below the folder, where it is) of every file below ``folder``, by name; hidden ones aside.

    InputError where it isn't a folder, or can't be listed.
    """
    names = _remote(folder) if is_remote(folder) else _local(Path(folder).expanduser())
    visible = [pair for pair in names if not any(part.startswith((".", "_")) for part in pair[0].split("/"))]
    return sorted(visible)


def _local(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder" if folder.exists() else f"{folder} isn't there")
    absolute = folder.absolute()
    paths = (path for path in absolute.rglob("*") if path.is_file())
    return [(path.relative_to(absolute).as_posix(), str(path)) for path in paths]


def _remote(folder: str) -> list[tuple[str, str]]:
    store, path = store_of(folder)
    name = folder.partition("?")[0]
    try:
        facts: dict[str, Any] = store.find(path, detail=True)
    except Exception as error:  # whatever the store's library raises
        raise InputError(f"{name} can't be listed ({type(error).__name__})") from error
    base = path.rstrip("/")
    if not facts or list(facts) == [base]:
        raise InputError(f"{name} isn't a folder with files")
    return [(file.removeprefix(base).lstrip("/"), str(store.unstrip_protocol(file))) for file in facts]
