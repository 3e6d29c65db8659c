"""How a corpus file gets into an Elasticsearch index and out: loads, and the records that commit them.

Each corpus file has one record, changed only by compare-and-set. It names the committed load and the pending
ones: under way (or killed), or doomed (their rows are to be deleted).

    begin    note a pending load, or take up the pending load of a killed run that read the same
    write    rows with ids of (load, row): taking up again overwrites, nothing doubles
    commit   refresh, check that the index holds exactly the rows written, then name the load as the
             file's; from that moment readers see it, and the version it replaces is doomed
    clean    delete the rows of doomed loads, found by a scan (delete-by-query may be
             missing), and forget them

A doomed load is never committed and never taken up again, so its rows can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import CaptionIndexError, IndexBusyError, ServerError
from ...core.files import digest
from ...core.records import CorpusFile
from .bulk import Bulk
from .catalogue import Catalogue, FileRecord
from .errors import is_lost
from .queries import MOST_TERMS, Body, in_loads, list_loads, loads_of, of_kind
from .records import change_record, file_record_id, get_record
from .scan import Snapshot, scan
from .schema import deletion, operations, row_id

logger = logging.getLogger(__name__)
DOOMED = ""
_LOSSES = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """A file's record. ``pending``: load → what it reads (a digest), or DOOMED."""

    file: str
    load: str = ""
    rows: int = 0
    mark: int = 0
    committed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pending: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, file: str, document: Mapping[str, Any] | None) -> Entry:
        """As the index holds it; an empty one where it holds none."""
        if document is None:
            return cls(file)
        record = document["record"]
        committed = (record.get("load", ""), record.get("rows", 0), record.get("mark", 0))
        return cls(file, *committed, record["detail"]["committed"], record["detail"]["pending"])

    def document(self) -> Body | None:
        """As the index is to hold it; None where nothing is left to say."""
        if not self.load and not self.pending:
            return None
        detail = {"committed": dict(self.committed), "pending": dict(self.pending)}
        record: dict[str, Any] = {"file": self.file, "detail": detail}
        if self.load:
            record |= {"load": self.load, "rows": self.rows, "mark": self.mark}
        if self.pending:
            record["pending"] = list(self.pending)
        return {"kind": "file", "record": record}


@dataclass(frozen=True, slots=True)
class Files:
    """Loads and removes corpus files of one index."""

    catalogue: Catalogue

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put the rows in, all or nothing; a file that is in already is replaced. Returns the rows."""
        load = self._begin(file)
        bulk = Bulk(self.catalogue, file.file)
        try:
            analyzer = self.catalogue.analyzer
            rows = bulk.write(line for batch in batches for line in operations(batch, load, analyzer))
            self._commit(file, load, rows)
        except ServerError:
            raise  # the server is in no state to clean up; the next load of this file does
        except Exception:
            self._give_up(file.file, load)
            raise
        self.clean(file.file)
        return rows

    def remove(self, file: str) -> None:
        """Take a file's rows out; CaptionIndexError where it isn't in."""
        loads: list[str] = []

        def out(entry: Entry) -> Entry:
            if not entry.load:
                if loads:  # the first try did it, and its answer was lost
                    return entry
                raise CaptionIndexError(f"{self.catalogue.server.address} doesn't contain {file}")
            loads.append(entry.load)
            return Entry(file, pending={**entry.pending, entry.load: DOOMED})

        self._change(file, out)
        self.clean_all()

    def remove_rows(self, file: str, rows: Set[int]) -> int:
        """Take ``rows`` of a file out, and return how many were in: what else it has is a new load of it."""
        record = self.catalogue.committed().get(file)
        if record is None or not self._holds(record, rows):
            return 0
        whole = CorpusFile(file, Path(), f"without {digest(sorted(rows))}", record.fingerprint)
        query: Body = {"bool": {"filter": [{"term": {"file": file}}, in_loads([record.load])]}}
        removed = record.rows - self.add(whole, _without_rows(self.catalogue, record, query, rows))
        logger.info("%d rows of %s are out of %s", removed, file, self.catalogue.server.address)
        return removed

    def _holds(self, record: FileRecord, rows: Set[int]) -> bool:
        """Whether any of ``rows`` of a file is in."""
        ids = [row_id(record.load, row) for row in sorted(rows)]
        some = (ids[at : at + MOST_TERMS] for at in range(0, len(ids), MOST_TERMS))
        bodies: Iterator[Body] = (
            {"size": 0, "track_total_hits": True, "query": {"ids": {"values": part}}} for part in some
        )
        return any(self.catalogue.search(body)["hits"]["total"]["value"] for body in bodies)

    def _give_up(self, file: str, load: str) -> None:
        try:
            if self._change(file, lambda entry: _with_doomed(entry, load)).load != load:
                self.delete_rows([load])
            self.clean(file)
        except CaptionIndexError as error:
            logger.warning("rows of %s are left behind, unseen, until it is indexed again: %s", file, error)

    def clean(self, file: str) -> None:
        """Delete the rows of the file's doomed loads, and the record where nothing is left of the file."""
        loads = [load for load, reads in self._entry(file).pending.items() if reads == DOOMED]
        if loads:
            self.delete_rows(loads)
            self._change(file, lambda entry: _without(entry, loads))

    def clean_all(self) -> None:
        """Delete the rows of every file's doomed loads."""
        for document in self.catalogue.documents({"exists": {"field": "record.pending"}}):
            self.clean(document["record"]["file"])

    def tidy(self) -> None:
        """Delete what killed processes left: the rows of doomed loads, and of loads that no record names."""
        self.clean_all()
        if self.catalogue.view().strays <= 0:
            return
        loads = loads_of(self.catalogue.search(list_loads()))
        # Read behind the rows: a load notes itself before it writes its first.
        in_records: set[str] = set()
        for document in self.catalogue.documents(of_kind("file")):
            entry = Entry.of(document["record"]["file"], document)
            in_records |= {entry.load, *entry.pending}
        self.delete_rows(sorted(loads - in_records))

    def delete_rows(self, loads: list[str]) -> None:
        """Delete every row of ``loads``, which nobody may see any more."""
        losses = 0
        if loads:
            self._refresh()
        while self._rows_of(loads):
            bulk = Bulk(self.catalogue, "a deleted row")
            try:
                with contextlib.closing(Snapshot(self.catalogue)) as snapshot:
                    snapshot.renew()
                    pages = snapshot.pages(in_loads(loads))
                    bulk.write(deletion(hit["_id"]) for page in pages for hit in page)
            except CaptionIndexError as error:  # a snapshot dies with its node
                losses += 1
                if losses > _LOSSES or not is_lost(error):
                    raise
            self._refresh()

    def _rows_of(self, loads: list[str]) -> int:
        if not loads:
            return 0
        body: Body = {"size": 0, "track_total_hits": True, "query": in_loads(loads)}
        patience = self.catalogue.server.patience
        return self.catalogue.search(body, patience=patience)["hits"]["total"]["value"]

    def _begin(self, file: CorpusFile) -> str:
        """The load under which to write ``file``: its killed one of the same content, or a new one."""
        reads = _reading(file, self.catalogue.analyzer)
        fresh = str(10**14 + secrets.randbelow(9 * 10**14))

        def with_load(entry: Entry) -> Entry:
            if reads in entry.pending.values():
                return entry
            others = dict.fromkeys(entry.pending, DOOMED)
            return replace(entry, pending={**others, fresh: reads})

        entry = self._change(file.file, with_load)
        return next(load for load, reading in entry.pending.items() if reading == reads)

    def _commit(self, file: CorpusFile, load: str, rows: int) -> None:
        self._refresh()
        in_index, now = self._rows_of([load]), self.catalogue.server_time()
        if in_index != rows:
            raise CaptionIndexError(
                f"{file.file}: {rows} rows were written, but {self.catalogue.server.address} contains "
                f"{in_index}; run the same command again"
            )

        def whole(entry: Entry) -> Entry:
            if entry.load == load:
                return entry
            if entry.pending.get(load, DOOMED) == DOOMED:
                raise IndexBusyError(
                    f"{file.file} was replaced or removed by another process during this load"
                )
            pending = {other: reads for other, reads in entry.pending.items() if other != load}
            if entry.load:
                pending[entry.load] = DOOMED
            committed = {**asdict(file.fingerprint), "added": now}
            return Entry(file.file, load, rows, secrets.randbelow(2**31), committed, pending)

        self._change(file.file, whole)

    def _refresh(self) -> None:
        """Make everything written visible on every copy of every shard."""
        server, index = self.catalogue.server, self.catalogue.index
        server.ask(lambda es: es.indices.refresh(index=index).body, patience=server.patience)

    def _entry(self, file: str) -> Entry:
        return Entry.of(file, get_record(self.catalogue, file_record_id(file)))

    def _change(self, file: str, change: Callable[[Entry], Entry]) -> Entry:
        """Put the file's record through ``change`` and return it."""
        document = change_record(
            self.catalogue,
            file_record_id(file),
            lambda document: change(Entry.of(file, document)).document(),
        )
        return Entry.of(file, document)


def _without_rows(
    catalogue: Catalogue, record: FileRecord, query: Body, rows: Set[int]
) -> Iterator[pa.RecordBatch]:
    for batch in scan(catalogue, {record.file: record}, [query]):
        numbers: list[Any] = batch.column("row").to_pylist()
        yield batch.filter(pa.array([number not in rows for number in numbers], pa.bool_()))


def _with_doomed(entry: Entry, load: str) -> Entry:
    return replace(entry, pending={**entry.pending, load: DOOMED}) if load in entry.pending else entry


def _without(entry: Entry, loads: Iterable[str]) -> Entry:
    removed = set(loads)
    return replace(
        entry, pending={load: reads for load, reads in entry.pending.items() if load not in removed}
    )


def _reading(file: CorpusFile, analyzer: int) -> str:
    """What a load of ``file`` writes: the same digest, the same documents."""
    inputs = (analyzer, file.fingerprint, file.preset, sorted(file.columns.items()))
    if file.detect_language:
        inputs = (*inputs, "language")
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:32]
