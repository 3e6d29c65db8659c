"""How a corpus file gets into an Elasticsearch index and out: loads, and the records that commit them.

Each corpus file has one record, changed only by compare-and-set. It names the committed load and the pending
ones: under way (or killed), or doomed (their rows are to be deleted).

    begin    note a pending load, or take up the pending load of a killed run that read the same
    write    rows with ids of (load, row): taking up again overwrites, nothing doubles
    commit   refresh, check that the index holds exactly the rows written, then name the load as the
             file's; from that moment readers see it, and the version it replaces is doomed
    clean    delete the rows of doomed loads, found by a scan (delete-by-query may be
             missing), and forget them

Small files go in together, in groups: one request notes all their loads, their rows share requests, one
refresh and one request commit them. Each is still in or out by its own record.

A doomed load is never committed and never taken up again, so its rows can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import CaptionIndexError, CaptrawlError, IndexBusyError, ServerError
from ...core.files import digest
from ...core.records import CorpusFile
from .bulk import Bulk
from .catalogue import Catalogue, FileRecord
from .errors import is_lost
from .queries import MOST_TERMS, Body, in_loads, list_loads, loads_of, of_kind, rows_of_loads
from .records import DOOMED, Entry, change_records, file_record_id, get_record
from .scan import Snapshot, scan, units
from .schema import deletion, operations, row_id

logger = logging.getLogger(__name__)
GROUP_ROWS = 50_000
"""Rows of small files that are committed together: what a killed worker has to write again."""
GROUP_FILES = 250
"""Their records go in one request: some 200 kB."""
_LOSSES = 5


@dataclass(slots=True)
class _Group:
    """Files on their way in together."""

    files: Sequence[CorpusFile]
    loads: Mapping[str, str]
    """The load of each file."""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    """Of the files that were read to their ends."""
    in_index: Mapping[str, int] = field(default_factory=dict[str, int])
    """The rows of each load that the server has."""
    failure: CaptrawlError | None = None
    """Why the file after those could not be read."""

    def operations(
        self, read: Callable[[CorpusFile], Iterable[pa.RecordBatch]], analyzer: int
    ) -> Iterator[bytes]:
        """What writes the files' rows; it ends where one can't be read."""
        try:
            for file in self.files:
                rows = 0
                for batch in read(file):
                    yield from operations(batch, self.loads[file.file], analyzer)
                    rows += batch.num_rows
                self.rows[file.file] = rows
        except CaptrawlError as error:
            self.failure = error


@dataclass(frozen=True, slots=True)
class Files:
    """Loads and removes corpus files of one index."""

    catalogue: Catalogue

    def add(self, file: CorpusFile, batches: Iterable[pa.RecordBatch]) -> int:
        """Put the rows in, all or nothing; a file that is in already is replaced. Returns the rows."""
        return self.add_group([file], lambda _: batches)

    def add_group(
        self, files: Sequence[CorpusFile], read: Callable[[CorpusFile], Iterable[pa.RecordBatch]]
    ) -> int:
        """:meth:`add` of several files in as few requests as one takes; returns their rows.

        An error leaves those in that were whole before it.
        """
        group = _Group(files, self._begin(files))
        try:
            bulk = Bulk(self.catalogue, {load: file for file, load in group.loads.items()})
            bulk.write(group.operations(read, self.catalogue.analyzer))
            if group.failure:
                raise group.failure
            entries = self._commit(group)
            self._check(group, entries)
        except ServerError:
            raise  # the server is in no state to clean up; the next load of these files does
        except Exception:
            self._give_up(group)
            raise
        self._clean(entries.values())
        return sum(group.rows.values())

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

    def _give_up(self, group: _Group) -> None:
        """Commit what is whole of a group, and delete the rest."""
        try:
            entries = self._commit(group)
            lost = {
                file: load
                for file, load in group.loads.items()
                if file not in entries or entries[file].load != load
            }
            entries |= self._change_all({file: partial(_doomed, load=load) for file, load in lost.items()})
            self.delete_rows([load for file, load in lost.items() if entries[file].load != load])
            self._clean(entries.values())
        except CaptionIndexError as error:
            files = ", ".join(group.loads)
            logger.warning(
                "rows of %.200s are left behind, unseen, until it is indexed again: %s", files, error
            )

    def clean(self, file: str) -> None:
        """Delete the rows of the file's doomed loads, and the record where nothing is left of the file."""
        self._clean([Entry.of(file, get_record(self.catalogue, file_record_id(file)))])

    def _clean(self, entries: Iterable[Entry]) -> None:
        doomed = {entry.file: entry.doomed for entry in entries if entry.doomed}
        self.delete_rows([load for loads in doomed.values() for load in loads])
        self._change_all({file: partial(_without, loads=loads) for file, loads in doomed.items()})

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
        self.delete_rows(sorted(loads.keys() - in_records))

    def delete_rows(self, loads: list[str]) -> None:
        """Delete every row of ``loads``, which nobody may see any more."""
        losses = 0
        if loads:
            self._refresh()
        while self._rows_of(loads):
            bulk = Bulk(self.catalogue)
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

    def _begin(self, files: Sequence[CorpusFile]) -> dict[str, str]:
        """The load under which to write each file: its killed one of the same content, or a new one."""
        readings = {file.file: _reading(file, self.catalogue.analyzer) for file in files}
        entries = self._change_all(
            {
                file: partial(_with_load, fresh=str(10**14 + secrets.randbelow(9 * 10**14)), reads=reads)
                for file, reads in readings.items()
            }
        )
        return {
            file: next(load for load, reads in entry.pending.items() if reads == readings[file])
            for file, entry in entries.items()
        }

    def _commit(self, group: _Group) -> dict[str, Entry]:
        """Let readers see the files of a group that are whole, and return what their records say then."""
        self._refresh()
        body, patience = rows_of_loads(list(group.loads.values())), self.catalogue.server.patience
        group.in_index = loads_of(self.catalogue.search(body, patience=patience))
        now = self.catalogue.server_time()
        changes: dict[str, Callable[[Entry], Entry]] = {}
        for file in group.files:
            load, rows = group.loads[file.file], group.rows.get(file.file)
            if rows is not None and rows == group.in_index.get(load, 0):
                new = Entry(
                    file.file,
                    load,
                    rows,
                    secrets.randbelow(2**31),
                    {**asdict(file.fingerprint), "added": now},
                )
                changes[file.file] = partial(_committed, new=new)
        return self._change_all(changes)

    def _check(self, group: _Group, entries: Mapping[str, Entry]) -> None:
        """Raise for the first file of a group that isn't in."""
        for file, load in group.loads.items():
            if file not in entries:
                raise CaptionIndexError(
                    f"{file}: {group.rows[file]} rows were written, but {self.catalogue.server.address} "
                    f"contains {group.in_index.get(load, 0)}; run the same command again"
                )
            if entries[file].load != load:
                raise IndexBusyError(f"{file} was replaced or removed by another process during this load")

    def _refresh(self) -> None:
        """Make everything written visible on every copy of every shard."""
        server, index = self.catalogue.server, self.catalogue.index
        server.ask(lambda es: es.indices.refresh(index=index).body, patience=server.patience)

    def _change(self, file: str, change: Callable[[Entry], Entry]) -> Entry:
        """Put the file's record through ``change`` and return it."""
        return self._change_all({file: change})[file]

    def _change_all(self, changes: Mapping[str, Callable[[Entry], Entry]]) -> dict[str, Entry]:
        """Put the records of files through their changes and return them."""
        files = {file_record_id(file): file for file in changes}
        documents = change_records(
            self.catalogue,
            {identity: partial(_document, file, changes[file]) for identity, file in files.items()},
        )
        return {file: Entry.of(file, documents[identity]) for identity, file in files.items()}


def _document(file: str, change: Callable[[Entry], Entry], document: Body | None) -> Body | None:
    return change(Entry.of(file, document)).document()


def groups(files: Iterable[CorpusFile]) -> Iterator[list[CorpusFile]]:
    """``files`` as they are committed: at most GROUP_ROWS rows and GROUP_FILES files, or a larger one."""
    return units(files, lambda file: max(file.estimated_rows, GROUP_ROWS // GROUP_FILES), GROUP_ROWS)


def _without_rows(
    catalogue: Catalogue, record: FileRecord, query: Body, rows: Set[int]
) -> Iterator[pa.RecordBatch]:
    for batch in scan(catalogue, {record.file: record}, [query]):
        numbers: list[Any] = batch.column("row").to_pylist()
        yield batch.filter(pa.array([number not in rows for number in numbers], pa.bool_()))


def _with_load(entry: Entry, *, fresh: str, reads: str) -> Entry:
    if reads in entry.pending.values():
        return entry
    return replace(entry, pending={**dict.fromkeys(entry.pending, DOOMED), fresh: reads})


def _committed(entry: Entry, *, new: Entry) -> Entry:
    """``new`` in place of what counts; no change where its load is in already, or doomed."""
    if entry.load == new.load or entry.pending.get(new.load, DOOMED) == DOOMED:
        return entry
    pending = {load: reads for load, reads in entry.pending.items() if load != new.load}
    return replace(new, pending=pending | ({entry.load: DOOMED} if entry.load else {}))


def _doomed(entry: Entry, *, load: str) -> Entry:
    return replace(entry, pending={**entry.pending, load: DOOMED}) if load in entry.pending else entry


def _without(entry: Entry, *, loads: Collection[str]) -> Entry:
    pending = {load: reads for load, reads in entry.pending.items() if load not in loads}
    return replace(entry, pending=pending)


def _reading(file: CorpusFile, analyzer: int) -> str:
    """What a load of ``file`` writes: the same digest, the same documents."""
    inputs = (analyzer, file.fingerprint, file.preset, sorted(file.columns.items()))
    if file.detect_language:
        inputs = (*inputs, "language")
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:32]
