"""Which rows of an Elasticsearch index count: the file records, and reading under them.

A corpus file is in when its record names the load (one attempt to write its rows) that is whole. Rows of
other loads may lie in the index, of a load under way, of one that was killed, or of a replaced version; no
reader may see them:

- Where the index holds just the rows that its records account for, nothing needs to be filtered.
- Else every query is limited to the committed loads.

Either way the records are read again after the answer; if they have changed in between, the question is
asked again. So an answer is that of one moment, however many load and replace meanwhile.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar, cast

from ...core.analyzers import check_analyzer
from ...core.errors import CaptionIndexError, IndexBusyError, ServerError
from ...core.records import Fingerprint, InventoryFile
from .errors import error_of
from .queries import MOST_TERMS, SCORE_ORDER, Body, Visible, in_loads, of_kind
from .server import Server

T = TypeVar("T")
CONTROL_ID = "captrawl"
"""The `_id` of the index's own record."""
WRITES = ".writes"
"""The end of the hidden alias that writes go to."""
_PAGE = 5000
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class View:
    """What the records account for, and what else is there."""

    files: int
    """File records, of whatever state."""
    rows: int
    """Rows of the committed loads."""
    marks: int
    """The sum of a random number a commit: another value, other commits."""
    pending: int
    """Files with a load that isn't committed (under way, killed, or waiting to be cleaned up)."""
    strays: int
    """Rows in the index less those of the committed loads."""
    index: str = ""
    """The index itself, where an alias was asked."""

    @property
    def clean(self) -> bool:
        """Whether every row in the index counts."""
        return self.pending == 0 and self.strays == 0


@dataclass(frozen=True, slots=True)
class FileRecord(InventoryFile):
    """A committed corpus file, and the load that wrote its rows."""

    load: str


class Catalogue:
    """The file records of one index."""

    def __init__(self, server: Server, index: str) -> None:
        self.server = server
        self.index = index
        self.preference = f"captrawl-{uuid.uuid4().hex}"
        """The same copy of each shard answers all of our requests, as long as it lives."""
        self._write_target: dict[str, Any] = {}
        self._index_known = ""
        self._no_prefixes = False
        """Whether the cluster refuses queries for the start of a text."""

    def write_target(self) -> dict[str, Any]:
        """Where writes go: a hidden alias of the index, so that none of them makes a deleted index anew.

        A server makes an index for a write to a name that isn't there, with a mapping it guesses; of an alias
        it can be told not to. Who may not make the alias writes to the index itself.
        """
        from elasticsearch import AuthorizationException

        if not self._write_target:
            alias = f"{self.index}{WRITES}"
            try:
                actions = [{"add": {"index": self.index, "alias": alias, "is_hidden": True}}]
                self.server.ask(
                    lambda es: es.indices.update_aliases(actions=actions), patience=self.server.patience
                )
                self._write_target = {"index": alias, "require_alias": True}
            except ServerError as error:
                if not isinstance(error.__cause__, AuthorizationException):
                    raise
                self._write_target = {"index": self.index}
        return self._write_target

    def server_time(self) -> float:
        """The server's clock, in seconds since 1970."""
        date: Body = {
            "field": "no.such.field",
            "missing": 0,
            "format": "epoch_millis",
            "ranges": [{"from": "now"}],
        }
        answer = self.search({"size": 0, "query": {"match_none": {}}, "aggs": {"now": {"date_range": date}}})
        return answer["aggregations"]["now"]["buckets"][0]["from"] / 1000

    @property
    def analyzer(self) -> int:
        """The number of the analyzer that the index was made with."""
        return check_analyzer(self._meta["analyzer"], str(self.server.address))

    @property
    def index_format(self) -> int:
        """The number of the index's format (schema.FORMATS)."""
        return self._meta["format"]

    @cached_property
    def _meta(self) -> Mapping[str, int]:
        record = self.server.ask(
            lambda es: es.options(ignore_status=404).get(index=self.index, id=CONTROL_ID).body
        )
        meta: Mapping[str, Any] = record["_source"]["record"]["detail"] if "_source" in record else {}
        if "analyzer" not in meta:  # whoever makes the index is about to note it
            mappings = self.server.ask(lambda es: es.indices.get_mapping(index=self.index).body)
            [answer] = mappings.values()  # by the index's own name, where this is an alias
            meta = answer["mappings"]["_meta"]["captrawl"]
        return meta

    def view(self) -> View:
        """How the index stands now. One small request."""
        header: Body = {"preference": self.preference, "allow_partial_search_results": False}
        header["request_cache"] = False
        sums = {name: {"sum": {"field": f"record.{name}"}} for name in ("rows", "mark")}
        pending = {"pending": {"filter": {"exists": {"field": "record.pending"}}}}
        records = {"size": 0, "query": of_kind("file"), "track_total_hits": True, "aggs": {**sums, **pending}}
        kinds: Body = {
            "kinds": {"filter": {"exists": {"field": "kind"}}},
            "index": {"terms": {"field": "_index"}},
        }
        everything = {"size": 0, "track_total_hits": True, "aggs": kinds}
        searches = [header, records, header, everything]
        of_files, of_all = self.server.ask(
            lambda es: checked(es.msearch(index=self.index, searches=searches).body)
        )
        values = of_files["aggregations"]
        rows = int(values["rows"]["value"])
        in_index = of_all["hits"]["total"]["value"] - of_all["aggregations"]["kinds"]["doc_count"]
        return View(
            files=of_files["hits"]["total"]["value"],
            rows=rows,
            marks=int(values["mark"]["value"]),
            pending=values["pending"]["doc_count"],
            strays=in_index - rows,
            index="".join(bucket["key"] for bucket in of_all["aggregations"]["index"]["buckets"]),
        )

    def committed(self) -> dict[str, FileRecord]:
        """The committed files by identity, bytewise."""
        records = (_record(document["record"]) for document in self.documents(of_kind("file")))
        return {record.file: record for record in records if record.load}

    def read(
        self, question: Callable[[Visible], T], *, beside: Callable[[frozenset[str]], T] | None = None
    ) -> T:
        """The answer of ``question`` under the filter it is given, over exactly the committed rows.

        Where other rows lie in the index, ``beside`` is asked instead, with the committed loads.
        Raises IndexBusyError where the records keep changing, CaptionIndexError where rows are lost.
        """
        for attempt in range(_ATTEMPTS):
            before = self.look()
            if before.clean:
                answer = question(())
                if self.view() == before:
                    return answer
            else:
                loads = self.committed_loads(before)
                answer = beside(loads) if beside else question([in_loads(sorted(loads))])
                if loads <= self.committed_loads():
                    return answer
            time.sleep(0.05 * 2**attempt)
        raise IndexBusyError(f"{self.server.address} keeps changing under the question; ask again")

    def look(self) -> View:
        """How the index stands now; what was read of the one before is forgotten once an alias has moved."""
        view = self.view()
        if view.index != self._index_known:
            self.__dict__.pop("_meta", None)
            self._index_known = view.index
        return view

    def committed_loads(self, view: View | None = None) -> frozenset[str]:
        """The loads whose rows count; ``view`` is how the index stood, to notice lost rows."""
        records = self.committed()
        if view is not None and view.strays < 0 and view.pending == 0 and self.view() == view:
            raise CaptionIndexError(
                f"{self.server.address} contains {view.rows + view.strays} rows where its files account for "
                f"{view.rows}: rows are lost; build it anew with captrawl index captions FILES --to … --swap"
            )
        return frozenset(record.load for record in records.values())

    def documents(self, query: Body) -> Iterator[Mapping[str, Any]]:
        """The file records that match, by file, bytewise."""
        after: list[str] | None = None
        while True:
            paging: Body = {"search_after": after} if after else {}
            body: Body = {"size": _PAGE, "query": query, "sort": [{"record.file": "asc"}], **paging}
            hits = self.search(body)["hits"]["hits"]
            yield from [hit["_source"] for hit in hits]
            if len(hits) < _PAGE:
                return
            after = hits[-1]["sort"]

    def search(self, body: Body, *, patience: float | None = None) -> Mapping[str, Any]:
        """The answer to a search on the index; an error, never an answer that leaves shards out.

        Scores weigh tokens by their frequencies in all shards, not in each shard alone.
        """
        ways: Body = {"preference": self.preference, "allow_partial_search_results": False}
        if body.get("size") == 0:
            ways["request_cache"] = False
        if body.get("sort") == SCORE_ORDER:
            ways["search_type"] = "dfs_query_then_fetch"
        return self.ask_search({"index": self.index, "body": body, **ways}, patience=patience)

    def ask_search(self, request: Body, *, patience: float | None = None) -> Mapping[str, Any]:
        """What the server answers to a search, put otherwise where it allows no expensive queries."""
        if self._no_prefixes:
            request = {**request, "body": self._without_prefixes(request["body"])}
        try:
            return self.server.ask(lambda es: es.search(**request).body, patience=patience)
        except ServerError as error:
            if self._no_prefixes or "allow_expensive_queries" not in str(error):
                raise
            self._no_prefixes = True
            return self.ask_search(request, patience=patience)

    def _without_prefixes(self, query: Any) -> Any:
        """``query`` with the texts that start so in place of every start."""
        if isinstance(query, list):
            return [self._without_prefixes(part) for part in cast("list[Any]", query)]
        if not isinstance(query, dict):
            return query
        body = cast("Body", query)
        if "prefix" not in body:
            return {name: self._without_prefixes(part) for name, part in body.items()}
        ((field, start),) = body["prefix"].items()
        values: Body = {"size": 0, "aggs": {"values": {"terms": {"field": field, "size": MOST_TERMS}}}}
        buckets = self.search(values)["aggregations"]["values"]["buckets"]
        matches = [bucket["key"] for bucket in buckets if bucket["key"].startswith(start["value"])]
        return {"terms": {field: matches}}


def checked(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The responses of an msearch; the error of one of them as if it had been asked alone."""
    for response in answer["responses"]:
        if "error" in response:
            raise error_of(response)
    return list(answer["responses"])


def _record(source: Mapping[str, Any]) -> FileRecord:
    detail = source["detail"]
    committed = detail["committed"]
    fingerprint = Fingerprint(committed.get("rows", 0), committed.get("size", 0), committed.get("digest", ""))
    added = datetime.fromtimestamp(committed["added"], UTC) if "added" in committed else None
    return FileRecord(source["file"], source.get("rows", 0), fingerprint, added, source.get("load", ""))
