"""Class lists as well-known data sets ship them: lines with ids, a Python dict, data.yaml."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, cast

import yaml

from ..core.errors import ClassListError
from .model import ClassEntry, named, whole

LAYOUTS: dict[str, re.Pattern[str]] = {
    "number: name": re.compile(r"(?P<id>\d+)\s*[:=]\s*(?P<name>\S.*)"),
    "WNID number name (ImageNet's map_clsloc.txt)": re.compile(
        r"(?P<wnid>n\d{8})\s+(?P<id>\d+)\s+(?P<label>\S+)"
    ),
    "WNID names (ImageNet's LOC_synset_mapping.txt)": re.compile(
        r"(?P<wnid>n\d{8})(?:\s*[:,\t]\s*|\s+)(?P<names>\S.*)"
    ),
    "/x/name number (Places)": re.compile(r"/[a-z]/(?P<label>\S+)\s+(?P<id>\d+)"),
    "number NNN.Name (CUB)": re.compile(r"(?P<id>\d+)\s+\d{3}\.(?P<label>\S.*)"),
}
"""How every line of a list looks, by what it is called; ``label`` is a name without blanks."""

NUMBERED = re.compile(r"(?P<id>\d+)[.)]?\s+(?P<name>\S.*)")
"""``0 dog``: a layout where the numbers count the lines, from 0 or 1; else part of the names."""

_FOREIGN = re.compile(r"\s*(?:item\s*\{|<\?xml|<[a-z]+>|---\s*$|#!)", re.IGNORECASE)


def read_layout(lines: list[str], source: str) -> list[ClassEntry] | None:
    """The classes of ``lines`` that follow one of LAYOUTS; None where they are bare names.

    ClassListError where most follow one and a line doesn't, and for markup, which holds names but isn't them.
    """
    if _FOREIGN.match(lines[0]):
        raise ClassListError(
            f"{source} begins with {lines[0]!r:.60}, which isn't read; give a text of one name a line, a CSV "
            "with a column 'name', or a JSON list of names"
        )
    for layout, pattern in LAYOUTS.items():
        matches = [pattern.fullmatch(line) for line in lines]
        if all(matches):
            return [_of_line(place, cast("re.Match[str]", one)) for place, one in enumerate(matches)]
        if sum(map(bool, matches)) * 2 > len(lines):
            place = matches.index(None)
            raise ClassListError(
                f"{source}: line {place + 1} ({lines[place]!r:.60}) isn't '{layout}' as most lines are"
            )
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    if len(lines) > 1 and all(numbered):
        entries = [_of_line(place, cast("re.Match[str]", one)) for place, one in enumerate(numbered)]
        first = entries[0].id
        if first in {0, 1} and [entry.id for entry in entries] == [*range(first, first + len(entries))]:
            return entries
    return None


def _of_line(place: int, line: re.Match[str]) -> ClassEntry:
    parts = line.groupdict()
    names = words_of(parts["label"]) if parts.get("label") else parts.get("name") or parts.get("names", "")
    texts = split_names(names) if parts.get("names") else [names.strip()]
    class_id = whole(parts["id"], f"the number of {names!r:.60}") if parts.get("id") else place
    return named(class_id, texts[0], texts[1:], {"wnid": parts["wnid"]} if parts.get("wnid") else None)


def words_of(label: str) -> str:
    """A label without blanks as a name: ``Black_footed_Albatross``, and Places' ``church/outdoor``."""
    place, _, kind = label.replace("_", " ").partition("/")
    return " ".join([*kind.replace("/", " ").split(), *place.split()])


def split_names(text: str) -> list[str]:
    """``tench, Tinca tinca``: WordNet's names of one class; the whole text where it is commas only."""
    return [part for piece in text.split(",") if (part := piece.strip())] or [text]


def read_dict(text: str, source: str) -> list[ClassEntry]:
    """A Python dict of id → names between commas, as the list of ImageNet's classes goes round."""
    try:
        value: Any = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ClassListError(f"{source} begins as a dict and isn't one of ids and names ({error})") from error
    labels = cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
    if not labels or not all(isinstance(text, str) for text in labels.values()):
        raise ClassListError(f"{source} must be a dict of ids and names")
    return of_labels(labels, source)


def of_labels(labels: Mapping[Any, str], source: str) -> list[ClassEntry]:
    """Classes of id → names between commas."""
    pairs = [(whole(key, f"{source}: the class id"), split_names(text)) for key, text in labels.items()]
    return [named(class_id, names[0], names[1:]) for class_id, names in pairs]


def read_yaml(text: str, source: str) -> list[ClassEntry]:
    """The ``names`` of a YAML file (a list, or id → name), as detectors' data.yaml has them."""
    try:
        value: Any = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it builds texts, lists and dicts only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        first = " ".join(str(error).split())
        raise ClassListError(f"{source} isn't valid YAML: {first:.120}") from error
    table = cast("dict[Any, Any]", value) if isinstance(value, dict) else {"names": value}
    names = table.get("names")
    if isinstance(names, list):
        names = dict(enumerate(cast("list[Any]", names)))
    labels = cast("dict[Any, Any]", names) if isinstance(names, dict) else {}
    if not labels or not all(isinstance(text, str) for text in labels.values()):
        raise ClassListError(
            f"{source} needs a key 'names' with a list of names, or with ids and names; it has "
            f"{', '.join(map(str, table)):.80}"
        )
    return [named(whole(key, f"{source}: names: the id"), text) for key, text in labels.items()]
