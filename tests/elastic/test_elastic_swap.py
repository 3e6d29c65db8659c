"""A new index behind an alias: readers see the old one, then the new one."""

from __future__ import annotations

import contextlib

import pytest
from captrawl.errors import CaptionIndexError
from captrawl.search.captions import open_captions
from captrawl.search.elastic import ElasticCaptions
from captrawl.search.elastic_swap import rebuilding
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)
VERSIONS = [CaptionQuery((f"version {n}",), filters=ANY) for n in (1, 2)]


def fill(location, corpus):
    with ElasticCaptions.open(location, create=True) as index, index.loading():
        corpus.fill(index)


def test_readers_see_the_old_index_until_the_new_one_is_whole(place, corpus):
    old, new = corpus({"a": 300}), corpus({"a": 200, "b": 50}, "2")
    with rebuilding(place) as build:
        fill(build.location, old)
    assert build.swapped
    with open_captions(place) as reader:
        assert (reader.index, reader.count(VERSIONS)) == (f"{place.rsplit('/', 1)[1]}-1", [300, 0])
        with rebuilding(place) as build:
            fill(build.location, new)
            assert reader.count(VERSIONS) == [300, 0]
            with open_captions(place) as other:
                assert other.count(VERSIONS) == [300, 0]
        assert build.swapped
        # A reader from before follows the alias.
        assert reader.count(VERSIONS) == [0, 250]
        assert sorted(reader.files()) == ["a", "b"]
        names = list(reader.server.client.indices.get(index=f"{place.rsplit('/', 1)[1]}*"))
    assert names == [f"{place.rsplit('/', 1)[1]}-2"]


def test_a_plain_index_is_replaced_by_an_alias(place, corpus):
    fill(place, corpus({"a": 30}))
    with open_captions(place) as reader, rebuilding(f"{place}?shards=1") as build:
        assert build.location.endswith("-1?shards=1&replicas=auto&codec=default")
        fill(build.location, corpus({"a": 20}, "2"))
        assert reader.count(VERSIONS) == [30, 0]
    with open_captions(place) as reader:
        assert reader.count(VERSIONS) == [0, 20]


def test_a_build_that_fails_is_unseen_and_taken_up(place, corpus):
    fill(place, corpus({"a": 30}))
    with contextlib.suppress(ZeroDivisionError), rebuilding(place) as build:
        fill(build.location, corpus({"a": 20}, "2"))
        raise ZeroDivisionError
    assert not build.swapped
    with open_captions(place) as reader:
        assert reader.count(VERSIONS) == [30, 0]
        with rebuilding(place) as again:
            assert again.location == build.location
            with open_captions(again.location) as index:
                assert list(index.files()) == ["a"]
        assert reader.count(VERSIONS) == [0, 20]


def test_the_last_part_swaps(place, corpus):
    fill(place, corpus({"a": 30}))
    with open_captions(place) as reader:
        for part, missing in (((2, 3), (1, 3)), ((1, 3), (3,)), ((3, 3), ())):
            with rebuilding(place, part=part) as build:
                fill(build.location, corpus({f"part-{part[0]}": 10}, "2"))
            assert (build.missing, build.swapped) == (missing, not missing)
            assert reader.count(VERSIONS) == ([30, 0] if missing else [0, 30])


def test_what_is_not_ours_is_not_swapped_away(place, elastic_url):
    from elasticsearch import Elasticsearch

    name = place.rsplit("/", 1)[1]
    with Elasticsearch(elastic_url) as client:
        client.indices.create(index=name, mappings={"properties": {"title": {"type": "text"}}})
        with pytest.raises(CaptionIndexError, match="wasn't made by captrawl"), rebuilding(place):
            pass
        assert list(client.indices.get(index=f"{name}*")) == [name]
