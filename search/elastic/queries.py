"""What is asked of Elasticsearch: a CaptionQuery as query bodies. Pure functions that return dictionaries.

Every query asks for phrases, which only rows have, so records never match. ``visible`` is a filter that the
catalogue gives: none, where everything in the index is committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.analyzers import ANALYZERS
from ..query import Bound, CaptionQuery, Condition, Missing, OneOf, StartsWith, Test

Body = dict[str, Any]
Visible = Sequence[Mapping[str, Any]]

CORPUS_ORDER: list[Body] = [{"file": "asc"}, {"row": "asc"}]
PRIORITY_ORDER: list[Body] = [{"priority": "asc"}, *CORPUS_ORDER]
SCORE_ORDER: list[Body] = [{"_score": "desc"}, *CORPUS_ORDER]
SCAN_ORDER: list[str] = ["_doc", "_shard_doc"]
"""Of a page of a scan. `_shard_doc` alone rescans all earlier pages on servers before 9.4."""

MOST_TERMS = 50_000
"""Values a terms query may hold (the server's limit is 65,536)."""

MOST_LOADS = 60_000
"""Loads that an aggregation lists (the server's limit is 65,536 buckets)."""

MOST_CLAUSES = 1000
"""Tokens and conditions a query may hold: servers take 1,024 at least, more with more heap a thread."""

_FIELDS = {"nsfw": "key.nsfw", "licence": "key.licence", "language": "key.language"}


def phrase(words: Sequence[str]) -> Body:
    """Captions that hold ``words`` adjacent and in order."""
    if len(words) == 1:
        return {"term": {"tokens": {"value": words[0]}}}
    return {"match_phrase": {"tokens": " ".join(words)}}


def any_of(clauses: Sequence[Body]) -> Body:
    """Rows that match one of ``clauses``."""
    if len(clauses) == 1:
        return clauses[0]
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def parts(query: CaptionQuery) -> list[CaptionQuery]:
    """``query`` as queries that a server takes: a row matches it where it matches one of them."""
    around = len(query.prefix_tokens()) + sum(map(len, query.exclude_tokens()))
    room = MOST_CLAUSES - around - sum(map(len, query.filters.conditions()))
    if sum(map(len, query.synonym_tokens())) <= room:
        return [query]
    groups: list[list[str]] = []
    room_left = 0
    for synonym in query.synonyms:
        size = len(ANALYZERS[query.analyzer].tokens(synonym))
        if size > room_left:
            groups.append([])
            room_left = room
        groups[-1].append(synonym)
        room_left -= size
    return [replace(query, synonyms=tuple(part)) for part in groups]


def synonyms(query: CaptionQuery) -> Body:
    """Rows that match one of the query's synonyms."""
    return any_of([phrase(words) for words in query.synonym_tokens()])


def surroundings(query: CaptionQuery, visible: Visible = ()) -> Body:
    """What a query asks for besides its synonyms: the clauses of a bool query."""
    required = [phrase(query.prefix_tokens())] if query.prefix_tokens() else []
    required += [_condition(condition) for condition in query.filters.conditions()]
    excluded = [phrase(words) for words in query.exclude_tokens()]
    clauses: Body = {"filter": [*required, *visible]} if required or visible else {}
    return {**clauses, "must_not": excluded} if excluded else clauses


def matching(query: CaptionQuery, visible: Visible = (), *more: Body) -> Body:
    """The rows that match ``query`` and ``more``, unscored."""
    clauses = surroundings(query, visible)
    return {"bool": {**clauses, "filter": [synonyms(query), *clauses.get("filter", []), *more]}}


def scored(query: CaptionQuery, visible: Visible = ()) -> Body:
    """The rows that match ``query``, scored by BM25 over its synonyms."""
    return {"bool": {**surroundings(query, visible), "must": [synonyms(query)]}}


def counts(queries: Sequence[CaptionQuery], visible: Visible = ()) -> Body:
    """A search that counts each of ``queries``, which differ in their synonyms only.

    The counts are ``aggregations.queries.buckets[i].doc_count``. One pass over each phrase's postings, some
    hundreds of phrases a request: 4 to 10 times as fast as one search each.
    """
    clauses = surroundings(queries[0], visible)
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": clauses} if clauses else {"match_all": {}},
        "aggs": {"queries": {"filters": {"filters": [synonyms(query) for query in queries]}}},
    }


def wide_count(query_parts: Sequence[CaptionQuery], visible: Visible = ()) -> Body:
    """A search that counts the rows that match any of the parts of one query.

    The count is ``hits.total`` less the last bucket, which holds what matches none.
    """
    body = counts(query_parts, visible)
    body["aggs"]["queries"]["filters"]["other_bucket"] = True
    return {**body, "track_total_hits": True}


def from_priority(start: int) -> Body:
    """Rows whose priority is ``start`` or higher."""
    return {"range": {"priority": {"gte": start}}}


def below_priority(start: int) -> Body:
    """Rows whose priority is lower than ``start``."""
    return {"range": {"priority": {"lt": start}}}


def in_loads(loads: Sequence[str]) -> Body:
    """Rows that one of ``loads`` wrote."""
    return any_of(_parts_of(loads))


def _parts_of(loads: Sequence[str]) -> list[Body]:
    parts = [loads[i : i + MOST_TERMS] for i in range(0, len(loads), MOST_TERMS)] or [()]
    return [{"terms": {"load": list(part)}} for part in parts]


def list_loads() -> Body:
    """Every load that has rows; :func:`loads_of` reads the answer."""
    loads: Body = {"terms": {"field": "load", "size": MOST_LOADS}}
    return {"size": 0, "track_total_hits": False, "aggs": {"loads": loads}}


def other_loads(loads: Sequence[str], most: int) -> Body:
    """What the records name beside the committed ``loads``, at most ``most`` of each kind.

    ``pending`` are loads that don't count, ``new`` those that have come to count since; ``rows`` is how many
    rows count, new ones too.
    """
    earlier = [{"terms": {"record.load": body["terms"]["load"]}} for body in _parts_of(loads)]
    new: Body = {"bool": {"filter": [{"exists": {"field": "record.load"}}], "must_not": earlier}}
    names = {"loads": {"terms": {"field": "record.load", "size": most}}}
    aggregations: Body = {
        "pending": {"terms": {"field": "record.pending", "size": most}},
        "new": {"filter": new, "aggs": names},
        "rows": {"sum": {"field": "record.rows"}},
    }
    return {"size": 0, "track_total_hits": False, "query": of_kind("file"), "aggs": aggregations}


def rows_with(loads: Sequence[str]) -> Body:
    """How many documents there are (``hits.total``), how many records, and how many rows of ``loads``."""
    aggregations: Body = {
        "records": {"filter": {"exists": {"field": "kind"}}},
        "rows": {"filter": in_loads(loads)},
    }
    return {"size": 0, "track_total_hits": True, "aggs": aggregations}


def rows_of_loads(loads: Sequence[str]) -> Body:
    """How many rows each of ``loads`` has; :func:`loads_of` reads the answer."""
    buckets: Body = {"field": "load", "size": len(loads), "execution_hint": "map"}
    return {**list_loads(), "query": in_loads(loads), "aggs": {"loads": {"terms": buckets}}}


def loads_of(answer: Mapping[str, Any]) -> dict[str, int]:
    """The loads that an answer to :func:`list_loads` names, and how many rows each has."""
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["loads"]["buckets"]}


def of_kind(kind: str) -> Body:
    """The records of one kind."""
    return {"term": {"kind": kind}}


def _condition(condition: Condition) -> Body:
    return any_of([_test(test) for test in condition])


def _test(test: Test) -> Body:
    if isinstance(test, Bound):
        limits = {"gte": test.low, "lte": test.high}
        return {"range": {test.field: {name: v for name, v in limits.items() if v is not None}}}
    if isinstance(test, OneOf):
        return {"terms": {_FIELDS[test.field]: list(test.keys)}}
    if isinstance(test, StartsWith):
        return {"prefix": {_FIELDS[test.field]: {"value": test.start}}}
    if isinstance(test, Missing):
        return _none_of({"exists": {"field": _FIELDS.get(test.field, test.field)}})
    return _none_of(_test(test.test))


def _none_of(clause: Body) -> Body:
    return {"bool": {"must_not": [clause]}}
