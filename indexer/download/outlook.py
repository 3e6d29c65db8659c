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
from .enqueue import matched_rows
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

    ``asked_urls`` are those that would be asked, ``images`` the distinct ones that are there, ``new_images``
    those to expect, ``refusals`` URLs by the reason for which they are or would be refused unasked.
    """

    rows: int
    urls: int
    ended: int
    asked_urls: int
    hosts: int
    slowest_host: str
    slowest_urls: int
    refusals: Mapping[str, int]
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
    """What `download` would do with the matches and settings as they are; WorkspaceError without matches."""
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
        survey = _Survey(ledger, settings, blocklist_of(workspace, settings))
        survey.fill(workspace)
        images, size = _images(workspace, ledger)
        survival = survey.survival(images)
        asked_urls = survey.until_enough(settings.until, survival) if settings.until else survey.waiting
    hosts = Counter(map(host_of, asked_urls))
    slowest_host, slowest_urls = max(hosts.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))
    new_images = round(len(asked_urls) * survival.share)
    return Outlook(
        rows=rows,
        urls=len(survey.states),
        ended=survey.ended,
        asked_urls=len(asked_urls),
        hosts=len(hosts),
        slowest_host=slowest_host,
        slowest_urls=slowest_urls,
        refusals=dict(survey.refusals),
        survival=survival,
        images=images,
        new_images=new_images,
        bytes_an_image=size,
        fetch_seconds=max(
            len(asked_urls) * SECONDS_A_REQUEST / settings.threads,
            new_images / PACKED_A_SECOND / (settings.processes or cores()),
            _host_seconds(slowest_urls),
        ),
    )


@dataclass(slots=True)
class _Survey:
    """Goes through the matches and asks ledger, blocklist and the URL itself what there is to ask."""

    ledger: Ledger | None
    settings: DownloadSettings
    blocklist: Blocklist
    states: dict[str, UrlState | None] = field(default_factory=dict[str, "UrlState | None"])
    """URL → how it ended; None where it is still to be asked."""
    waiting: set[str] = field(default_factory=set[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    corpora: set[str] = field(default_factory=set[str])
    orders: defaultdict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Class → URL → its place."""

    def fill(self, workspace: Workspace) -> None:
        """Take in the matches, and what the ledger refused."""
        in_order = workspace.settings().match.sample != "all"
        columns = ["url", "uid", "file", "class_id", "priority"]
        for number, batch in enumerate(matched_rows(workspace.matches_path, columns)):
            for at, (url, uid, file, class_id, priority) in enumerate(batch):
                self._add(url, uid, file)
                if self.settings.until:
                    order, place = self.orders[class_id], number << 32 | at if in_order else priority
                    order[url] = min(place, order.get(url, place))
        for name, urls in (self.ledger.counts() if self.ledger else {}).items():
            state, _, reason = name.partition(":")
            if state == UrlState.REFUSED and reason:
                self.refusals[reason] += urls

    def _add(self, url: str, uid: int, file: str) -> None:
        self.corpora.add(file.partition("/")[0])
        if url not in self.states:
            entry = self.ledger.find(url) if self.ledger else None
            self.states[url] = entry[1] if entry and entry[1] in _ENDED else None
            refusal = self._refusal(url) if self.states[url] is None else None
            if refusal:
                self.refusals[refusal] += 1
            elif self.states[url] is None:
                self.waiting.add(url)
        if uid in self.blocklist.uids and url in self.waiting:
            self.waiting.discard(url)
            self.refusals[Reason.BLOCKED_UID] += 1

    @property
    def ended(self) -> int:
        """URLs that need not be asked again."""
        return sum(state is not None for state in self.states.values())

    def survival(self, images: int) -> Survival:
        """The ledger's own, where enough has ended; else the corpus's."""
        ended = self.ended
        if ended >= _ENOUGH_ENDED:
            return Survival(images / ended, f"this workspace, {ended:,} URLs")
        return survival_of(self.corpora)

    def until_enough(self, n: int, survival: Survival) -> set[str]:
        """The URLs that a download until ``n`` would ask, if they survive as expected."""
        chosen: set[str] = set()
        for order in self.orders.values():
            there = sum(self.states[url] is UrlState.PACKED for url in order)
            missing = max(0, n - there)
            number = math.ceil(missing / survival.share) if survival.share else len(order)
            chosen.update(sorted(self.waiting.intersection(order), key=order.__getitem__)[:number])
        return chosen

    def _refusal(self, url: str) -> Reason | None:
        if url in self.blocklist.urls:
            return Reason.BLOCKED_URL
        if self.blocklist.hosts and self.blocklist.blocks_host(host_of(url)):
            return Reason.BLOCKED_HOST
        return link_refusal(url, allow_private=self.settings.allow_private)


def _images(workspace: Workspace, ledger: Ledger | None) -> tuple[int, int]:
    """How many images are packed, and the bytes of one on the disk, from the first few hundred."""
    paths = ledger.paths() if ledger else []
    files = (workspace.root / path for _, path in paths[:_FILES])
    sizes = [file.stat().st_size for file in files if file.is_file()]
    return len(paths), round(sum(sizes) / len(sizes)) if sizes else BYTES_AN_IMAGE


def _host_seconds(urls: int) -> float:
    return urls * SECONDS_A_REQUEST / PER_HOST
