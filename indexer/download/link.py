"""Images that lie on this disk already → the ledger and images/, by hard link.

For folders that other tools downloaded, and for workspaces that share what another one fetched. Nothing is
decoded or written again; where the file system can't link, the file is copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...core.errors import DownloadError
from ...core.records import Progress, silent
from ..outcomes import Answer, Body, PackedFile
from ..pack.worker import shard_name
from ..reasons import Reason
from .session import Yard

_A_FOLDER = 1000
_TAKEN_FROM = frozenset({"queued", "failed", "dropped"})


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


def link_images(yard: Yard, images: Iterable[OnDisk], *, progress: Progress = silent) -> int:
    """Take ``images`` into the ledger of ``yard``; returns how many URLs have one now that had none.

    URLs that nobody asked for, and those that are packed or refused already, are passed over; what the
    blocklist names is refused. A thousand new files share a folder, which is renamed into place whole.
    """
    wanted = iter(_wanted(yard, images))
    done = 0
    while some := list(islice(wanted, _A_FOLDER)):
        done += _link_folder(yard, some)
        progress("link images", done)
    return done


def _wanted(yard: Yard, images: Iterable[OnDisk]) -> Iterator[tuple[int, OnDisk]]:
    seen: set[int] = set()
    query = "SELECT id, state FROM urls WHERE url = ?"
    for image in images:
        found = yard.ledger.database.execute(query, (image.url,)).fetchone()
        if found and found[1] in _TAKEN_FROM and found[0] not in seen:
            seen.add(found[0])
            yield found[0], image


def _link_folder(yard: Yard, images: list[tuple[int, OnDisk]]) -> int:
    number = max(yard.shards.numbers(), default=-1) + 1
    folder = yard.shards.temporary / "linked" / shard_name(number)
    shutil.rmtree(folder, ignore_errors=True)
    packed: dict[str, PackedFile] = {}
    answers: list[Answer] = []
    for id_, image in images:
        body = image.body
        blocked = yard.rules.blocklist.blocks_bytes(body.sha256, body.sha1, body.md5)
        reason = Reason.BLOCKED_HASH.value if blocked else image.reason
        answers.append(Answer(id_, reason=reason, consent=image.consent, body=body))
        if not reason and body.sha256 not in packed and yard.ledger.expects(body.sha256):
            name = f"{shard_name(number)}{len(packed):04d}{image.path.suffix.lower()}"
            _link(image.path, folder / name)
            path = f"images/{shard_name(number)}/{name}"
            packed[body.sha256] = PackedFile(body.sha256, path, *image.size)
    if packed:
        folder.replace(yard.shards.images / folder.name)
    yard.ledger.settle(answers, retries=0, retry_after=0.0)
    yard.ledger.pack(list(packed.values()))
    return sum(not answer.reason for answer in answers)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        try:
            shutil.copy2(source, target)
        except OSError as error:
            raise DownloadError(f"{source} can't be copied to {target.parent} ({error.strerror})") from error
