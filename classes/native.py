"""classes.json, captrawl's own class list: the document, in and out (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import ClassListError
from ..core.files import read_json
from .model import OWN_SCOPE, ClassEntry, ClassList, Synonym

FORMAT = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Synonym(_Record):
    text: str
    frequency: int | None = None
    match: bool = True
    prompt: bool = True
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value


class _Class(_Record):
    id: int
    name: str
    most_common_name: str = ""
    synonyms: list[_Synonym]
    other_senses: list[str] = Field(default_factory=list[str], alias="not")
    exclude: list[str] = Field(default_factory=list[str])
    prefix: str = ""
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])


class _Document(_Record):
    format: Literal[1]
    classes: list[_Class]


R = TypeVar("R", bound=_Record)


def to_document(classes: Iterable[ClassEntry]) -> dict[str, Any]:
    """classes.json as a value."""
    entries = [
        {
            "id": entry.id,
            "name": entry.name,
            "most_common_name": entry.most_common_name,
            "synonyms": [asdict(synonym) for synonym in entry.synonyms],
            **{key: entry.extra[key] for key in OWN_SCOPE if entry.extra.get(key)},
            "extra": {key: value for key, value in entry.extra.items() if key not in OWN_SCOPE},
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
    return tuple(
        ClassEntry(
            record.id,
            record.name,
            tuple(Synonym(**dict(synonym)) for synonym in record.synonyms),
            record.most_common_name,
            {**record.extra, **_own_scope(record)},
        )
        for record in _validated(_Document, document, source).classes
    )


def _own_scope(record: _Class) -> dict[str, Any]:
    values = record.model_dump(by_alias=True, include={"other_senses", "exclude", "prefix"})
    return {key: value for key, value in values.items() if value}


def synonym_of(value: Any, where: str) -> Synonym:
    """A synonym's JSON object, or a bare text, as a record; ``where`` begins the error."""
    return Synonym(**dict(_validated(_Synonym, value, where)))


def _validated(model: type[R], value: Any, where: str) -> R:
    """``value`` as ``model``; ClassListError names the first key that is wrong, and its class."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        unknown = [problem for problem in error.errors() if problem["type"] == "extra_forbidden"]
        first = [*unknown, *error.errors()][0]
        place, key = _place(value, first["loc"])
        match first["type"]:
            case "extra_forbidden":
                wrong = f"unknown key {key}"
            case "missing":
                wrong = f"no {key}"
            case _:
                wrong = f"{key} can't be {first['input']!r:.80}: {first['msg'].partition(' or instance')[0]}"
        raise ClassListError(f"{where}: {place}{wrong}") from error


def _place(document: Any, location: tuple[int | str, ...]) -> tuple[str, str]:
    """Where ``location`` lies in a document (its class, a list's place), and the key there."""
    names, place = [part for part in location if isinstance(part, str)], ""
    entry = document["classes"][location[1]] if location[:1] == ("classes",) and len(location) > 1 else None
    if isinstance(entry, dict):
        record = cast("dict[str, Any]", entry)
        place = f"class {record.get('id')!r:.20} ({record.get('name')!r:.60}): "
    return place, repr(names[-1]) if names else "it"


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
        document: Any = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and {"format", "classes"} <= cast("dict[str, Any]", document).keys()
