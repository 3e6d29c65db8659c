"""A download in parts: each has the rows of its own hosts, a ledger and images; then one takes all.

A part is a workspace in ``parts/download/003-of-016/``, so that no two processes write one ledger. A host's
URLs are in one part, and a redirect to a host of another part is left to the merge, which asks it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import InputError
from ...core.files import atomic, read_json, write_json
from ...core.records import MATCH_SCHEMA, Progress, silent
from ...workspace.parts import StagePart, check_count, drop_parts, parts_folder, parts_to_merge
from ...workspace.settings import DownloadSettings, save_settings
from ...workspace.workspace import Workspace
from ..fetch.tombstones import NAME as TOMBSTONES
from ..fetch.urls import domain_of, host_of
from ..ledger import Ledger
from ..outcomes import Reason
from ..sources.owners import ADDRESS
from .enqueue import matched_batches, matches_digest
from .link import link_images, packed_on_disk
from .session import DOWNLOAD, DownloadSession

_MARK = "part.json"


def part_workspace(workspace: Workspace, part: StagePart) -> Workspace:
    """The workspace of ``part``, its rows and settings brought up to those of ``workspace``.

    InputError where the settings ask for what can't be divided.
    """
    settings = workspace.settings()
    _check(settings.download)
    folder = parts_folder(workspace, DOWNLOAD.name)
    check_count(folder, part)
    own = Workspace(folder / part.name)
    own.root.mkdir(parents=True, exist_ok=True)
    with own.locked("part"):
        matches = matches_digest(workspace.matches_path)
        if not own.matches_path.is_file() or _mark(own) != matches:
            own.forget(DOWNLOAD.name)
            _write_matches(workspace, own, part)
            write_json(own.root / _MARK, {"matches": matches})
        tombstones = workspace.root / TOMBSTONES
        if tombstones.is_file():
            shutil.copyfile(tombstones, own.root / TOMBSTONES)
        download = settings.download.model_copy(
            update={
                "part": str(part),
                "archives": [_absolute(workspace, path) for path in settings.download.archives],
                "blocklist": [_absolute(workspace, path) for path in settings.download.blocklist],
            }
        )
        save_settings(settings.model_copy(update={"download": download}), own.settings_path)
    return own


def part_is_done(workspace: Workspace, part: StagePart, matches: str) -> bool:
    """Whether a download of ``part`` ran to its end with the rows of these ``matches`` (matches_digest)."""
    own = Workspace(parts_folder(workspace, DOWNLOAD.name) / part.name)
    if not own.settings_path.is_file() or not own.ledger_path.is_file():
        return False
    return own.recorded(DOWNLOAD.name) is not None and _mark(own) == matches


def merge_parts(session: DownloadSession, progress: Progress = silent) -> None:
    """Take all that the parts got into ``session``, and delete them; nothing happens where there are none."""
    workspace = session.workspace
    folder = parts_folder(workspace, DOWNLOAD.name)
    if not folder.is_dir():
        return
    matches = matches_digest(workspace.matches_path)
    for part in parts_to_merge(folder, DOWNLOAD.name, lambda part: part_is_done(workspace, part, matches)):
        own = Workspace(folder / part.name)
        with own.locked(DOWNLOAD.name), Ledger(own.ledger_path) as theirs:
            link_images(session, packed_on_disk(theirs, own), progress=progress)
            session.ledger.inherit(theirs, without=Reason.OTHER_PART)
    drop_parts(folder)


def downloaded_parts(workspace: Workspace, count: int) -> set[int]:
    """Which of ``count`` parts are complete; InputError where the settings ask for what can't be divided."""
    _check(workspace.settings().download)
    check_count(parts_folder(workspace, DOWNLOAD.name), StagePart(1, count))
    matches = matches_digest(workspace.matches_path) if workspace.matches_path.is_file() else ""
    return {
        n for n in range(1, count + 1) if matches and part_is_done(workspace, StagePart(n, count), matches)
    }


def _check(settings: DownloadSettings) -> None:
    if settings.until:
        raise InputError(
            f"[download] until = {settings.until} counts the images of all hosts together; set it to 0 to "
            "download in parts, or leave out --part"
        )
    if settings.mirrors and "mirror" in settings.sources and not settings.mirror_owner:
        raise InputError(
            "[download] mirrors: every part would ask the mirror at once; name its mirror_owner, if that is "
            "yourself, or leave out --part"
        )


def _write_matches(workspace: Workspace, own: Workspace, part: StagePart) -> None:
    with atomic(own.matches_path) as temporary, pq.ParquetWriter(temporary, MATCH_SCHEMA) as writer:
        for batch in _of_part(workspace.matches_path, part):
            writer.write_batch(batch)


def _of_part(matches: Path, part: StagePart) -> Iterator[pa.RecordBatch]:
    by_domain: dict[str, bool] = {}
    for batch in matched_batches(matches, MATCH_SCHEMA.names):
        rows: list[bool] = []
        for url in batch.column("url").to_pylist():
            domain = _domain(url) if url is not None else ""
            if domain not in by_domain:
                by_domain[domain] = part.has(domain)
            rows.append(url is not None and by_domain[domain])
        yield batch.filter(pa.array(rows, pa.bool_()))


def _domain(url: str) -> str:
    """Whose URLs are in one part: a domain's, or an archive's."""
    return url.rpartition("/")[0] if url.startswith(ADDRESS) else domain_of(host_of(url))


def _mark(own: Workspace) -> str:
    try:
        return str(read_json(own.root / _MARK)["matches"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _absolute(workspace: Workspace, path: str) -> str:
    return path if "://" in path else str(workspace.root / path)
