"""What the files of each stage hashed to when it ended, and which of them have changed since.

The hashes stand in captrawl.lock.json ("artefacts": path → sha256). A folder of images is one entry, over its
files' names and bytes. .locks/stamps.json remembers what was hashed, path → [size, time, …, sha256], so that
a stage that adds to a large artefact reads only what is new; `captrawl status --verify` reads everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.files import read_json, sha256_file
from ..core.records import Progress, silent


class Change(StrEnum):
    """What became of an artefact since its stage ended."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class FileChange:
    """An artefact that isn't what its stage left; ``path`` is relative to the workspace."""

    stage: str
    path: str
    change: Change


def hashes(
    root: Path, files: Sequence[str], *, progress: Progress = silent, doing: str = "verify"
) -> dict[str, str]:
    """The sha256 by path of the artefacts that ``files`` (globs) name and that are there, every byte read."""
    paths = list(_artefacts(root, files))
    by_path: dict[str, str] = {}
    for number, path in enumerate(paths):
        progress(doing, number, len(paths))
        by_path[path.relative_to(root).as_posix()] = _sha256(path)
    return by_path


def record_hashes(root: Path, files: Sequence[str]) -> dict[str, str]:
    """:func:`hashes`, but what has the size and times that it was hashed with isn't read again.

    The caller holds the lock of captrawl.lock.json.
    """
    store = root / ".locks" / "stamps.json"
    stamps = _load_stamps(store)
    by_path: dict[str, str] = {}
    for path in _artefacts(root, files):
        name, stamp = path.relative_to(root).as_posix(), _stamp(path)
        *before, sha256 = stamps.get(name, [""])
        by_path[name] = sha256 if sha256 and before == stamp else _sha256(path)
        stamps[name] = [*stamp, by_path[name]]
    temporary = store.with_suffix(".tmp")
    temporary.write_text(json.dumps(stamps), encoding="utf-8")
    temporary.replace(store)
    return by_path


def verify(
    root: Path,
    recorded: Mapping[str, Mapping[str, str]],
    files: Mapping[str, Sequence[str]],
    *,
    progress: Progress = silent,
) -> list[FileChange]:
    """What differs from ``recorded`` (stage → path → sha256), by stage and path; [] where nothing does.

    ``files`` has each stage's globs. Where nothing is recorded (the lock file is gone) every artefact is one
    that no stage accounts for.
    """
    changes: list[FileChange] = []
    for stage, before in (recorded or {name: dict[str, str]() for name in files}).items():
        now = hashes(root, files.get(stage, ()), progress=progress, doing=f"verify: {stage}")
        for path in sorted({*before, *now}):
            if path not in now:
                changes.append(FileChange(stage, path, Change.MISSING))
            elif path not in before:
                changes.append(FileChange(stage, path, Change.ADDED))
            elif before[path] != now[path]:
                changes.append(FileChange(stage, path, Change.CHANGED))
    return changes


def changed_images(root: Path, recorded: Mapping[str, str], folders: Iterable[str]) -> list[str]:
    """Files of image ``folders`` that were changed since ``recorded`` (path → sha256), relative to ``root``.

    Size and time are looked at first: a folder that has its own is unchanged, and so is one whose bytes are
    as recorded (a copied workspace). A folder that lost files isn't judged: they are fetched again.
    """
    stamps = _load_stamps(root / ".locks" / "stamps.json")
    changed: list[str] = []
    for name in sorted(set(folders) & recorded.keys()):
        folder, before = root / name, stamps.get(name, [])[:-1]
        now = _stamp(folder) if folder.is_dir() else None
        if now is None or now == before or (before and now[2] != before[2]):
            continue
        if _sha256(folder) != recorded[name]:
            latest = before[1] if before else 0
            files = sorted(file for file in folder.iterdir() if file.stat().st_mtime_ns > latest)
            changed += [file.relative_to(root).as_posix() for file in files] or [name]
    return changed


def _artefacts(root: Path, files: Sequence[str]) -> Iterator[Path]:
    for pattern in files:
        yield from sorted(root.glob(pattern))


def _sha256(path: Path) -> str:
    """Of a file's bytes; of a folder, over its files' names and hashes in bytewise order."""
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(
            (file for file in path.iterdir() if file.is_file()), key=lambda f: f.name.encode()
        ):
            total.update(f"{file.name}\0{_sha256(file)}\n".encode())
        return total.hexdigest()
    return sha256_file(path)


def _stamp(path: Path) -> list[int]:
    """Size and latest change; of a folder, of all its files and how many they are."""
    if not path.is_dir():
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]
    all_of = [file.stat() for file in path.iterdir() if file.is_file()]
    return [sum(s.st_size for s in all_of), max((s.st_mtime_ns for s in all_of), default=0), len(all_of)]


def _load_stamps(store: Path) -> dict[str, list[Any]]:
    """[*stamp, sha256] by path; the hash is "" where an earlier captrawl wrote none."""
    try:
        document: Any = read_json(store)
    except (OSError, ValueError):
        return {}
    stamps: dict[str, Any] = document if isinstance(document, dict) else {}
    lists = {name: stamp for name, stamp in stamps.items() if isinstance(stamp, list) and stamp}
    return {name: stamp if isinstance(stamp[-1], str) else [*stamp, ""] for name, stamp in lists.items()}
