"""A server killed in mid-load and started again; a cluster whose nodes die."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time

import pytest
from captrawl.core.errors import CaptionIndexError, ServerError
from captrawl.search.elastic import bulk as elastic_bulk
from captrawl.search.elastic import scan as elastic_scan
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic
every_version = sys.modules["captrawl_tests_servers"].every_version

ANY = Filters(safety=Safety.OFF)
DOGS, BLUE = (CaptionQuery((phrase,), filters=ANY) for phrase in ("dog", "blue dog"))


@pytest.fixture(scope="module")
def node(elastic_modules, elastic_version):
    local, servers = elastic_modules("local_server"), elastic_modules("servers")
    try:
        with local.running(elastic_version, heap="400m") as node:
            yield node
    except local.NoServerError as error:
        servers.missing(error)


@pytest.fixture(scope="module")
def nodes(elastic_modules, elastic_version):
    """Three nodes of one cluster."""
    local, servers = elastic_modules("local_server"), elastic_modules("servers")
    try:
        with local.cluster(elastic_version) as nodes:
            yield nodes
    except local.NoServerError as error:
        servers.missing(error)


def paced(batches, pace, told):
    for batch in batches:
        yield batch
        told.set()
        time.sleep(pace)


def loading(place, corpus, pace):
    """A load in a thread: (the thread, an event once rows are sent, what it raised)."""
    started, raised = threading.Event(), []

    def load():
        try:
            with ElasticCaptions.open(place, create=True) as index, index.loading():
                for file in corpus.files:
                    index.add(file, paced(corpus.batches(file.file, 200), pace, started))
        except CaptionIndexError as error:
            raised.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    return thread, started, raised


def check(place, corpus):
    """Exactly the corpus's rows are in, each once."""
    with ElasticCaptions.open(place) as index:
        everything = sorted((file, row) for file, size in corpus.sizes.items() for row in range(size))
        found = [
            pair
            for batch in index.scan(DOGS)
            for pair in zip(batch["file"].to_pylist(), batch["row"].to_pylist(), strict=True)
        ]
        assert sorted(found) == everything
        assert (index.rows(), index.count([DOGS])) == (len(everything), [len(everything)])
        index.server.client.indices.refresh(index=index.index)
        lying = index.server.client.count(index=index.index)["count"]
        assert lying == len(everything) + len(corpus.sizes) + 1


def test_a_load_outlives_its_server(node, corpus, monkeypatch):
    """Killed twice at random moments, started again: the same command goes on by itself."""
    monkeypatch.setattr(elastic_bulk, "CHUNK_DOCUMENTS", 400)
    made = corpus({"a": 8000, "b": 4000})
    place = f"{node.url}/killed-once?shards=2"
    thread, started, raised = loading(place, made, 0.05)
    try:
        chance = random.Random(8)
        for _ in range(2):
            assert started.wait(60)
            time.sleep(chance.uniform(0.1, 1.5))
            node.kill()
            time.sleep(0.5)
            node.start()
            started.clear()
    finally:
        thread.join()
    assert raised == []
    check(place, made)


def test_a_load_that_gives_up_is_run_again(node, corpus, monkeypatch):
    monkeypatch.setattr(elastic_bulk, "CHUNK_DOCUMENTS", 400)
    monkeypatch.setenv("ELASTICSEARCH_PATIENCE", "1")
    made = corpus({"a": 3000, "b": 6000})
    place = f"{node.url}/killed-twice?shards=2"
    with ElasticCaptions.open(place, create=True) as index:
        index.add(made.files[0], made.batches("a"))
    thread, started, raised = loading(place, made, 0.05)
    assert started.wait(60)
    time.sleep(0.6)
    node.kill()
    thread.join()
    assert "no Elasticsearch answers" in str(raised)
    with pytest.raises(ServerError, match="is it running"):
        ElasticCaptions.open(place)
    node.start()
    monkeypatch.delenv("ELASTICSEARCH_PATIENCE")
    with ElasticCaptions.open(place) as index:
        green(index)
        assert index.count([DOGS]) == [index.rows()]
    thread, _, raised = loading(place, made, 0)
    thread.join()
    assert raised == []
    check(place, made)


@every_version
def test_a_node_that_hangs_is_left_for_another(nodes, corpus, monkeypatch):
    """It takes connections and never answers; each question reaches a node that does."""
    place = f"{hosts(nodes)}/hanging?shards=1&replicas=2"
    with ElasticCaptions.open(place, create=True) as index:
        corpus({"a": 300}).fill(index)
        green(index)
        states = index.server.client.cluster.state(metric="master_node,nodes")
        master = states["nodes"][states["master_node"]]["name"]
    frozen = next(node for node in nodes if f"node-{node.port}" != master)
    monkeypatch.setenv("ELASTICSEARCH_TIMEOUT", "2")
    others = [node for node in nodes if node is not frozen]
    os.killpg(frozen.process.pid, signal.SIGSTOP)
    try:
        with ElasticCaptions.open(f"{hosts([frozen, *others])}/hanging") as index:
            assert [index.count([DOGS]) for _ in range(6)] == [[300]] * 6
    finally:
        os.killpg(frozen.process.pid, signal.SIGCONT)
    with ElasticCaptions.open(place) as index:
        green(index)


def hosts(nodes):
    return "http://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def green(index):
    client = index.server.client.options(request_timeout=150)
    health = client.cluster.health(wait_for_status="green", timeout="120s", index=index.index)
    assert not health["timed_out"]


@every_version
def test_a_cluster_loses_a_node_in_mid_load(nodes, corpus, monkeypatch):
    monkeypatch.setattr(elastic_bulk, "CHUNK_DOCUMENTS", 400)
    place = f"{hosts(nodes)}/shared?shards=3&replicas=1"
    first, more = corpus({"a": 1500}), corpus({"a": 1500, "b": 9000})
    with ElasticCaptions.open(place, create=True) as index:
        with index.loading():
            first.fill(index)
        green(index)
    thread, started, raised = loading(place, more, 0.05)
    try:
        assert started.wait(60)
        time.sleep(0.7)
        nodes[2].kill()
    finally:
        thread.join()
    assert raised == []
    check(place, more)  # with one node dead
    nodes[2].start()
    with ElasticCaptions.open(place) as index:
        green(index)
    check(place, more)


def test_a_cluster_loses_a_node_in_mid_scan(nodes, corpus, monkeypatch):
    monkeypatch.setattr(elastic_scan, "PAGE", 250)
    place = f"{hosts(nodes)}/scanned?shards=3&replicas=1"
    made = corpus({"a": 6000, "b": 2000})
    with ElasticCaptions.open(place, create=True) as index:
        made.fill(index)
        green(index)
        found = []
        for number, batch in enumerate(index.scan(DOGS)):
            found += zip(batch["file"].to_pylist(), batch["row"].to_pylist(), strict=True)
            if number == 3:
                nodes[1].kill()
        assert sorted(found) == [(file, row) for file, size in made.sizes.items() for row in range(size)]
        assert index.count([DOGS, BLUE]) == [8000, 2000 + 667]
    nodes[1].start()


def test_without_replicas_a_dead_node_is_an_error_not_a_short_result(nodes, corpus, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_PATIENCE", "2")
    place = f"{hosts(nodes)}/alone?shards=3&replicas=0"
    made = corpus({"a": 3000})
    with ElasticCaptions.open(place, create=True) as index:
        made.fill(index)
        (holder, *_) = (
            shard["node"] for shard in index.server.client.cat.shards(index=index.index, format="json")
        )
        node = next(node for node in nodes if holder == f"node-{node.port}")
        node.kill()
        for ask in (lambda: index.count([DOGS]), index.rows, lambda: list(index.scan(DOGS)), index.files):
            with pytest.raises(ServerError, match="busy or not whole"):
                ask()
        node.start()
        green(index)
        assert index.count([DOGS]) == [3000]
