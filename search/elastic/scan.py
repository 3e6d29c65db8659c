"""Every match once, in constant memory: pages of a point in time, sliced, and resumed when it is lost.

A point in time is a snapshot of every shard, held by one copy of it. When that copy's node dies, so does the
snapshot, and a new one orders its documents otherwise. So a scan goes by units, groups of committed files,
and notes in a bit a row what it has returned of the current one; after a loss it reads the unit again and
leaves those rows out. A scan either gives every row of the files that were in when it began, or raises.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.errors import CaptionIndexError, IndexBusyError
from .catalogue import Catalogue, FileRecord
from .errors import is_forbidden, is_lost
from .queries import CORPUS_ORDER, SCAN_ORDER, Body, in_loads
from .schema import returned, rows_table

F = TypeVar("F")
logger = logging.getLogger(__name__)

PAGE = 10_000
"""Documents a request: the most that a server gives by default."""
AT_A_TIME = 3
"""Slices that are read side by side."""
UNIT_ROWS = 4_000_000
KEEP_ALIVE = "10m"
"""How long a snapshot outlives the last request, while the caller works on a page."""
_LOSSES = 5

Hits = list[Mapping[str, Any]]


def scan(
    catalogue: Catalogue, files: Mapping[str, FileRecord], queries: Sequence[Body]
) -> Iterator[pa.RecordBatch]:
    """The rows of ``files``, which are all that are in, that match one of ``queries``.

    They come once each, in batches of at most PAGE, in any order.
    """
    with contextlib.closing(Snapshot(catalogue)) as snapshot:
        snapshot.renew(list(files.values()))
        for unit in units(list(files.values()), lambda file: file.rows, UNIT_ROWS):
            yield from _unit(snapshot, queries, unit)


def units(files: Iterable[F], rows_of: Callable[[F], int], most: int) -> Iterator[list[F]]:
    """``files`` in groups of at most ``most`` rows; a larger file is a group of its own."""
    unit: list[F] = []
    rows = 0
    for file in files:
        if unit and rows + rows_of(file) > most:
            yield unit
            unit, rows = [], 0
        unit.append(file)
        rows += rows_of(file)
    if unit:
        yield unit


@dataclass(slots=True)
class Snapshot:
    """A point in time over one index."""

    catalogue: Catalogue
    id: str = ""
    files: Sequence[FileRecord] = ()
    """The files that are to be wholly in it."""
    shards: int = 1

    def renew(self, files: Sequence[FileRecord] = ()) -> None:
        """Take the snapshot anew; IndexBusyError unless all ``files`` are wholly in it."""
        self.close()
        self.files = files
        answer = self.catalogue.server.ask(
            lambda es: es.open_point_in_time(index=self.catalogue.index, keep_alive=KEEP_ALIVE).body
        )
        self.id, self.shards = answer["id"], answer.get("_shards", {}).get("total", 1)
        self.check()

    def check(self) -> None:
        """IndexBusyError unless all files are still in."""
        in_it = {record.load for record in self.catalogue.committed().values()} if self.files else set()
        for file in self.files:
            if file.load not in in_it:
                raise IndexBusyError(
                    f"{file.file} was replaced in {self.catalogue.server.address} or taken out during the "
                    "scan; scan again"
                )

    def pages(self, query: Body) -> Iterator[Hits]:
        """All pages, one after the other, of identities only."""
        after: Sequence[Any] = ()
        while page := self.page(query, after=after, source=False):
            yield page
            after = page[-1]["sort"]

    def page(
        self, query: Body, part: int = 0, *, parts: int = 1, after: Sequence[Any] = (), source: bool = True
    ) -> Hits:
        """One page of slice ``part`` of ``parts``, behind the sort value ``after``."""
        body: Body = {
            "size": PAGE,
            "query": query,
            "sort": SCAN_ORDER,
            "track_total_hits": False,
            **(returned(self.catalogue.index_format) if source else {"_source": False}),
        }
        if parts > 1:
            body["slice"] = {"id": part, "max": parts}
        if after:
            body["search_after"] = list(after)
        return self.search(body)["hits"]["hits"]

    def search(self, body: Body) -> Mapping[str, Any]:
        """The answer to a search of it."""
        body = {**body, "pit": {"id": self.id, "keep_alive": KEEP_ALIVE}}
        ways: Body = {"allow_partial_search_results": False}
        if body["size"] == 0:
            ways["request_cache"] = False
        answer = self.catalogue.ask_search({"body": body, **ways})
        self.id = answer.get("pit_id", self.id)
        return answer

    def close(self) -> None:
        """Let the server drop the snapshot; a server that can't be asked drops it by itself."""
        if self.id:
            identity, self.id = self.id, ""
            with contextlib.suppress(CaptionIndexError):
                self.catalogue.server.ask(lambda es: es.close_point_in_time(id=identity), patience=0.0)


@dataclass(slots=True)
class _GivenRows:
    """Which rows of which files the scan has returned: a bit each."""

    bits: dict[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])

    def note(self, rows: pa.Table, sizes: Mapping[str, int]) -> pa.Table:
        """Note ``rows``, and give back those that weren't noted before."""
        files: Any = rows.column("file").combine_chunks().dictionary_encode()
        codes: NDArray[np.int64] = files.indices.to_numpy()
        numbers: NDArray[np.int64] = rows.column("row").to_numpy()
        new = np.ones(len(numbers), bool)
        for code, file in enumerate(files.dictionary.to_pylist()):
            of_file = codes == code
            at = numbers[of_file]
            size = max(sizes[file], int(at.max()) + 1) // 8 + 1
            bits = self.bits.get(file)
            if bits is None or len(bits) < size:
                bits = np.concatenate([self._of(file), np.zeros(size - len(self._of(file)), np.uint8)])
                self.bits[file] = bits
            mask = np.left_shift(1, at & 7).astype(np.uint8)
            new[of_file] = (bits[at >> 3] & mask) == 0
            np.bitwise_or.at(bits, at >> 3, mask)
        return rows if new.all() else rows.filter(pa.array(new))

    def _of(self, file: str) -> NDArray[np.uint8]:
        return self.bits.get(file, np.zeros(0, np.uint8))


def _unit(
    snapshot: Snapshot, queries: Sequence[Body], unit: Sequence[FileRecord]
) -> Iterator[pa.RecordBatch]:
    """Every match in ``unit`` once, over as many snapshots as it takes."""
    files = {file.load: file.file for file in unit}
    loads = in_loads(list(files))
    sizes = {file.file: file.rows for file in unit}
    before = _GivenRows()
    losses, paging = 0, _pages
    while True:
        try:
            for page in (page for query in queries for page in paging(snapshot, _both(query, loads))):
                rows = before.note(rows_table(page, files), sizes)
                losses = losses if rows.num_rows == 0 else 0
                yield from rows.to_batches()
        except CaptionIndexError as error:
            if is_forbidden(error) and paging is _pages:
                paging = _sorted_pages
                continue
            losses += 1
            if losses > _LOSSES or not is_lost(error):
                raise
            logger.warning("the scan lost its snapshot (%s); going on with a new one", error)
            snapshot.renew(unit)
        else:
            return


def _sorted_pages(snapshot: Snapshot, query: Body) -> Iterator[Hits]:
    """The pages of who may ask an alias only, where a snapshot is of the index behind it.

    The rows of a load never change, so that a page behind the last row's place goes on where it ended.
    """
    catalogue, after = snapshot.catalogue, list[Any]()
    while True:
        paging: Body = {"search_after": after} if after else {}
        body: Body = {"size": PAGE, "query": query, "sort": CORPUS_ORDER, **paging}
        body |= returned(catalogue.index_format)
        if page := catalogue.search({**body, "track_total_hits": False})["hits"]["hits"]:
            yield page
        if len(page) < PAGE:
            break
        after = page[-1]["sort"]
    snapshot.check()


def _both(query: Body, loads: Body) -> Body:
    return {"bool": {"filter": [query, loads]}}


def _pages(snapshot: Snapshot, query: Body) -> Iterator[Hits]:
    """The pages of all slices as they come; each slice's next page is requested while one is worked on.

    There are as many slices as shards, so that a page asks one shard and no slice is cut out of another; of a
    few shards there are AT_A_TIME.
    """
    parts = max(AT_A_TIME, snapshot.shards)
    waiting = iter(range(parts))
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="scan") as pool:
        requests: dict[Future[Hits], int] = {
            pool.submit(snapshot.page, query, part, parts=parts): part
            for part in itertools.islice(waiting, AT_A_TIME)
        }
        while requests:
            for future in wait(requests, return_when=FIRST_COMPLETED).done:
                part = requests.pop(future)
                page = future.result()
                if len(page) == PAGE:
                    after = page[-1]["sort"]
                    requests[pool.submit(snapshot.page, query, part, parts=parts, after=after)] = part
                elif (following := next(waiting, None)) is not None:
                    requests[pool.submit(snapshot.page, query, following, parts=parts)] = following
                if page:
                    yield page
