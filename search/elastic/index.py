"""Captions in Elasticsearch: one index, shared by a team, filled by many machines.

The questions of the caption protocol stand here; what they are put together from, in the folder's map.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa

from ...core.errors import CaptionIndexError
from ...core.parallel import run_jobs
from ...core.records import (
    CorpusFile,
    Fingerprint,
    InventoryFile,
    LoadJob,
    OnRows,
    ReadBatches,
    RowId,
    reported,
)
from ..query import CaptionQuery, sample_start
from .address import parse_address
from .admin import existing, make, options_of, warn_crowded
from .catalogue import Catalogue
from .counting import counts_beside, counts_under
from .errors import is_gone
from .first_rows import first_rows
from .load import Files, groups
from .queries import (
    CORPUS_ORDER,
    PRIORITY_ORDER,
    SCORE_ORDER,
    Visible,
    below_priority,
    from_priority,
    matching,
    parts,
    scored,
)
from .scan import Hits, scan
from .schema import rows_table
from .server import Server, connect
from .session import loading, settle

T = TypeVar("T")
_WORKER_ROWS = 200_000
"""Rows for which a further process is worth its start, which takes as long as sending half as many."""


class ElasticCaptions:
    """A caption index in an Elasticsearch cluster; implements search.captions.CaptionIndex."""

    def __init__(self, server: Server, index: str) -> None:
        self.server = server
        self.index = index
        """The index itself, whatever alias it was opened by: what is loaded goes there."""
        self._catalogues: dict[str, Catalogue] = {}
        self._open = True

    def _catalogue(self, name: str) -> Catalogue:
        if not self._open:
            raise CaptionIndexError(f"the caption index {self.server.address} was closed; open it again")
        return self._catalogues.setdefault(name, Catalogue(self.server, name))

    @classmethod
    def open(
        cls, location: str, *, create: bool = False, patient: bool = False, rows: int | None = None
    ) -> ElasticCaptions:
        """The index at ``location``; where there is none, CaptionIndexError, or a new one with ``create``.

        ``rows`` is how many a new one is for.

        ``patient`` is for the middle of a load: a server that is gone or busy is waited for, now and later.

        ServerError: the server is down, slow, refuses the credentials, or isn't of a supported version.
        CaptionIndexError: the index isn't captrawl's, or of another format.
        """
        address = parse_address(location)
        server = connect(address, patient=patient)
        try:
            index = existing(server)
            if index is not None and create:
                settle(Catalogue(server, index), wait=False)
            if index is None and create:
                index = make(server, rows=rows)
            if index is None:
                raise CaptionIndexError(
                    f"there is no caption index {address.name} at {address.hosts[0]}; make it with "
                    f"captrawl index captions FILES --to {address}"
                )
        except BaseException:
            server.close()
            raise
        return cls(server, index)

    @property
    def analyzer(self) -> int:
        """The number of the analyzer that its captions went through."""
        return self._follow_alias(lambda catalogue: catalogue.analyzer)

    def files(self) -> dict[str, Fingerprint]:
        """What is durably in: every corpus file's identity and fingerprint, bytewise."""
        committed = self._follow_alias(lambda catalogue: catalogue.committed())
        return {name: record.fingerprint for name, record in committed.items()}

    def loading(self) -> contextlib.AbstractContextManager[None]:
        """Hold this around many calls of add: the index is set up for loading, and put back at the end."""
        return self._loading()

    def inventory(self) -> list[InventoryFile]:
        """What is durably in, file by file, bytewise."""
        return list(self._follow_alias(lambda catalogue: catalogue.committed()).values())

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put a corpus file's rows in, all or nothing, and return how many they were."""
        return self.add_group([file], lambda _: batches)

    def add_group(
        self, files: Sequence[CorpusFile], read: Callable[[CorpusFile], Iterable[pa.RecordBatch]]
    ) -> int:
        """:meth:`add` of several files, committed together; each of them is in or not."""
        return Files(self._catalogue(self.index)).add_group(files, read)

    def load(self, job: LoadJob) -> int:
        """Put the job's missing files in, in worker processes, small ones together, and return the rows."""
        files = [file for file in job.files if file.file in job.missing]
        if not files:
            settle(self._catalogue(self.index), wait=True)
            Files(self._catalogue(self.index)).clean_all()
            return 0
        in_index = self.rows()
        if in_index:  # else whoever made it has looked at what comes
            rows = in_index + sum(max(file.fingerprint.rows, 0) for file in files)
            warn_crowded(self.server, rows, options_of(self.server, self.index, {}).shards or 1)
        adder = _Adder(self.server.address.location, job.read)
        workers = min(job.workers, 1 + sum(file.estimated_rows for file in files) // _WORKER_ROWS)
        with contextlib.closing(adder), self.loading():
            return sum(run_jobs(adder, groups(files), workers=workers, on_units=job.on_rows))

    def remove(self, file: str) -> None:
        """Take a corpus file's rows out; CaptionIndexError where it isn't in."""
        Files(self._catalogue(self.index)).remove(file)

    def remove_rows(self, rows: Mapping[str, Collection[int]]) -> int:
        """Take rows out: their files are written anew without them, under the same fingerprint."""
        catalogue = self._catalogue(self.index)
        return sum(Files(catalogue).remove_rows(file, set(some)) for file, some in sorted(rows.items()))

    def rows(self) -> int:
        """How many rows are in."""
        return self._follow_alias(lambda catalogue: catalogue.view().rows)

    def count(self, queries: Sequence[CaptionQuery]) -> list[int]:
        """How many rows match each query."""
        if not queries:
            return []
        return self._follow_alias(
            lambda catalogue: catalogue.read(
                partial(counts_under, catalogue, queries), beside=partial(counts_beside, catalogue, queries)
            )
        )

    def sample(self, query: CaptionQuery, size: int, seed: int) -> pa.Table:
        """At most ``size`` matching rows: ascending priority from sample_start(seed), wrapping round."""
        start = sample_start(seed)

        def hits(catalogue: Catalogue, visible: Visible) -> Hits:
            pieces = parts(query.under(catalogue.analyzer))
            ahead = [matching(part, visible, from_priority(start)) for part in pieces]
            rows = first_rows(catalogue, ahead, PRIORITY_ORDER, size)
            if len(rows) < size:
                behind = [matching(part, visible, below_priority(start)) for part in pieces]
                rows += first_rows(catalogue, behind, PRIORITY_ORDER, size - len(rows))
            return rows

        return rows_table(self._over_committed(hits))

    def first(self, query: CaptionQuery, size: int, after: RowId | None) -> pa.Table:
        """At most ``size`` matching rows behind ``after``, in corpus order."""
        start = list(after) if after else None

        def hits(catalogue: Catalogue, visible: Visible) -> Hits:
            bodies = [matching(part, visible) for part in parts(query.under(catalogue.analyzer))]
            return first_rows(catalogue, bodies, CORPUS_ORDER, size, after=start)

        return rows_table(self._over_committed(hits))

    def relevant(self, query: CaptionQuery, size: int) -> pa.Table:
        """At most ``size`` matching rows, the highest BM25 score first; equal scores in corpus order."""

        def hits(catalogue: Catalogue, visible: Visible) -> Hits:
            bodies = [scored(part, visible) for part in parts(query.under(catalogue.analyzer))]
            return first_rows(catalogue, bodies, SCORE_ORDER, size)

        return rows_table(self._over_committed(hits))

    def scans(self, queries: Sequence[CaptionQuery]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """:meth:`scan` of each query in their order, every batch behind the number of its query."""
        for number, query in enumerate(queries):
            yield from ((number, batch) for batch in self.scan(query))

    def scan(self, query: CaptionQuery) -> Iterator[pa.RecordBatch]:
        """Every matching row once, in any order, in constant memory; raises rather than end early."""

        def batches(catalogue: Catalogue) -> Iterator[pa.RecordBatch]:
            catalogue.look()
            bodies = [matching(part) for part in parts(query.under(catalogue.analyzer))]
            return scan(catalogue, catalogue.committed(), bodies)

        yield from self._follow_alias(batches)

    def close(self) -> None:
        """Close the connections; closing twice does nothing."""
        self._open = False
        self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _loading(self) -> Generator[None]:
        catalogue = self._catalogue(self.index)
        with loading(catalogue):
            Files(catalogue).tidy()
            yield

    def _over_committed(self, question: Callable[[Catalogue, Visible], T]) -> T:
        """The answer of ``question`` over exactly the committed rows."""
        return self._follow_alias(lambda catalogue: catalogue.read(partial(question, catalogue)))

    def _follow_alias(self, question: Callable[[Catalogue], T]) -> T:
        """The answer of ``question``, asked by the address's own name: an alias may move to another index."""
        catalogue = self._catalogue(self.server.address.name)
        try:
            return question(catalogue)
        except CaptionIndexError as error:  # the alias moved, and the index went, during the question
            if not is_gone(error) or self.index == catalogue.index:
                raise
            return question(catalogue)


@dataclass(slots=True)
class _Adder:
    """Puts groups of files in, over one connection; opened where it is first called."""

    location: str
    read: ReadBatches
    index: ElasticCaptions | None = None

    def __call__(self, files: Sequence[CorpusFile], on_rows: OnRows) -> int:
        self.index = self.index or ElasticCaptions.open(self.location, patient=True)
        return self.index.add_group(files, lambda file: reported(self.read(file), on_rows))

    def close(self) -> None:
        if self.index:
            self.index.close()
