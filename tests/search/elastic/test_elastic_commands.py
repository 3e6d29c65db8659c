"""Commands on an Elasticsearch index: the same output as on a folder."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.indexer.captions import remove_files
from captrawl.search.captions import open_captions
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.load import Files
from captrawl.search.elastic.swap import rebuilding
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)
CAPTIONS = ["A husky", "Golden-Retriever &amp; husky", None, "golden retriever puppy", "cat", "HUSKY’s sled"]


def write(folder, name, captions, tag="UNLIKELY", licence="?"):
    folder.mkdir(exist_ok=True)
    count = len(captions)
    columns = {
        "URL": pa.array([f"http://example.org/{name}/{n}" for n in range(count)]),
        "TEXT": pa.array(captions, pa.string()),
        "WIDTH": pa.array([100 + n for n in range(count)], pa.int32()),
        "HEIGHT": pa.array([90] * count, pa.int32()),
        "NSFW": pa.array([tag] * count),
        "LICENSE": pa.array([licence] * count),
        "similarity": pa.array([0.3] * count, pa.float64()),
        "SAMPLE_ID": pa.array(range(count), pa.float64()),
    }
    pq.write_table(pa.table(columns), folder / name)


@pytest.fixture
def corpus_folder(tmp_path):
    folder = tmp_path / "birds"
    write(folder, "0.parquet", CAPTIONS)
    write(folder, "1.parquet", ["husky"] * 3, "NSFW")
    return folder


def test_every_command_says_the_same(place, corpus_folder, tmp_path, captrawl):
    places = {"folder": str(tmp_path / "index"), "server": place}
    said = {}
    for name, index in places.items():
        out = {"built": captrawl("index", "captions", corpus_folder, "--to", index, "--json").stdout}
        out["again"] = captrawl("index", "captions", corpus_folder, "--to", index, "--json").stdout
        phrases = ("husky", "golden retriever")
        out["count"] = captrawl("count", *phrases, "--index", index, "--json").stdout
        out["unsafe"] = captrawl("count", *phrases, "--index", index, "--no-safety", "--json").stdout
        for order in ("random", "corpus"):
            out[order] = captrawl("query", *phrases, "--index", index, "--order", order, "--json").stdout
        classes = tmp_path / "classes.json"
        classes.write_text(json.dumps({"husky": ["husky"], "retriever": ["golden retriever"]}))
        task = tmp_path / f"task-{name}"
        captrawl("init", task, "--classes", classes, "--index", index)
        captrawl("-C", task, "match")
        out["matches"] = pq.read_table(task / "matches.parquet").to_pylist()
        said[name] = out
    assert said["server"] == said["folder"]
    assert json.loads(said["server"]["built"])["rows"] == 9
    assert json.loads(said["server"]["again"])["files_skipped"] == 2
    assert json.loads(said["server"]["count"])["classes"][0]["total"] == 3


def test_parts_swap_and_replace(place, corpus_folder, captrawl):
    def count():
        return json.loads(captrawl("count", "husky", "--index", place, "--no-safety", "--json").stdout)[
            "rows"
        ]

    for part in ("1/2", "2/2"):
        captrawl("index", "captions", corpus_folder, "--to", place, "--part", part)
    assert count() == 9
    write(corpus_folder, "1.parquet", ["husky"] * 5)
    refused = captrawl("index", "captions", corpus_folder, "--to", place, check=False)
    assert (refused.returncode, "--replace" in refused.stderr, count()) == (1, True, 9)
    captrawl("index", "captions", corpus_folder, "--to", place, "--replace")
    assert count() == 11
    write(corpus_folder, "2.parquet", ["husky"])
    done = captrawl("index", "captions", corpus_folder, "--to", place, "--swap")
    assert "readers see it now" in done.stdout
    assert count() == 12
    (corpus_folder / "0.parquet").unlink()
    captrawl("index", "captions", corpus_folder, "--to", place, "--swap", "--drop-others", "--workers", 1)
    assert count() == 6


def test_a_build_begun_with_other_files_ends_with_just_these(place, corpus_folder, tmp_path, captrawl):
    """As after Ctrl-C in a build of the wrong files."""
    captrawl("index", "captions", corpus_folder, "--to", place)
    with contextlib.suppress(ZeroDivisionError), rebuilding(place) as build:
        captrawl("index", "captions", corpus_folder, "--to", build.location)
        raise ZeroDivisionError
    (corpus_folder / "0.parquet").unlink()
    write(corpus_folder, "1.parquet", ["husky"] * 2)
    write(corpus_folder, "2.parquet", ["husky"])
    captrawl("index", "captions", corpus_folder, "--to", place, "--swap", "--drop-others")
    with open_captions(place) as index:
        held = {name: fingerprint.rows for name, fingerprint in index.files().items()}
    assert held == {"birds/1.parquet": 2, "birds/2.parquet": 1}


def raw_queries():
    """The requests for Kibana's console in docs/elasticsearch.md, in their order: (path, body)."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "elasticsearch.md").read_text(encoding="utf-8")
    console = text.split("```\n# how many", 1)[1].split("\n```", 1)[0]
    for request in console.split("\n\n"):
        _, line, body = request.split("\n", 2)
        yield line.removeprefix("GET "), json.loads(body)


def test_the_raw_queries_of_the_docs(place, tmp_path, captrawl):
    from elasticsearch import Elasticsearch

    folder, url = tmp_path / "birds", place.rsplit("/", 1)[0]
    write(folder, "0.parquet", ["Golden-Retriever", "a golden retriever puppy", "husky", "LEGO™ set", "cat"])
    write(folder, "1.parquet", ["St. Bernard’s", "golden retriever"], "NSFW", "CC BY")
    captrawl("index", "captions", folder, "--to", place)
    with contextlib.closing(Elasticsearch(url)) as client:
        headers = {"accept": "application/json", "content-type": "application/json"}
        paths = [(path.replace("laion", place.rsplit("/", 1)[1]), body) for path, body in raw_queries()]
        said = [
            client.perform_request("GET", f"/{path}", headers=headers, body=body).body for path, body in paths
        ]
    every, safe, sample, phrases, files, licences = said
    assert (every["count"], safe["count"]) == (3, 2)
    assert [hit["_source"] for hit in sample["hits"]["hits"]] == [
        {"url": "http://example.org/1.parquet/0", "caption": "St. Bernard’s"}
    ]
    buckets = phrases["aggregations"]["phrases"]["buckets"]
    assert {name: bucket["doc_count"] for name, bucket in buckets.items()} == {"husky": 1, "lego set": 1}
    named = {
        hit["_source"]["record"]["file"]: hit["_source"]["record"]["rows"] for hit in files["hits"]["hits"]
    }
    assert named == {"birds/0.parquet": 5, "birds/1.parquet": 2}
    assert licences["aggregations"]["licences"]["buckets"] == [{"key": "cc by", "doc_count": 2}]


def test_errors_are_two_lines_at_most_and_exit_1(elastic_url, captrawl, tmp_path):
    password = {**os.environ, "ELASTICSEARCH_USERNAME": "me"}
    for index, said, environment in (
        (f"{elastic_url}/captrawl-nowhere", "there is no caption index", None),
        ("http://127.0.0.1:1/x", "is it running", None),
        ("http://u:hunter2@127.0.0.1:9200/x", "must not contain credentials", None),
        (f"{elastic_url}/x", "ELASTICSEARCH_PASSWORD isn't set", password),
    ):
        done = captrawl("count", "dog", "--index", index, check=False, env=environment or dict(os.environ))
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2
        assert "hunter2" not in done.stderr
    refused = captrawl("index", "captions", tmp_path, "--to", tmp_path / "x", "--swap", check=False)
    assert refused.returncode == 1


@pytest.mark.parametrize("engine", ["folder", "server"])
def test_an_index_lists_its_files_and_lets_corpora_go(engine, place, tmp_path, captrawl):
    index = place if engine == "server" else str(tmp_path / "index")
    for corpus, sizes in (("laion", (3, 2)), ("coyo", (4,))):
        for number, size in enumerate(sizes):
            write(tmp_path / corpus, f"{number}.parquet", ["a husky"] * size)
        captrawl("index", "captions", tmp_path / corpus, "--to", index)
    listed = json.loads(captrawl("index", "files", index, "--json").stdout)
    assert (listed["rows"], listed["corpora"]) == (
        9,
        [{"corpus": "laion", "files": 2, "rows": 5}, {"corpus": "coyo", "files": 1, "rows": 4}],
    )
    assert [(file["file"], file["rows"]) for file in listed["files"]] == [
        ("coyo/0.parquet", 4),
        ("laion/0.parquet", 3),
        ("laion/1.parquet", 2),
    ]
    for file in listed["files"]:
        added = datetime.fromisoformat(file["added"]).astimezone()
        assert abs((datetime.now(UTC) - added).total_seconds()) < 600
    text = captrawl("index", "files", index, "--limit", 1).stdout
    assert "and 2 files more (--limit 0 lists all)" in text

    refused = captrawl("index", "remove", "lai", "--from", index, check=False)
    assert (
        refused.returncode,
        "contains no lai; it contains laion (2 files, 5 rows), coyo" in refused.stderr,
    ) == (
        1,
        True,
    )
    removed = captrawl("index", "remove", "laion", "--from", index, "--json").stdout
    assert json.loads(removed) == {"files": ["laion/0.parquet", "laion/1.parquet"], "rows": 5}
    assert (
        captrawl("index", "remove", "coyo/0.parquet", "--from", index).stdout == "4 rows of 1 file removed\n"
    )
    assert json.loads(captrawl("count", "husky", "--index", index, "--json").stdout)["rows"] == 0


def test_a_removal_that_was_killed_is_gone_on_with(place, corpus, monkeypatch):
    made = corpus({"x/a": 300, "x/b": 200, "y/a": 10})
    with ElasticCaptions.open(place, create=True) as index, index.loading():
        made.fill(index)

    def killed(files, file):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Files, "clean", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_files(place, "x")
    with open_captions(place) as index:
        assert (index.rows(), index.count([CaptionQuery(("dog",), filters=ANY)])) == (210, [210])
    assert [file.file for file in remove_files(place, "x")] == ["x/b"]
    with open_captions(place) as index:
        index.server.client.indices.refresh(index=index.index)
        assert (index.rows(), index.server.client.count(index=index.index)["count"]) == (10, 10 + 2)


def test_the_commands_of_a_swap(place, tmp_path, captrawl):
    for name, rows in (("laion", 4), ("coyo", 2)):
        write(tmp_path / name, "0.parquet", ["a husky"] * rows)
        captrawl("index", "captions", tmp_path / name, "--to", place)
    swap = ("index", "captions", tmp_path / "laion", "--to", place, "--swap")
    refused = captrawl(*swap, check=False)
    assert (refused.returncode, "coyo (1 file, 2 rows); give these files too" in refused.stderr) == (1, True)
    name = place.rsplit("/", 1)[1]
    assert (
        f"{name}-0 stays until the next swap; captrawl index back {place}"
        in captrawl(*swap, "--drop-others").stdout
    )
    assert json.loads(captrawl("count", "husky", "--index", place, "--json").stdout)["rows"] == 4
    back = json.loads(captrawl("index", "back", place, "--json").stdout)
    assert back == {"index": f"{name}-0", "replaced": f"{name}-1", "rows": 6}
