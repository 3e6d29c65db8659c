"""Indices of every format: opened, counted, filled on, swapped for one of today."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.schema import FORMAT
from captrawl.search.elastic.swap import SwapOptions, rebuilding
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

GOLDEN = Path(__file__).parents[2] / "golden" / "elastic-1"
"""The mapping, settings and documents of an index that captrawl made when format 1 was all there was."""
ROWS = json.loads((GOLDEN / "rows.json").read_text(encoding="utf-8"))
ANY = Filters(safety=Safety.OFF)
DOGS = CaptionQuery(("dog",), filters=ANY)
QUERIES = [
    DOGS,
    CaptionQuery(("blue dog", "no 7 &"), filters=ANY),
    CaptionQuery(("bobs no 1",), exclude=("blue",), filters=ANY),
    CaptionQuery(("dog",)),
    CaptionQuery(("dog",), filters=Filters(safety=Safety.OFF, min_side=90, language="en")),
    CaptionQuery(("dog",), filters=Filters(safety=Safety.OFF, licence="cc-by")),
]


@pytest.fixture
def golden(place):
    """The golden index, put back by the plain API."""
    from elasticsearch import Elasticsearch

    stored = json.loads((GOLDEN / "index.json").read_text(encoding="utf-8"))
    host, name = place.rsplit("/", 1)
    with Elasticsearch(host) as client:
        client.indices.create(index=name, mappings=stored["mappings"], settings=stored["settings"])
        operations = []
        for document in stored["documents"]:
            operations += [{"index": {"_id": document["_id"]}}, document["_source"]]
        assert not client.bulk(index=name, operations=operations, refresh=True)["errors"]
    return place


def key(row):
    return row["file"], row["row"]


def scanned(index):
    return sorted((row for batch in index.scan(DOGS) for row in batch.to_pylist()), key=key)


def source_of_a_row(index):
    (hit,) = index.server.client.search(index=index.index, query={"exists": {"field": "load"}}, size=1)[
        "hits"
    ]["hits"]
    return set(hit["_source"])


def test_format_1_gives_its_rows_back_and_is_filled_on_in_its_own_way(golden, corpus):
    dogs = sorted((row for row in ROWS if row["caption"]), key=key)
    assert len(dogs) == 47
    with ElasticCaptions.open(golden, create=True) as index:
        assert (index.rows(), index.analyzer) == (50, 1)
        assert index.files() == {
            f"birds/{n}.parquet": Fingerprint(r, r * 10, "1") for n, r in ((0, 35), (1, 15))
        }
        assert index.count(QUERIES[:1]) == [47]
        assert scanned(index) == dogs
        assert index.first(DOGS, 100, None).to_pylist() == dogs
        assert sorted(index.sample(DOGS, 100, 3).to_pylist(), key=key) == dogs
        assert sorted(index.relevant(DOGS, 100).to_pylist(), key=key) == dogs
        with index.loading():
            corpus({"more": 20}).fill(index)
            index.remove("birds/1.parquet")
        assert (index.rows(), index.count([DOGS])) == (55, [33 + 20])
        assert {"tokens", "load", "uid", "row"} <= source_of_a_row(index)
        assert (
            index.server.client.get(index=index.index, id="captrawl")["_source"]["record"]["detail"]["format"]
            == 1
        )


def test_a_swap_moves_over_to_todays_format_with_the_same_answers(golden):
    files = [
        CorpusFile(file, Path(file), "", Fingerprint(rows, rows * 10, "1"))
        for file, rows in (("birds/0.parquet", 35), ("birds/1.parquet", 15))
    ]
    with ElasticCaptions.open(golden) as old:
        counts, rows = old.count(QUERIES), old.first(DOGS, 100, None)
        sample, order = old.sample(DOGS, 9, 3), old.relevant(QUERIES[1], 100)
    with (
        rebuilding(golden, files=[file.file for file in files]) as build,
        ElasticCaptions.open(build.location, create=True) as index,
        index.loading(),
    ):
        for file in files:
            of_file = [row for row in ROWS if row["file"] == file.file]
            index.add(file, [pa.RecordBatch.from_pylist(of_file, schema=ROW_SCHEMA)])
    assert build.swapped
    with ElasticCaptions.open(golden) as new:
        meta = new.server.client.indices.get_mapping(index=new.index)[new.index]["mappings"]["_meta"]
        assert meta["captrawl"]["format"] == FORMAT == 2
        assert new.count(QUERIES) == counts
        assert counts == [47, 17, 2, 28, 20, 7]
        assert new.first(DOGS, 100, None).equals(rows)
        assert new.sample(DOGS, 9, 3).equals(sample)
        assert new.relevant(QUERIES[1], 100).num_rows == order.num_rows
        assert scanned(new) == sorted(rows.to_pylist(), key=key)
        assert not source_of_a_row(new) & {"tokens", "side", "key", "load", "uid", "priority", "file", "row"}


def test_pairs_of_tokens_are_an_option_that_a_swap_keeps(place, corpus):
    queries = [CaptionQuery((f"{word} dog version 1",), filters=ANY) for word in ("red", "blue", "green")]
    queries += [DOGS, CaptionQuery(("blue dog", "no 4 bobs"), prefix="a", filters=ANY)]
    answers = []
    for location in (f"{place}-plain", f"{place}?phrases=1"):
        with ElasticCaptions.open(location, create=True) as index, index.loading():
            corpus({"a": 30}).fill(index)
            answers.append(index.count(queries))
    assert answers[0] == answers[1] == [20, 10, 0, 30, 11]
    with rebuilding(place, SwapOptions(drop_others=True)) as build:
        pass
    with ElasticCaptions.open(place) as index:
        tokens = index.server.client.indices.get_mapping(index=index.index)[index.index]["mappings"]
    assert build.location.endswith("phrases=1")
    assert tokens["properties"]["tokens"]["index_phrases"] is True
