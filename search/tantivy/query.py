"""Caption queries as tantivy queries: exactly the rows that search.query describes.

A translation fits every sub-index of the format. What tantivy does otherwise than one might think: a phrase
of one token must be a term, beside a Must a Should is optional, and a MustNot alone matches nothing. A range
that must hold is asked as "the value exists, and isn't outside", which intersects much faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import tantivy

from ..query import Bound, CaptionQuery, Condition, Filters, Missing, Not, OneOf, Phrase, StartsWith, Test
from .schema import FAST_INTEGERS, TAGGED, key_tag, schema

SCHEMA = schema()

_Clause = tuple[tantivy.Occur, tantivy.Query]
Clauses = Iterator[_Clause]

_MUST = tantivy.Occur.Must
_NOT = tantivy.Occur.MustNot
_Query = tantivy.Query


def matching(queries: Iterable[CaptionQuery]) -> list[tantivy.Query]:
    """For each query, the rows that match it, all with one score."""
    translated: list[tantivy.Query] = []
    for query in queries:
        clauses = [(_MUST, any_of(map(phrase, query.synonym_tokens()))), *_beside_synonyms(query)]
        translated.append(_Query.const_score_query(all_of(clauses), 1.0))
    return translated


def ranked(query: CaptionQuery, boosts: Iterable[Sequence[float]]) -> list[tantivy.Query]:
    """The rows that match ``query``, scored by its synonyms alone, once for each of ``boosts``.

    Boosts are those of the synonyms, in order.
    """
    synonyms = [phrase(words) for words in query.synonym_tokens()]
    beside = [
        (occur, _Query.const_score_query(clause, 0.0) if occur is _MUST else clause)
        for occur, clause in _beside_synonyms(query)
    ]
    scored = (any_of(map(_Query.boost_query, synonyms, each)) for each in boosts)
    return [all_of([(_MUST, clause), *beside]) for clause in scored]


def phrase(words: Sequence[str]) -> tantivy.Query:
    """The rows whose caption contains the tokens ``words`` in order and adjacent."""
    if len(words) == 1:
        return _Query.term_query(SCHEMA, "tokens", words[0])
    return _Query.phrase_query(SCHEMA, "tokens", list(words))


def between(field: str, low: float | None, high: float | None) -> tantivy.Query:
    """The rows whose fast column ``field`` is there and within [low, high]; None is open."""
    kind = tantivy.FieldType.Integer if field in FAST_INTEGERS else tantivy.FieldType.Float
    return _Query.range_query(SCHEMA, field, kind, low, high)


def outside(field: str, low: float | None, high: float | None) -> Clauses:
    """Clauses that leave out the rows whose fast column ``field`` is below ``low`` or above ``high``."""
    kind = tantivy.FieldType.Integer if field in FAST_INTEGERS else tantivy.FieldType.Float
    if low is not None:
        yield _NOT, _Query.range_query(SCHEMA, field, kind, None, low, include_upper=False)
    if high is not None:
        yield _NOT, _Query.range_query(SCHEMA, field, kind, high, None, include_lower=False)


def any_of(queries: Iterable[tantivy.Query]) -> tantivy.Query:
    """The rows that match one of ``queries``, of which there must be one."""
    alternatives = list(queries)
    return (
        alternatives[0]
        if len(alternatives) == 1
        else _Query.boolean_query([(tantivy.Occur.Should, one) for one in alternatives])
    )


def all_of(clauses: Iterable[_Clause]) -> tantivy.Query:
    """The rows that match every Must and no MustNot; the first clause is a Must."""
    required = list(clauses)
    return required[0][1] if len(required) == 1 else _Query.boolean_query(required)


def _beside_synonyms(query: CaptionQuery) -> Sequence[_Clause]:
    return _surroundings(query.prefix_tokens(), query.exclude_tokens(), query.filters)


@lru_cache(maxsize=64)
def _surroundings(prefix: Phrase, exclude: tuple[Phrase, ...], filters: Filters) -> tuple[_Clause, ...]:
    """What a query asks for besides its synonyms; many queries ask for the same."""
    required = [(_MUST, phrase(prefix))] if prefix else []
    excluded = [(_NOT, phrase(words)) for words in exclude]
    filter_clauses = [clause for condition in filters.conditions() for clause in _fulfilling(condition)]
    return (*required, *excluded, *filter_clauses)


def _fulfilling(condition: Condition) -> Clauses:
    """Clauses that leave the rows for which one of the condition's tests holds."""
    match condition:
        case (Bound(field, low, high),):
            yield _MUST, _Query.exists_query(field)
            yield from outside(field, low, high)
        case (Bound(field, low, high), Missing(missing)) if field == missing:
            yield from outside(field, low, high)
        case (Not(test),):
            yield _NOT, _holding(test)
        case _:
            yield _MUST, any_of(map(_holding, condition))


def _holding(test: Test) -> tantivy.Query:
    match test:
        case Bound(field, low, high):
            return between(field, low, high)
        case OneOf(field, keys):
            tags = (key_tag(field, key) for key in keys)
            return any_of(_Query.term_query(SCHEMA, "tags", tag, "basic") for tag in tags)
        case StartsWith(field, start):
            return _tagged(field, start)
        case Missing(field):
            return _all_but(_present(field))
        case Not(Missing(field)):
            return _present(field)
        case Not(inner):
            return _all_but(_holding(inner))


def _present(field: str) -> tantivy.Query:
    """The rows whose ``field`` is there."""
    return _tagged(field, "") if field in TAGGED else _Query.exists_query(field)


def _tagged(field: str, start: str) -> tantivy.Query:
    """The rows whose ``field`` is there and its key starts with ``start``."""
    return _Query.regex_query(SCHEMA, "tags", re.escape(key_tag(field, start)) + "(.|\n)*")


def _all_but(query: tantivy.Query) -> tantivy.Query:
    return _Query.boolean_query([(_MUST, _Query.all_query()), (_NOT, query)])
