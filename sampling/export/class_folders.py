"""Folders named after classes: as exports name them, and as labelled images are found in them."""

from __future__ import annotations

from pathlib import Path

from ...classes.model import ClassEntry, ClassList
from ...core.errors import InputError


def folder_names(classes: ClassList) -> dict[int, str]:
    """Each class's folder name: its id, then what is safe of its name; sorted by name = sorted by id."""
    digits = len(str(max((entry.id for entry in classes), default=0)))
    return {entry.id: f"{entry.id:0{digits}d}_{plain(entry.name)}" for entry in classes}


def plain(name: str) -> str:
    """What of a name is safe in a path: letters, digits, '-'; '_' for the rest; at most 60 characters."""
    return "".join(c if c.isalnum() or c == "-" else "_" for c in name)[:60]


def class_of_folder(folder: Path, classes: ClassList) -> int:
    """The class a folder is named after: by name, as :func:`folder_names` has it, loosely by name, or by id.

    InputError where it is none's, or several classes'.
    """
    name = folder.name
    for matches in (
        [entry.id for entry in classes if entry.name == name],
        [entry.id for entry in classes if _is_exported(name, entry)],
        [entry.id for entry in classes if _loose(entry.name) == _loose(name)],
        [entry.id for entry in classes if str(entry.id) == name],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError(
                f"{folder}: classes {', '.join(map(str, matches))} have this name; name the folder by its id"
            )
    raise InputError(f"{folder} isn't named after a class's name or id; rename it, or move it away")


def _is_exported(folder: str, entry: ClassEntry) -> bool:
    """Whether ``folder`` is the class's in an export, of this class list or of a longer or shorter one."""
    number, _, name = folder.partition("_")
    return number.isdecimal() and int(number) == entry.id and name == plain(entry.name)


def _loose(name: str) -> str:
    """``name`` in lower case, with '_' for all but letters and digits."""
    return "".join(character if character.isalnum() else "_" for character in name.casefold())
