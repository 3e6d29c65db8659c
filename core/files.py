"""Files that are there whole or not at all: atomic writes, JSON, new folders, links; hashes of values."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

from .errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What only a write is answered; other refusals may be of what the block reads."""


def digest(value: Any) -> str:
    """The sha256 of ``value`` as canonical JSON: equal values, equal hashes, whatever the key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextlib.contextmanager
def atomic(path: Path) -> Generator[Path]:
    """Give a temporary path beside ``path`` and rename it over ``path`` when the block ends well.

    The data is on the disk (fsync) before the name is; a failed block leaves ``path`` as it was, and a full
    disk is a StorageError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        refused = StorageError.of(error, path) if error.errno in _FULL else None
        if refused is None:
            raise
        raise refused from error
    finally:
        temporary.unlink(missing_ok=True)


_LEFTOVER = re.compile(r"\.(.+)\.(\d+)\.(?:tmp|dropped)")
"""A temporary file of :func:`atomic`, or the one of dropped rows that a sample's writer has beside it."""


def sweep(folder: Path, names: Collection[str] | None = None, *, shared: bool = False) -> None:
    """Delete what killed writes of :func:`atomic` left in ``folder``: of files ``names``, or of every file.

    The caller has the lock under which they are written, so no other process writes them now. Where it hasn't
    (``shared``) a file whose process runs stays.
    """
    for entry in folder.iterdir() if folder.is_dir() else ():
        leftover = _LEFTOVER.fullmatch(entry.name)
        if leftover is None or not (names is None or leftover[1] in names) or not entry.is_file():
            continue
        if not (shared and _is_running(leftover[2])):
            entry.unlink(missing_ok=True)


def sweep_writes(*paths: Path) -> None:
    """:func:`sweep` of the files ``paths``, each folder listed once."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, of_folder in names.items():
        sweep(folder, of_folder)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented UTF-8 JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value of the JSON file ``path``; ValueError where it is none, or nested without end."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@contextlib.contextmanager
def new_folder(folder: Path) -> Generator[Path]:
    """A temporary folder beside ``folder``, renamed to it when the block ends well.

    An empty ``folder`` that is there stays the folder it is, since it may be a shell's own or a mounted disk:
    the temporary one is made inside it, and what it holds is moved up. :func:`vacant` clears up after a kill.
    """
    folder = folder.resolve()
    there = folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = (folder if there else folder.parent) / f".{folder.name}.{os.getpid()}{_HALF}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    lock = _lock(temporary)
    try:
        yield temporary
        if there:
            temporary = temporary.rename(temporary.with_suffix(_WHOLE))
            _move_up(temporary, folder)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


_HALF, _WHOLE = ".tmp", ".whole"
"""How the temporary folders of new_folder end, before and after everything is in them."""


def vacant(folder: Path) -> bool:
    """Whether ``folder`` isn't there, or is empty, for new_folder to make.

    What a dead process left of it is deleted first, or moved to its place where it was whole.
    """
    folder = folder.resolve()
    names = [f".{glob.escape(folder.name)}.*{end}" for end in (_HALF, _WHOLE)]
    for home in (folder.parent, folder):
        for rest in sorted(path for name in names for path in home.glob(name)):
            lock = None if _is_running(rest.stem.rpartition(".")[2]) else _lock(rest)
            if lock is None:
                continue
            if rest.suffix == _WHOLE:
                _move_up(rest, folder)
            shutil.rmtree(rest, ignore_errors=True)
            os.close(lock)
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _move_up(temporary: Path, folder: Path) -> None:
    for entry in sorted(temporary.iterdir()):
        entry.rename(folder / entry.name)


def _lock(folder: Path) -> int | None:
    """The descriptor of ``folder``, locked while it is open; None where another has it or it can't be."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _is_running(number: str) -> bool:
    """Whether another process of that number, a part of a temporary name, runs on this machine."""
    return number.isdecimal() and Path(f"/proc/{number}").exists() and int(number) != os.getpid()


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``: a hard link, or a copy where that can't be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
