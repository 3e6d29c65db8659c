"""SWAT's and REAL's class lists: metrics JSON, the files on the way to it, and their most common names.

An object maps the class id to ``name``, ``alternates`` ({synonym: frequency}), ``most_common_name`` and more;
every other key is kept in ``ClassEntry.extra`` and written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast

from ..core.errors import ClassListError
from .checks import with_all_names
from .model import ClassEntry, ClassList, Synonym, named, whole
from .native import synonym_of

OWN_KEY = "captrawl"
"""Where a foreign JSON object keeps what its own format can't hold; foreign readers pass over it."""


_LISTS = ("synonyms_final", "synonyms_filtered", "synonyms")
"""Where SWAT's files on the way to the metrics keep synonyms: the later step first."""


def read_metrics(record: Mapping[str, Any], source: str) -> list[ClassEntry]:
    """The classes of a JSON object of objects; see the module. ``source`` is the file named in errors."""
    entries: list[ClassEntry] = []
    for position, (key, value) in enumerate(record.items()):
        where = f"{source}: {key!r}"
        if "class_id" in value:
            entries.append(_species(key, value, where))
        elif isinstance(value.get("name"), str):
            entries.append(metrics_entry(whole(key, f"{source}: the class id"), value, where))
        elif value and "name" not in value and "alternates" not in value:
            others = _frequencies(value, where)
            base = named(position, key)
            rest = tuple(synonym for synonym in others if synonym.text != key)
            own = next((synonym for synonym in others if synonym.text == key), base.synonyms[0])
            entries.append(replace(base, synonyms=(own, *rest)))
        else:
            raise ClassListError(f"{where} has no 'name'")
    return entries


def metrics_entry(class_id: int, value: Mapping[str, Any], where: str) -> ClassEntry:
    """The class of one object of a metrics JSON; ``where`` begins its errors."""
    name = value["name"]
    common = value.get("most_common_name")
    own_keys = {"name", "alternates", OWN_KEY} | (
        {"most_common_name"} if isinstance(common, str) and common else set()
    )
    extra = {key: item for key, item in value.items() if key not in own_keys}
    if "alternates" in value:
        synonyms = _frequencies(value["alternates"], f"{where}: 'alternates'")
        if OWN_KEY in value:
            synonyms = _with_own(synonyms, value[OWN_KEY], f"{where}: {OWN_KEY!r}")
    else:
        list_key = next((key for key in _LISTS if key in value), None)
        others = _frequencies(value[list_key], f"{where}: {list_key!r}") if list_key else ()
        synonyms = (Synonym(name), *(synonym for synonym in others if synonym.text != name))
    entry = ClassEntry(class_id, name, synonyms, common if isinstance(common, str) else "", extra)
    return with_all_names(entry) if not {"alternates", *_LISTS} & value.keys() else entry


def _frequencies(value: Any, where: str) -> tuple[Synonym, ...]:
    """Synonyms of {text: frequency} or of a list of texts, in the file's order."""
    if isinstance(value, list) and all(isinstance(text, str) for text in cast("list[Any]", value)):
        return tuple(Synonym(text) for text in dict.fromkeys(cast("list[str]", value)))
    if not isinstance(value, dict):
        raise ClassListError(f"{where} must map synonyms to frequencies, got {value!r:.80}")
    pairs = cast("dict[str, Any]", value)
    return tuple(
        Synonym(text, whole(count, f"{where}: the frequency of {text!r}")) for text, count in pairs.items()
    )


def _with_own(alternates: tuple[Synonym, ...], own: Any, where: str) -> tuple[Synonym, ...]:
    """``alternates`` (as the file has them now, edits included) with what captrawl noted beside them."""
    if not isinstance(own, list):
        raise ClassListError(f"{where} must be a list of synonyms")
    frequency = {synonym.text: synonym.frequency for synonym in alternates}
    by_text: dict[str, Synonym] = {}
    for synonym in (synonym_of(value, where) for value in cast("list[Any]", own)):
        if synonym.text in frequency:
            current = frequency[synonym.text]
            unknown = synonym.frequency is None and current == 0
            by_text[synonym.text] = replace(synonym, frequency=None if unknown else current)
        elif not synonym.kept:
            by_text[synonym.text] = synonym
    return (*by_text.values(), *(synonym for synonym in alternates if synonym.text not in by_text))


def _species(key: str, value: Mapping[str, Any], where: str) -> ClassEntry:
    """A class of semi-aves' s-names_prompts.json: species, common name, class id."""
    name = value.get("species") or key.replace("_", " ")
    common = value.get("common_name")
    if not isinstance(name, str) or not isinstance(common, str | None):
        raise ClassListError(f"{where}: 'species' and 'common_name' must be texts")
    extra = {other_key: value[other_key] for other_key in value if other_key not in {"class_id", "species"}}
    return named(whole(value["class_id"], f"{where}: 'class_id'"), name, filter(None, [common]), extra)


def metrics_document(classes: ClassList) -> dict[str, Any]:
    """SWAT's metrics JSON as a value: ``alternates`` has the synonyms in use, the rest is in ``captrawl``.

    A synonym that was never counted has frequency 0 there, as in SWAT's own files.
    """
    document: dict[str, Any] = {}
    for entry in classes:
        record: dict[str, Any] = {"name": entry.name}
        record["alternates"] = {s.text: s.frequency or 0 for s in entry.synonyms if s.kept}
        if entry.most_common_name:
            record["most_common_name"] = entry.most_common_name
        record.update(entry.extra)
        plain = tuple(Synonym(s.text, s.frequency) for s in entry.synonyms)
        if plain != entry.synonyms or any(s.frequency is None for s in plain):
            record[OWN_KEY] = [asdict(synonym) for synonym in entry.synonyms]
        document[str(entry.id)] = record
    return document


# Most common names --------------------------------------------------------------------------------
