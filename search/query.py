"""What is asked of a caption index: pure values, and what its filters mean, for every engine alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from math import isnan
from typing import Any

import numpy as np

from ..core.analyzers import ANALYZERS
from ..core.errors import QueryError
from ..core.row_ids import splitmix
from ..core.text import ANALYZER_VERSION

DEFAULT_PUNSAFE = 0.45
"""LAION's own bound for Re-LAION research-safe; above it a row is unsafe."""

UNSAFE_TAG = "nsfw"
"""The key of the tag that LAION gives unsafe rows (NSFW; the others are UNSURE and UNLIKELY)."""

KEY_LENGTH = 256
_BITS = 1 << 64


class Safety(StrEnum):
    """What happens to unsafe rows and to rows of which nobody knows whether they are safe."""

    DEFAULT = "default"
    """Rows tagged NSFW or with punsafe above the bound are left out; unknown rows pass."""
    STRICT = "strict"
    """As DEFAULT, and rows that have neither an NSFW tag nor a punsafe are left out."""
    OFF = "off"
    """None are left out."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The number ``field`` is there and lies within [low, high]; ``side`` is min(width, height)."""

    field: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """The key (filter_key) of the text ``field`` is there and one of ``keys``."""

    field: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The key (filter_key) of the text ``field`` is there and starts with ``start``."""

    field: str
    start: str


@dataclass(frozen=True, slots=True)
class Missing:
    """``field`` isn't there."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """``test`` doesn't hold."""

    test: Bound | OneOf | StartsWith | Missing


Phrase = tuple[str, ...]
"""The tokens of a phrase."""

Test = Bound | OneOf | StartsWith | Missing | Not
Condition = tuple[Test, ...]
"""Holds where one of its tests holds."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows may match, whatever their caption.

    A row without the value that a filter asks for fails, unless ``keep_unknown``. Safety is apart: there
    ``safety`` says what becomes of unknown rows; ``max_punsafe`` moves its bound (None: 0.45), ``nsfw``
    replaces its tag rule by a list of allowed tags.
    """

    min_side: int = 0
    max_punsafe: float | None = None
    nsfw: tuple[str, ...] = ()
    min_similarity: float | None = None
    licence: str = ""
    language: str = ""
    keep_unknown: bool = False
    safety: Safety = Safety.DEFAULT

    def __post_init__(self) -> None:
        _within("the minimum side in pixels", self.min_side, 0, 2**31 - 1)
        _within("the largest punsafe", self.max_punsafe, 0, 1)
        _within("the smallest similarity", self.min_similarity, -1, 1)
        if any(filter_key(tag) is None for tag in self.nsfw):
            raise QueryError(f"the allowed NSFW tags {list(self.nsfw)} contain an empty one; leave it out")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Filters:
        """Filters from options, settings or a question of the page: values by the fields' names."""
        plain = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        plain["nsfw"], plain["safety"] = (
            tuple(plain.get("nsfw") or ()),
            Safety(plain.get("safety", "default")),
        )
        return cls(**plain)

    def conditions(self) -> tuple[Condition, ...]:
        """What a row must fulfil: all conditions of the tuple, and of each condition one test."""
        tests: list[Test] = []
        if self.min_side > 0:
            tests.append(Bound("side", low=self.min_side))
        if self.min_similarity is not None:
            tests.append(Bound("similarity", low=self.min_similarity))
        if self.nsfw:
            tests.append(OneOf("nsfw", tuple(sorted(set(_keys(self.nsfw))))))
        if start := filter_key(self.licence):
            tests.append(StartsWith("licence", start))
        if language := filter_key(self.language):
            tests.append(OneOf("language", (language,)))
        return (*self._safety(), *map(self._allowing_unknown, tests))

    def _allowing_unknown(self, test: Test) -> Condition:
        if self.keep_unknown and isinstance(test, Bound | OneOf | StartsWith):
            return (test, Missing(test.field))
        return (test,)

    def _safety(self) -> tuple[Condition, ...]:
        if self.safety is Safety.OFF:
            bounded = self.max_punsafe is not None
            return (self._allowing_unknown(Bound("punsafe", high=self.max_punsafe)),) if bounded else ()
        bound = DEFAULT_PUNSAFE if self.max_punsafe is None else self.max_punsafe
        conditions: list[Condition] = [(Bound("punsafe", high=bound), Missing("punsafe"))]
        if not self.nsfw:
            conditions.append((Not(OneOf("nsfw", (UNSAFE_TAG,))),))
        if self.safety is Safety.STRICT:
            conditions.append((Not(Missing("nsfw")), Not(Missing("punsafe"))))
        return tuple(conditions)


@dataclass(frozen=True, slots=True)
class CaptionQuery:
    """Rows whose caption holds one of the synonyms, and the prefix, and none of the excluded phrases.

    Phrases are matched token by token, in order and adjacent, by ``analyzer`` (core.analyzers). No prefix is
    "". QueryError names a phrase without a token.
    """

    synonyms: tuple[str, ...]
    prefix: str = ""
    exclude: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    analyzer: int = ANALYZER_VERSION
    _tokens: Mapping[str, Phrase] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.synonyms:
            raise QueryError("a query needs at least one phrase")
        phrases = (*self.synonyms, *self.exclude, *((self.prefix,) if self.prefix else ()))
        tokens = ANALYZERS[self.analyzer].tokens
        object.__setattr__(self, "_tokens", {phrase: tuple(tokens(phrase)) for phrase in phrases})
        for phrase, phrase_tokens in self._tokens.items():
            if not phrase_tokens:
                raise QueryError(
                    f"the phrase {phrase!r} contains no letter and no digit: no caption can match it"
                )

    def under(self, analyzer: int) -> CaptionQuery:
        """The same query in the tokens of ``analyzer``: an index is asked with its own."""
        return self if analyzer == self.analyzer else replace(self, analyzer=analyzer)

    def synonym_tokens(self) -> tuple[Phrase, ...]:
        """The tokens of every synonym, each distinct one once, in order."""
        return tuple(dict.fromkeys(self._tokens[phrase] for phrase in self.synonyms))

    def prefix_tokens(self) -> Phrase:
        """The tokens of the prefix; none where there is no prefix."""
        return self._tokens.get(self.prefix, ())

    def exclude_tokens(self) -> tuple[Phrase, ...]:
        """The tokens of every excluded phrase, each distinct one once, in order."""
        return tuple(dict.fromkeys(self._tokens[phrase] for phrase in self.exclude))


def filter_key(text: str | None) -> str | None:
    """``text`` as filters compare it: stripped, lower-cased, cut at 256 characters; None where empty."""
    return (text or "").strip().lower()[:KEY_LENGTH].strip() or None


def sample_start(seed: int) -> int:
    """The signed 64-bit priority at which the sample with this seed starts; -2**63 for seed 0."""
    return int(splitmix(np.array([seed % _BITS], np.uint64))[0]) - _BITS // 2


def _keys(texts: Iterable[str]) -> Iterable[str]:
    return (key for text in texts if (key := filter_key(text)))


def _within(what: str, value: float | None, low: float, high: float) -> None:
    if value is not None and (isnan(value) or not low <= value <= high):
        raise QueryError(f"{what} is {value}; give a number from {low} to {high}")
