"""What a download would do: URLs, hosts, refusals and images to expect. Nothing is fetched or changed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from ...core.errors import WorkspaceError
from ...core.parallel import cores
from ...workspace.settings import DownloadSettings
from ...workspace.workspace import Workspace, readable
from ..corpora.survival import Survival, survival_of
from ..fetch.blocklist import Blocklist
from ..fetch.host_queue import PER_HOST
from ..fetch.urls import host_of
from ..ledger import Ledger
from ..outcomes import Reason, UrlState
from ..sources.owners import ADDRESS
from .enqueue import matched_batches, matched_rows
from .session import blocklist_of
from .url_plan import link_refusal

SECONDS_A_REQUEST = 1.0
"""What a request to the web is taken to last."""
PACKED_A_SECOND = 450
"""Images that a process packs in a second (benchmarks/download.py)."""
BYTES_AN_IMAGE = 100_000
"""Where no image is there to measure."""
_ENOUGH_ENDED = 100
"""URLs that must have ended before the ledger's own survival is believed."""
_FILES = 500
_ENDED = frozenset({UrlState.PACKED, UrlState.FAILED, UrlState.REFUSED, UrlState.DROPPED})


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a download would do from here.

    ``asked_urls`` are those that would be asked, ``archived`` pictures that only an archive has, ``images``
    the distinct ones that are there, ``new_images`` those to expect, ``refusals`` URLs by the reason why
    they were refused or, ``refused_unasked`` of them, would be without being asked.
    """

    rows: int
    urls: int
    ended: int
    asked_urls: int
    archived: int
    hosts: int
    slowest_host: str
    slowest_urls: int
    refusals: Mapping[str, int]
    refused_unasked: int
    survival: Survival
    images: int
    new_images: int
    bytes_an_image: int
    fetch_seconds: float

    @property
    def slowest_seconds(self) -> float:
        """What the host with the most URLs takes, however fast everything else is."""
        return _host_seconds(self.slowest_urls)


def outlook(workspace: Workspace) -> Outlook:
    """What `download` would do with the matches and settings as they are; WorkspaceError without matches.

    Takes some 100 bytes of memory a URL.
    """
    path = workspace.matches_path
    if not path.is_file():
        raise WorkspaceError(
            f"{workspace.root} contains no matches.parquet; run captrawl -C {workspace.root} match first"
        )
    with readable(path, "match"), pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
    settings = workspace.settings().download
    with ExitStack() as stack:
        ledger = None
        if workspace.ledger_path.is_file():
            ledger = stack.enter_context(Ledger(workspace.ledger_path, read_only=True))
        counts = ledger.counts() if ledger else {}
        images, size = _images(workspace, ledger)
        survival = _survival(workspace, counts)
        survey = _Survey(ledger, settings, blocklist_of(workspace, settings), survival)
        survey.fill(workspace)
    refused_unasked = survey.refusals.total()
    for name, urls in counts.items():
        state, _, reason = name.partition(":")
        if state == UrlState.REFUSED and reason:
            survey.refusals[reason] += urls
    hosts = survey.hosts()
    archived = hosts.pop("", 0)
    asked_urls = hosts.total()
    slowest_host, slowest_urls = max(hosts.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))
    new_images = round(asked_urls * survival.share) + archived
    return Outlook(
        rows=rows,
        urls=len(survey.states),
        ended=survey.ended,
        asked_urls=asked_urls,
        archived=archived,
        hosts=len(hosts),
        slowest_host=slowest_host,
        slowest_urls=slowest_urls,
        refusals=dict(survey.refusals),
        refused_unasked=refused_unasked,
        survival=survival,
        images=images,
        new_images=new_images,
        bytes_an_image=size,
        fetch_seconds=max(
            asked_urls * SECONDS_A_REQUEST / settings.threads,
            new_images / PACKED_A_SECOND / (settings.processes or cores()),
            _host_seconds(slowest_urls),
        ),
    )


@dataclass(slots=True)
class _ClassOrder:
    """A class's images that are there, and its first URLs to be asked: (place, URL's hash, host)."""

    images: set[int] = field(default_factory=set[int])
    urls: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])

    def first(self, number: int) -> list[tuple[int, int, str]]:
        """The first ``number`` URLs, each once."""
        places = {key: (place, key, host) for place, key, host in sorted(self.urls, reverse=True)}
        self.urls = sorted(places.values())[:number]
        return self.urls


@dataclass(slots=True)
class _Survey:
    """Goes through the matches and asks ledger, blocklist and the URL itself what there is to ask."""

    ledger: Ledger | None
    settings: DownloadSettings
    blocklist: Blocklist
    survival: Survival
    states: dict[int, UrlState] = field(default_factory=dict[int, UrlState])
    """A URL's hash → how it ended; queued where it is to be asked."""
    ended: int = 0
    refusals: Counter[str] = field(default_factory=Counter[str])
    waiting: Counter[str] = field(default_factory=Counter[str])
    """Host → URLs to be asked, if all are; "" → what archives give."""
    orders: defaultdict[int, _ClassOrder] = field(default_factory=lambda: defaultdict(_ClassOrder))

    def fill(self, workspace: Workspace) -> None:
        """Take in the matches."""
        match = workspace.settings().match
        in_order = match.sample != "all" or bool(match.rank)
        blocked = self._of_blocked_uids(workspace)
        most = 4 * self._needed(0)
        for number, batch in enumerate(matched_rows(workspace.matches_path, ["url", "class_id", "priority"])):
            for at, (url, class_id, priority) in enumerate(batch):
                key, host = hash(url), host_of(url)
                if key not in self.states:
                    self.states[key] = self._judged(url, host, uid_blocked=key in blocked)
                if not self.settings.until:
                    continue
                order = self.orders[class_id]
                if self.states[key] is UrlState.PACKED:
                    order.images.add(key)
                elif self.states[key] is UrlState.QUEUED:
                    order.urls.append((number << 32 | at if in_order else priority, key, host))
                    if len(order.urls) > most:
                        order.first(self._needed(0))

    def hosts(self) -> Counter[str]:
        """Host → URLs that would be asked: all that may be, or the first of each class that are needed."""
        if not self.settings.until:
            return self.waiting
        orders = self.orders.values()
        chosen = {
            key: host for order in orders for _, key, host in order.first(self._needed(len(order.images)))
        }
        return Counter(chosen.values())

    def _needed(self, images: int) -> int:
        """URLs that a class asks for, which has so many images."""
        missing = max(0, self.settings.until - images)
        return math.ceil(missing / max(self.survival.share, 0.01))

    def _of_blocked_uids(self, workspace: Workspace) -> set[int]:
        """The hashes of the URLs that have a blocked uid in any of their rows."""
        if not (self.blocklist.uids or self.blocklist.tombstones):
            return set()
        batches = matched_rows(workspace.matches_path, ["url", "uid"])
        return {hash(url) for batch in batches for url, uid in batch if self.blocklist.blocks_uid(uid)}

    def _judged(self, url: str, host: str, *, uid_blocked: bool) -> UrlState:
        entry = self.ledger.find(url) if self.ledger else None
        if entry and entry[1] in _ENDED:
            self.ended += 1
            return entry[1]
        refusal = Reason.BLOCKED_UID if uid_blocked else self.blocklist.blocks_link(url, host)
        if url.startswith(ADDRESS):
            has_archives = "tars" in self.settings.sources and self.settings.archives
            refusal = refusal or (None if has_archives else Reason.NO_SOURCE)
        else:
            refusal = refusal or link_refusal(url, allow_private=self.settings.allow_private)
        if refusal:
            self.refusals[refusal] += 1
            return UrlState.REFUSED
        self.waiting[host] += 1
        return UrlState.QUEUED


def _survival(workspace: Workspace, counts: Mapping[str, int]) -> Survival:
    """The ledger's own, where enough has ended; else the corpus's."""
    ended = sum(counts.get(state, 0) for state in _ENDED)
    if ended >= _ENOUGH_ENDED:
        return Survival(counts.get(UrlState.PACKED, 0) / ended, f"this workspace, {ended:,} URLs")
    batches = matched_batches(workspace.matches_path, ["file"])
    files = {str(name) for batch in batches for name in batch.column(0).unique().to_pylist()}
    return survival_of({name.partition("/")[0] for name in files})


def _images(workspace: Workspace, ledger: Ledger | None) -> tuple[int, int]:
    """How many images are packed, and the bytes of one on the disk, from the first few hundred."""
    paths = ledger.paths() if ledger else []
    files = (workspace.root / path for _, path in paths[:_FILES])
    sizes = [file.stat().st_size for file in files if file.is_file()]
    return len(paths), round(sum(sizes) / len(sizes)) if sizes else BYTES_AN_IMAGE


def _host_seconds(urls: int) -> float:
    return urls * SECONDS_A_REQUEST / PER_HOST
