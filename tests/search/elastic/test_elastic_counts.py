"""Counts and scans where rows that don't count lie in the index, and where there are many shards."""

from __future__ import annotations

import contextlib

import pytest
from captrawl.search.elastic import bulk, counting
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.scan import Snapshot
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)


class KilledError(BaseException):
    """No clean-up, as after SIGKILL."""


def killed(batches, index):
    yield from batches
    index.server.client.indices.refresh(index=index.index)
    raise KilledError


def expected(rows):
    """Plain Python's counts of the queries below."""
    blue = [row for row in rows if row["row"] % 3 == 0]
    safe = [row for row in blue if row["punsafe"] is None]
    return [
        len(rows),
        len(blue) + sum(row["row"] % 3 != 0 and row["row"] in (4, 7) for row in rows),
        len(rows) - len(blue),
        len(safe),
        0,
        len(rows),
    ]


QUERIES = [
    CaptionQuery(("dog",), filters=ANY),
    CaptionQuery(("blue dog", "no 4 bobs", "no 7 bobs"), filters=ANY),
    CaptionQuery(("dog",), exclude=("blue",), prefix="a", filters=ANY),
    CaptionQuery(("blue dog",)),
    CaptionQuery(("green dog",), filters=ANY),
    CaptionQuery(("dog", *(f"no such name {n}" for n in range(300))), filters=ANY),  # asked in parts
]


@pytest.mark.parametrize("few", [1000, 0], ids=["left out by name", "too many to name"])
def test_counts_beside_unfinished_loads(place, corpus, monkeypatch, few):
    monkeypatch.setattr(counting, "_FEW", few)
    monkeypatch.setattr(bulk, "CHUNK_DOCUMENTS", 5)  # what is half-loaded is there
    made, other = corpus({"a": 70, "b": 40}), corpus({"b": 60, "c": 30}, "2")
    with ElasticCaptions.open(f"{place}?shards=5&replicas=0", create=True) as index, index.loading():
        made.fill(index)
        rows = made.rows("a") + made.rows("b")
        assert index.count(QUERIES) == expected(rows)
        for file in other.files:  # a new version of b, and c, both unfinished
            with pytest.raises(KilledError):
                index.add(file, killed(other.batches(file.file), index))
        assert index.server.client.count(index=index.index)["count"] > len(rows) + 50
        assert index.count(QUERIES) == expected(rows)
        given = [(row["file"], row["row"]) for b in index.scan(QUERIES[0]) for row in b.to_pylist()]
        assert sorted(given) == sorted((row["file"], row["row"]) for row in rows)
        # Rows that no record names are left out too.
        stray = {**made.rows("a")[0], "tokens": "a blue dog", "load": "9" * 15}
        index.server.client.index(index=index.index, id="9" * 15 + "0" * 10, document=stray, refresh=True)
        assert index.count(QUERIES) == expected(rows)


def test_counts_where_a_file_goes_in_between_the_records_and_the_snapshot(place, corpus, monkeypatch):
    """What has come to count since the question began doesn't count in it."""
    made, other = corpus({"a": 70, "b": 40}), corpus({"c": 30, "d": 20}, "2")
    with ElasticCaptions.open(f"{place}?shards=5&replicas=0", create=True) as index, index.loading():
        made.fill(index)
        with pytest.raises(KilledError):
            index.add(other.files[1], killed(other.batches("d"), index))
        catalogue = index._catalogue(index.index)
        loads = catalogue.committed_loads()
        index.add(other.files[0], other.batches("c"))
        with contextlib.closing(Snapshot(catalogue)) as snapshot:
            snapshot.renew()
            assert len(counting._others(snapshot, loads)) == 2
        of_question = counting.counts_beside(catalogue, QUERIES, loads)
        assert of_question == expected(made.rows("a") + made.rows("b"))
