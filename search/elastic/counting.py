"""Counts of many queries: hundreds a request, of committed rows only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...core.errors import CaptionIndexError
from ..query import CaptionQuery
from .catalogue import Catalogue
from .errors import is_forbidden
from .queries import Body, Visible, counts, in_loads, other_loads, parts, rows_with, wide_count
from .scan import Snapshot

COUNTED_AT_ONCE = 500
"""Phrases counted in one request: each takes 10 kB of the server's heap meanwhile, and more aren't faster."""

_FEW = 1000
"""Loads that are left out by name; of more, those that count are asked for."""


def counts_under(catalogue: Catalogue, queries: Sequence[CaptionQuery], visible: Visible) -> list[int]:
    """The counts of ``queries`` among the rows that ``visible`` lets through."""
    return _counts(catalogue.analyzer, queries, visible, catalogue.search)


def counts_beside(catalogue: Catalogue, queries: Sequence[CaptionQuery], loads: frozenset[str]) -> list[int]:
    """The counts of ``queries`` among the rows of ``loads``, where rows of other loads lie in the index.

    The others are left out by name, so long as they are few: their rows are, too.
    """
    visible = [in_loads(sorted(loads))]
    try:
        with contextlib.closing(Snapshot(catalogue)) as snapshot:
            snapshot.renew()
            others = _others(snapshot, loads)
            if others is not None:
                visible = [{"bool": {"must_not": [in_loads(others)]}}]
            return _counts(catalogue.analyzer, queries, visible, snapshot.search)
    except CaptionIndexError as error:  # who may ask an alias only has no snapshots of the index behind it
        if not is_forbidden(error):
            raise
        return counts_under(catalogue, queries, visible)


def _others(snapshot: Snapshot, loads: frozenset[str]) -> list[str] | None:
    """The loads beside ``loads`` that have rows; None for too many, or where no record names them.

    Records are few: to ask the rows themselves for their loads is to read every one.
    """
    of_records = snapshot.search(other_loads(sorted(loads), _FEW + 1))["aggregations"]
    pending, new = (
        [bucket["key"] for bucket in part["buckets"]]
        for part in (of_records["pending"], of_records["new"]["loads"])
    )
    if len(pending) + len(new) > _FEW:
        return None
    answer = snapshot.search(rows_with(pending))
    sizes = {name: part["doc_count"] for name, part in answer["aggregations"].items()}
    rows = answer["hits"]["total"]["value"] - sizes["records"]
    return [*pending, *new] if rows == int(of_records["rows"]["value"]) + sizes["rows"] else None


def _counts(
    analyzer: int,
    queries: Sequence[CaptionQuery],
    visible: Visible,
    search: Callable[[Body], Mapping[str, Any]],
) -> list[int]:
    """The counts of ``queries``; those that differ in their synonyms only are asked together."""
    queries = [query.under(analyzer) for query in queries]
    alike: dict[object, list[int]] = {}
    totals = [0] * len(queries)
    for place, query in enumerate(queries):
        pieces = parts(query)
        if len(pieces) > 1:
            answer = search(wide_count(pieces, visible))
            none = answer["aggregations"]["queries"]["buckets"][-1]["doc_count"]
            totals[place] = answer["hits"]["total"]["value"] - none
        else:
            around = (query.prefix_tokens(), query.exclude_tokens(), query.filters)
            alike.setdefault(around, []).append(place)
    for group in alike.values():
        for start in range(0, len(group), COUNTED_AT_ONCE):
            part = group[start : start + COUNTED_AT_ONCE]
            answer = search(counts([queries[place] for place in part], visible))
            buckets = answer["aggregations"]["queries"]["buckets"]
            for place, bucket in zip(part, buckets, strict=True):
                totals[place] = bucket["doc_count"]
    return totals
