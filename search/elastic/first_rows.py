"""The first rows in an order: pages of a sorted search, and the rows of a query in parts put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import QueryError
from .catalogue import Catalogue
from .queries import SCORE_ORDER, Body
from .scan import PAGE, Hits
from .schema import returned

Hit = Mapping[str, Any]


def first_rows(
    catalogue: Catalogue,
    queries: Sequence[Body],
    order: Sequence[Body],
    size: int,
    *,
    after: Sequence[Any] | None = None,
) -> Hits:
    """The first ``size`` hits that match one of ``queries``, in ``order``, behind ``after``.

    ``after`` is sort values. A document that matches several queries has the place of the first.
    """
    if size < 0:
        raise QueryError(f"{size} rows were asked for; ask for 0 or more")
    hits = [hit for query in queries for hit in _hits(catalogue, query, order, size, after)]
    if len(queries) > 1:
        hits = _together(hits, highest_first=order is SCORE_ORDER)[:size]
    return hits


def _hits(
    catalogue: Catalogue, query: Body, order: Sequence[Body], size: int, after: Sequence[Any] | None
) -> Hits:
    hits: Hits = []
    while len(hits) < size:
        body: Body = {
            "size": min(size - len(hits), PAGE),
            "query": query,
            "sort": list(order),
            "track_total_hits": False,
            **returned(catalogue.index_format),
        }
        if after:
            body["search_after"] = list(after)
        page = catalogue.search(body)["hits"]["hits"]
        hits += page
        if len(page) < body["size"]:
            break
        after = page[-1]["sort"]
    return hits


def _together(hits: Hits, *, highest_first: bool) -> Hits:
    """Hits in the order of their sort values, of which the last two are file and row; each row once."""
    sign = -1 if highest_first else 1

    def place(hit: Hit) -> list[Any]:
        first, *rest = hit["sort"]
        return [sign * first, *rest] if rest[1:] else hit["sort"]

    once: dict[tuple[Any, ...], Hit] = {}
    for hit in sorted(hits, key=place):
        once.setdefault(tuple(hit["sort"][-2:]), hit)
    return list(once.values())
