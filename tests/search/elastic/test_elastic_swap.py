"""A new index behind an alias: readers see the old one, then the new one."""

from __future__ import annotations

import contextlib

import pytest
from captrawl.core.errors import CaptionIndexError, IndexBusyError
from captrawl.search.captions import open_captions
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.swap import SwapOptions, go_back, rebuilding
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
    assert sorted(names) == [f"{place.rsplit('/', 1)[1]}-{number}" for number in (1, 2)]


def test_a_plain_index_is_replaced_by_an_alias(place, corpus):
    fill(place, corpus({"a": 30}))
    with open_captions(place) as reader, rebuilding(f"{place}?shards=1") as build:
        assert build.location.endswith("-1?shards=1&replicas=auto&codec=default")
        assert build.location.startswith(place)
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
            with rebuilding(place, SwapOptions(part, drop_others=True)) as build:
                fill(build.location, corpus({f"part-{part[0]}": 10}, "2"))
            assert (build.missing, build.swapped) == (missing, not missing)
            assert reader.count(VERSIONS) == ([30, 0] if missing else [0, 30])


def test_a_part_that_is_run_again_is_waited_for(place, corpus):
    fill(place, corpus({"a": 30}))
    with rebuilding(place, SwapOptions((2, 2))) as build:
        fill(build.location, corpus({"part-2": 10}, "2"))
    with open_captions(place) as reader:
        with rebuilding(place, SwapOptions((2, 2), drop_others=True)) as again:
            with rebuilding(place, SwapOptions((1, 2), drop_others=True)) as other:
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
            pytest.raises(IndexBusyError, match="only the swap is left to do"),
            rebuilding(place) as build,
        ):
            fill(build.location, corpus({"a": 20}, "2"))
        corpus({"b": 5}).fill(old)
        assert old.count(VERSIONS) == [35, 0]
        with pytest.raises(ZeroDivisionError), rebuilding(place):
            raise ZeroDivisionError
    with open_captions(place) as reader:
        with pytest.raises(CaptionIndexError, match=r"b \(1 file, 5 rows\); give"), rebuilding(place):
            assert reader.count(VERSIONS) == [35, 0]
        with rebuilding(place, SwapOptions(drop_others=True)):
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
    assert f"{alias}-by-hand, which was {alias} until now, stays" in caplog.text


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
    with open_captions(place) as index:
        assert (index.index, index.rows()) == (f"{alias}-2", 20)
        held = index.server.client.indices.get_alias(index=index.index)[index.index]["aliases"]
    assert held == {
        alias: {},
        f"{alias}-team": {"filter": {"term": {"file": "a"}}},
        f"{alias}-2.writes": {"is_hidden": True},
    }


def names_of(place):
    alias = place.rsplit("/", 1)[1]
    with open_captions(place) as index:
        return sorted(index.server.client.indices.get(index=f"{alias}*")), index.index


def test_corpora_that_would_go_are_named_and_stay(place, corpus):
    """Before anything is built, and again before the swap: somebody may have added one meanwhile."""
    fill(place, corpus({"laion/0": 300, "laion/1": 200, "coyo/0": 50, "cc3m/0": 7}))
    new = corpus({"laion/0": 10, "laion/1": 10}, "2")
    said = r"would not: coyo \(1 file, 50 rows\), cc3m \(1 file, 7 rows\); give these files too, or --drop"
    with pytest.raises(CaptionIndexError, match=said), rebuilding(place, files=new.sizes):
        pytest.fail("nothing is to be built")
    assert names_of(place) == ([place.rsplit("/", 1)[1]], place.rsplit("/", 1)[1])
    with pytest.raises(CaptionIndexError, match=said), rebuilding(place) as build:
        fill(build.location, new)
    with open_captions(place) as index:
        assert index.rows() == 557
    with rebuilding(place, SwapOptions(drop_others=True), files=new.sizes):
        pass
    with open_captions(place) as index:
        assert index.count(VERSIONS) == [0, 20]


def test_a_swap_keeps_the_index_before_to_go_back_to(place, corpus):
    alias = place.rsplit("/", 1)[1]
    fill(place, corpus({"a": 30}))
    for version, rows in (("2", 20), ("3", 10)):
        with rebuilding(place) as build:
            fill(build.location, corpus({"a": rows}, version))
    assert build.replaced == f"{alias}-1"
    assert names_of(place) == ([f"{alias}-1", f"{alias}-2"], f"{alias}-2")
    assert go_back(place) == (f"{alias}-1", f"{alias}-2")
    with open_captions(place) as index:
        assert (index.index, index.count(VERSIONS)) == (f"{alias}-1", [0, 20])
    assert go_back(place) == (f"{alias}-2", f"{alias}-1")
    with rebuilding(place, SwapOptions(keep=0)) as build:
        fill(build.location, corpus({"a": 5}, "2"))
    assert (build.replaced, names_of(place)) == ("", ([f"{alias}-3"], f"{alias}-3"))
    with pytest.raises(CaptionIndexError, match=r"has no index before .*-3 to go back to"):
        go_back(place)


def test_an_index_whose_name_becomes_the_alias_is_kept_as_number_0(place, corpus):
    alias = place.rsplit("/", 1)[1]
    fill(place, corpus({"a": 30}))
    with pytest.raises(CaptionIndexError, match="was never swapped"):
        go_back(place)
    with rebuilding(place) as build:
        fill(build.location, corpus({"a": 20}, "2"))
    assert (build.replaced, names_of(place)) == (f"{alias}-0", ([f"{alias}-0", f"{alias}-1"], f"{alias}-1"))
    assert go_back(place) == (f"{alias}-0", f"{alias}-1")
    with ElasticCaptions.open(place) as index, index.loading():
        corpus({"b": 3}).fill(index)
        assert index.count(VERSIONS) == [33, 0]


def test_an_index_of_ones_own_is_not_taken_for_number_0(place, corpus):
    fill(place, corpus({"a": 30}))
    fill(f"{place}-0", corpus({"b": 20}))
    refused = pytest.raises(CaptionIndexError, match=r"-0, where .* would stay, is an index in its own right")
    with refused, rebuilding(place) as build:
        fill(build.location, corpus({"a": 20}, "2"))
    for location, files in ((place, ["a"]), (f"{place}-0", ["b"])):
        with open_captions(location) as index:
            assert list(index.files()) == files


def test_a_swap_is_made_as_the_index_before(place, corpus):
    """A plain address forgets neither shards nor copies nor codec."""
    fill(f"{place}?shards=2&replicas=0&codec=best_compression", corpus({"a": 30}))
    with rebuilding(place) as build:
        fill(build.location, corpus({"a": 20}, "2"))
    with open_captions(place) as index:
        (found,) = index.server.client.indices.get_settings(index=index.index).values()
    settings = found["settings"]["index"]
    assert [settings.get(name) for name in ("number_of_shards", "number_of_replicas", "codec")] == [
        "2",
        "0",
        "best_compression",
    ]
    assert "auto_expand_replicas" not in settings or settings["auto_expand_replicas"] == "false"
    assert "refresh_interval" not in settings


def test_a_build_whose_loader_was_killed_goes_live_with_its_copies(place, corpus, loader):
    fill(f"{place}?replicas=1", corpus({"a": 30}))
    with rebuilding(place) as build:
        process = loader(build.location, "2", {"a": 20}, CAPTRAWL_TEST_DIE="before leaving")
        assert process.wait() == -9
        with ElasticCaptions.open(build.location) as index:
            (found,) = index.server.client.indices.get_settings(index=index.index).values()
            assert (found["settings"]["index"]["number_of_replicas"], index.rows()) == ("0", 20)
    with open_captions(place) as index:
        (found,) = index.server.client.indices.get_settings(index=index.index).values()
    assert found["settings"]["index"]["number_of_replicas"] == "1"
    assert "refresh_interval" not in found["settings"]["index"]
