"""What --json prints of the commands that look around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from ..results import RowJson, SafetyJson


class NearRowJson(RowJson):
    """A picture of the workspace; ``captions`` are all that it has."""

    score: float
    path: str
    class_id: int
    captions: list[str]


class QueryJson(TypedDict):
    """How many rows match, and those of the page."""

    total: int
    rows: list[RowJson]
    safety: SafetyJson


class QueryFileJson(TypedDict):
    """How many rows were written into the file ``output``."""

    rows: int
    output: str
    safety: SafetyJson


class ClassTotalJson(TypedDict):
    """The rows that match a class, and each of its synonyms."""

    id: int
    name: str
    total: int
    synonyms: Mapping[str, int]


class CountJson(TypedDict):
    """``rows`` are those of the index; ``credited`` is class id → synonym → rows, each row once."""

    rows: int
    classes: list[ClassTotalJson]
    credited: Mapping[str, Mapping[str, int]]
    safety: SafetyJson


class SimilarJson(TypedDict):
    """The nearest pictures, the nearest first."""

    rows: list[NearRowJson]


class DemoClassJson(TypedDict):
    """A class of the demo, or "all"; ``failed`` is reason → rows, ``precision`` is sample → 0 to 1."""

    name: str
    matched: int
    downloaded: int
    failed: Mapping[str, int]
    precision: Mapping[str, float | None]


class DemoJson(TypedDict):
    """The samples' names, and every class with its precision."""

    samples: list[str]
    classes: list[DemoClassJson]


class CheckJson(TypedDict):
    """One check of the machine or the workspace."""

    check: str
    verdict: str
    text: str


class DoctorJson(TypedDict):
    """Every check; a ``bad`` verdict makes the exit code 1."""

    checks: list[CheckJson]


OUTPUTS: Mapping[str, tuple[type | str, ...]] = {
    "query": (QueryJson,),
    "query --output": (QueryFileJson,),
    "count": (CountJson,),
    "similar": (SimilarJson,),
    "demo": (DemoJson,),
    "doctor": (DoctorJson,),
}
"""Command → what its --json prints: the keys of all parts, of which a text is a dataclass of the package."""
