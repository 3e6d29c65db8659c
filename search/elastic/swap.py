"""A new index built behind an alias: readers see the old one until the new one is whole.

`laion` is an alias of `laion-3`, say. The next build fills `laion-4`; when it is done (all parts of it, where
several machines build), one request of the cluster moves the alias and deletes the old index. A killed build
is taken up again by running it again: its name follows from what the alias names.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import CaptionIndexError, IndexBusyError
from .address import Address, parse_address
from .admin import existing, make
from .catalogue import Catalogue
from .queries import Body
from .server import Server, connect
from .session import change_control, living, loaders

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Rebuild:
    """A build under way. ``location`` is where to put the files, ``swapped`` whether readers see it now."""

    location: str
    swapped: bool = False
    missing: tuple[int, ...] = ()
    """Parts that aren't done yet."""


@contextlib.contextmanager
def rebuilding(location: str, *, part: tuple[int, int] | None = None) -> Generator[Rebuild]:
    """Give the index to build for ``location``; when the block ends well, readers get it instead of the old.

    With ``part`` (i, n) the swap comes when the last of the n parts is done. A block that fails leaves
    readers with the old index, and the build to be taken up.
    """
    address = parse_address(location)
    with contextlib.closing(connect(address)) as cluster:
        server = cluster.patient()
        current = existing(server)
        build = address.with_name(next_name(address.name, current))
        target = replace(server, address=build)
        _begin(target, address.name, part)
        rebuild = Rebuild(build.location)
        yield rebuild
        rebuild.missing = _note_part(target, part)
        if not rebuild.missing:
            _swap(server, current, build)
            rebuild.swapped = True
            change_control(Catalogue(target, build.name), _without_build)


def next_name(name: str, current: str | None) -> str:
    """The index to build after ``current``, the one that ``name`` stands for now."""
    return f"{name}-{_number(name, current or '') + 1}"


def _number(name: str, index: str) -> int:
    """Which build of ``name`` an index is by its name; 0 for none."""
    numbered = re.fullmatch(re.escape(name) + r"-(\d+)", index)
    return int(numbered[1]) if numbered else 0


def _begin(target: Server, alias: str, part: tuple[int, int] | None) -> None:
    """Make the build's index, or take up what was begun; this part isn't done (any more).

    CaptionIndexError: an index that isn't a build of ``alias`` stands in its place. IndexBusyError: another
    process is at the whole build.
    """
    if existing(target) is None:
        make(target, build=alias)
    elif part is None:
        logger.warning("taking up the build of %s that is there already", target.address)

    def with_build(detail: Body) -> Body:
        # no format yet: another process is just making it
        if detail.get("format") and detail.get("build") != alias:
            raise CaptionIndexError(
                f"{target.address}, where the new {alias} would be built, is an index in its own right; "
                "give another name, or delete it if nobody needs it"
            )
        if part is None and living(detail):
            raise IndexBusyError(f"another process is building {target.address}; let it end, then run again")
        parts_before: Any = detail.get("parts") or {}
        parts = {
            **parts_before,
            "done": [n for n in parts_before.get("done", ()) if (n, parts_before["of"]) != part],
        }
        return {**detail, "build": alias, "parts": parts}

    change_control(Catalogue(target, target.address.name), with_build)


def _without_build(detail: Body) -> Body:
    return {name: value for name, value in detail.items() if name not in ("build", "parts")}


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


def _swap(server: Server, current: str | None, build: Address) -> None:
    """Move the alias and delete the old index, in one step for every reader."""
    if existing(server) not in (current, build.name):
        raise CaptionIndexError(f"{server.address} was swapped by another process meanwhile; run again")
    if current is not None and loaders(Catalogue(server, current)):
        raise IndexBusyError(
            f"another process is loading {current}, which would be deleted with what it adds; let it end, "
            "then run the same command again: only the swap is left to do"
        )
    actions: list[Body] = [{"add": {"index": build.name, "alias": server.address.name}}]
    if current is not None:
        actions += _out_of_the_way(server, current, build)
    try:
        server.ask(lambda es: es.indices.update_aliases(actions=actions), patience=server.patience)
    except CaptionIndexError:
        if existing(server) != build.name:  # else only the answer to the first try was lost
            raise


def _out_of_the_way(server: Server, current: str, build: Address) -> list[Body]:
    """What becomes of the index before: deleted, its other aliases passed on to ``build``.

    One that isn't called as builds of this alias are was made under its own name, and stays.
    """
    alias = server.address.name
    if current != alias and not _number(alias, current):
        logger.warning("%s, which %s stood for until now, stays: it has a name of its own", current, alias)
        return [{"remove": {"index": current, "alias": alias}}]
    aliases = server.ask(lambda es: es.indices.get_alias(index=current).body)[current]["aliases"]
    others = {name: how for name, how in aliases.items() if name != alias}
    passed_on = [{"add": {**how, "index": build.name, "alias": name}} for name, how in others.items()]
    return [*passed_on, {"remove_index": {"index": current}}]
