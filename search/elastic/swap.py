"""A new index built behind an alias: readers see the old one until the new one is whole.

`laion` is an alias of `laion-3`, say. The next build fills `laion-4`; when it is done (all parts of it, where
several machines build), one request of the cluster moves the alias. `laion-3` stays until the swap after, to
go back to. A killed build is taken up again by running it again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...core.errors import CaptionIndexError, IndexBusyError, ServerError
from ..inventory import corpus_totals
from .address import IndexOptions, parse_address
from .admin import existing, make, options_of
from .catalogue import CONTROL_ID, Catalogue
from .generations import (
    generations,
    last_replaced,
    next_name,
    note_current,
    note_replaced,
    number_of,
    prune,
    swap_actions,
)
from .queries import Body
from .records import get_record
from .server import Server, connect
from .session import change_control, living, loaders, settle

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

logger = logging.getLogger(__name__)

_CLONING = 600
"""Seconds that a copy of an index may take; it links files where the file system allows."""


@dataclass(slots=True)
class Rebuild:
    """A build under way. ``location`` is where to put the files, ``swapped`` whether readers see it now."""

    location: str
    swapped: bool = False
    missing: tuple[int, ...] = ()
    """Parts that aren't done yet."""
    replaced: str = ""
    """The index that readers saw before, where it is there still."""


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """How an index is put in another's place. ``part`` (i, n): when the last of the n parts is done."""

    part: tuple[int, int] | None = None
    drop_others: bool = False
    """Whether corpus files that stand in the index of now, and not in the build, may go."""
    keep: int = 1
    """How many replaced indices stay, to go back to."""
    rows: int | None = None
    """How many the new index is for; None: nobody knows."""


@contextlib.contextmanager
def rebuilding(
    location: str, options: SwapOptions = SwapOptions(), *, files: Collection[str] | None = None
) -> Generator[Rebuild]:
    """Give the index to build for ``location``; when the block ends well, readers get it instead of the old.

    ``files`` are the identities that are to be in it: what would go is an error before anything is built. A
    block that fails leaves readers with the old index, and the build to be taken up.
    """
    address = parse_address(location)
    with contextlib.closing(connect(address)) as cluster:
        server = cluster.patient()
        current = existing(server)
        if current is not None and files is not None:
            _check_others(server, current, files, options)
        build = address.with_name(next_name(address.name, current, generations(server)))
        if current is not None:
            build = replace(build, options=_inherited(server, current, address.options))
        target = replace(server, address=build)
        _begin(target, address.name, options)
        rebuild = Rebuild(build.location)
        yield rebuild
        rebuild.missing = _note_part(target, options.part)
        if not rebuild.missing:
            rebuild.replaced = _swap(server, current, target, options)
            rebuild.swapped = True


def go_back(location: str) -> tuple[str, str]:
    """Put the index that was replaced last in the place of the one that readers see: (new, old) index."""
    with contextlib.closing(connect(parse_address(location))) as server:
        current = existing(server)
        if current is None or number_of(server.address.name, current) is None:
            raise CaptionIndexError(f"{server.address} was never swapped: there is no index before it")
        before = last_replaced(server, current)
        _check_idle(server, current)
        note_replaced(server, current)
        _move_alias(server, current, before)
        note_current(server, before)
        return before, current


def _check_others(server: Server, current: str, files: Collection[str], options: SwapOptions) -> None:
    """CaptionIndexError where corpus files stand in ``current`` and not among ``files``, which may not go."""
    names = frozenset(files)
    others = [file for file in Catalogue(server, current).committed().values() if file.file not in names]
    if others and not options.drop_others:
        corpora = ", ".join(map(str, corpus_totals(others)[:10]))
        raise CaptionIndexError(
            f"{server.address} contains what the new index would not: {corpora}; give these files too, "
            "or --drop-others if they are to go"
        )


def _inherited(server: Server, current: str, options: IndexOptions) -> IndexOptions:
    """``options``, where they say nothing as ``current`` is made."""
    record = get_record(Catalogue(server, current), CONTROL_ID)
    before = options_of(server, current, record["record"]["detail"].get("restore") or {} if record else {})
    return IndexOptions(
        options.shards or before.shards,
        before.replicas if options.replicas is None else options.replicas,
        options.codec or before.codec,
        before.phrases if options.phrases is None else options.phrases,
    )


def _begin(target: Server, alias: str, options: SwapOptions) -> None:
    """Make the build's index, or take up what was begun; this part isn't done (any more).

    CaptionIndexError: an index that isn't a build of ``alias`` stands in its place. IndexBusyError: another
    process is at the whole build.
    """
    part = options.part
    if existing(target) is None:
        make(target, rows=options.rows, build=alias)
    elif part is None:
        logger.warning("taking up the build of %s that is there already", target.address)
    catalogue = Catalogue(target, target.address.name)
    now = catalogue.server_time()

    def with_build(detail: Body) -> Body:
        # no format yet: another process is just making it
        if detail.get("format") and detail.get("build") != alias:
            raise CaptionIndexError(
                f"{target.address}, where the new {alias} would be built, is an index in its own right; "
                "give another name, or delete it if nobody needs it"
            )
        if part is None and living(detail, now):
            raise IndexBusyError(f"another process is building {target.address}; let it end, then run again")
        parts_before: Any = detail.get("parts") or {}
        parts = {
            **parts_before,
            "done": [n for n in parts_before.get("done", ()) if (n, parts_before["of"]) != part],
        }
        return {**detail, "build": alias, "parts": parts}

    change_control(catalogue, with_build)


def _note_part(target: Server, part: tuple[int, int] | None) -> tuple[int, ...]:
    """Note in the build that a part is done; the parts that aren't."""
    if part is None:
        return ()
    share, shares = part

    def with_part(detail: Body) -> Body:
        parts_before: Any = detail.get("parts") or {}
        parts_done = set(parts_before.get("done", ())) if parts_before.get("of") == shares else set[int]()
        return {**detail, "parts": {"of": shares, "done": sorted({*parts_done, share})}}

    parts = change_control(Catalogue(target, target.address.name), with_part)["parts"]
    return tuple(number for number in range(1, shares + 1) if number not in parts["done"])


def _swap(server: Server, current: str | None, target: Server, options: SwapOptions) -> str:
    """Move the alias to the build, in one step for every reader; the index that stays behind, if any."""
    build, alias = target.address.name, server.address.name
    if existing(server) not in (current, build):
        raise CaptionIndexError(f"{server.address} was swapped by another process meanwhile; run again")
    settle(Catalogue(target, build), wait=True)
    _check_idle(target, build)
    if current is not None and current != build:
        _check_others(server, current, Catalogue(target, build).committed(), options)
        _check_idle(server, current)
        if number_of(alias, current) is None and current != alias:
            logger.warning("%s, which was %s until now, stays: it has a name of its own", current, alias)
        else:
            note_replaced(server, current)
    behind = _set_aside(server, alias) if current == alias and options.keep else current
    _move_alias(server, current, build)
    note_current(server, build)
    prune(server, build, options.keep)
    return behind if behind and server.ask(lambda es: bool(es.indices.exists(index=behind))) else ""


def _check_idle(server: Server, index: str) -> None:
    if loaders(Catalogue(server, index)):
        raise IndexBusyError(
            f"another process is loading {index}; let it end, then run the same command again: "
            "only the swap is left to do"
        )


def _set_aside(server: Server, index: str) -> str:
    """A copy NAME-0 of an index whose own name becomes an alias; the server links its files, if it can."""
    copy = f"{index}-0"
    if any(one.index == copy and not one.replaced for one in generations(server)):
        raise CaptionIndexError(
            f"{copy}, where {index} would stay, is an index in its own right; give --keep 0, or another name"
        )

    def cloned(es: Elasticsearch) -> None:
        es.indices.delete(index=copy, ignore_unavailable=True)  # of a swap that was killed here
        answer = es.options(request_timeout=_CLONING + 60).indices.clone(
            index=index, target=copy, settings={"index.blocks.write": None}, timeout=f"{_CLONING}s"
        )
        if not answer["shards_acknowledged"]:
            raise ServerError(f"{server.address} didn't copy {index} to {copy} within {_CLONING} s")

    def block(value: bool | None) -> None:
        body = {"index.blocks.write": value}
        server.ask(lambda es: es.indices.put_settings(index=index, settings=body), patience=server.patience)

    block(True)
    try:
        server.ask(cloned, patience=server.patience)
    except BaseException:
        block(None)
        raise
    return copy


def _move_alias(server: Server, current: str | None, to: str) -> None:
    """Let the alias stand for ``to``; an index that bears the alias's own name goes."""
    alias = server.address.name
    actions: list[Body] = [{"add": {"index": to, "alias": alias}}]
    if current is not None and current != to:
        actions += swap_actions(server, current, to)
    try:
        server.ask(lambda es: es.indices.update_aliases(actions=actions), patience=server.patience)
    except CaptionIndexError:
        if existing(server) != to:  # else only the answer to the first try was lost
            raise
