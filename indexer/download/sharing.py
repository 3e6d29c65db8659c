"""Images that another workspace fetched, taken into this one by hard link: tasks over one corpus share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from ...core.errors import InputError
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..outcomes import Body
from ..reasons import Reason
from .link import OnDisk, link_images
from .session import conclude, opened

_PACKED = """
SELECT u.url, f.path, f.width, f.height, u.sha256, u.sha1, u.md5, u.bytes, u.width, u.height, u.consent
    FROM urls u JOIN files f ON f.sha256 = u.sha256 WHERE u.state = 'packed' AND f.path IS NOT NULL
    ORDER BY u.id
"""


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
    with opened(workspace) as yard:
        address = f"file:{quote(str(other.ledger_path))}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=60)) as database:
                _check_resize(database, other, yard.settings.resize)
                link_images(yard, _images(database, other, yard.rules.min_side), progress=progress)
        except sqlite3.Error as error:
            raise InputError(f"{other.ledger_path} can't be read ({error})") from error
        return conclude(yard)


def _check_resize(database: sqlite3.Connection, other: Workspace, resize: int) -> None:
    row = database.execute("SELECT value FROM meta WHERE key = 'resize'").fetchone()
    theirs = int(row[0]) if row else 0
    if theirs != resize:
        raise InputError(
            f"{other.root} packed its images with resize={theirs}, this workspace says {resize}; "
            "set [download] resize alike, or download them here"
        )


def _images(database: sqlite3.Connection, other: Workspace, min_side: int) -> Iterator[OnDisk]:
    """The images of ``other`` that are there; those too small for this workspace with the reason."""
    for url, path, width, height, sha256, sha1, md5, size, *seen, consent in database.execute(_PACKED):
        file = other.root / path
        if not file.is_file():
            continue
        came = (seen[0] or width or 0, seen[1] or height or 0)
        reason = Reason.TOO_SMALL.value if min(came) < min_side else ""
        body = Body(sha256, sha1, md5, size or 0, *came)
        yield OnDisk(url, file, (width or 0, height or 0), body, consent or "", reason=reason)
