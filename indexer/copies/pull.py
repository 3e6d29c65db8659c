"""A copy of a caption index → the index on this machine, every file checked."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from ...core.records import Progress, silent
from ...core.version import __version__
from ...search.captions import is_path
from ..opening import open_index
from ..sources.blobs import MissingArchiveError
from ..sources.locations import is_remote
from ..sources.opening import opened
from .manifest import MANIFEST, CopiedFile, IndexManifest

_AT_ONCE = 8 << 20
_LARGEST_MANIFEST = 256 << 20
_AGENT = f"captrawl/{__version__}"


@dataclass(frozen=True, slots=True)
class PulledIndex:
    """What a pull brought: the copy's manifest, and how many files an earlier, killed pull had brought."""

    manifest: IndexManifest
    earlier: int


def pull(where: str, index: str, *, progress: Progress = silent) -> PulledIndex:
    """Bring the copy at ``where`` into the new folder ``index``.

    The files come into a hidden folder beside it, which is renamed when all are there and right; killed, the
    next call goes on inside the file it was at, and where nothing was left to do says so. InputError:
    ``index`` exists and is another, ``where`` has no copy, or a file of it isn't what the manifest says.
    """
    if not is_path(index):
        raise InputError(f"{index} is a server; pull into a folder")
    target = Path(index).expanduser().resolve()
    manifest = read_manifest(where)
    if target.exists():
        if not all(_is_there(target / file.path, file) for file in manifest.files):
            raise InputError(f"{target} is there already; name a new folder")
        return PulledIndex(manifest, len(manifest.files))
    staging = target.with_name(f".{target.name}.pulling")
    earlier = 0
    try:
        for number, file in enumerate(manifest.files):
            earlier += _fetch(where, file, staging / file.path)
            progress("pull files", number + 1, len(manifest.files))
        for folder in ("groups", "building"):
            (staging / folder).mkdir(exist_ok=True)
        for stray in {path for path in staging.rglob("*") if path.is_file()} - {
            staging / file.path for file in manifest.files
        }:
            stray.unlink()  # of another copy, whose pull was killed
        staging.rename(target)
    except OSError as error:
        raise InputError(f"{staging} can't be written ({error.strerror or error}); pull again") from error
    with open_index(target) as captions:
        rows = captions.rows()
    if rows != manifest.rows:
        raise InputError(f"{target} has {rows:,} rows, the copy says {manifest.rows:,}: push it again")
    return PulledIndex(manifest, earlier)


def read_manifest(where: str) -> IndexManifest:
    """The manifest at ``where``; InputError where there is none."""
    address = _address(where, MANIFEST)
    try:
        with opened(address, _AGENT) as blob:
            if blob.size > _LARGEST_MANIFEST:
                raise InputError(
                    f"{address.partition('?')[0]} has {blob.size:,} bytes: no manifest of an index"
                )
            return IndexManifest.read(blob.read(0, blob.size), address.partition("?")[0])
    except MissingArchiveError as error:
        raise InputError(f"{where.partition('?')[0]} has no {MANIFEST}: no index was pushed there") from error


def _address(where: str, name: str) -> str:
    return f"{where.rstrip('/')}/{name}" if is_remote(where) else str(Path(where).expanduser() / name)


def _fetch(where: str, file: CopiedFile, target: Path) -> bool:
    """Bring one file to ``target``, checked; whether it was there already."""
    if _is_there(target, file):
        return True
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    at = part.stat().st_size if part.is_file() else 0
    if at > file.size:  # of another copy
        at = 0
    hashed = _hash(part) if at else hashlib.sha256()
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(part.open("ab" if at else "wb"))
        blob = stack.enter_context(opened(_address(where, file.name), _AGENT)) if file.size else None
        while blob is not None and blob.size == file.size and at < file.size:
            data = blob.read(at, min(_AT_ONCE, file.size - at))
            hashed.update(data)
            handle.write(data)
            at += len(data)
    if hashed.hexdigest() != file.sha256:
        part.unlink()
        raise InputError(
            f"{_address(where, file.name).partition('?')[0]} ({file.path}) isn't what was pushed: it is "
            "damaged or was changed; pull again, or have it pushed anew"
        )
    part.replace(target)
    return False


def _is_there(path: Path, file: CopiedFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _hash(path).hexdigest() == file.sha256


def _hash(path: Path) -> Any:
    """The sha256 object that has taken the file in."""
    hashed = hashlib.sha256()
    with path.open("rb") as handle:
        while data := handle.read(_AT_ONCE):
            hashed.update(data)
    return hashed
