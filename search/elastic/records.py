"""Records: the few documents that say how an index stands, each changed by compare-and-set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from .catalogue import Catalogue
from .errors import error_of
from .queries import Body

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

DOOMED = ""
Change = Callable[[Body | None], Body | None]
"""What a record is to become (None: it isn't there, or is to go); called again with what another has left."""


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

    @property
    def doomed(self) -> list[str]:
        """The loads whose rows are to be deleted."""
        return [load for load, reads in self.pending.items() if reads == DOOMED]

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


def file_record_id(file: str) -> str:
    """The `_id` of a corpus file's record; identities may be longer than an `_id`."""
    return f"file-{hashlib.sha256(file.encode()).hexdigest()}"


def get_record(catalogue: Catalogue, identity: str) -> Body | None:
    """The record as it is, written a moment ago or not; None where there is none."""
    server = catalogue.server
    return server.ask(lambda es: _get(es, catalogue.index, identity), patience=server.patience)[0]


def change_record(catalogue: Catalogue, identity: str, change: Change) -> Body | None:
    """:func:`change_records` of one."""
    return change_records(catalogue, {identity: change})[identity]


def change_records(catalogue: Catalogue, changes: Mapping[str, Change]) -> dict[str, Body | None]:
    """Put records through their changes, each for itself but in one request, and return what that gave.

    However many change one at a time, each change is made to what the one before left; so it may be called
    several times, also with what itself has written where an answer was lost. The new states are visible to
    searches on return. An error leaves some changed and some not.
    """
    target = catalogue.write_target()
    done: dict[str, Body | None] = {}

    def attempt(es: Elasticsearch) -> None:
        new: dict[str, Body | None] = {}
        operations: list[Body] = []
        for identity, (document, version) in _states(es, catalogue.index, changes.keys() - done).items():
            changed = changes[identity](document)
            if changed == document:
                done[identity] = changed
                continue
            new[identity] = changed
            kind = "index" if version else "create"
            operations.append({kind if changed else "delete": {"_id": identity, **version}})
            operations += [changed] if changed else []
        if not new:
            return
        items = es.bulk(operations=operations, refresh=True, **target).body["items"]
        results: list[Body] = [next(iter(item.values())) for item in items]
        done.update((one["_id"], new[one["_id"]]) for one in results if "error" not in one)
        for result in results:
            if "error" in result and result["status"] != 409:  # else another was faster
                raise error_of(result)

    while len(done) < len(changes):
        catalogue.server.ask(attempt, patience=catalogue.server.patience)
    return done


def _states(es: Elasticsearch, index: str, identities: Iterable[str]) -> dict[str, tuple[Body | None, Body]]:
    """Records, and what a write must find to replace each: nothing where there is none."""
    answers: list[Body] = es.mget(index=index, ids=list(identities)).body["docs"]
    return {
        one["_id"]: _get(es, index, one["_id"])
        if "error" in one
        else _state(one)  # alone, it says its status
        for one in answers
    }


def _get(es: Elasticsearch, index: str, identity: str) -> tuple[Body | None, Body]:
    from elasticsearch import NotFoundError

    try:
        return _state(es.get(index=index, id=identity).body)
    except NotFoundError as error:
        if cast("Body", error.body).get("found") is not False:  # the index itself is gone
            raise
        return None, {}


def _state(answer: Body) -> tuple[Body | None, Body]:
    if not answer["found"]:
        return None, {}
    return answer["_source"], {name: answer[f"_{name.removeprefix('if_')}"] for name in _VERSION}


_VERSION = ("if_seq_no", "if_primary_term")
