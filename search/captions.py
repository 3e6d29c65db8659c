"""The protocol that every caption engine keeps, and the one way to open an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from ..core.records import CorpusFile, Fingerprint, RowId
from .elastic.address import is_address
from .query import CaptionQuery


class CaptionIndex(Protocol):
    """A phrase-searchable index over corpora. Tables and batches have records.ROW_SCHEMA.

    Everything but the order of :meth:`relevant` and :meth:`scan` is the same on every engine, however the
    rows are spread over sub-indexes or shards.
    """

    def files(self) -> dict[str, Fingerprint]:
        """What is durably in: every corpus file's identity and the fingerprint it was read with."""
        ...

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put a corpus file's rows in, all or nothing, and return how many they were.

        A file that is in already, with whatever fingerprint, is replaced: readers see the old rows or the
        new.
        """
        ...

    def remove(self, file: str) -> None:
        """Take a corpus file's rows out; CaptionIndexError where it isn't in."""
        ...

    def rows(self) -> int:
        """How many rows are in."""
        ...

    def count(self, queries: Sequence[CaptionQuery]) -> list[int]:
        """How many rows match each query."""
        ...

    def sample(self, query: CaptionQuery, size: int, seed: int) -> pa.Table:
        """At most ``size`` matching rows: ascending priority from query.sample_start(seed), wrapping round.

        A smaller sample with the same seed is a prefix of a larger one.
        """
        ...

    def first(self, query: CaptionQuery, size: int, after: RowId | None) -> pa.Table:
        """At most ``size`` matching rows behind ``after``, in corpus order: file name bytewise, then row."""
        ...

    def relevant(self, query: CaptionQuery, size: int) -> pa.Table:
        """At most ``size`` matching rows, the highest BM25 score first."""
        ...

    def scans(self, queries: Sequence[CaptionQuery]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """:meth:`scan` of each query in their order, every batch behind the number of its query."""
        ...

    def scan(self, query: CaptionQuery) -> Iterator[pa.RecordBatch]:
        """Every matching row once, in any order, in constant memory."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the index can't be asked any more."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_captions(location: str | Path, *, create: bool = False, patient: bool = False) -> CaptionIndex:
    """The index at ``location``: a folder (embedded), or http(s)://host:port/name (Elasticsearch).

    With ``create`` an index that isn't there is made, empty; else it is a CaptionIndexError. ``patient`` is
    for the middle of a load: a server that is gone or busy is waited for, where else it is soon an error.
    """
    if is_address(str(location)):
        from .elastic.index import ElasticCaptions

        return ElasticCaptions.open(str(location), create=create, patient=patient)
    from .tantivy.index import TantivyCaptions

    return TantivyCaptions.open(Path(location), create=create)
