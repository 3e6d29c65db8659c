"""Phrases of one class that stand inside another's: ``shirt`` in ``t-shirt``.

A caption with the longer phrase has the shorter one too, so it matches both classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..core.text import tokens
from .model import ClassEntry, ClassList


@dataclass(frozen=True, slots=True)
class Nested:
    """``inner``, a phrase of the class ``entry``, stands in ``outer``, a phrase of the class ``other``.

    ``rows`` is the frequency of ``outer``, None where it wasn't counted.
    """

    entry: ClassEntry
    inner: str
    other: ClassEntry
    outer: str
    rows: int | None


def nested_phrases(classes: ClassList) -> list[Nested]:
    """Every pair, by ``entry``, the most frequent ``outer`` first; each ``outer`` once for an ``entry``.

    A phrase that the class has itself, or excludes, takes nothing from it.
    """
    spelled: dict[tuple[str, ...], list[tuple[ClassEntry, str]]] = {}
    own: dict[int, set[tuple[str, ...]]] = {}
    for entry in classes:
        own[entry.id] = {tuple(tokens(text)) for text in (*entry.match_phrases(), *entry.exclude)}
        for phrase in entry.match_phrases():
            spelled.setdefault(tuple(tokens(phrase)), []).append((entry, phrase))
    sizes = {len(words) for words in spelled}
    pairs: dict[tuple[int, tuple[str, ...]], Nested] = {}
    for other in classes:
        for synonym in (one for one in other.synonyms if one.match):
            outer = tuple(tokens(synonym.text))
            for run in _runs(outer, sizes):
                for entry, inner in spelled.get(run, ()):
                    if outer not in own[entry.id]:
                        pair = Nested(entry, inner, other, synonym.text, synonym.frequency)
                        pairs.setdefault((entry.id, outer), pair)
    return sorted(pairs.values(), key=lambda pair: (pair.entry.id, -(pair.rows or 0)))


def _runs(words: tuple[str, ...], sizes: Iterable[int]) -> Iterator[tuple[str, ...]]:
    """Every run of so many tokens in ``words`` that is shorter than these."""
    for size in (size for size in sorted(sizes) if size < len(words)):
        for start in range(len(words) - size + 1):
            yield words[start : start + size]


def longest(classes: ClassList) -> ClassList:
    """``classes`` of which each excludes the longer phrases that others have around its own.

    A caption with the longer phrase is then the other class's alone.
    """
    outer: dict[int, list[str]] = {}
    for pair in nested_phrases(classes):
        outer.setdefault(pair.entry.id, []).append(pair.outer)
    return tuple(_excluding(entry, outer.get(entry.id, [])) for entry in classes)


def _excluding(entry: ClassEntry, phrases: list[str]) -> ClassEntry:
    if not phrases:
        return entry
    return replace(entry, extra={**entry.extra, "exclude": [*entry.exclude, *sorted(phrases)]})
