"""Queries of more phrases than a server takes in one: asked in parts, with the same answers."""

from __future__ import annotations

import pytest
from captrawl.search.captions import open_captions
from captrawl.search.elastic import queries as elastic_queries
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)


def answers(index, query):
    scanned = [row for batch in index.scan(query) for row in batch.to_pylist()]
    return {
        "count": index.count([query]),
        "sample": index.sample(query, 40, 3).to_pylist(),
        "first": index.first(query, 40, None).to_pylist(),
        "relevant": sorted(row["row"] for row in index.relevant(query, 1000).to_pylist()),
        "scan": sorted(row["row"] for row in scanned),
    }


def test_a_class_of_nine_thousand_synonyms(place, corpus):
    """18,000 tokens: a server with 512 MB of heap on two cores takes 8,192 clauses."""
    wide = CaptionQuery(tuple(f"no {number}" for number in range(9000)), filters=ANY)
    with open_captions(place, create=True) as index:
        corpus({"a": 300}).fill(index)
        assert index.count([wide, CaptionQuery(("blue dog",), filters=ANY)]) == [300, 100]
        assert answers(index, wide) == answers(index, CaptionQuery(("dog",), filters=ANY))


def test_rows_that_match_several_parts_are_given_once(place, corpus, monkeypatch):
    several = CaptionQuery(
        ("blue dog", "dog version 1", "no 7", "red", "dog"), exclude=("no 12",), filters=Filters()
    )
    with open_captions(place, create=True) as index:
        corpus({"a": 60}).fill(index)
        whole = answers(index, several)
        assert whole["count"] == [60 - 9 - 1]  # every seventh row isn't safe
        monkeypatch.setattr(elastic_queries, "MOST_CLAUSES", 8)
        assert len(elastic_queries.parts(several)) > 2
        assert answers(index, several) == whole
