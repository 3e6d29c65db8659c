"""Records: the few documents that say how an index stands, each changed by compare-and-set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from .catalogue import Catalogue
from .queries import Body

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


def file_record_id(file: str) -> str:
    """The `_id` of a corpus file's record; identities may be longer than an `_id`."""
    return f"file-{hashlib.sha256(file.encode()).hexdigest()}"


def get_record(catalogue: Catalogue, identity: str) -> Body | None:
    """The record as it is, written a moment ago or not; None where there is none."""
    server = catalogue.server
    return server.ask(lambda es: _get(es, catalogue.index, identity), patience=server.patience)[0]


def change_record(
    catalogue: Catalogue, identity: str, change: Callable[[Body | None], Body | None]
) -> Body | None:
    """Put a record through ``change`` (None: it isn't there, or is to go), and return what that gave.

    However many change it at a time, each change is made to what the one before left; so ``change`` may be
    called several times, also with what itself has written where an answer was lost. The new state is
    visible to searches on return.
    """

    def attempt(es: Elasticsearch) -> tuple[bool, Body | None]:
        from elasticsearch import ConflictError

        document, version = _get(es, catalogue.index, identity)
        new = change(document)
        if new == document:
            return True, new
        try:
            if new is not None:
                es.index(id=identity, document=new, refresh=True, **target, **version)
            else:
                version.pop("op_type", None)
                es.delete(index=catalogue.index, id=identity, refresh=True, **version)
        except ConflictError:
            return False, None
        return True, new

    target = catalogue.write_target()
    while True:
        written, document = catalogue.server.ask(attempt, patience=catalogue.server.patience)
        if written:
            return document


def _get(es: Elasticsearch, index: str, identity: str) -> tuple[Body | None, Any]:
    """The record, and what a write must find to replace it."""
    from elasticsearch import NotFoundError

    try:
        answer = es.get(index=index, id=identity).body
    except NotFoundError as error:
        if cast("Body", error.body).get("found") is not False:  # the index itself is gone
            raise
        return None, {"op_type": "create"}
    return answer["_source"], {"if_seq_no": answer["_seq_no"], "if_primary_term": answer["_primary_term"]}
