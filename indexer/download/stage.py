"""URLs of the matches → images, fetched and packed, and how that stands.

The union of all classes' matches is downloaded, each URL once. Every call goes on where the last one ended,
however that ended: the ledger and the folders under images/ only grow.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ...core.errors import WorkspaceError
from ...core.records import Progress, silent
from ...core.wording import counted
from ...workspace.parts import StagePart
from ...workspace.stages import Stage
from ...workspace.workspace import StageStatus, State, Workspace
from ..fetch.addresses import Resolver
from ..fetch.client import Rules, open_client
from ..fetch.fetcher import Fetcher
from ..fetch.sites import Sites
from ..ledger import Ledger
from ..outcomes import Reason
from ..pack.queue import PackQueue
from ..sources.owners import ADDRESS
from ..sources.tables import MemberTables
from .adopt import adopt
from .archives import take_from_archives
from .crawl import Crawl, Pace, in_flight_limit
from .mirror import MirrorQueue, MirrorRules
from .parts import merge_parts, part_workspace
from .placeholders import judge_pictures
from .session import DOWNLOAD, DownloadSession, finish, inputs_of, open_session, pack_queue
from .until import open_rounds, shortfall
from .url_plan import plan_only

__all__ = ["adopt", "download", "download_part", "download_status", "plan_only"]

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


def download_part(
    workspace: Workspace, part: StagePart, *, progress: Progress = silent, resolver: Resolver | None = None
) -> dict[str, int]:
    """:func:`download` of the hosts of one ``part``, into a workspace of its own below parts/download/.

    The next :func:`download` of ``workspace`` takes all parts in. InputError where the settings ask for what
    can't be divided.
    """
    if not workspace.matches_path.is_file():
        raise WorkspaceError(f"{workspace.root} contains no matches.parquet; run captrawl match first")
    return download(part_workspace(workspace, part), progress=progress, resolver=resolver)


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
        merge_parts(session, progress)
        settings = session.settings
        if not settings.contact:
            logger.warning("[download] contact is empty: site owners have no way to write to you")
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        pace = Pace(in_flight_limit(settings.threads, files), settings.retries, settings.retry_after)
        if not session.ledger.queued() and not session.ledger.spooled():
            judge_pictures(session)  # else when all of it is there: what comes out mustn't depend on a kill
        rounds = open_rounds(session)
        with pack_queue(session) as queue:
            crawl = Crawl(session.ledger, session.spool, queue, pace=pace, progress=progress)
            tables = MemberTables(workspace.images_folder / "members")
            sources = _Sources(session, queue, tables, crawl, pace, progress, resolver)
            sources.ask()
            while rounds and rounds.call():
                sources.ask()
        if rounds:
            rounds.finish()
        return finish(session)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where the pictures of one run come from, and what it takes to ask there."""

    session: DownloadSession
    queue: PackQueue
    tables: MemberTables
    crawl: Crawl
    pace: Pace
    progress: Progress
    resolver: Resolver | None

    def ask(self) -> None:
        """Get and pack what is queued, from the sources of the settings in their order."""
        session = self.session
        for source in session.settings.sources:
            if source == "tars":
                take_from_archives(session, self.queue, self.tables, progress=self.progress)
                continue
            session.ledger.end_sources(ADDRESS)  # no host has these
            if source == "mirror":
                self._ask_mirrors()
            elif session.ledger.queued():
                asyncio.run(self._crawl(self.crawl, session.rules))
        if "web" not in session.settings.sources:
            session.ledger.end_sources()
        self.queue.finish(self.progress)
        judge_pictures(session)

    def _ask_mirrors(self) -> None:
        session, settings = self.session, self.session.settings
        mirrors = MirrorRules.of(settings.mirrors)
        if not mirrors.pairs or not session.ledger.queued():
            return
        owner = settings.mirror_owner
        private = session.rules.allow_private or bool(owner)
        vouched = f"unchecked: mirror of {owner}" if owner else ""
        rules = replace(session.rules, allow_private=private, vouched=vouched)
        urls = MirrorQueue(session.ledger, mirrors)
        crawl = Crawl(urls, session.spool, self.queue, pace=self.pace, progress=self.progress)
        asyncio.run(self._crawl(crawl, rules))

    async def _crawl(self, crawl: Crawl, rules: Rules) -> None:
        client, guarded = open_client(rules, self.resolver)
        try:
            async with client:
                sites = None if rules.vouched else Sites(client, rules, self.session.ledger)
                try:
                    await crawl.run(Fetcher(client, crawl.hosts, self.session.spool, rules, sites=sites))
                finally:
                    if sites is not None:
                        await sites.close()
        finally:
            await guarded.close()
