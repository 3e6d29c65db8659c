"""What several commands show of their results: rows, safety and stages as JSON values."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ..core.wording import counts_text

if TYPE_CHECKING:
    from ..classes.model import ClassList
    from ..search.match import SafetyCount
    from ..search.query import Filters
    from ..workspace.workspace import StageStatus


class SafetyJson(TypedDict):
    """What safety did to the matching rows."""

    left_out: int
    unknown: int


class RowJson(TypedDict):
    """A row of the corpus that matches; 64-bit numbers are text, ``source`` is FILE:ROW."""

    synonym: str
    uid: str
    url: str | None
    caption: str | None
    width: int | None
    height: int | None
    similarity: float | None
    nsfw: str | None
    punsafe: float | None
    licence: str | None
    language: str | None
    priority: str
    file: str
    row: int
    source: str


class StageJson(TypedDict):
    """How a stage stands: ``missing``, ``partial``, ``done`` or ``stale``, and why."""

    stage: str
    state: str
    counts: Mapping[str, int]
    reason: str


class CountsJson(TypedDict):
    """What a stage counted; a name ``a:b`` is the part of ``a`` with the reason ``b``."""

    counts: Mapping[str, int]


class VersionedJson(TypedDict):
    """The number of the format."""

    format: int


class StageLines:
    """A line for each stage of a run as it ends: what it counted and how long it took."""

    def __init__(self, write: Callable[[str], None] | None) -> None:
        self._write = write
        self._since = time.monotonic()

    def add(self, stage: StageStatus) -> None:
        """Write the line of ``stage``, which has just ended."""
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        if self._write:
            took = f", {seconds:,.1f} s" if seconds < 100 else f", {seconds / 60:,.0f} min"
            mark = "✓ " if sys.stderr.isatty() and _can_show("✓") else ""
            self._write(f"{mark}{stage.stage}: {counts_text(stage.counts)}{took}")


def _can_show(text: str) -> bool:
    """Whether the terminal's encoding has ``text``."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def row_json(row: dict[str, Any]) -> RowJson:
    """A matching row as --json prints it, with all that --csv has; 64 bits are text: JSON loses some."""
    wide = {"uid": str(row["uid"]), "priority": str(row["priority"])}
    return cast("RowJson", {**row, **wide, "source": f"{row['file']}:{row['row']}"})


def safety_json(safety: SafetyCount) -> SafetyJson:
    """What safety did, as --json has it."""
    return {"left_out": safety.left_out, "unknown": safety.unknown}


def say_safety(safety: SafetyCount, filters: Filters) -> None:
    """Say on stderr how many rows safety left out, or passed without a value."""
    from ..core.terminal import number, say
    from ..search.query import Safety

    def rows(count: int, kind: str) -> str:
        return f"{number(count)} {kind}{'row' if count == 1 else 'rows'}"

    if safety.left_out:
        bound = filters.max_punsafe
        hint = "--no-safety shows them" if bound is None else f"tagged NSFW, or punsafe above {bound:g}"
        kind = "unsafe or unjudged " if filters.safety is Safety.STRICT else "unsafe "
        say(f"{rows(safety.left_out, kind)} left out ({hint})")
    if safety.unknown:
        say(f"{rows(safety.unknown, '')} without a safety value kept (--strict-safety drops them)")


def status_json(stage: StageStatus) -> StageJson:
    """A line of `captrawl status` as --json has it."""
    return {
        "stage": stage.stage,
        "state": stage.state.value,
        "counts": dict(stage.counts),
        "reason": stage.reason,
    }


def first_classes(classes: ClassList) -> list[str]:
    """The first three classes with their first synonyms, a line each: whether a list was read as meant."""
    lines: list[str] = []
    for entry in classes[:3]:
        others = [text for text in entry.match_phrases() if text != entry.name]
        more = " …" if len(others) > 5 else ""
        lines.append(f"  {entry.id} {entry.name}{': ' if others else ''}{', '.join(others[:5])}{more}")
    return [*lines, *([f"  … {len(classes) - 3:,} more"] if len(classes) > 3 else [])]
