"""What a report counts, counted from a workspace's artefacts: classes, synonyms, failures, samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...classes.model import ClassList
from ...core.arrow import pc
from ...core.errors import WorkspaceError
from ...core.records import IMAGE_SCHEMA, UrlState
from ...workspace.workspace import Workspace, readable
from .sample_counts import SampleCounts

BATCH_ROWS = 1 << 20
NO_REASON = "unknown"
WAITING = frozenset({"queued", "leased", "spooled"})
"""The ledger's states of a URL that isn't settled yet."""


@dataclass(frozen=True, slots=True)
class SynonymCounts:
    """A synonym of a class. ``frequency``: the index's rows that match it, as the class list has it.

    ``matched`` and ``downloaded``: matches.parquet's rows that are credited to it, and those with an image.
    """

    text: str
    frequency: int | None
    matched: int
    downloaded: int

    @property
    def has_matches(self) -> bool:
        """Whether any row matches it, even one that is credited to another."""
        return bool(self.frequency or self.matched)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Rows of one class: matched, with a usable image, and kept by each sample (in the samples' order).

    ``synonyms``: those that have matches or are in use, by matches, then the list's order.
    """

    id: int
    name: str
    matched: int
    downloaded: int
    kept: tuple[int, ...]
    synonyms: tuple[SynonymCounts, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """URLs that ended in ``state`` for ``reason``."""

    state: str
    reason: str
    urls: int


@dataclass(frozen=True, slots=True)
class HostFailures:
    """The URLs of one host: all, and those without an image by reason, most frequent first."""

    host: str
    urls: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def failed(self) -> int:
        """URLs of it that gave no image."""
        return sum(number for _, number in self.reasons)


@dataclass(frozen=True, slots=True)
class DownloadCounts:
    """Unique URLs asked for, those packed, the distinct image files, and why the others gave none.

    ``unneeded`` URLs come beside them: no class needed them, and they weren't asked ([download] until).
    ``failures`` by URLs, then name; ``hosts``: those with the most failures, at most MOST_HOSTS.
    """

    urls: int
    packed: int
    waiting: int
    images: int
    failures: tuple[Failure, ...]
    hosts: tuple[HostFailures, ...]
    unneeded: int = 0


MOST_HOSTS = 20


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """Everything a report counts. ``no_url``: matched rows without one. ``languages``: matched rows by their
    language tag, the most first; "" has none.
    """

    matched: int
    no_url: int
    classes: tuple[ClassCounts, ...]
    download: DownloadCounts
    samples: tuple[SampleCounts, ...]
    languages: tuple[tuple[str, int], ...] = ()


def count(workspace: Workspace, classes: ClassList, samples: Sequence[SampleCounts]) -> ReportCounts:
    """The counts of ``workspace``; ``samples`` are counted already.

    Streams matches.parquet and holds images.parquet, where there is one. WorkspaceError without matches.
    """
    if not workspace.matches_path.exists():
        raise WorkspaceError(f"{workspace.matches_path} isn't there; run captrawl match first")
    images = IMAGE_SCHEMA.empty_table()
    if workspace.images_path.exists():
        with readable(workspace.images_path, "download"):
            images = pq.read_table(workspace.images_path, columns=["url", "state", "reason", "sha256"])
    counted, no_url, languages = _count_matches(workspace, images)
    record = workspace.recorded("download")
    unneeded = record.counts.get("not_asked", 0) if record else 0
    counts = tuple(_class_counts(entry, counted.get(entry.id, {}), samples) for entry in classes)
    matched = sum(one.matched for one in counts)
    by_language = tuple(sorted(languages.items(), key=lambda item: (-item[1], item[0])))
    return ReportCounts(matched, no_url, counts, downloads(images, unneeded), tuple(samples), by_language)


Credit = dict[str, tuple[int, int]]
"""Synonym → (matched rows, those with an image)."""


def _count_matches(workspace: Workspace, images: pa.Table) -> tuple[dict[int, Credit], int, Counter[str]]:
    """Credit by class id, how many rows lack a URL, and rows by language."""
    packed = images.filter(pc.equal(images.column("state"), UrlState.PACKED)).column("url")
    parts: list[pa.Table] = []
    no_url, languages = 0, Counter[str]()
    path = workspace.matches_path
    with readable(path, "match"), pq.ParquetFile(path) as source:
        for batch in source.iter_batches(BATCH_ROWS, columns=["class_id", "synonym", "url", "language"]):
            urls = batch.column("url")
            tags = pc.utf8_lower(pc.fill_null(batch.column("language"), "")).value_counts()
            languages.update({tag["values"]: tag["counts"] for tag in tags.to_pylist()})
            no_url += urls.null_count
            usable = pc.is_in(urls, value_set=packed, skip_nulls=True)
            rows = pa.table([batch.column(0), batch.column(1), usable], names=["id", "synonym", "usable"])
            parts.append(rows.group_by(["id", "synonym"]).aggregate([("usable", "count"), ("usable", "sum")]))
    counted: dict[int, Credit] = {}
    for part in parts:
        for line in part.to_pylist():
            credit = counted.setdefault(line["id"], {})
            matched, downloaded = credit.get(line["synonym"], (0, 0))
            credit[line["synonym"]] = (matched + line["usable_count"], downloaded + line["usable_sum"])
    return counted, no_url, languages


def _class_counts(entry: Any, credit: Credit, samples: Sequence[SampleCounts]) -> ClassCounts:
    """``entry`` is a ClassEntry; synonyms that matches name and the list doesn't hold any more come last."""
    synonym_of = {synonym.text: synonym for synonym in entry.synonyms}
    texts = [text for text, synonym in synonym_of.items() if synonym.match or text in credit]
    texts += sorted(credit.keys() - synonym_of.keys())
    synonyms = [
        SynonymCounts(
            text, synonym_of[text].frequency if text in synonym_of else None, *credit.get(text, (0, 0))
        )
        for text in texts
    ]
    return ClassCounts(
        entry.id,
        entry.name,
        sum(synonym.matched for synonym in synonyms),
        sum(synonym.downloaded for synonym in synonyms),
        tuple(sample.kept_of.get(entry.id, 0) for sample in samples),
        tuple(sorted(synonyms, key=lambda synonym: -synonym.matched)),
    )


def downloads(images: pa.Table, unneeded: int = 0) -> DownloadCounts:
    """What became of the URLs of ``images`` (IMAGE_SCHEMA's url, state, reason and sha256).

    ``unneeded``: how many of those that wait weren't asked because every class had enough.
    """
    packed = pc.equal(images.column("state"), UrlState.PACKED)
    waiting = pc.is_in(images.column("state"), value_set=pa.array(sorted(WAITING)))
    lost = images.filter(pc.invert(pc.or_(packed, waiting)))
    reasons = pc.fill_null(lost.column("reason"), NO_REASON)
    pairs = _pairs(lost.column("state"), reasons)
    failures = [Failure(state, reason, urls) for state, reason, urls in pairs]
    kept = images.filter(packed)
    waiting_urls = int(np.count_nonzero(waiting.to_numpy()))
    unneeded = min(unneeded, waiting_urls)
    return DownloadCounts(
        urls=images.num_rows - unneeded,
        packed=kept.num_rows,
        waiting=waiting_urls - unneeded,
        unneeded=unneeded,
        images=pc.count_distinct(kept.column("sha256")).as_py(),
        failures=tuple(sorted(failures, key=lambda f: (-f.urls, f.state, f.reason))),
        hosts=_hosts(images, lost.column("url"), reasons),
    )


def _hosts(images: pa.Table, urls: Any, reasons: Any) -> tuple[HostFailures, ...]:
    """The hosts with the most URLs without an image, by that number, then name."""
    failed: dict[str, dict[str, int]] = {}
    for host, reason, number in _pairs(hosts_of(urls), reasons):
        failed.setdefault(host, {})[reason] = number
    worst = sorted(failed, key=lambda host: (-sum(failed[host].values()), host))[:MOST_HOSTS]
    everything = hosts_of(images.column("url"))
    mine = everything.filter(pc.is_in(everything, value_set=pa.array(worst, pa.string())))
    urls_of = {line["values"]: line["counts"] for line in mine.value_counts().to_pylist()}
    return tuple(HostFailures(host, urls_of[host], _ordered(failed[host])) for host in worst)


def _pairs(first: Any, second: Any) -> list[tuple[str, str, int]]:
    """Each pair of texts that stand at one place of both columns, with how often they do."""
    counted = pa.table([first, second], names=["a", "b"]).group_by(["a", "b"]).aggregate([([], "count_all")])
    return [(line["a"], line["b"], line["count_all"]) for line in counted.to_pylist()]


def hosts_of(urls: Any) -> Any:
    """The host (and port) of each URL, "" where it has none; user names are left out."""
    parts = pc.extract_regex(urls, r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?(?P<host>[^/?#]*)")
    return pc.utf8_lower(pc.fill_null(pc.struct_field(parts, "host"), ""))


def _ordered(reasons: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
