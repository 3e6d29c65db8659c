"""Addresses, credentials and query bodies: pure values."""

from __future__ import annotations

import json
from operator import attrgetter
from pathlib import Path

import pytest
from captrawl.core.errors import CaptionIndexError, ServerError
from captrawl.core.records import Fingerprint
from captrawl.search.captions import is_path, open_captions
from captrawl.search.elastic.address import IndexOptions, credentials, parse_address, seconds
from captrawl.search.elastic.bulk import CHUNK_BYTES, CHUNK_DOCUMENTS, chunks
from captrawl.search.elastic.catalogue import FileRecord
from captrawl.search.elastic.queries import counts, in_loads, matching, scored
from captrawl.search.elastic.scan import UNIT_ROWS, units
from captrawl.search.elastic.schema import FORMATS, is_ours, mapping, row_id, row_of
from captrawl.search.elastic.session import restored
from captrawl.search.elastic.swap import next_name
from captrawl.search.query import CaptionQuery, Filters, Safety

BEST = IndexOptions(codec="best_compression")
ADDRESSES = [
    ("http://host:9200/laion", ("http://host:9200",), "laion", IndexOptions()),
    ("HTTP://host/laion", ("http://host:9200",), "laion", IndexOptions()),
    ("http://host/laion/", ("http://host:9200",), "laion", IndexOptions()),
    ("https://host/laion", ("https://host:443",), "laion", IndexOptions()),
    ("https://a:1,b:2/x?shards=12&replicas=2", ("https://a:1", "https://b:2"), "x", IndexOptions(12, 2)),
    ("http://h:9200/es/proxy/x", ("http://h:9200/es/proxy",), "x", IndexOptions()),
    ("http://[::1]:9/x?codec=best_compression", ("http://[::1]:9",), "x", BEST),
]  # fmt: skip


@pytest.mark.parametrize(("location", "hosts", "name", "options"), ADDRESSES)
def test_addresses(location, hosts, name, options):
    address = parse_address(location)
    assert not is_path(location)
    assert (address.hosts, address.name, address.options) == (hosts, name, options)
    assert parse_address(address.location) == address


BAD_ADDRESSES = [
    ("http://host:9200", "names no index"),
    ("http://host:9200/", "names no index"),
    ("http://host:99999/x", "no host:port"),
    ("http://host:x/x", "no host:port"),
    ("http://host:9200/Laion", "lower case"),
    ("http://host:9200/_all", "none of - _ +"),
    ("http://host:9200/a*", "can't be an index's name"),
    ("http://host:9200/" + "x" * 201, "can't be an index's name"),
    ("http://host:9200/x?shards=0", "shards=0 isn't known"),
    ("http://host:9200/x?shard=3", "shard=3 isn't known"),
    ("http://host:9200/x?codec=zip", "codec=zip isn't known"),
]


@pytest.mark.parametrize(("location", "said"), BAD_ADDRESSES)
def test_bad_addresses(location, said):
    with pytest.raises(CaptionIndexError, match=said.replace("+", r"\+")):
        parse_address(location)


def test_credentials_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(CaptionIndexError, match="ELASTICSEARCH_API_KEY") as raised:
        parse_address("https://me:hunter2@host:9200/x")
    assert "hunter2" not in str(raised.value)


def test_credentials_come_from_the_environment_and_stay_out_of_sight(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    env = {
        "ELASTICSEARCH_USERNAME": "me",
        "ELASTICSEARCH_PASSWORD": "hunter2",
        "ELASTICSEARCH_CA_CERTS": str(bundle),
    }
    found = credentials(env)
    assert (found.user, found.password, found.ca_certs, str(found)) == (
        "me",
        "hunter2",
        str(bundle),
        "user 'me'",
    )
    key = credentials({"ELASTICSEARCH_API_KEY": "c2VjcmV0"})
    assert "hunter2" not in repr(found)
    assert "c2VjcmV0" not in repr(key) + str(key)
    with pytest.raises(ServerError, match="ELASTICSEARCH_PASSWORD isn't set"):
        credentials({"ELASTICSEARCH_USERNAME": "me"})
    with pytest.raises(ServerError, match="ELASTICSEARCH_USERNAME isn't set"):
        credentials({"ELASTICSEARCH_PASSWORD": "me"})
    with pytest.raises(ServerError, match="isn't a file"):
        credentials({"ELASTICSEARCH_CA_CERTS": str(tmp_path / "none")})


@pytest.mark.parametrize(
    "location", ["ftp://host/x", "localhost:9200/laion", "htp://h:9200/x", "es-1.lan:9200/x"]
)
def test_half_an_address_is_not_made_a_folder(location, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptionIndexError, match="neither a folder nor an address"):
        open_captions(location, create=True)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_cannot_be_one_is_refused_and_not_repeated():
    """In a header it would be the HTTP library's error, which repeats it."""
    assert credentials({"ELASTICSEARCH_API_KEY": " c2VjcmV0==\r\n"}).api_key == "c2VjcmV0=="
    for said in ("c2Vj\ncmV0", "c2Vj cmV0", "c2Vjé", "鍵"):
        with pytest.raises(ServerError, match="ELASTICSEARCH_API_KEY contains a space") as raised:
            credentials({"ELASTICSEARCH_API_KEY": said})
        assert said not in str(raised.value)


@pytest.mark.parametrize("said", ["0", "-1", "soon", "nan", "1e9"])
def test_a_bad_timeout_is_refused(said):
    with pytest.raises(ServerError, match="ELASTICSEARCH_TIMEOUT"):
        seconds("ELASTICSEARCH_TIMEOUT", {"ELASTICSEARCH_TIMEOUT": said})


def test_bodies():
    filters = Filters(min_side=85, licence="CC", safety=Safety.OFF, keep_unknown=True)
    query = CaptionQuery(("Golden Retriever", "husky", "golden-retriever"), "photo", ("Toy!",), filters)
    husky = {"term": {"tokens": {"value": "husky"}}}
    either = {"bool": {"should": [{"match_phrase": {"tokens": "golden retriever"}}, husky],
                       "minimum_should_match": 1}}  # fmt: skip
    side = {"bool": {"should": [{"range": {"side": {"gte": 85}}},
                                {"bool": {"must_not": [{"exists": {"field": "side"}}]}}],
                     "minimum_should_match": 1}}  # fmt: skip
    licence = {"bool": {"should": [{"prefix": {"key.licence": {"value": "cc"}}},
                                   {"bool": {"must_not": [{"exists": {"field": "key.licence"}}]}}],
                        "minimum_should_match": 1}}  # fmt: skip
    loads = in_loads(["1"])
    around = [{"term": {"tokens": {"value": "photo"}}}, side, licence, loads]
    unwanted = [{"term": {"tokens": {"value": "toy"}}}]
    assert matching(query, [loads]) == {"bool": {"filter": [either, *around], "must_not": unwanted}}
    assert scored(query, [loads]) == {"bool": {"must": [either], "filter": around, "must_not": unwanted}}
    counted = counts([query, query], [loads])
    assert counted["query"] == {"bool": {"filter": around, "must_not": unwanted}}
    assert counted["aggs"]["queries"]["filters"]["filters"] == [either, either]


def test_chunks_are_bounded_and_in_order():
    small = [b"%d\n" % n for n in range(2 * CHUNK_DOCUMENTS + 1)]
    assert [len(chunk) for chunk in chunks(small)] == [CHUNK_DOCUMENTS, CHUNK_DOCUMENTS, 1]
    assert [line for chunk in chunks(small) for line in chunk] == small
    large = [b"x" * (CHUNK_BYTES // 2), b"y" * (CHUNK_BYTES * 2), b"z", b"z"]
    assert list(map(len, chunks(large))) == [1, 1, 2]
    assert list(chunks([])) == []


def test_small_things():
    assert row_of(row_id("123456789012345", 987)) == 987
    assert is_ours(mapping())
    assert not is_ours({**mapping(), "dynamic": "true"})
    files = [
        FileRecord(str(n), rows, Fingerprint(rows, 1, ""), None, str(n))
        for n, rows in enumerate([1, UNIT_ROWS, 5, 6])
    ]
    rows_of = attrgetter("rows")
    in_units = [[f.file for f in unit] for unit in units(files, rows_of, UNIT_ROWS)]
    assert in_units == [["0"], ["1"], ["2", "3"]]
    assert list(units([], rows_of, 1)) == []
    names = {None: "x-1", "x": "x-1", "x-1": "x-2", "x-41": "x-42", "y-3": "x-1"}
    assert {current: next_name("x", current, []) for current in names} == names
    assert restored({"refresh_interval": None, "number_of_replicas": "2", "auto_expand_replicas": None}) == {
        "refresh_interval": None,
        "number_of_replicas": "2",
    }
    assert restored(
        {"refresh_interval": "30s", "auto_expand_replicas": "0-1", "number_of_replicas": "1"}
    ) == {
        "refresh_interval": "30s",
        "auto_expand_replicas": "0-1",
    }


@pytest.mark.parametrize("number", FORMATS)
def test_indices_of_every_format_keep_opening(number):
    """A change of the mapping needs another FORMAT, or servers' indices are refused as not ours."""
    golden = json.loads(Path(__file__).with_name(f"mapping_format_{number}.json").read_text())
    assert is_ours(golden)
    assert not is_ours({**golden, "_source": {"excludes": ["url"]}})
