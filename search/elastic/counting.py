"""Counts of many queries: hundreds a request, of committed rows only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from ...core.errors import CaptionIndexError
from ..query import CaptionQuery
from .catalogue import Catalogue
from .errors import is_forbidden
from .queries import Visible, counts, in_loads, list_loads, loads_of, parts, wide_count
from .scan import Snapshot

COUNTED_AT_ONCE = 500
"""Phrases counted in one request: each takes 10 kB of the server's heap meanwhile, and more aren't faster."""

_FEW = 50
"""Loads whose rows are counted and taken off; of more, those that count are asked for."""

CountGroup = Callable[[list[CaptionQuery]], list[int]]
"""Counts queries that differ in their synonyms only."""


def counts_under(catalogue: Catalogue, queries: Sequence[CaptionQuery], visible: Visible) -> list[int]:
    """The counts of ``queries`` among the rows that ``visible`` lets through."""
    return _counts(catalogue, queries, visible, partial(_group_under, catalogue, visible))


def counts_beside(catalogue: Catalogue, queries: Sequence[CaptionQuery], loads: frozenset[str]) -> list[int]:
    """The counts of ``queries`` among the rows of ``loads``, where rows of other loads lie in the index.

    Counting all and taking off the others is as fast as if they weren't there, so long as they are few: a
    filter for what counts would be asked of every row.
    """
    visible = [in_loads(sorted(loads))]
    try:
        with contextlib.closing(Snapshot(catalogue)) as snapshot:
            snapshot.renew()
            others = loads_of(snapshot.search(list_loads())).keys() - loads
            if len(others) > _FEW:
                return counts_under(catalogue, queries, visible)
            return _counts(catalogue, queries, visible, partial(_group_beside, snapshot, others))
    except CaptionIndexError as error:  # who may ask an alias only has no snapshots of the index behind it
        if not is_forbidden(error):
            raise
        return counts_under(catalogue, queries, visible)


def _counts(
    catalogue: Catalogue, queries: Sequence[CaptionQuery], visible: Visible, count_group: CountGroup
) -> list[int]:
    """The counts of ``queries``; those that differ in their synonyms only are asked together."""
    queries = [query.under(catalogue.analyzer) for query in queries]
    alike: dict[object, list[int]] = {}
    totals = [0] * len(queries)
    for place, query in enumerate(queries):
        pieces = parts(query)
        if len(pieces) > 1:
            answer = catalogue.search(wide_count(pieces, visible))
            none = answer["aggregations"]["queries"]["buckets"][-1]["doc_count"]
            totals[place] = answer["hits"]["total"]["value"] - none
        else:
            around = (query.prefix_tokens(), query.exclude_tokens(), query.filters)
            alike.setdefault(around, []).append(place)
    for group in alike.values():
        for start in range(0, len(group), COUNTED_AT_ONCE):
            part = group[start : start + COUNTED_AT_ONCE]
            for place, total in zip(part, count_group([queries[place] for place in part]), strict=True):
                totals[place] = total
    return totals


def _group_under(catalogue: Catalogue, visible: Visible, queries: list[CaptionQuery]) -> list[int]:
    return _buckets(catalogue.search(counts(queries, visible)))


def _group_beside(snapshot: Snapshot, others: Collection[str], queries: list[CaptionQuery]) -> list[int]:
    """Both counts of each query come from one request over one snapshot."""
    if not others:
        return _buckets(snapshot.search(counts(queries)))
    numbers = _buckets(snapshot.search(counts(queries, less=in_loads(sorted(others)))))
    return [every - other for every, other in zip(numbers[::2], numbers[1::2], strict=True)]


def _buckets(answer: Mapping[str, Any]) -> list[int]:
    return [bucket["doc_count"] for bucket in answer["aggregations"]["queries"]["buckets"]]
