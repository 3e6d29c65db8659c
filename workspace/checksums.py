"""What the files of each stage hashed to when it ended, and which of them have changed since.

The hashes stand in captrawl.lock.json ("artefacts": path → sha256). A folder of images is one entry, over its
files' names and bytes. .locks/stamps.json remembers size and time of what was hashed, so that a stage that
adds to a large artefact reads only what is new; `captrawl status --verify` reads everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.records import Progress, silent

PATTERNS: dict[str, tuple[str, ...]] = {
    "match": ("matches.parquet",),
    "download": ("images.parquet", "images/[0-9][0-9][0-9][0-9][0-9]*"),
    "embed": ("embeddings/[!.]*/*.json", "embeddings/[!.]*/*.parquet", "embeddings/[!.]*/*_emb/*.npy",
              "embeddings/[!.]*/metadata/*.parquet"),
    "vectors": ("vectors/[!.]*/*.faiss", "vectors/[!.]*/index.json"),
    "report": ("report/[!.]*",),
}  # fmt: skip
"""A stage's artefacts below the workspace; the ledger, the spool and caches are working files."""


class Change(StrEnum):
    """What became of an artefact since its stage ended."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An artefact that isn't what its stage left; ``path`` is relative to the workspace."""

    stage: str
    path: str
    change: Change


def patterns_of(stage: str) -> tuple[str, ...]:
    """The stage's artefacts as globs; () for a stage that has none of its own."""
    if stage.startswith("sample:"):
        name = stage.removeprefix("sample:")
        endings = (".txt", ".parquet", "_num_imgs_sampled.json", "_sampled_list.txt", "_filtered_list.txt")
        return tuple(f"samples/{name}{ending}" for ending in endings)
    return PATTERNS.get(stage, ())


def hashes(root: Path, stage: str, *, progress: Progress = silent) -> dict[str, str]:
    """The sha256 by path of the stage's artefacts that are there now, every byte read."""
    found = list(_found(root, stage))
    made: dict[str, str] = {}
    for number, path in enumerate(found):
        progress(f"verify: {stage}", number, len(found))
        made[path.relative_to(root).as_posix()] = _sha256(path)
    return made


def record_hashes(root: Path, stage: str, known: Mapping[str, str]) -> dict[str, str]:
    """:func:`hashes`, but what has the size and times that it was hashed with keeps its entry of ``known``.

    The caller holds the lock of captrawl.lock.json.
    """
    store = root / ".locks" / "stamps.json"
    stamps = _load_stamps(store)
    made: dict[str, str] = {}
    for path in _found(root, stage):
        name, stamp = path.relative_to(root).as_posix(), _stamp(path)
        made[name] = known[name] if name in known and stamps.get(name) == stamp else _sha256(path)
        stamps[name] = stamp
    temporary = store.with_suffix(".tmp")
    temporary.write_text(json.dumps(stamps), encoding="utf-8")
    temporary.replace(store)
    return made


def verify(
    root: Path, recorded: Mapping[str, Mapping[str, str]], *, progress: Progress = silent
) -> list[Verdict]:
    """What differs from ``recorded`` (stage → path → sha256), by stage and path; [] where nothing does.

    Where nothing is recorded (the lock file is gone) every artefact is one that no stage accounts for.
    """
    verdicts: list[Verdict] = []
    for stage, then in (recorded or {stage: dict[str, str]() for stage in PATTERNS}).items():
        now = hashes(root, stage, progress=progress)
        for path in sorted({*then, *now}):
            if path not in now:
                verdicts.append(Verdict(stage, path, Change.MISSING))
            elif path not in then:
                verdicts.append(Verdict(stage, path, Change.ADDED))
            elif then[path] != now[path]:
                verdicts.append(Verdict(stage, path, Change.CHANGED))
    return verdicts


def _found(root: Path, stage: str) -> Iterator[Path]:
    for pattern in patterns_of(stage):
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
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _stamp(path: Path) -> list[int]:
    """Size and latest change; of a folder, of all its files and how many they are."""
    if not path.is_dir():
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]
    all_of = [file.stat() for file in path.iterdir() if file.is_file()]
    return [sum(s.st_size for s in all_of), max((s.st_mtime_ns for s in all_of), default=0), len(all_of)]


def _load_stamps(store: Path) -> dict[str, Any]:
    try:
        stamps: Any = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}
