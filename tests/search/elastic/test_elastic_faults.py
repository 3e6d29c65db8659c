"""Servers that are down, slow, busy or strange, and indices that aren't ours: clear errors, nothing lost."""

from __future__ import annotations

import contextlib
import itertools
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptionIndexError, IndexBusyError, ServerError
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.captions import open_captions
from captrawl.search.elastic import bulk as elastic_bulk
from captrawl.search.elastic import scan as elastic_scan
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.query import CaptionQuery, Filters, Safety
from elasticsearch import Elasticsearch

pytestmark = pytest.mark.elastic

DOGS = CaptionQuery(("dog",), filters=Filters(safety=Safety.OFF))
ELASTIC = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}


@pytest.fixture
def client(elastic_url):
    with contextlib.closing(Elasticsearch(elastic_url)) as opened:
        yield opened


def name_of(place):
    return place.rsplit("/", 1)[1]


def test_no_such_index(place):
    with pytest.raises(
        CaptionIndexError, match=r"there is no caption index captrawl-test-.*make it with captrawl"
    ):
        open_captions(place)


OTHERS = [
    ({"properties": {"title": {"type": "text"}}}, "wasn't made by captrawl"),
    ({"_meta": {"captrawl": {"format": 99, "analyzer": 1}}}, "index format .*99"),
]


@pytest.mark.parametrize(("mappings", "said"), OTHERS)
def test_an_index_that_is_not_ours_is_refused_and_untouched(place, client, mappings, said):
    name = name_of(place)
    client.indices.create(index=name, mappings=mappings)
    client.index(index=name, id="1", document={"title": "theirs"}, refresh=True)
    before = client.indices.get(index=name).body
    for create in (False, True):
        with pytest.raises(CaptionIndexError, match=said):
            open_captions(place, create=create)
    assert client.indices.get(index=name).body == before
    assert client.count(index=name)["count"] == 1


def test_an_alias_of_several_indices_is_refused(place, client):
    name = name_of(place)
    for number in (1, 2):
        client.indices.create(index=f"{name}-{number}", aliases={name: {}})
    with pytest.raises(CaptionIndexError, match="alias of 2 indices"):
        open_captions(place, create=True)


def test_a_rejected_row_is_named_and_the_file_left_out(place, corpus):
    made = corpus({"a": 5, "b": 3000})
    bad = made.rows("b")
    bad[1234] |= {"file": "f" * 40_000}
    batches = [pa.RecordBatch.from_pylist(bad[n : n + 500], schema=ROW_SCHEMA) for n in range(0, 3000, 500)]
    with open_captions(place, create=True) as index:
        index.add(made.files[0], made.batches("a"))
        with pytest.raises(CaptionIndexError, match=r"b row 1234: .* rejects it: .*immense term"):
            index.add(made.files[1], batches)
        assert (index.files().keys(), index.rows(), index.count([DOGS])) == ({"a"}, 5, [5])
        assert index.add(made.files[1], made.batches("b")) == 3000


BLOCKS = ["read_only_allow_delete", "read_only", "write"]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_read_only_index_is_a_clear_error(place, client, corpus, block):
    made = corpus({"a": 5, "b": 3000})
    with open_captions(place, create=True) as index:
        index.add(made.files[0], made.batches("a"))

        def blocked_meanwhile():
            yield next(made.batches("b"))
            client.indices.put_settings(index=name_of(place), settings={f"index.blocks.{block}": True})
            yield from itertools.islice(made.batches("b"), 1, None)

        try:
            with pytest.raises(ServerError, match=r"is read-only .*free disk space"):
                index.add(made.files[1], blocked_meanwhile())
            assert index.count([DOGS]) == [5]
        finally:
            client.indices.put_settings(index=name_of(place), settings={f"index.blocks.{block}": False})
        assert index.add(made.files[1], made.batches("b")) == 3000
        assert index.count([DOGS]) == [3005]


WAYS = ["cut", "lose", "429", "503"]


@pytest.mark.parametrize("way", WAYS)
def test_a_load_outlasts_a_bad_connection(place, corpus, proxy, monkeypatch, way):
    monkeypatch.setattr(elastic_bulk, "CHUNK_DOCUMENTS", 125)
    made = corpus({"a": 1500})
    count, lock = itertools.count(), threading.Lock()

    def misbehave(path, body):
        with lock:
            return way if next(count) % 4 == 2 else ""

    url, name = place.rsplit("/", 1)
    ElasticCaptions.open(place, create=True).close()
    with proxy.between(url, misbehave) as bad, ElasticCaptions.open(f"{bad}/{name}") as index:
        with index.loading():
            made.fill(index)
        assert index.count([DOGS]) == [1500]
        assert sum(batch.num_rows for batch in index.scan(DOGS)) == 1500
    with ElasticCaptions.open(place) as index:
        assert (index.rows(), index.count([DOGS])) == (1500, [1500])
        assert index.server.client.count(index=index.index)["count"] == 1500 + 2


@pytest.mark.parametrize("swap", [False, True])
def test_a_load_waits_for_its_server_between_two_files_too(place, proxy, tmp_path, captrawl, swap):
    """Once the load has begun, each connection is refused twice, as by a server that is being restarted."""
    for name in ("a", "b"):
        table = pa.table({"url": [f"http://x/{n}" for n in range(50)], "caption": ["a dog"] * 50})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    opened = itertools.count(-2 if swap else 0)

    def misbehave(path, body):
        number = next(opened) if "_nodes" in path else 0
        return "cut" if number > 0 and number % 3 else ""

    url, name = place.rsplit("/", 1)
    with proxy.between(url, misbehave) as bad:
        command = ["index", "captions", tmp_path, "--to", f"{bad}/{name}", "--workers", 1]
        done = captrawl(*command, *(["--swap"] if swap else []), "--json", check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert next(opened) > 3
        asked = captrawl("count", "dog", "--index", f"{bad}/{name}", check=False)
        assert (asked.returncode, "no Elasticsearch answers" in asked.stderr) == (1, True)
    with open_captions(place) as index:
        assert (index.count([DOGS]), sorted(index.files())) == (
            [100],
            [f"{tmp_path.name}/a.parquet", f"{tmp_path.name}/b.parquet"],
        )


def test_a_request_that_is_too_large_is_cut_in_two(place, corpus, proxy):
    def misbehave(path, body):
        return "413" if "_bulk" in path and len(body) > 100_000 else ""

    made = corpus({"a": 3000})
    url, name = place.rsplit("/", 1)
    with ElasticCaptions.open(place, create=True) as index, proxy.between(url, misbehave) as small:
        with ElasticCaptions.open(f"{small}/{name}") as through:
            made.fill(through)
        assert index.count([DOGS]) == [3000]


def test_a_server_that_stays_busy_ends_in_an_error(place, corpus, proxy, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_PATIENCE", "1")
    made = corpus({"a": 30})
    url, name = place.rsplit("/", 1)
    ElasticCaptions.open(place, create=True).close()
    misbehave = lambda path, body: "429" if "_bulk" in path else ""  # noqa: E731
    with proxy.between(url, misbehave) as busy, ElasticCaptions.open(f"{busy}/{name}") as index:
        with pytest.raises(ServerError, match=r"busy or not whole .429: rejected, queue full.; try"):
            made.fill(index)
        assert (index.rows(), index.files()) == (0, {})


def test_a_scan_resumes_when_its_snapshot_is_lost(place, corpus, proxy, monkeypatch):
    monkeypatch.setattr(elastic_scan, "PAGE", 100)
    made = corpus({"a": 1000, "b": 700})
    held = []

    def noted(path, body):
        if b'"pit":{"id":' in body:
            held.append(body.split(b'"pit":{"id":"')[1].split(b'"')[0].decode())
        return ""

    url, name = place.rsplit("/", 1)
    with ElasticCaptions.open(place, create=True) as index, proxy.between(url, noted) as seen_through:
        made.fill(index)
        given, losses = [], 0
        with ElasticCaptions.open(f"{seen_through}/{name}") as through:
            for batch in through.scan(DOGS):
                given += zip(batch["file"].to_pylist(), batch["row"].to_pylist(), strict=True)
                if losses < 3 and len(given) > 400 * (losses + 1):
                    losses += 1
                    index.server.client.close_point_in_time(id=held[-1])
        assert losses == 3
        assert len(set(held)) >= 3
        assert sorted(given) == [(file, row) for file, size in made.sizes.items() for row in range(size)]


def test_a_scan_of_a_file_that_goes_is_an_error_not_a_short_result(place, corpus, proxy, monkeypatch):
    monkeypatch.setattr(elastic_scan, "PAGE", 100)
    made = corpus({"a": 1000})
    held = []

    def noted(path, body):
        if b'"pit":{"id":' in body:
            held.append(body.split(b'"pit":{"id":"')[1].split(b'"')[0].decode())
        return ""

    url, name = place.rsplit("/", 1)
    with ElasticCaptions.open(place, create=True) as index, proxy.between(url, noted) as seen_through:
        made.fill(index)
        with ElasticCaptions.open(f"{seen_through}/{name}") as through:
            scan = through.scan(DOGS)
            next(scan)
            index.remove("a")
            index.server.client.close_point_in_time(id=held[-1])
            with pytest.raises(IndexBusyError, match=r"a was replaced .* scan again"):
                list(scan)


def test_a_server_that_never_answers_is_a_timeout(proxy, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_TIMEOUT", "0.5")
    with proxy.silent() as url, pytest.raises(ServerError, match=r"didn't answer within 0.5 s"):
        open_captions(f"{url}/x")


def test_no_server_at_all():
    said = r"no Elasticsearch answers at http://127.0.0.1:1 \(Failed .* Connection refused\); is it running"
    with pytest.raises(ServerError, match=said):
        open_captions("http://127.0.0.1:1/x")


STRANGERS = [
    (200, b'{"nodes": {"n": {"version": "7.17.9"}}}', ELASTIC, "is Elasticsearch 7.17.9; captrawl speaks"),
    (200, b'{"nodes": {"n": {"version": "8.18.4"}}}', ELASTIC, "is Elasticsearch 8.18.4"),
    (200, b'{"nodes": {"n": {"version": "10.0.0"}}}', ELASTIC, "is Elasticsearch 10.0.0"),
    (200, b"<html>hello</html>", {"content-type": "text/html"}, "isn't Elasticsearch"),
    (200, b"{}", {"content-type": "application/json"}, "isn't Elasticsearch"),
    (200, b'{"version": {"distribution": "opensearch", "number": "2.19.1"}}',
     {"content-type": "application/json"}, "is OpenSearch 2.19.1; captrawl speaks to Elasticsearch 8"),
    (200, b"<html>welcome</html>", {**ELASTIC, "content-type": "text/html"},
     "answers, but not as Elasticsearch does: text/html instead of JSON"),
    (502, b"<html>bad gateway</html>", {"content-type": "text/html"}, "busy or not whole"),
    (500, b'{"error": {"type": "x", "reason": "boom"}}', ELASTIC, "error 500: boom"),
    (301, b"", {"location": "https://127.0.0.1/"}, r"redirects \(301\) to another address; give that one"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "content", "headers", "said"), STRANGERS)
def test_servers_that_are_something_else(proxy, monkeypatch, status, content, headers, said):
    monkeypatch.setenv("ELASTICSEARCH_PATIENCE", "1")
    with proxy.answering(status, content, headers) as url, pytest.raises(ServerError, match=said):
        open_captions(f"{url}/x")


def test_a_server_that_tells_no_version_is_gone_on_with(place, proxy):
    url, name = place.rsplit("/", 1)
    ElasticCaptions.open(place, create=True).close()
    misbehave = lambda path, body: "404" if "_nodes" in path else ""  # noqa: E731
    with proxy.between(url, misbehave) as shy, ElasticCaptions.open(f"{shy}/{name}") as index:
        assert index.rows() == 0


def test_a_busy_server_is_asked_again_at_first_contact_too(place, proxy):
    url, name = place.rsplit("/", 1)
    ElasticCaptions.open(place, create=True).close()
    requests = itertools.count()
    misbehave = lambda path, body: "429" if next(requests) < 3 else ""  # noqa: E731
    with proxy.between(url, misbehave) as busy, ElasticCaptions.open(f"{busy}/{name}") as index:
        assert index.rows() == 0


def test_an_answer_of_some_shards_is_never_taken_for_one_of_all(place, corpus, proxy, monkeypatch):
    """A proxy, or a server, says beside its answer that it isn't whole: all answers are looked at."""
    monkeypatch.setenv("ELASTICSEARCH_PATIENCE", "0.2")
    lacks = [
        (b'"timed_out":false', b'"timed_out":true', "the time was up"),
        (b'"failed":0', b'"failed":1', r"of 3 shards answered"),
        (b'"successful":3', b'"successful":2', r"2 of 3 shards answered"),
    ]
    url, name = place.rsplit("/", 1)
    with ElasticCaptions.open(place, create=True) as index:
        corpus({"a": 300}).fill(index)
    for whole, lack, said in lacks:
        editing = []

        def edit(path, content, whole=whole, lack=lack, editing=editing):
            return content.replace(whole, lack) if editing else content

        passing_on = lambda path, body: ""  # noqa: E731
        with (
            proxy.between(url, passing_on, edit=edit) as bad,
            ElasticCaptions.open(f"{bad}/{name}") as index,
        ):
            assert index.count([DOGS]) == [300]
            editing.append(True)
            for ask in (
                lambda index=index: index.count([DOGS]),
                index.rows,
                index.files,
                lambda index=index: list(index.scan(DOGS)),
                lambda index=index: index.sample(DOGS, 5, 1),
                lambda index=index: index.relevant(DOGS, 5),
            ):
                with pytest.raises(ServerError, match=rf"busy or not whole .*{said}"):
                    ask()


def test_an_index_that_is_deleted_during_its_load_stays_deleted(place, client, corpus):
    """A server makes an index for a write to a name that isn't there, with a mapping of its own guess."""
    made = corpus({"a": 5, "b": 3000})

    def deleted_meanwhile():
        yield next(made.batches("b"))
        client.indices.delete(index=name_of(place))
        yield from itertools.islice(made.batches("b"), 1, None)

    with open_captions(place, create=True) as index:
        index.add(made.files[0], made.batches("a"))
        with (
            pytest.raises(CaptionIndexError, match=r"was deleted while b was loaded into it"),
            index.loading(),
        ):
            index.add(made.files[1], deleted_meanwhile())
        assert not client.indices.exists(index=name_of(place))
        with pytest.raises(CaptionIndexError, match="no such index"):
            index.add(made.files[0], made.batches("a"))
    assert not client.indices.exists(index=name_of(place))


RULES = [{"filter": {"term": {"file": "a"}}}, {"routing": "1"}, {"search_routing": "2"}]


@pytest.mark.parametrize("rules", RULES)
def test_an_alias_that_shows_a_part_is_refused_by_name(place, client, corpus, rules):
    name = name_of(place)
    with open_captions(place, create=True) as index:
        corpus({"a": 30, "b": 20}).fill(index)
    client.indices.put_alias(index=name, name=f"{name}-part", **rules)
    client.indices.put_alias(index=name, name=f"{name}-whole")
    said = rf"-part is an alias with a filter or routing, which shows a part of {name}; .* name the index"
    for create in (False, True):
        with pytest.raises(CaptionIndexError, match=said):
            open_captions(f"{place}-part", create=create)
    with open_captions(f"{place}-whole") as index:
        assert (index.rows(), index.count([DOGS])) == (50, [50])


@pytest.fixture
def template(place, client):
    """template({…}) → an index template that every index of this test gets."""
    name = name_of(place)
    yield lambda body: client.indices.put_index_template(
        name=name, index_patterns=[f"{name}*"], template=body, priority=500
    )
    client.indices.delete_index_template(name=name)


def test_a_field_that_an_index_template_adds_is_no_matter(place, client, corpus, template):
    template({"mappings": {"_meta": {"team": "vision"}, "properties": {"owner": {"type": "keyword"}}}})
    with open_captions(place, create=True) as index, index.loading():
        corpus({"a": 30}).fill(index)
    with open_captions(place) as index:
        assert (index.count([DOGS]), sum(batch.num_rows for batch in index.scan(DOGS))) == ([30], 30)


def test_an_index_template_that_changes_what_is_stored_is_a_clear_error(place, client, template):
    template({"mappings": {"_source": {"enabled": False}}})
    with pytest.raises(
        CaptionIndexError, match=r"an index template of the cluster changes what .* index_patterns"
    ):
        open_captions(place, create=True)
    assert not client.indices.exists(index=name_of(place))


def test_a_licence_is_found_where_expensive_queries_are_refused(place, client):
    licences = ["CC BY 4.0", "cc0", "?", None, "CC BY-SA", "copyright"]
    rows = [
        {"uid": n, "url": "u", "caption": "a dog", "licence": licence, "priority": n, "file": "a", "row": n}
        for n, licence in enumerate(licences)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=ROW_SCHEMA)
    query = CaptionQuery(("dog",), filters=Filters(licence="CC", safety=Safety.OFF))
    with open_captions(place, create=True) as index:
        index.add(CorpusFile("a", Path("a"), "", Fingerprint(6, 1, "")), [batch])
    client.cluster.put_settings(persistent={"search.allow_expensive_queries": False})
    try:
        with open_captions(place) as index:
            assert index.count([query]) == [3]
            assert index.first(query, 9, None)["row"].to_pylist() == [0, 1, 4]
            assert sorted(row for batch in index.scan(query) for row in batch["row"].to_pylist()) == [0, 1, 4]
    finally:
        client.cluster.put_settings(persistent={"search.allow_expensive_queries": None})
