"""Indices of ours: found by name or alias, recognised, made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.errors import CaptionIndexError
from .address import IndexOptions
from .catalogue import Catalogue
from .queries import Body
from .records import CONTROL_ID
from .schema import is_ours, mapping
from .server import Server
from .session import change_control

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


def existing(server: Server) -> str | None:
    """The index that the address names, itself or as an alias; None where there is none.

    CaptionIndexError: an alias of several indices, an index that isn't captrawl's or of another format.
    """
    mappings = server.ask(lambda es: _mappings(es, server.address.name))
    if mappings is None:
        return None
    if len(mappings) > 1:
        names = ", ".join(sorted(mappings))
        raise CaptionIndexError(
            f"{server.address} is an alias of {len(mappings)} indices ({names}); name one of them"
        )
    ((index, answer),) = mappings.items()
    if answer and not is_ours(answer["mappings"]):
        meta: Any = (answer["mappings"].get("_meta") or {}).get("captrawl")
        if meta:
            raise CaptionIndexError(
                f"{server.address} holds captrawl's index format {meta}, this captrawl's is "
                f"{mapping()['_meta']['captrawl']}; build a new index, or use the captrawl that made it"
            )
        raise CaptionIndexError(
            f"{server.address} wasn't made by captrawl (its mapping is another); name another"
        )
    return index


def make(server: Server, **extra: str) -> str:
    """Make the index that the address names, and return its name; another process may just have done so.

    ``extra`` goes into the index's own record.
    """
    from elasticsearch import BadRequestError

    def create(es: Elasticsearch) -> None:
        try:
            es.indices.create(
                index=server.address.name, mappings=mapping(), settings=settings(server.address.options)
            )
        except BadRequestError as error:
            if "resource_already_exists_exception" not in str(error.body):
                raise

    name, meta = server.address.name, mapping()["_meta"]["captrawl"]
    server.ask(create)
    change_control(Catalogue(server, name), lambda detail: {**detail, **meta, **extra})
    return name


def settings(options: IndexOptions) -> Body:
    """The settings of a new index."""
    index: Body = {"number_of_shards": options.shards, "codec": options.codec}
    if options.replicas == "auto":
        return {**index, "auto_expand_replicas": "0-1"}
    return {**index, "number_of_replicas": options.replicas}


def _mappings(es: Elasticsearch, name: str) -> Mapping[str, Any] | None:
    """Index → mapping, of all that ``name`` stands for; the mapping is empty where we may not see it."""
    from elasticsearch import AuthorizationException, NotFoundError

    try:
        return es.indices.get_mapping(index=name).body
    except NotFoundError:
        return None
    except AuthorizationException:
        # The right to read alone: the index's own record tells.
        try:
            record = es.get(index=name, id=CONTROL_ID).body
        except NotFoundError as error:
            if dict(error.body).get("found") is False:
                raise CaptionIndexError(f"index {name} wasn't made by captrawl; name another") from error
            return None
        return {record["_index"]: {}}
