"""The Elasticsearch engine against the client's own helper, msearch and the embedded engine, as JSON.

    python benchmarks/elastic.py CAPTIONS_FOLDER --lists CLASS_LISTS_FOLDER [--rows 300000] [--repeat 2]

ELASTICSEARCH_URL names the server; else one is started from Maven Central
(tests/search/elastic/local_server.py).
Whatever is measured makes and deletes indices of its own.

load   rows a second of ElasticCaptions.add, with everything it does (reading, tokens, records, checks),
       against helpers.parallel_bulk of the same documents, made beforehand, into an index with the same
       mapping and settings; both end with a refresh
count  all synonyms of the class lists: count() against one msearch of as many bodies
scan   rows a second, the pace at the end (1: as at the start) and the client's peak memory, for a phrase, and
       for one with ten times as many rows
peer   the same corpus in the embedded engine: build, count, sample of 2,000, scan
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from captrawl.classes.files import load_classes
from captrawl.core.records import CorpusFile
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.search.captions import CaptionIndex, open_captions
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.queries import matching
from captrawl.search.elastic.schema import mapping, operations, row_id
from captrawl.search.query import CaptionQuery, Filters, Safety
from peers import machine, measured

ANY = Filters(safety=Safety.OFF)


@contextlib.contextmanager
def server() -> Iterator[str]:
    if os.environ.get("ELASTICSEARCH_URL"):
        yield os.environ["ELASTICSEARCH_URL"].rstrip("/")
        return
    path = Path(__file__).resolve().parents[1] / "tests" / "search" / "elastic" / "local_server.py"
    spec = importlib.util.spec_from_file_location("local_server", path)
    local = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = local
    spec.loader.exec_module(local)
    with local.running("9.5.0", heap="1g") as node:
        yield node.url


def batches(file: CorpusFile, rows: int) -> Iterator[Any]:
    for batch in read_batches(file):
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return


def load_captrawl(url: str, file: CorpusFile, rows: int) -> float:
    with ElasticCaptions.open(f"{url}?shards=3", create=True) as index:
        started = time.perf_counter()
        with index.loading():
            index.add(file, batches(file, rows))
        seconds = time.perf_counter() - started
        index.server.client.indices.delete(index=index.index)
    return seconds


def load_helper(url: str, file: CorpusFile, rows: int) -> float:
    """The documents are dictionaries in memory before the clock starts."""
    from elasticsearch import Elasticsearch, OrjsonSerializer
    from elasticsearch.helpers import parallel_bulk

    host, name = url.rsplit("/", 1)
    documents = [
        orjson.loads(line.split(b"\n")[1]) for batch in batches(file, rows) for line in operations(batch, "1")
    ]
    settings = {"number_of_shards": 3, "number_of_replicas": 0, "refresh_interval": "-1"}
    with Elasticsearch(host, serializer=OrjsonSerializer(), request_timeout=120) as client:
        client.indices.create(index=name, mappings=mapping(), settings=settings)
        actions = ({"_id": row_id("1" * 15, n), "_source": d} for n, d in enumerate(documents))
        started = time.perf_counter()
        for ok, _ in parallel_bulk(client, actions, index=name):
            assert ok
        client.indices.refresh(index=name)
        seconds = time.perf_counter() - started
        client.indices.delete(index=name)
    return seconds


def best(repeat: int, work: Callable[[], float]) -> float:
    return min(work() for _ in range(repeat))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def by_msearch(index: ElasticCaptions, queries: list[CaptionQuery]) -> list[int]:
    bodies: list[dict[str, Any]] = []
    for query in queries:
        bodies += [{"request_cache": False}, {"size": 0, "track_total_hits": True, "query": matching(query)}]
    answer = index.server.client.options(request_timeout=600).msearch(index=index.index, searches=bodies)
    return [response["hits"]["total"]["value"] for response in answer["responses"]]


def scanned(location: str, phrase: str) -> tuple[int, float, float | None]:
    """Rows, seconds, and the pace of the last third of the batches over the first third's (None: too few)."""
    with open_captions(location) as index:
        started, rows, times = time.perf_counter(), 0, list[tuple[int, float]]()
        for batch in index.scan(CaptionQuery((phrase,), filters=ANY)):
            rows += batch.num_rows
            times.append((rows, time.perf_counter() - started))
        seconds, third = time.perf_counter() - started, len(times) // 3
        if third < 3:
            return rows, seconds, None
        first, last = (
            (stop[0] - start[0]) / (stop[1] - start[1])
            for start, stop in ((times[0], times[third]), (times[-third - 1], times[-1]))
        )
        return rows, seconds, round(last / first, 2)


def ask(index: CaptionIndex, queries: list[CaptionQuery], repeat: int) -> dict[str, float]:
    hot = CaptionQuery(("the",), filters=ANY)
    asked = {
        "count": lambda: index.count(queries),
        "sample": lambda: index.sample(hot, 2000, 1),
        "scan": lambda: sum(batch.num_rows for batch in index.scan(CaptionQuery(("a",), filters=ANY))),
    }
    return {name: min(timed(work)[0] for _ in range(repeat)) for name, work in asked.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captions")
    parser.add_argument("--lists", required=True)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=2)
    given = parser.parse_args()
    files = find_files([given.captions], corpus="bench")
    lists = sorted(Path(given.lists).glob("*_metrics-LAION400M.json"))
    phrases = [s.text for path in lists for entry in load_classes(path) for s in entry.synonyms]
    queries = [CaptionQuery((phrase,), filters=ANY) for phrase in phrases]
    out: dict[str, Any] = {"machine": machine(), "rows": given.rows, "synonyms": len(phrases)}
    with server() as host, tempfile.TemporaryDirectory() as folder:

        def fresh() -> str:
            return f"{host}/captrawl-bench-{uuid4().hex}"

        helper = best(given.repeat, lambda: load_helper(fresh(), files[0], given.rows))
        ours = best(given.repeat, lambda: load_captrawl(fresh(), files[0], given.rows))
        out["load"] = {
            "captrawl_rows_a_second": round(given.rows / ours),
            "parallel_bulk_rows_a_second": round(given.rows / helper),
            "ratio": round(helper / ours, 2),
        }
        place, embedded = fresh(), Path(folder) / "index"
        seconds = {}
        for name, location in (("elasticsearch", place), ("embedded", str(embedded))):
            with open_captions(location, create=True) as index:
                seconds[name] = timed(lambda index=index: [index.add(f, read_batches(f)) for f in files])[0]
        with ElasticCaptions.open(place) as index, open_captions(embedded) as peer:
            index.server.client.indices.forcemerge(index=index.index, max_num_segments=1)
            assert index.count(queries) == peer.count(queries)
            counted = min(timed(lambda: index.count(queries))[0] for _ in range(given.repeat + 1))
            one_msearch = min(timed(lambda: by_msearch(index, queries))[0] for _ in range(given.repeat))
            assert by_msearch(index, queries) == index.count(queries)
            out["count"] = {
                "seconds": round(counted, 3),
                "one_msearch_seconds": round(one_msearch, 3),
                "ratio": round(one_msearch / counted, 1),
            }
            size = index.server.client.indices.stats(index=index.index)["_all"]["primaries"]["store"]
            theirs, its = ask(index, queries, given.repeat), ask(peer, queries, given.repeat)
            rows = index.rows()
            words = ("of", "with", "on", "for", "black", "white", "new", "my", "this")
            many, *few = index.count([CaptionQuery((word,), filters=ANY) for word in ("a", *words)])
            tenth = min(zip(few, words, strict=True), key=lambda pair: abs(pair[0] * 10 - many))[1]
        scans = {phrase: measured(scanned, place, phrase) for phrase in (tenth, "a")}
        out["scan"] = {
            phrase: {
                "rows": scan["result"][0],
                "rows_a_second": round(scan["result"][0] / scan["result"][1]),
                "pace_at_the_end": scan["result"][2],
                "peak_rss_mb": scan["peak_rss_mb"],
            }
            for phrase, scan in scans.items()
        }
        out["peer"] = {
            "rows": rows,
            "elasticsearch_bytes_a_row": round(size["size_in_bytes"] / rows),
            "seconds": {"elasticsearch": theirs, "embedded": its, "build": seconds},
            "embedded_is_faster_by": {
                "build_one_process": round(seconds["elasticsearch"] / seconds["embedded"], 1),
                **{name: round(theirs[name] / its[name], 1) for name in its},
            },
        }
        with ElasticCaptions.open(place) as index:
            index.server.client.indices.delete(index=index.index)
    json.dump(out, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
