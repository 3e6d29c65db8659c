"""Every format of class lists under one name: told apart when read, chosen by name when written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

from ..core.errors import ClassListError, nearest
from ..core.files import atomic, write_json
from ..core.wording import counted
from .checks import validated
from .json_lists import distinct, features_json, list_json, mapping_json, metrics_json, own_json, read_json
from .layouts import read_yaml
from .model import ClassEntry, ClassList, Synonym, is_wnid, named
from .native import check_own, is_own, to_document
from .tables import csv_text, names_text, read_names, read_table, tsv_text

FORMATS: dict[str, Callable[[ClassList], str]] = {
    "json": own_json,
    "metrics": metrics_json,
    "csv": csv_text,
    "tsv": tsv_text,
    "huggingface": features_json,
    "list": list_json,
    "mapping": mapping_json,
    "txt": names_text,
}
"""What a class list can be written as, besides ``imagefolder``. The first five lose nothing."""

IMAGE_FOLDER = "imagefolder"

ALSO_CALLED = {"hf": "huggingface", "swat": "metrics", "real": "metrics", "text": "txt", "names": "txt"}
"""What people call a format → its name, for hints."""

SUFFIXES = {"csv": ".csv", "tsv": ".tsv", "txt": ".txt"}
"""How a file's name ends by which it is read; every other format is ``.json``."""

_UNSAFE = re.compile(r"%(?=[0-9A-Fa-f]{2})|[/\\\x00-\x1f\x7f]|^\.")
"""In a folder's name: what would leave the folder or hide it, and ``%`` where it looks like an escape."""


def read(path: Path) -> Iterable[ClassEntry]:
    """The classes at ``path`` (a file, or an ImageFolder directory), as it has them, not yet validated."""
    if path.is_dir():
        return _read_folder(path)
    return _parsed(_text(path), path)


def _parsed(text: str, path: Path) -> Iterable[ClassEntry]:
    """The classes of the ``text`` of a file called ``path``."""
    match path.suffix.lower():
        case ".json":
            return read_json(text, str(path))
        case ".csv":
            return read_table(text, str(path), ",")
        case ".yaml" | ".yml":
            return read_yaml(text, str(path))
        case ".tsv":
            return read_table(text, str(path), "\t")
        case _:
            return read_names(text, str(path))


def check_format(to: str, path: Path | None) -> None:
    """ClassListError where there is no format ``to``, or a file called ``path`` would be read as another."""
    if to == IMAGE_FOLDER:
        if path is None:
            raise ClassListError("an ImageFolder is a directory, not a text; name it with --output DIR")
        return
    if to not in FORMATS:
        hint = nearest(ALSO_CALLED.get(to.lower(), to.lower()), [*FORMATS, IMAGE_FOLDER])
        raise ClassListError(f"there is no class list format {to!r}; {hint}")
    suffix = SUFFIXES.get(to, ".json")
    if path is None or path.suffix.lower() == suffix:
        return
    if to != "txt" or path.suffix.lower() in {".json", ".csv", ".tsv"}:
        raise ClassListError(
            f"{path} wouldn't be read as {to!r}: the name's end says what a list is; end it in {suffix}"
        )


def render(classes: ClassList, to: str) -> str:
    """``classes`` as the text of a file of the format ``to``; ClassListError where it can't hold them."""
    check_format(to, None)
    return FORMATS[to](validated(classes, "the class list"))


def write(classes: ClassList, path: Path, to: str) -> None:
    """Write ``classes`` to ``path`` in the format ``to``; an ImageFolder gets a classes.json inside.

    ClassListError, and nothing is written, where the format can't hold them or ``path`` says another one.
    """
    if to != IMAGE_FOLDER:
        text = render(classes, to)
        check_format(to, path)
        again = validated(_parsed(text, path), str(path))
        if [(e.id, e.name) for e in again] != [(e.id, e.name) for e in classes]:
            raise ClassListError(f"{path}: a list of these names can't be read again as it is; write json")
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
        return
    if path.exists() and not path.is_dir():
        raise ClassListError(f"{path} is a file, and an ImageFolder is a directory")
    distinct(classes, "an ImageFolder")
    folders = [path / folder_name(entry.name) for entry in classes]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    write(classes, path / "classes.json", "json")


def lost(before: ClassList, after: ClassList) -> list[str]:
    """What ``after`` (``before`` written in a format and read back) doesn't hold any more, a line each."""
    others = {entry.id: entry for entry in after}
    differing: list[str] = []
    for entry in before:
        other = others.get(entry.id)
        differing += (
            ["names or ids"] if other is None or other.name != entry.name else _differing(entry, other)
        )
    kinds = ("names or ids", "synonyms", "frequencies", "flags or reasons", "most common names", "other keys")
    return [
        f"{kind} of {differing.count(kind)} of {counted(len(before), 'class')}"
        for kind in kinds
        if kind in differing
    ]


def _differing(entry: ClassEntry, other: ClassEntry) -> list[str]:
    texts = {synonym.text: synonym for synonym in other.synonyms}
    both = [(synonym, texts[synonym.text]) for synonym in entry.synonyms if synonym.text in texts]
    return [
        kind
        for kind, differs in (
            ("synonyms", len(both) != len(entry.synonyms) or len(texts) != len(entry.synonyms)),
            ("frequencies", any(a.frequency != b.frequency for a, b in both)),
            ("flags or reasons", any(_state(a) != _state(b) for a, b in both)),
            ("most common names", other.most_common_name != entry.most_common_name),
            ("other keys", dict(other.extra) != dict(entry.extra)),
        )
        if differs
    ]


def convert(classes: ClassList, target: Path, to: str) -> list[str]:
    """Write ``classes`` to ``target`` in the format ``to``; gives what that couldn't hold."""
    write(classes, target, to)
    return lost(classes, load_classes(target))


def _state(synonym: Synonym) -> tuple[bool, bool, str]:
    return synonym.match, synonym.prompt, synonym.reason


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ClassListError(f"{path}: no such file") from error
    except OSError as error:
        raise ClassListError(f"{path} can't be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ClassListError(
            f"{path} isn't UTF-8 (byte {data[error.start]:#04x} at {error.start}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ClassListError(f"{path} contains a NUL character: it is UTF-16 or no text; save it as UTF-8")
    if not text.strip():
        raise ClassListError(f"{path} is empty")
    return text


# ImageFolder --------------------------------------------------------------------------------------


def _read_folder(path: Path) -> Iterable[ClassEntry]:
    """A directory with one folder a class, ids in sorted order, as torchvision's ImageFolder gives them.

    A classes.json that names exactly these folders is the list itself; hidden folders are no classes.
    """
    folders = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not folders:
        raise ClassListError(f"{path} contains no folders; an ImageFolder has one per class")
    own = path / "classes.json"
    if own.is_file():
        classes = load_classes(own)
        if sorted(folder_name(entry.name) for entry in classes) == folders:
            return classes
    return [named(position, _unescaped(folder)) for position, folder in enumerate(folders)]


def folder_name(name: str) -> str:
    """``name`` as one component of a path: slashes, controls and a leading dot as ``%XX``."""
    escaped = _UNSAFE.sub(lambda match: f"%{ord(match.group()):02X}", name)
    if len(escaped.encode()) > 255:
        raise ClassListError(f"the class name {name!r:.60} is too long for a folder's name")
    return escaped


def _unescaped(folder: str) -> str:
    name = unquote(folder)
    return name if folder_name(name) == folder else folder


def load_classes(path: str | Path) -> ClassList:
    """The class list at ``path``, of any format that read() knows, by suffix and content.

    In SWAT's metrics JSON and in captrawl's own formats the synonyms are exactly those listed; in every other
    format the class name is the first synonym. ClassListError names the file, and the class or key.
    """
    path = Path(path)
    classes = validated(read(path), str(path))
    bare = [entry for entry in classes if is_wnid(entry.name) and len(entry.synonyms) == 1]
    if bare and not is_own(path):
        raise ClassListError(
            f"{path}: class {bare[0].id} is called {bare[0].name}, a WordNet id, which stands in no caption; "
            "give names beside the ids, as ImageNet's LOC_synset_mapping.txt does"
        )
    return classes


def save_classes(classes: Iterable[ClassEntry], path: Path) -> None:
    """Write classes.json (docs/formats.md) through a temporary name.

    ClassListError where the list isn't valid, or where ``path`` holds a list of another format: a person's
    names.txt is never written over.
    """
    check_own(path)
    write_json(path, to_document(validated(classes, str(path))))
