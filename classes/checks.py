"""What is checked of every class list: defects, and what several classes share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

from ..core.errors import ClassListError
from ..core.text import LONGEST_RUN, tokens
from .model import OWN_SCOPE, ClassEntry, ClassList, Synonym, texts_of
from .species import scientific


def meant(classes: ClassList, name_or_id: str) -> str:
    """``; did you mean …?`` for a name that no class has; empty where none is near."""
    names = {entry.name.lower(): entry.name for entry in classes}
    near = difflib.get_close_matches(name_or_id.lower(), names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(names[one]) for one in near)}?" if near else ""


def validated(classes: Iterable[ClassEntry], source: str) -> ClassList:
    """``classes`` in ascending id order; ClassListError naming ``source`` and the class for every defect.

    Defects: no classes, an id repeated, negative or over 63 bits, an empty name, no synonym in use, a synonym
    without a letter or digit, one text twice in a class, text that isn't Unicode.
    """
    ordered = tuple(sorted(classes, key=lambda entry: entry.id))
    if not ordered:
        raise ClassListError(f"{source} contains no classes")
    for before, entry in pairwise(ordered):
        if before.id == entry.id:
            raise ClassListError(
                f"{source}: the id {entry.id} is given to {before.name!r} and {entry.name!r}; ids must differ"
            )
    for entry in ordered:
        _check_entry(entry, f"{source}: class {entry.id} ({entry.name!r:.60})")
    return ordered


def _check_entry(entry: ClassEntry, where: str) -> None:
    if not 0 <= entry.id < 2**63:
        raise ClassListError(f"{where}: an id must be from 0 to 2^63 - 1")
    if not entry.name.strip():
        raise ClassListError(f"{where} has an empty name")
    if not any(synonym.kept for synonym in entry.synonyms):
        raise ClassListError(f"{where} has no synonyms in use; give it one, or remove the class")
    texts: set[str] = set()
    for text in (entry.name, entry.most_common_name, *(synonym.text for synonym in entry.synonyms)):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ClassListError(f"{where}: {text!r} isn't valid Unicode (half a surrogate pair)")
    _check_scope(entry, where)
    for synonym in entry.synonyms:
        if synonym.text in texts:
            raise ClassListError(f"{where}: the synonym {synonym.text!r:.60} is given twice")
        texts.add(synonym.text)
        if synonym.kept and not tokens(synonym.text):
            spells = any(map(str.isalnum, synonym.text))
            lacking = f"word of {LONGEST_RUN} letters or fewer" if spells else "letter or digit"
            raise ClassListError(
                f"{where}: the synonym {synonym.text!r:.60} contains no {lacking}, so no caption can match "
                "it; remove it, or spell it out"
            )


def _check_scope(entry: ClassEntry, where: str) -> None:
    """What stands under OWN_SCOPE is texts, and those that captions are searched for have words."""
    for key in OWN_SCOPE:
        try:
            texts = texts_of(entry.extra.get(key))
        except ClassListError as error:
            raise ClassListError(f"{where}: {key!r}: {error}") from error
        for text in texts if key != "not" else ():
            if not tokens(text):
                raise ClassListError(
                    f"{where}: {key!r}: {text!r:.60} has no letter or digit, so no caption can contain it; "
                    "remove it"
                )


NAME_KEYS = (
    *("common_name", "common_names", "vernacular", "vernacular_name", "vernacular_names", "english_name"),
    *("scientific_name", "species", "query_name"),
)
"""Other keys of a class whose texts are names of it."""


def unmatched_names(entry: ClassEntry) -> list[str]:
    """The names that a class's file has for it, and that are no synonym in any state, each once.

    Of a scientific name with authors or ranks, what captions say of it too.
    """
    spelled = {tuple(tokens(synonym.text)) for synonym in entry.synonyms}
    names: dict[tuple[str, ...], str] = {}
    for value in (entry.name, entry.most_common_name, *(entry.extra.get(key) for key in NAME_KEYS)):
        texts = cast("list[Any]", value) if isinstance(value, list) else [value]
        for name in (text for text in texts if isinstance(text, str)):
            parts = scientific(name)
            for text in (name, *(parts.names if parts else ())):
                words = tuple(tokens(text))
                if words and words not in spelled:
                    names.setdefault(words, text.strip())
    return list(names.values())


def with_all_names(entry: ClassEntry) -> ClassEntry:
    """``entry`` with every name that its file has as a synonym."""
    return replace(entry, synonyms=(*entry.synonyms, *map(Synonym, unmatched_names(entry))))


def check_classes(classes: ClassList) -> list[str]:
    """Warnings, each naming the ids: equal names, then synonyms (token-equal) that several classes share."""
    warnings: list[str] = []
    by_name: dict[tuple[str, ...], list[ClassEntry]] = {}
    for entry in classes:
        by_name.setdefault(tuple(tokens(entry.name)) or (entry.name,), []).append(entry)
    for entries in by_name.values():
        if len(entries) > 1:
            which_classes = ", ".join(f"{entry.id} ({entry.name!r})" for entry in entries)
            warnings.append(f"classes {which_classes} have one name")
    groups: dict[tuple[int, ...], list[str]] = {}
    shared = shared_synonyms(classes)
    for phrase, entries in shared.items():
        groups.setdefault(tuple(entry.id for entry in entries), []).append(phrase)
    for phrases in groups.values():
        which_classes = " and ".join(f"{entry.id} ({entry.name!r})" for entry in shared[phrases[0]])
        what = f"the synonym {phrases[0]!r} is" if len(phrases) == 1 else f"{len(phrases)} synonyms are"
        which = f": {', '.join(phrases[:3])}{' …' if len(phrases) > 3 else ''}" if len(phrases) > 1 else ""
        warnings.append(f"{what} shared by classes {which_classes}{which}; their rows go to each")
    return warnings


def shared_synonyms(classes: ClassList) -> dict[str, list[ClassEntry]]:
    """Phrases (as first spelt) whose tokens are a kept synonym of several classes, with these classes."""
    holders: dict[tuple[str, ...], dict[int, ClassEntry]] = {}
    spelling: dict[tuple[str, ...], str] = {}
    for entry in classes:
        for synonym in entry.synonyms:
            if synonym.kept:
                key = tuple(tokens(synonym.text))
                spelling.setdefault(key, synonym.text)
                holders.setdefault(key, {})[entry.id] = entry
    return {spelling[key]: list(entries.values()) for key, entries in holders.items() if len(entries) > 1}


def drop_shared(classes: ClassList) -> ClassList:
    """``classes`` with every shared synonym removed, the reason naming the other classes.

    Where one class only has the phrase as its name, that class keeps it. No class loses its last matching
    synonyms.
    """
    shared = {tuple(tokens(phrase)): entries for phrase, entries in shared_synonyms(classes).items()}
    owners = {key: [e.id for e in entries if tuple(tokens(e.name)) == key] for key, entries in shared.items()}
    losing = {
        key: {e.id for e in shared[key]} - set(ids if len(ids) == 1 else []) for key, ids in owners.items()
    }
    return tuple(_without_shared(entry, shared, losing) for entry in classes)


def _without_shared(
    entry: ClassEntry,
    shared: Mapping[tuple[str, ...], list[ClassEntry]],
    losing: Mapping[tuple[str, ...], set[int]],
) -> ClassEntry:
    synonyms: list[Synonym] = []
    for synonym in entry.synonyms:
        key = tuple(tokens(synonym.text))
        if synonym.kept and entry.id in losing.get(key, set()):
            others = ", ".join(str(holder.id) for holder in shared[key] if holder.id != entry.id)
            reason = f"shared with class {others}"
            synonyms.append(replace(synonym, match=False, prompt=False, reason=reason))
        else:
            synonyms.append(synonym)
    changed = replace(entry, synonyms=tuple(synonyms))
    return changed if changed.match_phrases() else entry
