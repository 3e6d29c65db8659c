"""URLs of the matches → images, fetched and packed, and how that stands.

The union of all classes' matches is downloaded, each URL once. Every call goes on where the last one ended,
however that ended: the ledger and the folders under images/ only grow.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from concurrent.futures import ThreadPoolExecutor

from ...core.records import Progress, silent
from ...core.wording import counted
from ...workspace.stages import Stage
from ...workspace.workspace import StageStatus, State, Workspace
from ..fetch.addresses import Resolver
from ..fetch.client import open_client
from ..fetch.fetcher import Fetcher
from ..ledger import Ledger
from ..outcomes import Reason
from ..pack.queue import PackQueue
from .adopt import adopt
from .archives import take_from_archives
from .crawl import Crawl, Pace, in_flight_limit
from .session import DOWNLOAD, DownloadSession, finish, inputs_of, open_session, pack_queue
from .until import open_rounds, shortfall
from .url_plan import plan_only

__all__ = ["adopt", "download", "download_status", "plan_only"]

logger = logging.getLogger(__name__)


def download(
    workspace: Workspace, *, progress: Progress = silent, resolver: Resolver | None = None
) -> dict[str, int]:
    """Fetch and pack what the matches name and nobody asked yet; the counts of all URLs by state and reason.

    ``{"packed": n, "failed": n, "failed:http_404": n, …, "no_url": n}``; "queued" are URLs whose hosts asked
    to be left alone for longer than a run waits, "not_asked" those that no class needs ([download] until).
    Writes images.parquet. Killed at any moment, the next call goes on. ``resolver`` stands in for the
    system's name lookup. DownloadError on a full disk or too few descriptors;
    MissingExtraError without captrawl[cpu].
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _download(workspace, progress, resolver)
    with ThreadPoolExecutor(1) as outside:  # called from a notebook, whose loop is running
        return outside.submit(_download, workspace, progress, resolver).result()


def download_status(workspace: Workspace) -> StageStatus:
    """How the download stands; nothing is fetched or changed."""
    if not workspace.ledger_path.is_file() or not workspace.matches_path.is_file():
        return DOWNLOAD.missing()
    record = workspace.recorded(DOWNLOAD.name)
    inputs = inputs_of(workspace, workspace.settings().download)
    with Ledger(workspace.ledger_path, read_only=True) as ledger:
        counts = ledger.counts()
    if record is None:
        return StageStatus(DOWNLOAD.name, State.PARTIAL, counts, "begun and not finished")
    standing = DOWNLOAD.compare(record, inputs, counts)
    if standing.state is not State.DONE:
        return standing
    short = shortfall(record, workspace.settings().download.until)
    if short:
        return StageStatus(DOWNLOAD.name, State.PARTIAL, counts, short)
    private = counts.get(f"refused:{Reason.PRIVATE_ADDRESS}", 0)
    if private and workspace.settings().download.allow_private:
        return StageStatus(
            DOWNLOAD.name, State.STALE, counts, f"{counted(private, 'private URL')} may be fetched now"
        )
    waiting = counts.get("queued", 0) + counts.get("spooled", 0)
    if waiting or not workspace.images_path.is_file():
        return StageStatus(
            DOWNLOAD.name, State.PARTIAL, counts, f"{counted(waiting, 'URL')} still to be asked or packed"
        )
    return standing


DOWNLOAD_STAGE = Stage(
    DOWNLOAD, download_status, lambda workspace, progress: download(workspace, progress=progress)
)


def _download(workspace: Workspace, progress: Progress, resolver: Resolver | None) -> dict[str, int]:
    with open_session(workspace) as session:
        settings = session.settings
        if not settings.contact:
            logger.warning("[download] contact is empty: site owners have no way to write to you")
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        pace = Pace(in_flight_limit(settings.threads, files), settings.retries, settings.retry_after)
        rounds = open_rounds(session)
        with pack_queue(session) as queue:
            crawl = Crawl(session.ledger, session.spool, queue, pace=pace, progress=progress)
            _ask_sources(session, queue, crawl, progress=progress, resolver=resolver)
            while rounds and rounds.call():
                _ask_sources(session, queue, crawl, progress=progress, resolver=resolver)
        if rounds:
            rounds.finish()
        return finish(session)


def _ask_sources(
    session: DownloadSession,
    queue: PackQueue,
    crawl: Crawl,
    *,
    progress: Progress,
    resolver: Resolver | None,
) -> None:
    """Get and pack what is queued, from the sources of the settings in their order."""
    sources = session.settings.sources
    for source in sources:
        if source == "tars":
            take_from_archives(session, queue, progress=progress)
        elif session.ledger.queued():
            asyncio.run(_crawl(crawl, session, resolver))
    if "web" not in sources:
        session.ledger.end_sources()
    queue.finish(progress)


async def _crawl(crawl: Crawl, session: DownloadSession, resolver: Resolver | None) -> None:
    client, guarded = open_client(session.rules, resolver)
    try:
        async with client:
            await crawl.run(Fetcher(client, crawl.hosts, session.spool, session.rules))
    finally:
        await guarded.close()
