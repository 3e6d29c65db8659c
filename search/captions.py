"""The protocol that every caption engine keeps, and the engines (indexer.opening opens an index for all)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import pyarrow as pa

from ..core.errors import CaptionIndexError, UsageError
from ..core.records import CorpusFile, CorpusReader, Fingerprint, InventoryFile, LoadJob, RowId
from .query import CaptionQuery

if TYPE_CHECKING:
    from .elastic.swap import Rebuild

_HALF_ADDRESS = re.compile(r"[a-z]+://|[\w.-]+:\d+/", re.IGNORECASE)


class CaptionIndex(Protocol):
    """A phrase-searchable index over corpora. Tables and batches have records.ROW_SCHEMA.

    Everything but the order of :meth:`relevant` and :meth:`scan` is the same on every engine, however the
    rows are spread over sub-indexes or shards.
    """

    @property
    def analyzer(self) -> int:
        """The number of the analyzer that its captions went through (core.analyzers)."""
        ...

    def files(self) -> dict[str, Fingerprint]:
        """What is durably in: every corpus file's identity and the fingerprint it was read with."""
        ...

    def inventory(self) -> list[InventoryFile]:
        """What is durably in, file by file, bytewise by identity."""
        ...

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put a corpus file's rows in, all or nothing, and return how many they were.

        A file that is in already, with whatever fingerprint, is replaced: readers see the old rows or the
        new.
        """
        ...

    def load(self, job: LoadJob) -> int:
        """:meth:`add` each of the job's missing files, in worker processes where it can, and return the rows.

        What is in stays in, whatever happens; a killed load is taken up by the next one of the same files.
        What else killed loads left behind is deleted, also where no file is missing.
        """
        ...

    def remove(self, file: str) -> None:
        """Take a corpus file's rows out; CaptionIndexError where it isn't in."""
        ...

    def remove_rows(self, rows: Mapping[str, Collection[int]]) -> int:
        """Take single rows out (file → numbers of rows), and return how many of them were in.

        A file stays in with its fingerprint: loading it again skips it, replacing it brings the rows back.
        Each file's rows go all or none; a killed call is taken up by the next one.
        """
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


def open_captions(
    location: str | Path,
    *,
    create: bool = False,
    patient: bool = False,
    rows: int | None = None,
    reader: CorpusReader | None = None,
) -> CaptionIndex:
    """The index at ``location``: a folder (embedded), or http(s)://host:port/name (Elasticsearch).

    With ``create`` an index that isn't there is made, empty, for ``rows`` rows where it is known how many;
    else it is a CaptionIndexError. ``patient`` is for the middle of a load: a server that is gone or busy is
    waited for, where else it is soon an error. Without a ``reader`` (indexer.opening hands it in) an index
    that has no rows of its own can be counted, and gives none.
    """
    engine = ENGINES[_scheme(str(location))]
    return engine(str(location), create=create, patient=patient, rows=rows, reader=reader)


def create_without_rows(location: str | Path) -> None:
    """Make an empty index at a folder, unless it is there, that reads rows back from the corpus's files.

    CaptionIndexError where the one there has its rows; UsageError where the engine always does.
    """
    if not is_path(str(location)):
        raise UsageError(f"--store none is for a folder, and {location} is an Elasticsearch index")
    from .tantivy.index import TantivyCaptions

    TantivyCaptions.open(Path(location), create=True, with_rows=False).close()


def is_path(location: str) -> bool:
    """Whether ``location`` is a folder rather than an address; CaptionIndexError for half an address."""
    return not _scheme(location)


def absolute_location(location: str, base: Path | None = None) -> str:
    """``location`` as it holds from everywhere: a relative folder lies below ``base`` (the current one)."""
    if is_path(location):
        return str(((base or Path.cwd()) / Path(location).expanduser()).resolve())
    return location


def rebuilding(
    location: str,
    files: Collection[str],
    *,
    part: tuple[int, int] | None = None,
    drop_others: bool = False,
    keep: int = 1,
    rows: int | None = None,
) -> AbstractContextManager[Rebuild]:
    """A new index of ``files`` that takes the place of the one at ``location`` once it is whole.

    ``rows`` is how many rows they have, where that is known. See elastic.swap. UsageError where
    the engine can't: a folder's files are replaced one by one.
    """
    _check_swappable(location)
    from .elastic import swap

    return swap.rebuilding(location, swap.SwapOptions(part, drop_others, keep, rows), files=files)


def go_back(location: str) -> tuple[str, str]:
    """Put the index that was swapped away last in the place of the one there; the names of both."""
    _check_swappable(location)
    from .elastic import swap

    return swap.go_back(location)


def _check_swappable(location: str) -> None:
    if not _scheme(location).startswith("http"):
        raise UsageError(
            f"only an Elasticsearch index is swapped, and {location} is a folder: "
            "there, use --replace, or build another folder"
        )


def _open_folder(
    location: str,
    *,
    create: bool,
    patient: bool,  # noqa: ARG001
    rows: int | None,  # noqa: ARG001
    reader: CorpusReader | None,
) -> CaptionIndex:
    from .tantivy.index import TantivyCaptions

    return TantivyCaptions.open(Path(location), create=create, reader=reader)


def _open_elastic(
    location: str,
    *,
    create: bool,
    patient: bool,
    rows: int | None,
    reader: CorpusReader | None,  # noqa: ARG001
) -> CaptionIndex:
    from .elastic.index import ElasticCaptions

    return ElasticCaptions.open(location, create=create, patient=patient, rows=rows)


class OpenEngine(Protocol):
    """Opens the index of one engine, as :func:`open_captions` does."""

    def __call__(
        self, location: str, *, create: bool, patient: bool, rows: int | None, reader: CorpusReader | None
    ) -> CaptionIndex:
        """The index at ``location``."""
        ...


ENGINES: dict[str, OpenEngine] = {"": _open_folder, "http": _open_elastic, "https": _open_elastic}
"""The engine of each scheme that an index's address may have; a path has none."""


def _scheme(location: str) -> str:
    """The scheme of an address, "" of a path; CaptionIndexError for half an address."""
    scheme, colon, _ = location.partition("://")
    if colon and scheme.lower() in ENGINES:
        return scheme.lower()
    if _HALF_ADDRESS.match(location) and not Path(location).exists():
        raise CaptionIndexError(f"{location} is neither a folder nor an address: http(s)://host:9200/name")
    return ""
