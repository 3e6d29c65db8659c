"""Names of species from a local taxon table: vernacular names, and synonyms by the accepted taxon.

A table is a tab-separated text with a header, or a folder of two as GBIF's backbone (Taxon.tsv and
VernacularName.tsv) and the Catalogue of Life (NameUsage.tsv and VernacularName.tsv) come; read by lines.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from ...classes.model import ClassEntry, ClassList, Synonym
from ...classes.species import scientific
from ...core.errors import InputError
from ...core.text import tokens

COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("taxonid", "id"),
    "scientific": ("canonicalname", "scientificname", "species"),
    "accepted": ("acceptednameusageid", "acceptedid", "parentid"),
    "status": ("taxonomicstatus", "status"),
    "vernacular": ("vernacularname", "commonname", "vernacular", "name"),
    "language": ("language", "lang"),
}
"""What a column contains → what tables call it, without a prefix such as ``col:``, in small letters."""
ENGLISH = frozenset({"", "en", "eng", "english"})
TAXA, VERNACULARS = ("Taxon.tsv", "NameUsage.tsv"), "VernacularName.tsv"

_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaxonName:
    """A name that a table has for a class: ``kind`` is ``vernacular`` or ``synonym``."""

    class_id: int
    name: str
    kind: str


def taxon_names(classes: ClassList, source: Path) -> list[TaxonName]:
    """The names that the table at ``source`` has for ``classes`` and the list hasn't, in the table's order.

    A class is found by any of its names. InputError where ``source`` is no such table.
    """
    by_name: dict[_Words, list[int]] = {}
    for entry in classes:
        for words in {_words(text) for text in (entry.name, *(s.text for s in entry.synonyms if s.kept))}:
            by_name.setdefault(words, []).append(entry.id)
    rows = _of_folder(by_name, source) if source.is_dir() else _of_file(by_name, source)
    spelled = {entry.id: {tuple(tokens(s.text)) for s in entry.synonyms} for entry in classes}
    names: list[TaxonName] = []
    for class_id, name, kind in rows:
        words = tuple(tokens(name))
        if words and words not in spelled[class_id]:
            spelled[class_id].add(words)
            names.append(TaxonName(class_id, name, kind))
    return names


def with_taxon_names(classes: ClassList, names: Sequence[TaxonName], source: str) -> ClassList:
    """``classes`` with ``names`` behind their synonyms, each with its reason."""
    by_class: dict[int, list[Synonym]] = {}
    for one in names:
        by_class.setdefault(one.class_id, []).append(Synonym(one.name, reason=f"{one.kind} name of {source}"))
    return tuple(replace(e, synonyms=(*e.synonyms, *by_class.get(e.id, ()))) for e in classes)


def without_names(classes: ClassList, names: Sequence[TaxonName]) -> list[ClassEntry]:
    """The classes that the table has nothing for."""
    there = {one.class_id for one in names}
    return [entry for entry in classes if entry.id not in there]


def _words(name: str) -> _Words:
    """The tokens of ``name``, of a scientific one without its authors."""
    parts = scientific(name)
    return tuple(tokens(parts.names[-1] if parts else name))


def _classes_of(by_name: Mapping[_Words, list[int]], firsts: Collection[str], name: str) -> Sequence[int]:
    """The classes that have ``name``; ``firsts`` (their names' first words) tell most names apart at once."""
    first = name.lower().lstrip("×").partition(" ")[0]
    return by_name.get(_words(name), ()) if first in firsts else ()


def _firsts(by_name: Mapping[_Words, list[int]]) -> set[str]:
    return {words[0] for words in by_name if words}


def _of_file(by_name: Mapping[_Words, list[int]], path: Path) -> Iterator[tuple[int, str, str]]:
    """Of one table with a scientific and a vernacular name in each line."""
    firsts = _firsts(by_name)
    for row in _rows(path, ("scientific", "vernacular")):
        if row.get("language", "").lower() in ENGLISH:
            for class_id in _classes_of(by_name, firsts, row["scientific"]):
                yield class_id, row["vernacular"], "vernacular"


def _of_folder(by_name: Mapping[_Words, list[int]], folder: Path) -> Iterator[tuple[int, str, str]]:
    """Of a table of taxa and one of their vernacular names, joined by the taxon's id."""
    taxa = next((folder / name for name in TAXA if (folder / name).is_file()), None)
    if taxa is None or not (folder / VERNACULARS).is_file():
        raise InputError(
            f"{folder} needs {' or '.join(TAXA)}, and {VERNACULARS}, as GBIF and the Catalogue have"
        )
    classes_of: dict[str, set[int]] = {}
    firsts = _firsts(by_name)
    for row in _rows(taxa, ("id", "scientific")):
        for class_id in _classes_of(by_name, firsts, row["scientific"]):
            classes_of.setdefault(_accepted(row), set()).add(class_id)
    for row in _rows(taxa, ("id", "scientific")):
        for class_id in sorted(classes_of.get(_accepted(row), ())):
            parts = scientific(row["scientific"])
            yield class_id, parts.names[0] if parts else row["scientific"], "synonym"
    for row in _rows(folder / VERNACULARS, ("id", "vernacular")):
        if row.get("language", "").lower() in ENGLISH:
            for class_id in sorted(classes_of.get(row["id"], ())):
                yield class_id, row["vernacular"], "vernacular"


def _accepted(row: Mapping[str, str]) -> str:
    """The id of the accepted taxon that a line of a table of taxa is, or is a synonym of."""
    is_synonym = "synonym" in row.get("status", "").lower()
    return row.get("accepted") or row["id"] if is_synonym else row["id"]


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    """The lines of a table by what their columns hold; InputError where it lacks a ``needed`` one."""
    try:
        with contextlib.closing(_opened(path)) as handle:
            reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = [cell.strip().lower().rpartition(":")[2] for cell in next(reader, [])]
            places = {
                what: next(header.index(name) for name in names if name in header)
                for what, names in COLUMNS.items()
                if any(name in header for name in names)
            }
            if lacking := [what for what in needed if what not in places]:
                names = " or ".join(COLUMNS[lacking[0]])
                raise InputError(
                    f"{path} has no column of {lacking[0]} names ({names}); is it tab-separated?"
                )
            for cells in reader:
                yield {what: cells[at].strip() for what, at in places.items() if at < len(cells)} | {
                    what: "" for what in needed if places[what] >= len(cells)
                }
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read as a taxon table ({error})") from error
