"""A download's ledger, spool and folders, opened under one lock and checked against one another."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ...core.errors import DownloadError, MissingExtraError, WorkspaceError
from ...core.files import digest, sweep_writes
from ...core.parallel import cores
from ...workspace.parts import StagePart
from ...workspace.settings import DownloadSettings
from ...workspace.stages import StageFacts
from ...workspace.workspace import Workspace
from ..fetch.blocklist import Blocklist, load_blocklist
from ..fetch.client import Rules, agent_name
from ..fetch.consent import REFUSALS, Signal
from ..fetch.picture_consent import judge_picture
from ..fetch.tombstones import load_tombstones
from ..ledger import Ledger
from ..outcomes import Body, FetchResult, Reason
from ..pack.folders import Shards
from ..pack.pool import PackPool, PackSettings
from ..pack.queue import PackQueue
from ..pack.sniff import sniff
from ..pack.spool import Spool
from .enqueue import enqueue_matches, matches_digest
from .requeue import apply_settings

DOWNLOAD = StageFacts(
    "download",
    ("images.parquet", "images/[0-9][0-9][0-9][0-9][0-9]*"),
    ("aiohttp", "img2dataset", "opencv-python", "opencv-python-headless", "Pillow"),
    ("download",),
)
UNTIL_NOTE = "until"
"""How the last download until enough ended for each class: the ledger's note, and a detail of the record."""
PLAN = "urls.parquet"
"""What --plan-only writes."""
_NEEDED = ("PIL", "aiohttp", "img2dataset")


@dataclass(frozen=True, slots=True)
class DownloadSession:
    """What a download reads and writes, open and consistent."""

    workspace: Workspace
    settings: DownloadSettings
    rules: Rules
    ledger: Ledger
    spool: Spool
    shards: Shards
    inputs: Mapping[str, str]


@contextmanager
def open_session(workspace: Workspace) -> Generator[DownloadSession]:
    """``workspace`` locked for a download: its ledger filled from the matches and judged by the settings."""
    _check_extras()
    if not workspace.matches_path.is_file():
        raise WorkspaceError(
            f"{workspace.root} contains no matches.parquet; run captrawl -C {workspace.root} match first"
        )
    with workspace.locked(DOWNLOAD.name), Ledger(workspace.ledger_path) as ledger:
        settings = workspace.settings().download
        blocklist = blocklist_of(workspace, settings)
        rules = Rules(
            deadline=settings.deadline,
            max_bytes=settings.max_bytes,
            min_side=settings.min_side,
            allow_private=settings.allow_private,
            blocklist=blocklist,
            agent=agent_name(settings.contact),
            honoured=frozenset(map(Signal, settings.honour)),
            part=StagePart.of(settings.part),
        )
        _check_resize(ledger, settings.resize)
        spool, shards = Spool(workspace.images_folder / "spool"), Shards(workspace.images_folder)
        inputs = inputs_of(workspace, settings)
        ranked = bool(workspace.settings().match.rank)
        contents = digest([inputs["urls"], sorted(blocklist.uids), *(["ranked"] if ranked else [])])
        sweep_writes(workspace.images_path, workspace.root / PLAN)
        workspace.check_images(path for _, path in ledger.paths())
        ledger.release()
        ledger.follow_clock()
        enqueue_matches(
            ledger, workspace.matches_path, digest=contents, blocked_uids=blocklist.uids, ranked=ranked
        )
        shards.tidy(ledger, spool)
        apply_settings(ledger, rules, settings, workspace.root)
        yield DownloadSession(workspace, settings, rules, ledger, spool, shards, inputs)


@contextmanager
def pack_queue(session: DownloadSession, *, settings: PackSettings | None = None) -> Generator[PackQueue]:
    """The queue of images to pack, one worker started ahead; the workers end with the block."""
    settings = settings or PackSettings(resize=session.settings.resize)
    pool = PackPool(session.shards.temporary, session.spool.folder, settings)
    packers = session.settings.processes or cores()
    queue = PackQueue(session.ledger, session.spool, session.shards, pool=pool, packers=packers)
    try:
        if queue.images or session.ledger.queued():
            pool.warm()
        yield queue
    finally:
        queue.close()
        shutil.rmtree(session.shards.temporary, ignore_errors=True)


def spooled(
    result: FetchResult, data: bytes, session: DownloadSession, *, originals: Sequence[str] = ()
) -> FetchResult:
    """``result`` with ``data`` for its body, in the spool where it is a picture that may be kept.

    ``originals`` are hashes of the bytes that ``data`` was made of; the blocklist looks at them too. What the
    picture says of itself counts, whoever gave it.
    """
    rules = session.rules
    header = sniff(data, min_side=rules.min_side)
    body = Body.of(data, header.width, header.height)
    blocked = rules.blocklist.blocks_bytes(body.sha256, body.sha1, body.md5, *originals)
    verdict = judge_picture(data, honoured=rules.honoured)
    if verdict.signal is not None:
        result = replace(result, consent=f"{verdict.evidence}; {result.consent}")
    reason = Reason.BLOCKED_HASH if blocked else REFUSALS[verdict.signal] if verdict.signal else header.reason
    if reason is None:
        session.spool.write(body.sha256, data)
    return replace(result, reason=reason or "", body=body)


def finish(session: DownloadSession) -> dict[str, int]:
    """Write images.parquet, note the stage as done, and count."""
    workspace, counts = session.workspace, session.ledger.counts()
    session.ledger.export(workspace.images_path)
    until = session.ledger.meta(UNTIL_NOTE)
    ignored = sorted(set(Signal) - session.rules.honoured)
    opt_outs = {"honoured": sorted(session.rules.honoured), "turned off": ignored}
    details = {"matches": _stamp(workspace), "opt-outs": opt_outs}
    details |= {UNTIL_NOTE: json.loads(until)} if until else {}
    DOWNLOAD.record(workspace, session.inputs, counts, details)
    return counts


def inputs_of(workspace: Workspace, settings: DownloadSettings) -> dict[str, str]:
    """Hashes of the values that a download reads, by name."""
    record = workspace.recorded(DOWNLOAD.name)
    if record is not None and record.details.get("matches") == _stamp(workspace):
        urls = record.inputs["urls"]  # the same file as then: no need to read it again
    else:
        urls = matches_digest(workspace.matches_path)
    values = settings.model_dump(include={"max_bytes", "min_side", "retries", "resize"})
    elsewhere = settings.model_dump(include={"sources", "archives", "mirrors", "mirror_owner"})
    if any(elsewhere[name] != getattr(DownloadSettings(), name) for name in elsewhere):
        values |= elsewhere  # left out where nobody set them: earlier records go on
    if settings.placeholders != DownloadSettings().placeholders:
        values["placeholders"] = settings.placeholders
    blocklist = blocklist_of(workspace, settings).digest()
    earlier = {digest({**values, "allow_private": allowed}) for allowed in (True, False)}  # before 0.2
    before = record.inputs.get("settings", "") if record else ""
    return {
        "urls": urls,
        "settings": before if before in earlier else digest(values),
        "blocklist": blocklist,
    }


def blocklist_of(workspace: Workspace, settings: DownloadSettings) -> Blocklist:
    """What the settings' files block, whose paths are relative to the workspace, and what was purged."""
    blocklist = load_blocklist([workspace.root / path for path in settings.blocklist])
    return replace(blocklist, tombstones=load_tombstones(workspace.root))


def _stamp(workspace: Workspace) -> list[int]:
    try:
        status = workspace.matches_path.stat()
    except FileNotFoundError:
        return []
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _check_extras() -> None:
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("downloading", "cpu")


def packed_otherwise(ledger: Ledger, resize: int) -> int | None:
    """The `resize` that images of ``ledger`` were packed with, where it isn't this one; else None."""
    packed = int(ledger.meta("resize", str(resize)))
    return packed if packed != resize and ledger.paths() else None


def _check_resize(ledger: Ledger, resize: int) -> None:
    """Images of one workspace have one size rule: DownloadError where the packed ones have another."""
    packed = packed_otherwise(ledger, resize)
    if packed is not None:
        raise DownloadError(
            f"images/ was packed with resize={packed}, the settings say {resize}; "
            "set [download] resize back, or move images/ away to download everything again"
        )
    ledger.note(resize=str(resize))
