"""Filling an index: resumption, settings, several loaders, versions of a file."""

from __future__ import annotations

import random
import signal
import threading
import time

import pytest
from captrawl.core.errors import CaptionIndexError, IndexBusyError
from captrawl.search.elastic.catalogue import CONTROL_ID
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)
DOGS = CaptionQuery(("dog",), filters=ANY)
BLUE = CaptionQuery(("blue dog",), filters=ANY)
VERSIONS = [CaptionQuery((f"version {n}",), filters=ANY) for n in (1, 2)]


class KilledError(BaseException):
    """No clean-up, as after SIGKILL."""


def settings_of(index):
    (found,) = index.server.client.indices.get_settings(index=index.index).values()
    kept = ("refresh_interval", "number_of_replicas", "auto_expand_replicas")
    return {name: found["settings"]["index"].get(name) for name in kept}


def documents(index):
    """How many documents lie in the index, counted or not."""
    index.server.client.indices.refresh(index=index.index)
    return index.server.client.count(index=index.index)["count"]


def killed(batches, after):
    for number, batch in enumerate(batches):
        if number == after:
            raise KilledError
        yield batch


def test_a_killed_load_is_unseen_and_taken_up(place, corpus):
    made = corpus({"a": 50, "b": 5000})
    a, b = made.files
    with ElasticCaptions.open(place, create=True) as index:
        index.add(a, made.batches("a"))
        with pytest.raises(KilledError):
            index.add(b, killed(made.batches("b"), 4))
        assert documents(index) > 50 + 2
        assert (index.rows(), index.count([DOGS, BLUE]), list(index.files())) == (50, [50, 17], ["a"])
        assert sum(batch.num_rows for batch in index.scan(DOGS)) == 50
        assert index.sample(DOGS, 100, 5).num_rows == 50

        assert index.add(b, made.batches("b")) == 5000
        assert (index.rows(), index.count([DOGS])) == (5050, [5050])
        assert documents(index) == 5050 + 3  # two files' records and the index's


def test_a_killed_load_of_another_version_is_cleaned_up(place, corpus):
    old, new = corpus({"a": 3000}), corpus({"a": 2000}, "2")
    with ElasticCaptions.open(place, create=True) as index:
        with pytest.raises(KilledError):
            index.add(old.files[0], killed(old.batches("a"), 2))
        assert index.add(new.files[0], new.batches("a")) == 2000
        assert (index.rows(), index.count([DOGS, *VERSIONS])) == (2000, [2000, 0, 2000])
        assert documents(index) == 2000 + 2


def test_readers_see_the_old_version_or_the_new(place, corpus):
    old, new = corpus({"a": 4000, "b": 10}), corpus({"a": 3000}, "2")
    seen, done = set(), threading.Event()
    with ElasticCaptions.open(place, create=True) as index, ElasticCaptions.open(place) as reader:
        old.fill(index)

        def read():
            while not done.is_set():
                seen.add(tuple(reader.count(VERSIONS)))

        reading = threading.Thread(target=read)
        reading.start()
        try:
            for _ in range(3):
                index.add(new.files[0], new.batches("a", 100))
                index.add(old.files[0], old.batches("a", 100))
        finally:
            done.set()
            reading.join()
    assert seen == {(4010, 0), (10, 3000)}


def test_a_removed_file_ends_its_load_elsewhere(place, corpus):
    made = corpus({"a": 3000})
    other = corpus({"a": 10}, "2")

    def overtaken(batches, index):
        yield next(batches)
        index.add(other.files[0], other.batches("a"))
        yield from batches

    with ElasticCaptions.open(place, create=True) as index:
        with pytest.raises(IndexBusyError, match="a was replaced or removed by another process"):
            index.add(made.files[0], overtaken(made.batches("a"), index))
        assert (index.rows(), index.count(VERSIONS)) == (10, [0, 10])
        with index.loading():
            pass
        assert documents(index) == 10 + 2


def fails_while_loading(index):
    """The settings in a load that fails."""
    try:
        with index.loading():
            during = settings_of(index)
            raise ZeroDivisionError
    except ZeroDivisionError:
        return during


def test_settings_are_put_back(place, corpus):
    made = corpus({"a": 10})
    with ElasticCaptions.open(f"{place}?shards=2&replicas=1", create=True) as index:
        before = settings_of(index)
        assert before == {"refresh_interval": None, "number_of_replicas": "1", "auto_expand_replicas": None}
        loading = {**before, "refresh_interval": "-1"}
        with index.loading():
            assert settings_of(index) == {
                **loading,
                "number_of_replicas": "0",
                "auto_expand_replicas": "false",
            }
            made.fill(index)
        assert settings_of(index) == {
            **before,
            "auto_expand_replicas": settings_of(index)["auto_expand_replicas"],
        }
        index.server.client.indices.put_settings(
            index=index.index, settings={"index": {"refresh_interval": "7s"}}
        )
        during = fails_while_loading(index)
        assert during["refresh_interval"] == "-1"
        assert during["number_of_replicas"] == "1"  # rows in use keep their copies
        assert settings_of(index)["refresh_interval"] == "7s"


def test_automatic_replicas_come_back(place):
    with ElasticCaptions.open(place, create=True) as index:
        assert settings_of(index)["auto_expand_replicas"] == "0-1"
        with index.loading():
            assert settings_of(index)["auto_expand_replicas"] == "false"
        assert settings_of(index)["auto_expand_replicas"] == "0-1"


def test_the_last_of_several_loaders_puts_back(place):
    with ElasticCaptions.open(place, create=True) as index, ElasticCaptions.open(place) as other:
        with index.loading():
            with other.loading():
                pass
            assert settings_of(index)["refresh_interval"] == "-1"
        assert settings_of(index)["refresh_interval"] is None


def test_what_a_killed_loader_left_is_put_back(place, loader):
    process = loader(place, "1", {"a": 500_000})
    assert process.stdout.readline() == "ready\n"
    with ElasticCaptions.open(place) as index:
        deadline = time.monotonic() + 60
        while settings_of(index)["refresh_interval"] != "-1" and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert settings_of(index)["refresh_interval"] == "-1"
        with index.loading():
            pass
        assert settings_of(index) == {
            "refresh_interval": None,
            "auto_expand_replicas": "0-1",
            "number_of_replicas": settings_of(index)["number_of_replicas"],
        }
        control = index.server.client.get(index=index.index, id=CONTROL_ID)["_source"]["record"]["detail"]
        assert (control["sessions"], control["restore"]) == ({}, {})


def test_a_loader_killed_again_and_again_ends_with_every_row_once(place, loader, corpus):
    files = {"a": 9000, "b": 1} | {f"small {n}": 100 for n in range(60)}
    chance = random.Random(4)
    kills = 0
    for attempt in range(40):
        process = loader(place, "1", files)
        if process.stdout.readline() == "ready\n" and attempt < 4:
            time.sleep(chance.uniform(0.0, 0.8))
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        with ElasticCaptions.open(place) as index:
            held = index.files()
            assert index.rows() == sum(files[file] for file in held)
            assert index.count([DOGS]) == [index.rows()]
    assert kills >= 1
    with ElasticCaptions.open(place) as index:
        assert (index.rows(), index.count([DOGS, BLUE])) == (15_001, [15_001, 3000 + 1 + 60 * 34])
        rows = [
            (f, r)
            for b in index.scan(DOGS)
            for f, r in zip(b["file"].to_pylist(), b["row"].to_pylist(), strict=True)
        ]
        assert sorted(rows) == sorted((file, row) for file, size in files.items() for row in range(size))
        assert documents(index) == 15_001 + 62 + 1
        assert settings_of(index)["refresh_interval"] is None


def test_several_loaders_fill_one_index(place, loader):
    sizes = {name: 1500 + n for n, name in enumerate("abcd")}
    shares = [dict(list(sizes.items())[:2]), dict(list(sizes.items())[2:]), {"a": sizes["a"]}]
    processes = [loader(place, "1", share) for share in shares]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0]
    with ElasticCaptions.open(place) as index:
        assert index.rows() == sum(sizes.values())
        assert index.count([DOGS]) == [sum(sizes.values())]
        assert documents(index) == sum(sizes.values()) + 4 + 1
        assert settings_of(index)["refresh_interval"] is None


def test_rows_that_no_record_names_are_unseen_and_tidied(place, corpus):
    made = corpus({"a": 20})
    with ElasticCaptions.open(place, create=True) as index:
        made.fill(index)
        stray = {**made.rows("a")[0], "tokens": "a dog", "load": "999999999999999"}
        index.server.client.index(
            index=index.index, id="9999999999999990000000000", document=stray, refresh=True
        )
        assert (index.rows(), index.count([DOGS])) == (20, [20])
        with index.loading():
            pass
        assert documents(index) == 20 + 2
        assert index.count([DOGS]) == [20]


def test_lost_rows_are_noticed(place, corpus):
    made = corpus({"a": 20})
    with ElasticCaptions.open(place, create=True) as index:
        made.fill(index)
        found = index.server.client.search(index=index.index, query={"term": {"file": "a"}}, size=1)["hits"][
            "hits"
        ]
        index.server.client.delete(index=index.index, id=found[0]["_id"], refresh=True)
        with pytest.raises(CaptionIndexError, match="contains 19 rows where its files account for 20"):
            index.count([DOGS])
