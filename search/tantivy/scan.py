"""Every match of many queries, streamed; the rows of queries with few matches are read in one go.

Rows of several queries often share a block of the row store, and what numpy and Arrow cost a call is shared
too: all pools of a class list come several times faster than one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

import numpy as np
import pyarrow as pa
import tantivy

from ...core.parallel import cores
from .part import Part
from .values import PartRows, PartValues, read_values

_Answer = TypeVar("_Answer")
_Question = TypeVar("_Question")
_NumberedBatch = tuple[int, pa.RecordBatch]
CORES = cores()
_LOT = 64
"""How many times a part is asked for few rows before another thread has its turn."""
WAITING_ROWS = 1 << 17
"""Rows of several queries that are read in one go: every block of theirs is unpacked once."""
_FEW = 1 << 15
"""Rows of a query that are held until they are read with those of others, in all parts together."""


def scans(
    parts: Sequence[Part], queries: Sequence[tantivy.Query], pool: Executor
) -> Iterator[_NumberedBatch]:
    """(number of the query, batch) until every row that matches has come once for each query, in their order.

    A bounded number of rows a batch; one page is read ahead.
    """
    few = max(_FEW // _LOT, _FEW // max(1, len(parts)))
    waiting = _Waiting()
    many: list[tuple[Part, int]] = []
    questions = ((number, part) for number in range(len(queries)) for part in parts)
    lots = iter(lambda: list(islice(questions, _LOT)), [])

    def find(lot: list[tuple[int, Part]]) -> list[tuple[int, Part, PartRows | int]]:
        return [(number, part, part.few(queries[number], few)) for number, part in lot]

    # threads pay where a query is asked of many parts
    for lot in map(find, lots) if len(parts) < _LOT // 8 else _ahead(pool, find, lots, depth=CORES):
        for number, part, rows in lot:
            if isinstance(rows, int):
                many.append((part, rows))
            else:
                waiting.add(number, rows)
            if part is not parts[-1]:
                continue
            if many or waiting.rows >= WAITING_ROWS:
                yield from waiting.read()
            for part_of_many, size in many:
                yield from ((number, page) for page in _pages(part_of_many, queries[number], size, pool))
            many = []
    yield from waiting.read()


def _ahead(
    pool: Executor, ask: Callable[[_Question], _Answer], questions: Iterable[_Question], *, depth: int
) -> Iterator[_Answer]:
    """The answers in order; the pool's threads work ``depth`` of them out ahead of the one that is taken."""
    futures: deque[Future[_Answer]] = deque()
    for question in questions:
        futures.append(pool.submit(ask, question))
        if len(futures) > depth:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def _pages(part: Part, query: tantivy.Query, rows: int, pool: Executor) -> Iterator[pa.RecordBatch]:
    """The part's ``rows`` rows that match; a page takes some 20 MB on the way, so one at most is ahead."""

    def read(page: tantivy.Query) -> pa.RecordBatch:
        return read_values([part.page(page)])

    return (page for page in _ahead(pool, read, part.pages(query, rows), depth=1) if page.num_rows)


class _Waiting:
    """Rows whose places are known and whose values aren't read yet."""

    def __init__(self) -> None:
        self.rows = 0
        self._of_part: dict[PartValues, list[tuple[int, PartRows]]] = {}

    def add(self, number: int, rows: PartRows) -> None:
        """Add rows of the query with this number."""
        if rows.addresses:
            self._of_part.setdefault(rows.values, []).append((number, rows))
            self.rows += len(rows.addresses)

    def read(self) -> Iterator[_NumberedBatch]:
        """Their values, query by query; then nothing waits."""
        if not self.rows:
            return
        rows_of_parts = [_together([rows for _, rows in some]) for some in self._of_part.values()]
        sizes = [(number, len(one.addresses)) for some in self._of_part.values() for number, one in some]
        self.rows, self._of_part = 0, {}
        numbers = np.repeat(*np.array(sizes).T)
        order = np.argsort(numbers, kind="stable")
        batch = read_values(rows_of_parts, order)
        queries, starts = np.unique(numbers[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for query, start, end in zip(queries.tolist(), starts.tolist(), ends, strict=True):
            yield query, batch.slice(start, end - start)


def _together(pieces: Sequence[PartRows]) -> PartRows:
    """What was picked of one part at several times."""
    addresses = [address for one in pieces for address in one.addresses]
    return PartRows(pieces[0].values, addresses, np.concatenate([one.positions for one in pieces]))
