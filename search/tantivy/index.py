"""The embedded engine: a folder of tantivy sub-indexes, asked as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import nsmallest
from math import log
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import pyarrow as pa
import tantivy

from ...core.errors import CaptionIndexError, QueryError
from ...core.records import ROW_SCHEMA, CorpusFile, CorpusReader, Fingerprint, InventoryFile, LoadJob, RowId
from ..query import CaptionQuery, sample_start
from .build import build_part, staged
from .corpus_rows import RowGroups, check_source, corpus_rows
from .folder import (
    FORMAT,
    WITHOUT_ROWS,
    Group,
    check_folder,
    format_of,
    group_names,
    read_groups,
    remove_file,
)
from .load import load
from .part import Hit, Part, RankedAddress
from .query import matching, ranked
from .removal import remove_rows
from .scan import CORES, scans
from .values import PartRows, read_values

_Answer = TypeVar("_Answer")
_NumberedHits = list[tuple[int, Hit]]
"""Hits, each behind the number of its part."""

_LOWEST = -(1 << 63)
_PARTS_A_THREAD = 4
"""So many parts answer in the time in which another thread gets to work."""
_REREADS = 5


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The index as it was when these were the names of its groups."""

    names: frozenset[str]
    groups: tuple[Group, ...]
    parts: tuple[Part, ...]


class TantivyCaptions:
    """A search.captions.CaptionIndex in a folder.

    Threads may share it, and processes the folder, builders among them: a question is answered from what was
    in when it was asked.
    """

    def __init__(self, root: Path, analyzer: int, reader: CorpusReader | None) -> None:
        self._root = root
        self.analyzer = analyzer
        self._pool = ThreadPoolExecutor(CORES, "captions")
        self._seen: _Snapshot | None = None
        self._closed = False
        self._reader = reader
        self._row_groups = RowGroups(reader)

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        create: bool = False,
        with_rows: bool = True,
        reader: CorpusReader | None = None,
    ) -> TantivyCaptions:
        """The index at ``root``; CaptionIndexError where there is none, unless ``create``.

        Without ``with_rows`` a new one has no row store: ``reader`` reads rows back from the corpus's files.
        """
        form = FORMAT if with_rows else WITHOUT_ROWS
        index = cls(root, check_folder(root, create=create, form=form), reader)
        if not with_rows and format_of(root) != WITHOUT_ROWS:
            index.close()
            raise CaptionIndexError(f"{root} contains its rows already; --store none is for a new folder")
        index._now()
        return index

    def files(self) -> dict[str, Fingerprint]:
        """What is durably in, sorted bytewise."""
        members = [file for group in self._now().groups for file in group.live()]
        return {one.file: one.fingerprint for one in sorted(members, key=lambda one: one.file)}

    def inventory(self) -> list[InventoryFile]:
        """What is durably in, file by file; a file came in when its group was committed."""
        files = [
            InventoryFile(one.file, one.rows, one.fingerprint, group.added)
            for group in self._now().groups
            for one in group.live()
        ]
        return sorted(files, key=lambda one: one.file)

    def rows(self) -> int:
        """How many rows are in."""
        return sum(member.rows for group in self._now().groups for member in group.live())

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put a file's rows in, all or nothing, in the place of what it had in; IndexBusyError."""
        self._check_open()
        self._check_sources([file])
        with staged(self._root, [file]) as staging:
            rows = build_part(staging.folder, 0, [(file, batches)])
            staging.commit(parts=1, replace=True)
        return rows

    def load(self, job: LoadJob) -> int:
        """Put the job's missing files in, group by group; IndexBusyError where another process does."""
        self._check_open()
        self._check_sources([file for file in job.files if file.file in job.missing])
        return load(self._root, job)

    def remove(self, file: str) -> None:
        """Take a file's rows out; CaptionIndexError where it isn't in."""
        self._check_open()
        remove_file(self._root, file)

    def remove_rows(self, rows: Mapping[str, Collection[int]]) -> int:
        """Take rows out: their groups are written anew without them."""
        self._check_open()
        return remove_rows(self._root, rows, self._reader)

    def count(self, queries: Sequence[CaptionQuery]) -> list[int]:
        """How many rows match each query."""
        translated = self._matching(queries)
        counts = self._ask(self._now().parts, lambda part: part.count(translated))
        return [sum(each) for each in zip(*counts, strict=True)] if counts else [0] * len(queries)

    def sample(self, query: CaptionQuery, size: int, seed: int) -> pa.Table:
        """The rows that come first in ascending priority from sample_start(seed), wrapping round."""
        [translated], parts, start = self._matching([query]), self._now().parts, sample_start(seed)
        low = start if start > _LOWEST else None
        hits = self._top(parts, lambda part: part.by_priority(translated, size, low, None), size)
        rest = size - len(hits)
        if low is not None and rest > 0:
            hits += self._top(parts, lambda part: part.by_priority(translated, rest, None, low - 1), rest)
        return self._table(parts, hits)

    def first(self, query: CaptionQuery, size: int, after: RowId | None) -> pa.Table:
        """The first rows behind ``after`` in corpus order."""
        [translated], parts = self._matching([query]), self._now().parts
        return self._table(
            parts, self._top(parts, lambda part: part.by_position(translated, size, after), size)
        )

    def relevant(self, query: CaptionQuery, size: int) -> pa.Table:
        """The rows with the highest BM25 score of their synonyms; ties in corpus order.

        Every sub-index weighs tokens by its own frequencies: each phrase is boosted to its weight in all.
        """
        parts, query = self._now().parts, query.under(self.analyzer)
        phrases = query.synonym_tokens()
        tokens = {token for words in phrases for token in words}
        frequencies = [{token: part.frequency(token) for token in tokens} for part in parts]
        total = {token: sum(each[token] for each in frequencies) for token in tokens}
        rows = sum(part.written for part in parts)
        weights = np.array([_weight(words, total, rows) for words in phrases])
        boosts = [
            (weights / [_weight(words, own, part.written) for words in phrases]).tolist()
            for part, own in zip(parts, frequencies, strict=True)
        ]
        query_of_part = dict(zip(parts, ranked(query, boosts), strict=True))
        return self._table(
            parts, self._top(parts, lambda part: part.by_score(query_of_part[part], size), size)
        )

    def scan(self, query: CaptionQuery) -> Iterator[pa.RecordBatch]:
        """Every matching row once, a bounded number a batch; one is read ahead."""
        return (batch for _, batch in self.scans([query]))

    def scans(self, queries: Sequence[CaptionQuery]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """:meth:`scan` of each query in their order, every batch behind the number of its query."""
        yield from scans(self._now().parts, self._matching(queries), self._pool)

    def close(self) -> None:
        """Let go of the folder; closing twice does nothing."""
        self._closed = True
        self._seen = None
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _matching(self, queries: Sequence[CaptionQuery]) -> list[tantivy.Query]:
        return matching([query.under(self.analyzer) for query in queries])

    def _now(self) -> _Snapshot:
        """The index as it is, read again where its groups changed."""
        self._check_open()
        for left in reversed(range(_REREADS)):
            names = group_names(self._root)
            if self._seen is None or self._seen.names != names:
                try:
                    self._seen = self._read(names)
                except CaptionIndexError:
                    if not left or group_names(self._root) == names:
                        raise
                    continue  # a group went out in between
            return self._seen
        raise CaptionIndexError(f"the caption index {self._root} keeps changing; try again")

    def _read(self, names: frozenset[str]) -> _Snapshot:
        groups = [group for group in read_groups(self._root) if any(group.live())]
        places = [(group, group.folder / name) for group in groups for name in group.parts]
        parts = list(self._pool.map(self._open_part, places))
        for group in groups:
            rows_on_disk = sum(
                part.written for part, (owner, _) in zip(parts, places, strict=True) if owner is group
            )
            rows_noted = sum(member.rows for member in group.files)
            if rows_on_disk != rows_noted:
                raise CaptionIndexError(
                    f"{group.folder} is damaged: it contains {rows_on_disk} rows instead of {rows_noted}; "
                    "delete it, and index its files again"
                )
        return _Snapshot(names, tuple(groups), tuple(parts))

    def _open_part(self, place: tuple[Group, Path]) -> Part:
        group, folder = place
        corpus = corpus_rows(group, self._row_groups)
        return Part(folder, [member.file for member in group.files], removed=group.removed, corpus=corpus)

    def _ask(self, parts: Sequence[Part], question: Callable[[Part], _Answer]) -> list[_Answer]:
        """The answer of every part, in their order: shared out among threads, of which this is one."""
        shares = max(1, min(len(parts) // _PARTS_A_THREAD, CORES))

        def answers(share: int) -> list[_Answer]:
            return [question(part) for part in parts[share::shares]]

        others = [self._pool.submit(answers, share) for share in range(1, shares)]
        shares_answers = [answers(0), *(other.result() for other in others)]
        return [shares_answers[at % shares][at // shares] for at in range(len(parts))]

    def _top(
        self, parts: Sequence[Part], question: Callable[[Part], list[RankedAddress]], size: int
    ) -> _NumberedHits:
        """The first ``size`` of all parts' hits: by rank, then in corpus order."""
        if size < 0:
            raise QueryError(f"{size} rows were asked for; ask for 0 or more")
        part_hits = self._ask(parts, question) if size else []
        ranks = nsmallest(size, (each.rank for part in part_hits for each in part))
        near = [[each for each in part if each.rank <= ranks[-1]] for part in part_hits]
        hits = [part.located(some) for part, some in zip(parts, near, strict=False)]
        every = [(number, hit) for number, part in enumerate(hits) for hit in part]
        return nsmallest(size, every, key=lambda hit: (hit[1].rank, hit[1].row))

    def _table(self, parts: Sequence[Part], hits: _NumberedHits) -> pa.Table:
        """The values of the chosen hits, in their order."""
        places: dict[int, list[int]] = {}
        for place, (number, _) in enumerate(hits):
            places.setdefault(number, []).append(place)
        rows_of_parts: list[PartRows] = []
        for number, of_part in places.items():
            of_number = [hits[place][1] for place in of_part]
            positions = np.array([hit.position for hit in of_number], np.int64)
            rows_of_parts.append(
                PartRows(parts[number].values, [hit.address for hit in of_number], positions)
            )
        order = np.argsort([place for of_part in places.values() for place in of_part])
        return pa.Table.from_batches([read_values(rows_of_parts, order)], ROW_SCHEMA)

    def _check_sources(self, files: Sequence[CorpusFile]) -> None:
        if format_of(self._root) == WITHOUT_ROWS:
            for file in files:
                check_source(file)

    def _check_open(self) -> None:
        if self._closed:
            raise CaptionIndexError(f"the caption index {self._root} was closed; open it again")


def _weight(words: Sequence[str], frequencies: dict[str, int], rows: int) -> float:
    """The sum of the tokens' inverse document frequencies, as tantivy's BM25 has them."""
    return sum(log(1 + (rows - frequencies[word] + 0.5) / (frequencies[word] + 0.5)) for word in words)
