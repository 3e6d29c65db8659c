"""An embedded caption index on the disk: groups of corpus files, committed by a rename, removed file by file.

    captrawl-index/
      captions.json                   format and analyzer version
      groups/<name>/                  what is in: some corpus files, in one or several sub-indexes
        manifest.json                 its id, files with fingerprints and rows, parts, and what it replaces
        part-00000/ …                 tantivy's own files, values.rows (row_store), part.json (what it holds)
      groups/<name>.removed.json      files of the group that are no longer in
      building/<name>/, <name>.lock   groups on their way in (build)
      commit.lock                     held while groups/ is changed

A group that replaces files of other groups says so in its manifest: one rename takes the new rows in and the
old ones out, for every reader.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...core.analyzers import ANALYZERS, Analyzer, check_analyzer
from ...core.errors import CaptionIndexError
from ...core.files import read_json, write_json
from ...core.records import CorpusFile, Fingerprint
from ...core.text import ANALYZER_VERSION
from .row_blocks import FORMATS

FORMAT = 2
"""Of a new index; row_blocks.FORMATS has all that have their rows in blocks."""
WITHOUT_ROWS = 3
"""The format of an index that reads rows back from the corpus's files (corpus_rows)."""
ROWS = "values.rows"
"""The row store of a part."""
STRIDE = 1 << 13
"""In a part without one, at most so many rows stand from one of the noted positions to the next."""
_KIND = "captrawl captions"
_MARK = "captions.json"
_REREADS = 5


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A corpus file of a group: the fingerprint it was read with, and how many rows it gave."""

    file: str
    fingerprint: Fingerprint
    rows: int
    source: CorpusFile | None = None
    """Where its rows are read from, in an index without them."""


@dataclass(frozen=True, slots=True)
class Group:
    """A committed group. ``files`` are sorted bytewise: a file's place among them is its ordinal."""

    folder: Path
    id: str
    files: tuple[IndexedFile, ...]
    parts: tuple[str, ...]
    replaces: Mapping[str, Sequence[str]]
    """Files of other groups, by their ids, that went out when this came in."""
    added: datetime
    """When its rows came in."""
    removed: frozenset[str] = field(default_factory=frozenset[str])

    def live(self) -> Iterator[IndexedFile]:
        """The files that are still in."""
        return (file for file in self.files if file.file not in self.removed)


def check_folder(root: Path, *, create: bool, form: int = FORMAT) -> int:
    """The analyzer of the index at ``root``; CaptionIndexError: none of ours.

    With ``create`` an index that isn't there is made, empty, in this format.
    """
    mark = root / _MARK
    try:
        if create and not mark.exists() and not _holds_other_things(root):
            (root / "groups").mkdir(parents=True, exist_ok=True)
            (root / "building").mkdir(exist_ok=True)
            write_json(mark, {"kind": _KIND, "format": form, "analyzer": ANALYZER_VERSION})
        if not mark.exists():
            raise CaptionIndexError(_no_index(root, create=create))
        mark_values = _read_json(mark)
    except OSError as error:
        raise CaptionIndexError(f"the caption index {root} can't be opened: {error}") from error
    if not isinstance(mark_values, dict) or mark_values.get("kind") != _KIND:
        raise CaptionIndexError(f"{root} isn't a caption index: its captions.json is something else")
    if mark_values.get("format") not in {*FORMATS, WITHOUT_ROWS}:
        raise CaptionIndexError(
            f"{root} has format {mark_values.get('format')}, this captrawl reads formats 1 to "
            f"{WITHOUT_ROWS}; build it again with captrawl index captions, in a new folder"
        )
    return check_analyzer(mark_values.get("analyzer"), str(root))


def analyzer_of(root: Path) -> Analyzer:
    """The analyzer that the captions of the index at ``root`` go through."""
    return ANALYZERS[check_analyzer(_read_json(root / _MARK).get("analyzer"), str(root))]


def format_of(root: Path) -> int:
    """The format of the index at ``root``: what comes in later has it too."""
    return _read_json(root / _MARK)["format"]


def group_names(root: Path) -> frozenset[str]:
    """The names under groups/: whatever changes in the index changes these."""
    try:
        return frozenset(os.listdir(root / "groups"))  # noqa: PTH208 asked before every question: half the time
    except OSError as error:
        raise CaptionIndexError(f"the caption index {root} can't be read: {error}") from error


def read_groups(root: Path) -> list[Group]:
    """The committed groups by name, with what was removed or replaced taken into account."""
    for _ in range(_REREADS - 1):
        with contextlib.suppress(FileNotFoundError):
            return _read_groups(root)
    try:
        return _read_groups(root)
    except OSError as error:
        raise CaptionIndexError(f"the caption index {root} can't be read: {error}") from error


def commit_group(
    root: Path, staging: Path, files: Sequence[IndexedFile], parts: Sequence[str], *, replace_files: bool
) -> bool:
    """Take the built group at ``staging`` in; False where every file is in already as it is.

    CaptionIndexError where a file is in otherwise, unless ``replace_files``: then these rows take its place.
    """
    with committing(root):
        groups = _settled(root)
        new = {member.file: member.fingerprint for member in files}
        replaces = {g.id: names for g in groups if (names := [h.file for h in g.live() if h.file in new])}
        if replaces and not replace_files:
            same = [h.file for g in groups for h in g.live() if new.get(h.file) == h.fingerprint]
            if len(same) == len(new):
                return False
            already_in = next(iter(replaces.values()))[0]
            raise CaptionIndexError(
                f"{root} contains {already_in} already; put the new one in with --replace"
            )
        identity = uuid.uuid4().hex
        form = format_of(root)
        manifest = {
            "format": form,
            "id": identity,
            "files": [_file_entry(member, with_source=form == WITHOUT_ROWS) for member in files],
            "parts": list(parts),
            "replaces": replaces,
        }
        write_json(staging / "manifest.json", manifest)
        sweep_group(staging, parts)
        staging.rename(root / "groups" / f"{staging.name}-{identity[:8]}")
        _sync(root / "groups")
        _settled(root)
        return True


def remove_file(root: Path, file: str) -> None:
    """Take the rows of ``file`` out; CaptionIndexError where it isn't in."""
    with committing(root):
        for group in _settled(root):
            if file in {member.file for member in group.live()}:
                _note_removed(replace(group, removed=group.removed | {file}))
                _settled(root)
                return
    raise CaptionIndexError(f"{root} contains no file {file}")


@contextlib.contextmanager
def committing(root: Path) -> Generator[None]:
    """Hold the lock under which groups/ changes; waits for whoever holds it (they don't take long)."""
    try:
        with (root / "commit.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise CaptionIndexError(f"the caption index {root} can't be written: {error}") from error


def sweep_group(folder: Path, parts: Collection[str]) -> None:
    """Delete what killed processes left in a group's folder: parts that were never whole, temporary files."""
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in parts:
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.suffix == ".tmp":
            entry.unlink(missing_ok=True)


def discard(root: Path, folder: Path) -> None:
    """Delete a folder of the index: out of sight by one rename, then file by file."""
    trash = root / "building" / f"trash-{uuid.uuid4().hex}"
    trash.parent.mkdir(exist_ok=True)
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def _settled(root: Path) -> list[Group]:
    """The groups that still contain files; what others replaced is written down, empty groups are deleted."""
    live_groups: list[Group] = []
    for group in read_groups(root):
        if any(group.live()):
            if group.removed != _noted_removed(group.folder):
                _note_removed(group)
            live_groups.append(group)
        else:
            discard(root, group.folder)
            _removed_path(group.folder).unlink(missing_ok=True)
    return live_groups


def _read_groups(root: Path) -> list[Group]:
    folders = sorted(entry for entry in (root / "groups").iterdir() if entry.is_dir())
    groups = [_read_group(folder) for folder in folders]
    replaced_files: dict[str, set[str]] = {}
    for group in groups:
        for other, files in group.replaces.items():
            replaced_files.setdefault(other, set()).update(files)
    return [replace(group, removed=group.removed.union(replaced_files.get(group.id, ()))) for group in groups]


def _read_group(folder: Path) -> Group:
    manifest = _read_json(folder / "manifest.json")
    try:
        files = [
            IndexedFile(entry["file"], _fingerprint(entry), entry["counted"], _source(entry))
            for entry in manifest["files"]
        ]
        removed_files = _noted_removed(folder)
        return Group(
            folder,
            manifest["id"],
            tuple(files),
            tuple(manifest["parts"]),
            manifest["replaces"],
            datetime.fromtimestamp((folder / "manifest.json").stat().st_mtime, UTC),
            removed_files,
        )
    except (KeyError, TypeError) as error:
        raise CaptionIndexError(
            f"{folder / 'manifest.json'} is damaged ({error!r}); delete {folder}"
        ) from error


def _fingerprint(entry: dict[str, Any]) -> Fingerprint:
    return Fingerprint(entry["rows"], entry["size"], entry["digest"])


def _source(entry: dict[str, Any]) -> CorpusFile | None:
    source: dict[str, Any] | None = entry.get("source")
    if source is None:
        return None
    return CorpusFile(
        entry["file"],
        Path(source["path"]),
        source["preset"],
        _fingerprint(entry),
        source["columns"],
        tuple(source["more_captions"]),
        source["detect_language"],
    )


def _file_entry(member: IndexedFile, *, with_source: bool) -> dict[str, Any]:
    mark, source = member.fingerprint, member.source
    entry: dict[str, Any] = {
        "file": member.file,
        "rows": mark.rows,
        "size": mark.size,
        "digest": mark.digest,
        "counted": member.rows,
    }
    if with_source and source is not None:
        entry["source"] = {
            "path": str(source.path),
            "preset": source.preset,
            "columns": dict(source.columns),
            "more_captions": list(source.more_captions),
            "detect_language": source.detect_language,
        }
    return entry


def _removed_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.removed.json")


def _noted_removed(folder: Path) -> frozenset[str]:
    path = _removed_path(folder)
    return frozenset(_read_json(path)["files"]) if path.exists() else frozenset()


def _note_removed(group: Group) -> None:
    write_json(_removed_path(group.folder), {"files": sorted(group.removed)})


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except ValueError as error:
        raise CaptionIndexError(f"{path} is damaged ({error}); it should be JSON") from error


def _holds_other_things(root: Path) -> bool:
    """Whether anything lies at ``root`` that isn't of an index being made, by a killed process or another."""
    ours = {"groups", "building", "commit.lock", "captions.json"}
    names = {entry.name for entry in root.iterdir()} if root.exists() else set[str]()
    return any(name not in ours and not name.startswith(".captions.json.") for name in names)


def _no_index(root: Path, *, create: bool) -> str:
    if not root.exists():
        return f"no caption index at {root}; build one with captrawl index captions FILES --to {root}"
    if create:
        return f"{root} contains other things and no caption index; name a new or an empty folder"
    return f"{root} isn't a caption index (no captions.json); build one with captrawl index captions"


def _sync(folder: Path) -> None:
    """Put the folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
