"""classes.json, captrawl's own class list: the document, in and out (docs/formats.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from ..core.errors import ClassListError
from .model import ClassEntry, ClassList, Synonym

FORMAT = 1


def to_document(classes: Iterable[ClassEntry]) -> dict[str, Any]:
    """classes.json as a value."""
    entries = [
        {
            "id": entry.id,
            "name": entry.name,
            "most_common_name": entry.most_common_name,
            "synonyms": [asdict(synonym) for synonym in entry.synonyms],
            "extra": dict(entry.extra),
        }
        for entry in classes
    ]
    return {"format": FORMAT, "classes": entries}


def from_document(document: Mapping[str, Any], source: str) -> ClassList:
    """The classes of a classes.json value; ``source`` is the file named in errors. Not yet validated."""
    if document.get("format") != FORMAT:
        raise ClassListError(
            f"{source}: format {document.get('format')!r}, this captrawl reads format {FORMAT}"
        )
    entries = document.get("classes")
    if not isinstance(entries, list):
        raise ClassListError(f"{source}: 'classes' must be a list")
    return tuple(_entry(value, source, position) for position, value in enumerate(cast("list[Any]", entries)))


def _entry(value: Any, source: str, position: int) -> ClassEntry:
    where = f"{source}: class {position} of the list"
    record = _keys(
        value, where, {"id": int, "name": str, "most_common_name": str, "synonyms": list, "extra": dict}
    )
    for key in ("id", "name", "synonyms"):
        if key not in record:
            raise ClassListError(f"{where} has no {key!r}")
    where = f"{source}: class {record['id']} ({record['name']!r})"
    return ClassEntry(
        record["id"],
        record["name"],
        tuple(synonym_of(synonym, where) for synonym in record["synonyms"]),
        record.get("most_common_name", ""),
        record.get("extra", {}),
    )


def synonym_of(value: Any, where: str) -> Synonym:
    """A synonym's JSON object, or a bare text, as a record; ``where`` begins the error."""
    if isinstance(value, str):
        return Synonym(value)
    kinds = {"text": str, "frequency": (int, type(None)), "match": bool, "prompt": bool, "reason": str}
    record = _keys(value, f"{where}: a synonym", kinds)
    if "text" not in record:
        raise ClassListError(f"{where}: a synonym has no 'text'")
    return Synonym(**record)


def _keys(value: Any, where: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` as a dict with no other keys than ``kinds`` has, each of its type."""
    if not isinstance(value, dict):
        raise ClassListError(f"{where} must be an object, got {value!r:.80}")
    record = cast("dict[str, Any]", value)
    for key, held in record.items():
        if key not in kinds:
            raise ClassListError(f"{where}: unknown key {key!r}; known here: {', '.join(kinds)}")
        if not isinstance(held, kinds[key]) or (isinstance(held, bool) and kinds[key] is not bool):
            raise ClassListError(f"{where}: {key!r} can't be {held!r:.80}")
    return record


def check_own(path: Path) -> None:
    """ClassListError where ``path`` holds something else than a classes.json, which isn't written over."""
    if path.exists() and not is_own(path):
        raise ClassListError(
            f"{path} isn't a classes.json, so it isn't written over; make one for [task] classes with "
            f"captrawl classes convert {path.name} --to json -o classes.json"
        )


def is_own(path: Path) -> bool:
    """Whether the file at ``path`` is a classes.json, whatever its name; False where there is none."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"format", "classes"} <= cast("dict[str, Any]", document).keys()
