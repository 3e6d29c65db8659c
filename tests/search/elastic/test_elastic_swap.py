"""A new index behind an alias: readers see the old one, then the new one."""

from __future__ import annotations

import contextlib

import pytest
from captrawl.core.errors import CaptionIndexError, IndexBusyError
from captrawl.search.captions import open_captions
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.swap import rebuilding
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


def test_a_part_that_is_run_again_is_waited_for(place, corpus):
    fill(place, corpus({"a": 30}))
    with rebuilding(place, part=(2, 2)) as build:
        fill(build.location, corpus({"part-2": 10}, "2"))
    with open_captions(place) as reader:
        with rebuilding(place, part=(2, 2)) as again:
            with rebuilding(place, part=(1, 2)) as other:
                fill(other.location, corpus({"part-1": 10}, "2"))
            assert (other.missing, other.swapped, reader.count(VERSIONS)) == ((2,), False, [30, 0])
        assert (again.missing, again.swapped, reader.count(VERSIONS)) == ((), True, [0, 20])


def test_an_index_in_its_own_right_is_not_taken_for_a_build(place, corpus):
    fill(place, corpus({"a": 30}))
    fill(f"{place}-1", corpus({"b": 20}))
    refused = pytest.raises(CaptionIndexError, match=r"-1, where the new captrawl-test-\w+ would be built")
    with refused, rebuilding(place):
        pass
    for location, files in ((place, ["a"]), (f"{place}-1", ["b"])):
        with open_captions(location) as index:
            assert list(index.files()) == files


def test_what_was_built_is_not_a_build_any_more(place, corpus):
    with rebuilding(place) as build:
        fill(build.location, corpus({"a": 30}))
    with open_captions(place) as index:
        index.server.client.indices.delete_alias(index=index.index, name=place.rsplit("/", 1)[1])
    with pytest.raises(CaptionIndexError, match="is an index in its own right"), rebuilding(place):
        pass


def test_two_whole_builds_at_a_time_are_refused(place, corpus):
    with rebuilding(place) as build, ElasticCaptions.open(build.location) as index, index.loading():
        with pytest.raises(IndexBusyError, match="another process is building"), rebuilding(place):
            pass
        corpus({"a": 30}).fill(index)
    assert build.swapped


def test_an_index_that_is_being_loaded_is_not_deleted(place, corpus):
    fill(place, corpus({"a": 30}))
    with ElasticCaptions.open(place) as old, old.loading():
        with (
            pytest.raises(IndexBusyError, match="would be deleted with what it adds"),
            rebuilding(place) as build,
        ):
            fill(build.location, corpus({"a": 20}, "2"))
        corpus({"b": 5}).fill(old)
        assert old.count(VERSIONS) == [35, 0]
        with pytest.raises(ZeroDivisionError), rebuilding(place):
            raise ZeroDivisionError
    with open_captions(place) as reader, rebuilding(place):
        assert reader.count(VERSIONS) == [35, 0]
    with open_captions(place) as reader:
        assert reader.count(VERSIONS) == [0, 20]


def test_what_is_not_ours_is_not_swapped_away(place, elastic_url):
    from elasticsearch import Elasticsearch

    name = place.rsplit("/", 1)[1]
    with Elasticsearch(elastic_url) as client:
        client.indices.create(index=name, mappings={"properties": {"title": {"type": "text"}}})
        with pytest.raises(CaptionIndexError, match="wasn't made by captrawl"), rebuilding(place):
            pass
        assert list(client.indices.get(index=f"{name}*")) == [name]


def test_an_index_with_a_name_of_its_own_is_not_deleted(place, corpus, caplog):
    """Somebody made the alias by hand."""
    own = f"{place}-by-hand"
    fill(own, corpus({"a": 30}))
    alias = place.rsplit("/", 1)[1]
    with open_captions(own) as index:
        index.server.client.indices.put_alias(index=index.index, name=alias)
    with rebuilding(place) as build:
        fill(build.location, corpus({"a": 20}, "2"))
    for location, counts in ((place, [0, 20]), (own, [30, 0])):
        with open_captions(location) as index:
            assert index.count(VERSIONS) == counts
    assert f"{alias}-by-hand, which {alias} stood for until now, stays" in caplog.text


def test_other_aliases_come_along(place, corpus):
    fill(place, corpus({"a": 30}))
    alias = place.rsplit("/", 1)[1]
    with open_captions(place) as index:
        index.server.client.indices.put_alias(
            index=alias, name=f"{alias}-team", filter={"term": {"file": "a"}}
        )
    for version in ("2", "3"):
        with rebuilding(place) as build:
            fill(build.location, corpus({"a": 20}, version))
    with open_captions(f"{place}-team") as index:
        assert (index.index, index.rows()) == (f"{alias}-2", 20)
        held = index.server.client.indices.get_alias(index=index.index)[index.index]["aliases"]
    assert held == {alias: {}, f"{alias}-team": {"filter": {"term": {"file": "a"}}}}
