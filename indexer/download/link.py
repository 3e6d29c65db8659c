"""Images that lie on this disk already → the ledger and images/, by hard link.

For folders that other tools downloaded, and for tasks over one corpus, which share what another workspace
fetched. Nothing is decoded or written again; where the file system can't link, the file is copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...core.errors import DownloadError, InputError
from ...core.files import link
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..ledger import Ledger
from ..outcomes import WITHOUT_IMAGE, Body, FetchResult, PackedFile, Reason
from ..pack.worker import shard_name
from .session import DownloadSession, finish, open_session

_A_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class OnDisk:
    """The image of a URL: its file, the file's size in pixels, and the bytes it came from."""

    url: str
    path: Path
    size: tuple[int, int]
    body: Body
    consent: str
    """The evidence it was judged by, or 'unchecked: …'."""
    reason: str = ""
    """Why it is no use (too_small …); then the file isn't linked."""
    signature: bytes = b""
    """What tells the picture from others (core.picture_hash); empty: unknown."""


def link_images(session: DownloadSession, images: Iterable[OnDisk], *, progress: Progress = silent) -> int:
    """Take ``images`` into the ledger of ``session``; returns how many URLs have one now that had none.

    URLs that nobody asked for, and those that are packed or refused already, are passed over; what the
    blocklist names is refused. A thousand new files share a folder, which is renamed into place whole.
    """
    sources = iter(_wanted(session, images))
    done = 0
    try:
        while some := list(islice(sources, _A_FOLDER)):
            done += _link_folder(session, some)
            progress("link images", done)
    finally:
        shutil.rmtree(session.shards.temporary, ignore_errors=True)
    return done


def share(workspace: Workspace, other: Workspace, *, progress: Progress = silent) -> dict[str, int]:
    """Link the images of ``other`` whose URLs this workspace's matches name, with what it knows of them.

    Consent was judged when ``other`` fetched them, and its evidence comes along; this workspace's own
    blocklist and smallest side decide anew. ``other`` may be downloading meanwhile; it isn't changed. Returns
    the counts of indexer.download.download. InputError where ``other`` has no ledger, or packed its images
    with another resize.
    """
    if workspace.root == other.root:
        raise InputError(f"{other.root} is this workspace itself; name another one to share images with")
    if not other.ledger_path.is_file():
        raise InputError(f"{other.root} has downloaded nothing yet; run captrawl -C {other.root} download")
    with open_session(workspace) as session:
        with Ledger(other.ledger_path, read_only=True) as theirs:
            _check_resize(theirs, other, session.settings.resize)
            link_images(session, packed_on_disk(theirs, other, session.rules.min_side), progress=progress)
        return finish(session)


def _wanted(session: DownloadSession, images: Iterable[OnDisk]) -> Iterator[tuple[int, OnDisk]]:
    used_ids: set[int] = set()
    for image in images:
        row = session.ledger.find(image.url)
        if row and row[1] in WITHOUT_IMAGE and row[0].id not in used_ids:
            used_ids.add(row[0].id)
            yield row[0].id, image


def _link_folder(session: DownloadSession, images: list[tuple[int, OnDisk]]) -> int:
    number = max(session.shards.numbers(), default=-1) + 1
    folder = session.shards.temporary / "linked" / shard_name(number)
    shutil.rmtree(folder, ignore_errors=True)
    packed: dict[str, PackedFile] = {}
    results: list[FetchResult] = []
    for id_, image in images:
        body = image.body
        blocked = session.rules.blocklist.blocks_bytes(body.sha256, body.sha1, body.md5)
        reason = Reason.BLOCKED_HASH.value if blocked else image.reason
        results.append(FetchResult(id_, reason=reason, consent=image.consent, body=body))
        if not reason and body.sha256 not in packed and session.ledger.expects(body.sha256):
            name = f"{shard_name(number)}{len(packed):04d}{image.path.suffix.lower()}"
            try:
                link(image.path, folder / name)
            except OSError as error:
                raise DownloadError(f"{image.path} can't be copied to {folder} ({error.strerror})") from error
            path = f"images/{shard_name(number)}/{name}"
            packed[body.sha256] = PackedFile(body.sha256, path, *image.size, signature=image.signature)
    if packed:
        folder.replace(session.shards.images / folder.name)
    session.ledger.settle(results, retries=0, retry_after=0.0)
    session.ledger.pack(list(packed.values()))
    return sum(not result.reason for result in results)


def _check_resize(theirs: Ledger, other: Workspace, resize: int) -> None:
    packed = int(theirs.meta("resize", "0"))
    if packed != resize:
        raise InputError(
            f"{other.root} packed its images with resize={packed}, this workspace says {resize}; "
            "set [download] resize alike, or download them here"
        )


def packed_on_disk(theirs: Ledger, other: Workspace, min_side: int = 0) -> Iterator[OnDisk]:
    """The images of ``other`` that are there; those too small for this workspace with the reason."""
    for url, path, width, height, sha256, sha1, md5, size, *came, consent in theirs.packed_images():
        file = other.root / path
        if not file.is_file():
            continue
        side = (came[0] or width or 0, came[1] or height or 0)
        reason = Reason.TOO_SMALL.value if min(side) < min_side else ""
        body = Body(sha256, sha1, md5, size or 0, *side)
        packed, signature = (width or 0, height or 0), theirs.signature(sha256)
        yield OnDisk(url, file, packed, body, consent or "", reason=reason, signature=signature)
