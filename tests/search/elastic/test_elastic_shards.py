"""How many shards an index is made with, and what is said of too few."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import CorpusFile, Fingerprint, LoadJob
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.corpora.readers import row_group_rows
from captrawl.search.elastic.admin import shards_for
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.swap import SwapOptions, rebuilding

pytestmark = pytest.mark.elastic


@pytest.mark.parametrize(
    ("rows", "shards"),
    [
        (None, 3),
        (0, 1),
        (50_000_000, 1),
        (50_000_001, 2),
        (413_000_000, 9),
        (5_850_000_000, 117),
        (10**12, 1024),
    ],
)
def test_about_one_shard_a_fifty_million_rows(rows, shards):
    assert shards_for(rows) == shards


def shards_of(place):
    with ElasticCaptions.open(place) as index:
        (settings,) = index.server.client.indices.get_settings(index=index.index).values()
    return int(settings["settings"]["index"]["number_of_shards"])


def test_the_footers_say_how_many(place, tmp_path, caplog):
    """One shard is said with -v, more of them always."""
    caplog.set_level("INFO", "captrawl")
    for number, rows in enumerate((3, 4)):
        table = pa.table({"url": ["http://example.org/"] * rows, "caption": ["a dog"] * rows})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    files = find_files([tmp_path], corpus="dogs")
    assert index_captions(place, files, workers=1).rows == 7
    assert shards_of(place) == 1
    assert "is made for 7 rows with 1 shard; ?shards=N behind the address says otherwise" in caplog.text
    caplog.clear()
    assert index_captions(place, files, workers=1).files_skipped == 2
    assert index_captions(f"{place}-2?shards=2", files, workers=1).rows == 7
    assert (shards_of(f"{place}-2"), "is made for" in caplog.text) == (2, False)


def test_a_new_index_behind_an_alias_too(place, caplog):
    with rebuilding(place, SwapOptions(rows=120_000_000)) as build:
        pass
    assert build.swapped
    assert "is made for 120,000,000 rows with 3 shards" in caplog.text
    assert shards_of(place) == 3


def test_a_crowded_shard_is_warned_of_when_it_is_made_and_when_it_is_filled(place, corpus, caplog):
    said = "rows per shard, which takes at most 2.1 billion: build an index of 64 shards (?shards=64"
    with ElasticCaptions.open(f"{place}?shards=2", create=True, rows=3_200_000_000) as index:
        assert f"would have 1,600,000,000 {said}" in caplog.text
        caplog.clear()
        corpus({"a": 10}).fill(index)
        file = CorpusFile("b", Path("b"), "", Fingerprint(3_190_000_000, 1, "1"))
        job = LoadJob([file], frozenset(["b"]), _no_rows, row_group_rows, 1, False, lambda _: None)
        assert index.load(job) == 0
        assert f"would have 1,595,000,005 {said}" in caplog.text


def _no_rows(file, *, row_groups=None):
    return iter(())
