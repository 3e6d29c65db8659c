"""img2dataset's output, made elsewhere from urls.parquet, taken back into the ledger and images/."""

from __future__ import annotations

import logging
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import InputError
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..corpora.unpacked import bounded_file
from ..outcomes import WITHOUT_IMAGE, FetchJob, FetchResult, Reason, http_reason
from .enqueue import matched_rows
from .link import share
from .session import DownloadSession, finish, open_session, pack_queue, spooled

logger = logging.getLogger(__name__)

_ENDINGS = ("jpg", "jpeg", "png", "webp")
_HASHES = ("md5", "sha1", "sha256")
_READ = ("url", "uid", "key", "status", "error_message", *_HASHES)
_STATUS = re.compile(r"HTTP Error ([0-9]{3})")
# img2dataset's messages, in the order tried.
_MESSAGES: tuple[tuple[str, Reason], ...] = (
    (r"X-Robots-Tag", Reason.X_ROBOTS_TAG),
    (r"Errno -[25]\b|Name or service not known|nodename nor servname|No address", Reason.DNS),
    (r"Errno -3\b|Temporary failure in name", Reason.DNS_BUSY),
    (r"SSL|certificate", Reason.TLS),
    (r"timed out", Reason.TIMEOUT),
    (r"refused|unreachable|No route", Reason.CONNECT),
    (r"reset|closed|IncompleteRead", Reason.CONNECTION_LOST),
    (r"too small", Reason.TOO_SMALL),
    (r"area too large", Reason.TOO_MANY_PIXELS),
    (r"decod", Reason.UNDECODABLE),
    (r"unknown url type", Reason.SCHEME),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of img2dataset's output; ``error`` is "" where it has an image."""

    url: str
    uid: int | None
    key: str
    error: str
    hashes: tuple[str, ...]
    data: bytes = b""


def adopt(workspace: Workspace, folder: Path, *, progress: Progress = silent) -> dict[str, int]:
    """Take img2dataset's output in ``folder`` (files, webdataset or parquet) into the ledger and images/.

    A folder that is a workspace shares its images instead (indexer.download.link).

    Rows are joined by URL, else by a ``uid`` column; rows that nobody asked for, and rows that are packed or
    refused already, are passed over. The ledger notes that we didn't check their consent. Returns the counts
    of indexer.download.download. InputError where there is no such output.
    """
    if (folder / "captrawl.toml").is_file():
        return share(workspace, Workspace.open(folder), progress=progress)
    tables = sorted(path for path in folder.glob("*.parquet") if path.stem.isdigit())
    if not tables:
        raise InputError(f"{folder} contains no 00000.parquet of img2dataset's; name the folder it wrote to")
    with open_session(workspace) as session, pack_queue(session) as queue:
        join = _Join(session)
        for number, table in enumerate(tables):
            results = [_result(row, job, session, folder) for row in _rows(table) if (job := join.find(row))]
            settled = session.ledger.settle(results, retries=0, retry_after=0.0)
            session.spool.discard(settled.needless)
            for sha256, size in settled.spooled:
                queue.add(sha256, size)
            queue.pump(rest=False)
            progress("adopt", number + 1, len(tables))
        queue.finish()
        return finish(session)


class _Join:
    """The ledger's row that a row of img2dataset's output belongs to."""

    def __init__(self, session: DownloadSession) -> None:
        self._ledger = session.ledger
        self._matches = session.workspace.matches_path
        self._by_uid = False

    def find(self, row: _Row) -> FetchJob | None:
        """The URL that was asked for, where it isn't packed, spooled or refused."""
        entry = self._ledger.find(row.url)
        if entry is None and row.uid is not None:
            entry = self._ledger.find(self._url_of(row.uid))
        return entry[0] if entry is not None and entry[1] in WITHOUT_IMAGE else None

    def _url_of(self, uid: int) -> str:
        if not self._by_uid:
            self._ledger.name_uids(matched_rows(self._matches, ["uid", "url"]))
            self._by_uid = True
        return self._ledger.url_of(uid)


def _result(row: _Row, job: FetchJob, session: DownloadSession, folder: Path) -> FetchResult:
    """What ``row`` says of ``job``; a usable image is in the spool afterwards."""
    result = FetchResult(job.id, consent=f"unchecked: adopted from {folder}")
    if row.error:
        reason = _reason_of(row.error)
        status = int(reason.removeprefix("http_")) if reason.startswith("http_") else None
        return replace(result, reason=reason, status=status)
    return spooled(result, row.data, session, originals=row.hashes)


def _reason_of(message: str) -> str:
    status = _STATUS.search(message)
    if status:
        return http_reason(int(status[1]))
    reasons = (reason for pattern, reason in _MESSAGES if re.search(pattern, message, re.IGNORECASE))
    return next(reasons, Reason.ELSEWHERE)


def _rows(table: Path) -> Iterator[_Row]:
    """The rows of one shard of img2dataset's, with their images; a shard that was cut off gives none."""
    try:
        with bounded_file(table) as file:
            names = set(file.names())
            ending = next((name for name in _ENDINGS if name in names), None)
            if not {"url", "key"} <= names:
                raise InputError(f"{table} has no columns url and key: not a shard of img2dataset's")
            columns = [name for name in (*_READ, *_ENDINGS) if name in names]
            values = [row for batch in file.batches(columns, 1000) for row in batch.to_pylist()]
    except (OSError, pa.ArrowException) as error:
        logger.warning("%s is cut off and is passed over (%s)", table, error)
        return
    rows = {row["key"]: _row(row) for row in values}
    if ending is not None:
        bodies: Iterator[tuple[str, bytes]] = ((row["key"], row[ending]) for row in values if row[ending])
    elif table.with_suffix(".tar").is_file():
        bodies = _tarred(table.with_suffix(".tar"))
    else:
        bodies = _filed(table.with_suffix(""))
    yield from (row for row in rows.values() if row.error)
    for key, data in bodies:
        row = rows.get(key)
        if row is not None and not row.error:
            yield replace(row, data=data)


def _row(values: dict[str, Any]) -> _Row:
    status = values.get("status", "success")
    error = "" if status == "success" else values.get("error_message") or str(status)
    hashes = tuple(values[name] for name in _HASHES if values.get(name))
    return _Row(values["url"] or "", values.get("uid"), values["key"], error, hashes)


def _tarred(path: Path) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of the images in a webdataset shard, as far as it reads."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                key, _, ending = member.name.rpartition(".")
                content = archive.extractfile(member) if ending in _ENDINGS and member.isfile() else None
                if content is not None:
                    yield key, content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        logger.warning("%s is cut off after some images (%s)", path, error)


def _filed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of the images in a folder of files."""
    for path in sorted(folder.glob("*")):
        if path.suffix[1:] in _ENDINGS:
            yield path.stem, path.read_bytes()
