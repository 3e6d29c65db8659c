"""The least that a caption engine can be: rows in lists behind mem://, within this process.

Written against the protocol alone, as a reference of what every engine promises; :func:`registered` makes
``open_captions("mem://name")`` know it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import log
from typing import Any, Self
from unittest import mock

import pyarrow as pa
from captrawl.core.errors import CaptionIndexError, QueryError
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint, LoadJob, RowId, reported
from captrawl.core.text import ANALYZER_VERSION, tokens
from captrawl.search.captions import ENGINES
from captrawl.search.query import (
    Bound,
    CaptionQuery,
    Missing,
    Not,
    OneOf,
    Phrase,
    StartsWith,
    Test,
    filter_key,
    sample_start,
)

Row = dict[str, Any]
_INDEXES: dict[str, dict[str, tuple[Fingerprint, list[Row]]]] = {}
"""What is in, by location and file."""


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """mem:// is an engine's address until the block ends."""
    with mock.patch.dict(ENGINES, mem=MemoryCaptions.open):
        try:
            yield
        finally:
            _INDEXES.clear()


class MemoryCaptions:
    """A search.captions.CaptionIndex of rows in lists."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._open: bool = True

    @classmethod
    def open(
        cls, location: str, *, create: bool, patient: bool, rows: int | None, reader: object
    ) -> MemoryCaptions:
        if create:
            _INDEXES.setdefault(location, {})
        if location not in _INDEXES:
            raise CaptionIndexError(f"no caption index at {location}; fill it in this process")
        return cls(location)

    @property
    def analyzer(self) -> int:
        return ANALYZER_VERSION

    def files(self) -> dict[str, Fingerprint]:
        return {file: fingerprint for file, (fingerprint, _) in sorted(self._files.items())}

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        rows = [row for batch in batches for row in batch.to_pylist()]
        self._files[file.file] = (file.fingerprint, rows)
        return len(rows)

    def load(self, job: LoadJob) -> int:
        files = [file for file in job.files if file.file in job.missing]
        return sum(self.add(file, reported(job.read(file), job.on_rows)) for file in files)

    def remove(self, file: str) -> None:
        if file not in self._files:
            raise CaptionIndexError(f"{self._location} has no file {file}")
        del self._files[file]

    def remove_rows(self, rows: Mapping[str, Collection[int]]) -> int:
        before = self.rows()
        for file in rows.keys() & self._files.keys():
            mark, of_file = self._files[file]
            self._files[file] = (mark, [row for row in of_file if row["row"] not in rows[file]])
        return before - self.rows()

    def rows(self) -> int:
        return sum(len(rows) for _, rows in self._files.values())

    def count(self, queries: Sequence[CaptionQuery]) -> list[int]:
        return [len(self._matching(query)) for query in queries]

    def sample(self, query: CaptionQuery, size: int, seed: int) -> pa.Table:
        start = sample_start(seed)
        return _table(sorted(self._matching(query), key=lambda row: (row["priority"] - start) % 2**64), size)

    def first(self, query: CaptionQuery, size: int, after: RowId | None) -> pa.Table:
        start = (b"", -1) if after is None else (after.file.encode(), after.row)
        return _table([row for row in self._matching(query) if _place(row) > start], size)

    def relevant(self, query: CaptionQuery, size: int) -> pa.Table:
        score = _Bm25([tokens(row["caption"] or "") for row in self._every()], query)
        return _table(sorted(self._matching(query), key=lambda row: -score(tokens(row["caption"]))), size)

    def scans(self, queries: Sequence[CaptionQuery]) -> Iterator[tuple[int, pa.RecordBatch]]:
        for number, query in enumerate(queries):
            yield from ((number, batch) for batch in self.scan(query))

    def scan(self, query: CaptionQuery) -> Iterator[pa.RecordBatch]:
        yield from _table(self._matching(query), self.rows()).to_batches()

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _files(self) -> dict[str, tuple[Fingerprint, list[Row]]]:
        if not self._open:
            raise CaptionIndexError(f"the caption index {self._location} was closed; open it again")
        return _INDEXES[self._location]

    def _every(self) -> list[Row]:
        return sorted((row for _, rows in self._files.values() for row in rows), key=_place)

    def _matching(self, query: CaptionQuery) -> list[Row]:
        """The matching rows in corpus order."""
        conditions = query.filters.conditions()
        return [
            row
            for row in self._every()
            if _has_phrases(tokens(row["caption"] or ""), query)
            and all(any(_holds(test, row) for test in tests) for tests in conditions)
        ]


def _place(row: Row) -> tuple[bytes, int]:
    return row["file"].encode(), row["row"]


def _table(rows: Sequence[Row], size: int) -> pa.Table:
    if size < 0:
        raise QueryError(f"{size} rows were asked for; ask for 0 or more")
    return pa.Table.from_pylist(list(rows[:size]), schema=ROW_SCHEMA)


def _has_phrases(words: Sequence[str], query: CaptionQuery) -> bool:
    text = f" {' '.join(words)} "

    def has(phrase: Phrase) -> bool:
        return f" {' '.join(phrase)} " in text

    return (
        any(map(has, query.synonym_tokens()))
        and (not query.prefix_tokens() or has(query.prefix_tokens()))
        and not any(map(has, query.exclude_tokens()))
    )


def _holds(test: Test, row: Row) -> bool:
    match test:
        case Bound(field, low, high):
            value = _value(row, field)
            return value is not None and (low is None or low <= value) and (high is None or value <= high)
        case OneOf(field, keys):
            return filter_key(row[field]) in keys
        case StartsWith(field, start):
            return (filter_key(row[field]) or "").startswith(start)
        case Missing(field):
            return (
                _value(row, field) if field in ("side", "similarity", "punsafe") else filter_key(row[field])
            ) is None
        case Not(inner):
            return not _holds(inner, row)


def _value(row: Row, field: str) -> float | None:
    if field == "side":
        return None if row["width"] is None or row["height"] is None else min(row["width"], row["height"])
    return row[field]


class _Bm25:
    """The sum of the scores of the query's phrases, with the usual k1 = 1.2 and b = 0.75."""

    def __init__(self, captions: Sequence[Sequence[str]], query: CaptionQuery) -> None:
        frequency = Counter(word for words in captions for word in set(words))
        self._mean = sum(map(len, captions)) / len(captions) if captions else 1
        self._weights = {
            phrase: sum(
                log(1 + (len(captions) - frequency[word] + 0.5) / (frequency[word] + 0.5)) for word in phrase
            )
            for phrase in query.synonym_tokens()
        }

    def __call__(self, words: Sequence[str]) -> float:
        length = 1.2 * (0.25 + 0.75 * len(words) / self._mean)
        total = 0.0
        for phrase, weight in self._weights.items():
            starts = range(len(words) - len(phrase) + 1)
            times = sum(tuple(words[at : at + len(phrase)]) == phrase for at in starts)
            total += weight * times * 2.2 / (times + length)
        return total
