"""One sub-index, asked: counts, the first rows of an order, BM25, and pages that make up a scan."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import tantivy

from ...core.errors import CaptionIndexError
from ...core.records import RowId
from .corpus_rows import CorpusRows
from .query import all_of, between, outside
from .schema import Place, places_of, position_of
from .values import PartRows, PartValues

_MUST = tantivy.Occur.Must
_NOT = tantivy.Occur.MustNot
_ASCENDING = tantivy.Order.Asc
PAGE_ROWS = 1 << 15
"""At most so many rows are looked up or read at once."""


class RankedAddress(NamedTuple):
    """A matching row of a part: where it stands in an order, and where it lies in the part."""

    rank: float
    """The priority or the negative score, the lowest first; 0 where the corpus order is the order."""
    address: tantivy.DocAddress


class Hit(NamedTuple):
    """A matching row of a part, located in its corpus; its values aren't read yet."""

    rank: float
    row: RowId
    address: tantivy.DocAddress
    position: int


class Part:
    """A sub-index. ``files`` are its group's, by ordinal; rows of those in ``removed`` aren't in any more.

    ``corpus`` has its rows' values where no row store does.

    Queries are those of query. CaptionIndexError where the folder can't be read.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        *,
        removed: frozenset[str],
        corpus: CorpusRows | None = None,
    ) -> None:
        self._folder = folder
        self._files = files
        self._removed = [(_NOT, rows_of(at)) for at, file in enumerate(files) if file in removed]
        try:
            self._searcher = _opened(folder)
            self.values = PartValues(folder, files, self._searcher, corpus)
        except (ValueError, OSError, KeyError) as error:
            raise CaptionIndexError(f"{folder} can't be read: {error}") from error
        self.written = self._searcher.num_docs
        """Rows, removed ones included."""

    def count(self, queries: Sequence[tantivy.Query]) -> list[int]:
        """How many rows match each query."""
        search: Any = self._searcher.search
        live_queries = map(self._live, queries) if self._removed else queries
        return [search(query, 1).count for query in live_queries]

    def frequency(self, token: str) -> int:
        """How many captions contain ``token``, in all that was written."""
        return self._searcher.doc_freq("tokens", token)

    def by_priority(
        self, query: tantivy.Query, size: int, low: int | None, high: int | None
    ) -> list[RankedAddress]:
        """The first ``size`` matching rows in ascending priority, of those within [low, high]."""
        if low is not None or high is not None:
            query = all_of([(_MUST, query), (_MUST, between("priority", low, high))])
        return self._ordered(self._live(query), "priority", size)

    def by_position(self, query: tantivy.Query, size: int, after: RowId | None) -> list[RankedAddress]:
        """The first ``size`` matching rows behind ``after`` in corpus order."""
        if after is not None:
            before = bisect_right(self._files, after.file)
            same = before > 0 and self._files[before - 1] == after.file
            start = Place(before - 1, after.row + 1) if same else Place(before, 0)
            query = all_of([(_MUST, query), (_MUST, between("position", position_of(start), None))])
        return [
            RankedAddress(0, address) for _, address in self._ordered(self._live(query), "position", size)
        ]

    def by_score(self, query: tantivy.Query, size: int) -> list[RankedAddress]:
        """The ``size`` matching rows with the highest scores."""
        hits = self._search(self._live(query), size).hits
        return [RankedAddress(-score, address) for score, address in hits]

    def located(self, ranked_hits: Sequence[RankedAddress]) -> list[Hit]:
        """``ranked_hits``, in that order, with the rows that they are."""
        if not ranked_hits:
            return []
        addresses = [address for _, address in ranked_hits]
        positions = self.values.positions(addresses)
        ordinals, rows = places_of(positions)
        files = [self._files[int(ordinal)] for ordinal in ordinals]
        places = zip(ranked_hits, files, rows.tolist(), positions.tolist(), strict=True)
        return [Hit(each.rank, RowId(file, row), each.address, at) for each, file, row, at in places]

    def few(self, query: tantivy.Query, size: int) -> PartRows | int:
        """All matching rows; how many they are where they are more than ``size``."""
        # by score, which is the same for all: an order by a column takes three times as long
        result = self._search(self._live(query), size, count=True)
        return result.count if result.count > size else self._located(result.hits)

    def pages(self, query: tantivy.Query, rows: int) -> Iterator[tantivy.Query]:
        """Queries of at most PAGE_ROWS rows that match ``query``'s ``rows`` rows together, each once."""
        if rows > PAGE_ROWS:
            for first, last in pairwise([*self.values.starts(PAGE_ROWS), None]):
                bounds = outside("position", first, None if last is None else last - 1)
                yield all_of([(_MUST, query), *bounds])
        else:
            yield query

    def page(self, query: tantivy.Query) -> PartRows:
        """All the rows of one of :meth:`pages`."""
        return self._located(self._search(self._live(query), PAGE_ROWS).hits)

    def _located(self, hits: Sequence[tuple[float, tantivy.DocAddress]]) -> PartRows:
        addresses = [address for _, address in hits]
        return PartRows(self.values, addresses, self.values.positions(addresses))

    def _live(self, query: tantivy.Query) -> tantivy.Query:
        return all_of([(_MUST, query), *self._removed])

    def _ordered(self, query: tantivy.Query, field: str, size: int) -> list[RankedAddress]:
        hits = self._search(query, size, order_by_field=field, order=_ASCENDING).hits
        return [RankedAddress(*hit) for hit in hits]

    def _search(self, query: tantivy.Query, size: int, *, count: bool = False, **order: Any) -> Any:
        """What tantivy found. It makes room for ``size`` rows at once: never ask for more than there are."""
        return self._searcher.search(query, max(1, min(size, self.written)), count, **order)


def _opened(folder: Path) -> tantivy.Searcher:
    """A searcher of the sub-index, also where this user may not write beside it.

    Tantivy locks a file in the folder while it opens; without the right to, it is given links to the files.
    """
    try:
        return tantivy.Index.open(str(folder)).searcher()
    except ValueError as error:
        if "Lockfile" not in str(error):
            raise
    with tempfile.TemporaryDirectory(prefix="captrawl-") as links:
        for file in folder.iterdir():
            if file.suffix != ".lock":
                (Path(links) / file.name).symlink_to(file.resolve())
        return tantivy.Index.open(links).searcher()


def rows_of(ordinal: int) -> tantivy.Query:
    """The rows of a file, by its place in the group."""
    return between("position", position_of(Place(ordinal, 0)), position_of(Place(ordinal + 1, 0)) - 1)
