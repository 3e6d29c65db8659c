"""What was named to be purged → everything in the workspace that belongs to it.

A row belongs where its uid, its URL (as it stands or as it is asked) or its host was named, or the hash of
its picture. With a URL go the pictures that came from it, and with a picture every URL that gave it or led to
it: else its bytes would stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..core.errors import WorkspaceError
from ..core.files import sha256_file
from ..indexer.fetch.blocklist import Blocklist, blocklist_of_entries, url_forms
from ..indexer.fetch.tombstones import tombstone
from ..indexer.ledger import Ledger
from ..workspace.workspace import Workspace, readable
from .lists import Entry, entries, entries_where

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """What a user names: entries by kind, lists of them, and the list of what alone stays."""

    named: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    lists: Sequence[Path] = ()
    keep_only: Path | None = None


@dataclass(frozen=True, slots=True)
class Doomed:
    """What goes. ``hashes`` are all known hashes of the pictures, as they came and as they are packed."""

    urls: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    uids: frozenset[int] = frozenset()
    hashes: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    """The packed files, relative to the workspace."""
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Rows of the caption index: corpus file → numbers."""
    here: bool = False
    """Whether anything of it is in the workspace."""

    def tombstones(self) -> set[str]:
        """A line for everything that must never come back; of a URL for each form of it."""
        lines = {tombstone("url", form) for url in self.urls for form in url_forms(url)}
        lines |= {tombstone("host", host) for host in self.hosts}
        lines |= {tombstone("uid", uid) for uid in self.uids}
        kinds = {32: "md5", 40: "sha1", 64: "sha256"}
        return lines | {tombstone(kinds[len(value)], value) for value in self.hashes}


@dataclass(slots=True)
class _Inventory:
    """What the workspace has: the ledger's rows, and (uid, url, file, row) of every table."""

    ledger: list[tuple[Any, ...]]
    rows: list[tuple[int, str | None, str | None, int | None]]
    packed: dict[str, str]
    """sha256 → path."""


def row_tables(workspace: Workspace) -> Iterator[Path]:
    """Every Parquet table of the workspace that has a uid and a URL a line."""
    if workspace.matches_path.is_file():
        yield workspace.matches_path
    yield from sorted((workspace.root / "embeddings").glob("*/metadata/metadata_*.parquet"))
    yield from sorted(workspace.samples_folder.glob("*.parquet"))


def resolve(workspace: Workspace, request: PurgeRequest) -> Doomed:
    """Everything that goes with what ``request`` names; InputError where that can't be read."""
    inventory = _inventory(workspace)
    named = _named(request)
    uids, urls = _of_rows(inventory, named)
    if request.keep_only is not None:
        more_uids, more_urls = _others(inventory, request.keep_only)
        uids, urls = uids | more_uids, urls | more_urls
    urls, hashes = _with_pictures(inventory.ledger, urls)
    paths = {path for sha256, path in inventory.packed.items() if sha256 in hashes}
    _check_inside(workspace, paths)
    packed = {sha256_file(file) for path in paths if (file := workspace.root / path).is_file()}
    rows: dict[str, set[int]] = defaultdict(set)
    for uid, url, file, row in inventory.rows:
        if uid in uids or url in urls:
            uids.add(uid)
            if file is not None and row is not None:
                rows[file].add(row)
    return Doomed(
        urls=frozenset(urls | named.urls),
        hosts=named.hosts,
        uids=frozenset(uids | named.uids),
        hashes=frozenset(hashes | packed | named.hashes),
        paths=frozenset(paths),
        rows={file: sorted(numbers) for file, numbers in sorted(rows.items())},
        here=bool(urls or uids),
    )


def _check_inside(workspace: Workspace, paths: Iterable[str]) -> None:
    """WorkspaceError where a packed picture isn't said to lie in images/: nothing else is deleted."""
    for path in paths:
        if not (workspace.root / path).resolve().is_relative_to(workspace.images_folder.resolve()):
            raise WorkspaceError(
                f"{workspace.ledger_path} says that a picture lies at {path!r:.200}, outside "
                f"{workspace.images_folder}; captrawl writes none there, and purge deletes none"
            )


def _named(request: PurgeRequest) -> Blocklist:
    values: dict[str, set[str]] = {kind: set() for kind in ("url", "host", "uid", "md5", "sha1", "sha256")}
    for kind, some in request.named.items():
        values[kind].update(some)
    for path in request.lists:
        for kind, value in entries(path):
            values[kind].add(str(value))
    return blocklist_of_entries(values)


def _inventory(workspace: Workspace) -> _Inventory:
    ledger: list[tuple[Any, ...]] = []
    packed: dict[str, str] = {}
    if workspace.ledger_path.is_file():
        with Ledger(workspace.ledger_path, read_only=True) as opened:
            ledger, packed = list(opened.contents()), dict(opened.paths())
    rows = [row for path in row_tables(workspace) for row in _rows(path)]
    return _Inventory(ledger, rows, packed)


def _rows(path: Path) -> Iterator[tuple[int, str | None, str | None, int | None]]:
    with readable(path, "status --verify"), pq.ParquetFile(path) as file:
        there = set(file.schema_arrow.names)
        names = [name for name in ("uid", "url", "file", "row") if name in there]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names):
            lists = [
                batch.column(name).to_pylist() if name in there else [None] * batch.num_rows
                for name in ("uid", "url", "file", "row")
            ]
            yield from zip(*lists, strict=True)


def _of_rows(inventory: _Inventory, named: Blocklist) -> tuple[set[int], set[str]]:
    """The uids that were named and are here, and the URLs of what was named."""
    uids: set[int] = set()
    urls: set[str] = set()
    if named == Blocklist():
        return uids, urls
    for uid, url, *_ in inventory.rows:
        if uid in named.uids:
            uids.add(uid)
        if url is not None and named.blocks_row(uid, url):
            urls.add(url)
    for _, url, final, *hashes in inventory.ledger:
        if named.blocks_bytes(*hashes) or any(named.blocks_forms(one) for one in (url, final) if one):
            urls.add(url)
    return uids, urls


def _others(inventory: _Inventory, keep_only: Path) -> tuple[set[int], set[str]]:
    """The uids of rows without a URL and the URLs that the list doesn't name, in any of their rows."""
    own: dict[str, set[Any]] = {"uid": {row[0] for row in inventory.rows}, "url": set()}
    all_urls = {row[1] for row in inventory.rows if row[1] is not None} | {row[1] for row in inventory.ledger}
    own["url"] = {form for url in all_urls for form in url_forms(url)}
    hashes = {value for row in inventory.ledger for value in row[3:] if value}
    own |= dict.fromkeys(("md5", "sha1", "sha256"), hashes)

    def is_own(entry: Entry) -> bool:
        return entry[0] == "host" or entry[1] in own[entry[0]]

    values: dict[str, set[str]] = {kind: set() for kind in ("host", *own)}
    for kind, value in entries_where(keep_only, is_own):
        values[kind].add(str(value))
    keep = blocklist_of_entries(values)
    kept = {url for uid, url, *_ in inventory.rows if url is not None and keep.blocks_row(uid, url)}
    kept |= {row[1] for row in inventory.ledger if keep.blocks_forms(row[1]) or keep.blocks_bytes(*row[3:])}
    uids = {uid for uid, url, *_ in inventory.rows if url is None and uid not in keep.uids}
    return uids, all_urls - kept


def _with_pictures(ledger: Iterable[tuple[Any, ...]], urls: set[str]) -> tuple[set[str], set[str]]:
    """``urls`` and all that share a picture with them or lead to them; the hashes of the pictures."""
    every = set(urls)
    hashes: set[str] = set()
    while True:
        size = len(every)
        forms = {form for url in every for form in url_forms(url)}
        for _, url, final, *of_picture in ledger:
            if url in every or final in forms or any(value in hashes for value in of_picture):
                every.add(url)
                hashes.update(value for value in of_picture if value)
        if len(every) == size:
            return every, hashes
