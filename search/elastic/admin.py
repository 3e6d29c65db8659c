"""Indices of ours: found by name or alias, recognised, made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...core.analyzers import ANALYZERS
from ...core.errors import CaptionIndexError, ServerError
from ...core.wording import counted
from .address import DEFAULT_SHARDS, IndexOptions
from .catalogue import CONTROL_ID, Catalogue
from .queries import Body
from .schema import FORMATS, has_phrases, is_ours, mapping
from .server import Server
from .session import change_control

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

logger = logging.getLogger(__name__)

ROWS_A_SHARD = 50_000_000
"""About as many rows as a new index has shards for: seven gigabytes or so."""
CROWDED = 1_500_000_000
"""Rows of a shard that are worth a warning: it takes 2.1 billion documents, and can't be split meanwhile."""
MOST_SHARDS = 1024

_OWN_RULES = ("filter", "index_routing", "search_routing")
"""What an alias may have that makes it show less than its index."""


def existing(server: Server) -> str | None:
    """The index that the address names, itself or as an alias; None where there is none.

    Where we may ask it by the alias only, the alias. CaptionIndexError: an alias of several indices, or of a
    part of one; an index that isn't captrawl's, or of another format.
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
    if answer:
        _check_format(server, answer["mappings"])
    return index if index == server.address.name else _name_to_ask(server, index)


def make(server: Server, *, rows: int | None = None, **extra: str) -> str:
    """Make the index that the address names, and return its name; another process may just have done so.

    ``rows`` is how many it is for: where the address doesn't say how many shards, they do. ``extra`` goes
    into the index's own record.
    """
    from elasticsearch import BadRequestError

    def create(es: Elasticsearch) -> bool:
        try:
            es.indices.create(index=name, mappings=fields, settings=settings(options))
        except BadRequestError as error:
            if "resource_already_exists_exception" not in str(error.body):
                raise
            return False
        return True

    name, options = server.address.name, server.address.options
    fields = mapping(phrases=bool(options.phrases))
    meta = fields["_meta"]["captrawl"]
    options = replace(options, shards=options.shards or shards_for(rows))
    is_new = server.ask(create)
    answer = server.ask(lambda es: es.indices.get_mapping(index=name).body)
    if is_new and not is_ours(answer[name]["mappings"]):
        server.ask(lambda es: es.indices.delete(index=name))
        raise CaptionIndexError(
            f"an index template of the cluster changes what {server.address} would contain; give another "
            f"name, or leave {name} out of the template's index_patterns (GET _index_template shows them)"
        )
    change_control(Catalogue(server, name), lambda detail: {**detail, **meta, **extra})
    if is_new and rows is not None:
        shards = options.shards or DEFAULT_SHARDS
        if not server.address.options.shards:
            logger.log(
                logging.WARNING if shards > 1 else logging.INFO,
                "%s is made for %s with %s; ?shards=N behind the address says otherwise",
                server.address, counted(rows, "row"), counted(shards, "shard"),
            )  # fmt: skip
        warn_crowded(server, rows, shards)
    return name


def shards_for(rows: int | None) -> int:
    """How many shards an index of so many rows has by default; None: nobody knows how many."""
    if rows is None:
        return DEFAULT_SHARDS
    return min(max(-(-rows // ROWS_A_SHARD), 1), MOST_SHARDS)


def warn_crowded(server: Server, rows: int, shards: int) -> None:
    """Say so where ``rows`` rows are more than ``shards`` shards should hold."""
    if rows > CROWDED * shards:
        logger.warning(
            "%s would have %s rows per shard, which takes at most 2.1 billion: build an index of %d "
            "shards (?shards=%d, with --swap where this one is in use)",
            server.address, f"{rows // shards:,}", shards_for(rows), shards_for(rows),
        )  # fmt: skip


def settings(options: IndexOptions) -> Body:
    """The settings of a new index. Pipelines that a template asks for would change its documents."""
    index: Body = {"number_of_shards": options.shards or DEFAULT_SHARDS, "codec": options.codec or "default"}
    index |= {"default_pipeline": "_none", "final_pipeline": "_none"}
    if options.replicas in (None, "auto"):
        return {**index, "auto_expand_replicas": "0-1"}
    return {**index, "number_of_replicas": options.replicas}


def options_of(server: Server, index: str, restore: Mapping[str, Any]) -> IndexOptions:
    """How ``index`` (or an alias of it) is made; ``restore``: settings that a load has changed meanwhile."""
    [made_with] = server.ask(lambda es: es.indices.get_settings(index=index).body).values()
    answer = made_with["settings"]["index"]
    copies = restore or answer
    expand = copies.get("auto_expand_replicas") or "false"
    replicas = "auto" if expand != "false" else int(copies.get("number_of_replicas") or 0)
    [mapped] = server.ask(lambda es: es.indices.get_mapping(index=index).body).values()
    codec, phrases = answer.get("codec", "default"), has_phrases(mapped["mappings"]) or None
    return IndexOptions(int(answer["number_of_shards"]), replicas, codec, phrases)


def _check_format(server: Server, answer: Mapping[str, Any]) -> None:
    if is_ours(answer):
        return
    meta: Any = (answer.get("_meta") or {}).get("captrawl")
    if meta and (meta.get("format") not in FORMATS or meta.get("analyzer") not in ANALYZERS):
        raise CaptionIndexError(
            f"{server.address} is of captrawl's index format {meta}; this captrawl opens formats "
            f"{', '.join(map(str, FORMATS))} of analyzers {', '.join(map(str, ANALYZERS))}; build a new "
            "index, or use the captrawl that made it"
        )
    what = "its mapping was changed" if meta else "its mapping is another"
    raise CaptionIndexError(f"{server.address} wasn't made by captrawl ({what}); name another")


def _name_to_ask(server: Server, index: str) -> str:
    """By what name to ask ``index``, of which the address is an alias."""
    from elasticsearch import AuthorizationException

    alias = server.address.name
    try:
        answer = server.ask(lambda es: es.indices.get_alias(name=alias).body)
    except ServerError as error:
        if not isinstance(error.__cause__, AuthorizationException):
            raise
        # What it shows can't be asked; it shows everything where it shows the index's own record.
        hits = server.ask(lambda es: es.count(index=alias, query={"ids": {"values": [CONTROL_ID]}}).body)
        if not hits["count"]:
            raise _shows_a_part(server, index) from error
        return alias
    if any(rule in answer[index]["aliases"][alias] for rule in _OWN_RULES):
        raise _shows_a_part(server, index)
    try:
        server.ask(lambda es: es.options(ignore_status=404).get(index=index, id=CONTROL_ID))
    except ServerError as error:
        if not isinstance(error.__cause__, AuthorizationException):
            raise
        return alias
    return index


def _shows_a_part(server: Server, index: str) -> CaptionIndexError:
    return CaptionIndexError(
        f"{server.address} is an alias with a filter or routing, which shows a part of {index}; "
        "captrawl asks whole indices: name the index, or an alias without rules"
    )


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
