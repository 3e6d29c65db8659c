"""What the rows of a question are like: hosts, licences, languages, sizes, similarities, longer phrases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from ..core.text import tokens
from .captions import CaptionIndex
from .query import CaptionQuery
from .synonyms.names import STOP_WORDS

LOOKED_AT = 1000
"""Rows that are looked at: all of a question, or so many at random."""
SHOWN = 8
"""Values of a facet, at most."""
SIDES = (128, 256, 512, 1024)
"""Pixels, of the shorter side."""
SIMILARITIES = (0.2, 0.25, 0.3, 0.35)

Values = Sequence[tuple[str, int]]
"""A value and how many rows have it, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Facets:
    """Values of the ``rows`` that were looked at. ``sides``, ``similarities``: rows of at least each."""

    rows: int
    hosts: Values
    licences: Values
    languages: Values
    sides: Values
    similarities: Values
    longer: Values
    """The phrases with the word before or behind them, where several rows have it."""


def facets(index: CaptionIndex, query: CaptionQuery, size: int = LOOKED_AT) -> Facets:
    """The facets of at most ``size`` matching rows: uniform, the same ones each time."""
    table = index.sample(query, size, 0)
    sides = [min(pair) for pair in zip(*_columns(table, "width", "height"), strict=True) if None not in pair]
    [similarities, urls, licences, languages, captions] = _columns(
        table, "similarity", "url", "licence", "language", "caption"
    )
    return Facets(
        rows=table.num_rows,
        hosts=_most(_host(url) for url in urls),
        licences=_most(licences),
        languages=_most(languages),
        sides=[(str(side), sum(one >= side for one in sides)) for side in SIDES],
        similarities=[
            (str(least), sum(one is not None and least <= one <= 1 for one in similarities))
            for least in SIMILARITIES
        ],
        longer=_longer(captions, query.synonyms),
    )


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _most(values: Iterable[str | None], least: int = 1) -> Values:
    """The most frequent values, equal ones by name."""
    counts = Counter(value.strip() for value in values if value and value.strip())
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [pair for pair in pairs[:SHOWN] if pair[1] >= least]


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None


def _longer(captions: Iterable[str | None], phrases: Sequence[str]) -> Values:
    words_of_phrases = [words for phrase in phrases if (words := tokens(phrase))]
    longer: list[str] = []
    for caption in captions:
        words = tokens(caption or "")
        of_row = set[str]()
        for phrase in words_of_phrases:
            for end in range(len(phrase), len(words) + 1):
                start = end - len(phrase)
                if words[start:end] == phrase:
                    of_row.update(_with_a_neighbour(words, start, end))
        longer += of_row
    return _most(longer, least=2)


def _with_a_neighbour(words: Sequence[str], start: int, end: int) -> Iterator[str]:
    """``words[start:end]`` with the word before, and with the word behind."""
    if start and _tells(words[start - 1]):
        yield " ".join(words[start - 1 : end])
    if end < len(words) and _tells(words[end]):
        yield " ".join(words[start : end + 1])


def _tells(word: str) -> bool:
    """Whether it says what the phrase is of: no function word, no number, no letter."""
    return word not in STOP_WORDS and len(word) > 1 and not word.isdigit()
