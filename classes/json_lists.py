"""Class lists as JSON: captrawl's own, plain lists and mappings, and Hugging Face features."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.errors import ClassListError
from .checks import with_all_names
from .layouts import of_labels
from .metrics import OWN_KEY, metrics_document, metrics_entry, read_metrics
from .model import ClassEntry, ClassList, named, whole
from .native import from_document, to_document


def parsed(text: str, source: str) -> Any:
    """``text`` as JSON; ClassListError names ``source``, and a key that one object holds twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ClassListError(f"{source}: the key {twice!r} stands twice in one object; keep one of them")
        return record

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ClassListError(f"{source} isn't valid JSON: {error}") from error


def read_json(text: str, source: str) -> Iterable[ClassEntry]:
    """The classes of a JSON text, its kind recognised by its content."""
    value = parsed(text, source)
    if isinstance(value, list):
        return _read_list(cast("list[Any]", value), source)
    if not isinstance(value, dict):
        raise ClassListError(f"{source} must contain a JSON list or object, not {value!r:.80}")
    record = cast("dict[str, Any]", value)
    if "classes" in record and "format" in record:
        return from_document(record, source)
    match record:
        case {"id2label": dict() as names} if all(isinstance(v, str) for v in cast("Any", names).values()):
            return of_labels(cast("dict[str, str]", names), f"{source}: 'id2label'")
        case {"categories": [{"name": str()}, *_]}:  # COCO's annotations
            return _read_list(record["categories"], f"{source}: 'categories'")
        case _:
            pass
    labels = list(_class_labels(record))
    if labels:
        return _read_features(record, labels, source)
    return _read_mapping(record, source)


def _read_list(values: list[Any], source: str) -> list[ClassEntry]:
    """Names, [name, synonym …] lists, or {"name", "synonyms", "id"} objects."""
    entries: list[ClassEntry] = []
    for position, value in enumerate(values):
        where = f"{source}: entry {position}"
        match value:
            case str():
                entries.append(named(position, value))
            case [str(), *_]:
                entries.append(_of_names(position, value, where))
            case {"name": str(), "alternates": _}:
                record = cast("dict[str, Any]", value)
                rest = {key: item for key, item in record.items() if key != "id"}
                entries.append(
                    metrics_entry(whole(record.get("id", position), f"{where}: 'id'"), rest, where)
                )
            case {"name": str() as name}:
                record = cast("dict[str, Any]", value)
                class_id = whole(record.get("id", position), f"{where}: 'id'")
                extra = {key: item for key, item in record.items() if key not in {"id", "name", "synonyms"}}
                entry = named(class_id, name, _texts(record.get("synonyms", []), where), extra)
                entries.append(entry if "synonyms" in record else with_all_names(entry))
            case _:
                raise ClassListError(f"{where} must be a name, a list of names, or an object with 'name'")
    return entries


def _read_mapping(record: dict[str, Any], source: str) -> Iterable[ClassEntry]:
    """Of id → object, id → name, id → names, name → id, name → synonyms, name → {synonym: frequency}."""
    values = list(record.values())
    ids = all(key.isascii() and key.isdecimal() for key in record)
    if all(isinstance(value, str) for value in values) and ids:
        return [named(int(key), value) for key, value in record.items()]
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return [named(whole(value, f"{source}: {key!r}"), key) for key, value in record.items()]
    if all(isinstance(value, list) for value in values):
        if ids:
            return [_of_names(int(key), value, f"{source}: {key!r}") for key, value in record.items()]
        pairs = enumerate(record.items())
        return [named(position, key, _texts(value, f"{source}: {key!r}")) for position, (key, value) in pairs]
    if all(isinstance(value, dict) for value in values):
        return read_metrics(record, source)
    raise ClassListError(
        f"{source}: a JSON object must map ids to names, names to ids, names to lists of synonyms, or ids to "
        "objects with 'name' and 'alternates'; its values are of other or several kinds"
    )


def _of_names(class_id: int, value: Any, where: str) -> ClassEntry:
    texts = _texts(value, where)
    if not texts:
        raise ClassListError(f"{where} is an empty list; name the class")
    return named(class_id, texts[0], texts[1:])


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in cast("list[Any]", value)):
        raise ClassListError(f"{where}: synonyms must be a list of texts, got {value!r:.80}")
    return cast("list[str]", value)


# Hugging Face -------------------------------------------------------------------------------------


def _class_labels(record: dict[str, Any], path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """(where, names) of every ClassLabel feature in a dataset_info.json, dataset_infos.json or feature."""
    names = record.get("names")
    if record.get("_type") == "ClassLabel" or path.endswith(".class_label"):
        if isinstance(names, dict):  # as dataset cards write them: {"0": "cat"}
            pairs = cast("dict[str, Any]", names).items()
            names = [name for _, name in sorted(pairs, key=lambda pair: whole(pair[0], f"{path}: a label"))]
        yield path or "the object", cast("list[Any]", names) if isinstance(names, list) else []
        return
    for key, value in record.items():
        if isinstance(value, dict) and key != OWN_KEY:
            yield from _class_labels(cast("dict[str, Any]", value), f"{path}.{key}".lstrip("."))


def _read_features(
    record: dict[str, Any], labels: list[tuple[str, list[Any]]], source: str
) -> Iterable[ClassEntry]:
    if any(names != labels[0][1] for _, names in labels):
        places = ", ".join(where for where, _ in labels)
        raise ClassListError(
            f"{source} has several ClassLabel features ({places}); put one into a file of its own"
        )
    names = _texts(labels[0][1], f"{source}: {labels[0][0]}")
    if OWN_KEY in record:
        own = tuple(from_document(record[OWN_KEY], f"{source}: {OWN_KEY!r}"))
        if [entry.name for entry in own] == names:
            return own
    return [named(position, name) for position, name in enumerate(names)]


# Writers ------------------------------------------------------------------------------------------


def own_json(classes: ClassList) -> str:
    """classes.json."""
    return _dumped(to_document(classes))


def metrics_json(classes: ClassList) -> str:
    """SWAT's metrics JSON."""
    return _dumped(metrics_document(classes))


def list_json(classes: ClassList) -> str:
    """A JSON list of names in label order."""
    return _dumped([entry.name for entry in contiguous(classes, "a list of names")])


def mapping_json(classes: ClassList) -> str:
    """A JSON object, name → its other synonyms in use, in label order."""
    distinct(contiguous(classes, "a mapping of names"), "a mapping of names")
    return _dumped({e.name: [s.text for s in e.synonyms if s.kept and s.text != e.name] for e in classes})


def features_json(classes: ClassList) -> str:
    """A dataset_info.json with the feature ``label``, a ClassLabel; the rest of the list is beside it."""
    distinct(contiguous(classes, "a ClassLabel"), "a ClassLabel")
    feature = {"names": [entry.name for entry in classes], "_type": "ClassLabel"}
    return _dumped({"features": {"label": feature}, OWN_KEY: to_document(classes)})


def contiguous(classes: ClassList, what: str) -> ClassList:
    """``classes``; ClassListError where their ids aren't 0, 1, 2 …, which ``what`` takes for granted."""
    for position, entry in enumerate(classes):
        if entry.id != position:
            raise ClassListError(
                f"{what} numbers its classes 0, 1, 2 …, and class {position} is missing; write json or csv"
            )
    return classes


def distinct(classes: ClassList, what: str) -> ClassList:
    """``classes``; ClassListError where two have one name, which ``what`` can't hold."""
    first: dict[str, int] = {}
    for entry in classes:
        if first.setdefault(entry.name, entry.id) != entry.id:
            raise ClassListError(
                f"{what} can't contain two classes of one name: {first[entry.name]} and {entry.id}"
            )
    return classes


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
