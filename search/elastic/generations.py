"""The indices behind an alias: the one that readers see, those before it, and the one that is being built.

They are called NAME-1, NAME-2, …. Each says in its own record what it is: `build` names the alias it is being
built for, `replaced` counts the swaps, so that the highest is the index that was replaced last.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import CaptionIndexError
from .catalogue import CONTROL_ID, WRITES, Catalogue
from .queries import Body
from .records import get_record
from .server import Server
from .session import change_control

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """An index NAME-N, and the detail of its own record: empty for an index that isn't captrawl's."""

    index: str
    number: int
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def replaced(self) -> int:
        """When it was replaced, as a count; 0: never."""
        return int(self.detail.get("replaced", 0))


def generations(server: Server) -> list[Generation]:
    """The indices NAME-N of the address's alias that are there, by number."""
    alias = server.address.name
    names = server.ask(lambda es: list(es.indices.get_alias(index=f"{alias}-*", expand_wildcards="all").body))
    numbers = sorted((number, name) for name in names if (number := number_of(alias, name)) is not None)
    return [Generation(name, number, _detail(server, name)) for number, name in numbers]


def number_of(alias: str, index: str) -> int | None:
    """Which generation of ``alias`` an index is by its name; None for none."""
    numbered = re.fullmatch(re.escape(alias) + r"-(\d+)", index)
    return int(numbered[1]) if numbered else None


def next_name(alias: str, current: str | None, there: list[Generation]) -> str:
    """The index to build: the one that was begun, else the one after all that readers have seen."""
    for generation in there:
        if generation.detail.get("build") == alias and generation.index != current:
            return generation.index
    numbers = [one.number for one in there if one.replaced] + [number_of(alias, current or "") or 0]
    return f"{alias}-{max(numbers) + 1}"


def swap_actions(server: Server, current: str, to: str) -> list[Body]:
    """The alias changes that put ``to`` in the place of ``current``, whose other aliases come along."""
    moved = _aliases(server, current)
    passed_on: list[Body] = [{"add": {**rules, "index": to, "alias": name}} for name, rules in moved.items()]
    if current == server.address.name:
        return [*passed_on, {"remove_index": {"index": current}}]
    if number_of(server.address.name, current) is None:  # it has a name of its own, and keeps its others
        return [{"remove": {"index": current, "alias": server.address.name}}]
    return [*passed_on, *({"remove": {"index": current, "alias": name}} for name in moved)]


def note_replaced(server: Server, index: str) -> None:
    """Note in ``index`` that it is replaced now."""
    latest = max((one.replaced for one in generations(server)), default=0)
    change_control(
        Catalogue(server, index), lambda detail: {**_without_marks(detail), "replaced": latest + 1}
    )


def note_current(server: Server, index: str) -> None:
    """Note in ``index`` that it is what readers see: neither a build any more, nor replaced."""
    change_control(Catalogue(server, index), _without_marks)


def prune(server: Server, current: str, keep: int) -> None:
    """Delete the replaced indices but the last ``keep``, and but those that an alias stands for."""
    replaced = [one for one in generations(server) if one.replaced and one.index != current]
    for one in sorted(replaced, key=lambda one: -one.replaced)[keep:]:
        if others := sorted(_aliases(server, one.index)):
            logger.warning("%s was replaced, and stays: %s stands for it", one.index, ", ".join(others))
            continue
        server.ask(lambda es, name=one.index: es.indices.delete(index=name, ignore_unavailable=True))


def last_replaced(server: Server, current: str) -> str:
    """The index that ``current`` replaced; CaptionIndexError where none is left."""
    replaced = [one for one in generations(server) if one.replaced and one.index != current]
    if not replaced:
        raise CaptionIndexError(
            f"{server.address} has no index before {current} to go back to; --swap keeps the last one, "
            "unless with --keep 0"
        )
    return max(replaced, key=lambda one: one.replaced).index


def _without_marks(detail: Body) -> Body:
    return {key: value for key, value in detail.items() if key not in ("build", "parts", "replaced")}


def _aliases(server: Server, index: str) -> dict[str, Body]:
    """The aliases of an index, but the one that its writes go to."""
    aliases = server.ask(lambda es: es.indices.get_alias(index=index).body)[index]["aliases"]
    return {name: rules for name, rules in aliases.items() if name != f"{index}{WRITES}"}


def _detail(server: Server, index: str) -> Mapping[str, Any]:
    record = get_record(Catalogue(server, index), CONTROL_ID)
    return (record.get("record") or {}).get("detail") or {} if record else {}
