"""How near loading comes to what a server takes; what small files and unfinished loads cost. As JSON.

    python benchmarks/elastic_load.py CAPTIONS_FOLDER [--rows 200000] [--files 200] [--repeat 3]

ELASTICSEARCH_URL names the server; else one is started from Maven Central.

ceiling      raw NDJSON, made beforehand, posted by three bare HTTP connections, then refreshed
one file     `captrawl index captions` of the same rows in one file, with everything it does
many files   the same rows in --files files of equal size
helper       the client's own parallel_bulk, of documents made beforehand

counting     2,000 pairs of words of the captions in an index that is whole, and in one with the same rows in
             which an unfinished load of as many lies: as captrawl counts, and with a filter for what counts

All go into indices of today's format with three shards, in turn, --repeat times (counts: five times as
often); the best of each counts. The ratios are the result: client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.core.records import CorpusFile
from captrawl.core.text import tokens
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.elastic.bulk import chunks
from captrawl.search.elastic.catalogue import Catalogue
from captrawl.search.elastic.counting import counts_under
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.queries import in_loads
from captrawl.search.elastic.schema import mapping, operations
from captrawl.search.query import CaptionQuery, Filters, Safety
from elastic import batches, load_helper, server, timed
from peers import machine

CONNECTIONS = 3


def bodies(file: CorpusFile, rows: int) -> list[bytes]:
    """The requests that load ``file``, as bytes."""
    lines = (line for batch in batches(file, rows) for line in operations(batch, "1" * 15))
    return [b"".join(chunk) for chunk in chunks(lines)]


def ceiling(url: str, requests: Sequence[bytes]) -> float:
    """Seconds until a fresh index has all of ``requests``."""
    from elasticsearch import Elasticsearch

    host, name = url.rsplit("/", 1)
    settings = {"number_of_shards": 3, "number_of_replicas": 0, "refresh_interval": "-1"}
    with Elasticsearch(host, request_timeout=120) as client:
        client.indices.create(index=name, mappings=mapping(), settings=settings)
        started = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            shares = [requests[first::CONNECTIONS] for first in range(CONNECTIONS)]
            list(pool.map(_post_all, [url] * CONNECTIONS, shares))
        client.indices.refresh(index=name)
        seconds = time.perf_counter() - started
        client.indices.delete(index=name)
    return seconds


def _post_all(url: str, requests: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    path = f"{urlsplit(url).path}/_bulk?filter_path=errors"
    for body in requests:
        connection.request("POST", path, body, {"Content-Type": "application/x-ndjson"})
        assert json.loads(connection.getresponse().read()) == {"errors": False}
    connection.close()


def loaded(url: str, files: Sequence[CorpusFile]) -> float:
    """Seconds of `captrawl index captions` of ``files`` into a fresh index."""
    from elasticsearch import Elasticsearch

    started = time.perf_counter()
    index_captions(f"{url}?shards=3&replicas=0", files)
    seconds = time.perf_counter() - started
    host, name = url.rsplit("/", 1)
    with Elasticsearch(host) as client:
        client.indices.delete(index=name)
    return seconds


def spent(host: str, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of CPU of the server, of us and of the processes we started."""
    from elasticsearch import Elasticsearch

    def cpu() -> float:
        nodes = client.nodes.stats(metric="process")["nodes"].values()
        ours = os.times()
        return sum(node["process"]["cpu"]["total_in_millis"] for node in nodes) / 1000 + sum(ours[:4])

    with Elasticsearch(host) as client:
        before = cpu()
        seconds = timed(work)[0]
        return seconds, cpu() - before


def least(some: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The least seconds, and the least CPU."""
    return min(seconds for seconds, _ in some), min(cpu for _, cpu in some)


def counting(host: str, file: CorpusFile, rows: int, repeat: int) -> dict[str, float]:
    """The least seconds of a count, of ``repeat``."""
    texts = itertools.chain.from_iterable(batch["caption"].to_pylist() for batch in batches(file, rows))
    pairs = dict.fromkeys(" ".join(words[1:3]) for text in texts if len(words := tokens(text or "")) > 2)
    queries = [CaptionQuery((pair,), filters=Filters(safety=Safety.OFF)) for pair in list(pairs)[:2000]]
    best: dict[str, float] = {}
    place = f"{host}/captrawl-bench-{uuid4().hex}"
    opened = [ElasticCaptions.open(f"{place}-{part}?shards=3", create=True) for part in "ab"]
    with opened[0] as clean, opened[1] as beside:
        clean.add(file, batches(file, rows))
        beside.add(file, batches(file, rows))
        _leave_unfinished(beside, replace(file, file="other"), rows)
        for index in opened:
            index.server.client.indices.refresh(index=index.index)
            index.server.client.indices.forcemerge(index=index.index, max_num_segments=1)
        catalogue = Catalogue(beside.server, beside.index)
        visible = [in_loads(sorted(catalogue.committed_loads()))]
        ways = {
            "whole": lambda: clean.count(queries),
            "beside": lambda: beside.count(queries),
            "filtered": lambda: counts_under(catalogue, queries, visible),
        }
        assert len({tuple(way()) for way in ways.values()}) == 1
        for _ in range(repeat):
            for name, way in ways.items():
                best[name] = min(best.get(name, math.inf), timed(way)[0])
        for index in opened:
            index.server.client.indices.delete(index=index.index)
    return best


def _leave_unfinished(index: ElasticCaptions, file: CorpusFile, rows: int) -> None:
    """All rows of ``file`` lie in the index, as after a kill before the commit."""

    def killed() -> Iterator[pa.RecordBatch]:
        yield from batches(file, rows)
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        index.add(file, killed())


def split(captions: str, rows: int, count: int, folder: Path) -> tuple[list[CorpusFile], list[CorpusFile]]:
    """The corpus's first rows as one file, and as ``count`` files."""
    source = pq.read_table(find_files([captions])[0].path).slice(0, rows)
    if source.num_rows < rows:
        raise SystemExit(f"the first file of {captions} has {source.num_rows} rows, --rows asks for {rows}")
    _write(folder / "one", [source])
    each = -(-rows // count)
    _write(folder / "many", [source.slice(first, each) for first in range(0, rows, each)])
    return find_files([folder / "one"], corpus="one"), find_files([folder / "many"], corpus="many")


def _write(folder: Path, tables: Sequence[pa.Table]) -> None:
    folder.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number:05d}.parquet")


def ratio(measures: Mapping[str, tuple[float, float]], above: str, below: str) -> dict[str, float]:
    """How many times as long, and as much CPU, ``above`` takes."""
    pairs = zip(measures[above], measures[below], strict=True)
    return dict(zip(("seconds", "cpu"), (round(high / low, 2) for high, low in pairs), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captions")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    some: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, server() as host:
        one, many = split(given.captions, given.rows, given.files, Path(folder))
        requests = bodies(one[0], given.rows)
        ways = {
            "ceiling": lambda url: ceiling(url, requests),
            "one file": lambda url: loaded(url, one),
            "many files": lambda url: loaded(url, many),
            "helper": lambda url: load_helper(url, one[0], given.rows),
        }
        for _ in range(given.repeat):
            for name, way in ways.items():
                work = partial(way, f"{host}/captrawl-bench-{uuid4().hex}")
                some.setdefault(name, []).append(spent(host, work))
        counts = counting(host, one[0], given.rows, 5 * given.repeat)
    loads = {name: least(values) for name, values in some.items()}
    out = {
        "machine": machine(),
        "rows": given.rows,
        "files": given.files,
        "rows_a_second": {name: round(given.rows / seconds) for name, (seconds, _) in loads.items()},
        "load_cpu_seconds": {name: round(cpu, 1) for name, (_, cpu) in loads.items()},
        "one_file_of_ceiling": ratio(loads, "ceiling", "one file"),
        "one_file_of_helper": ratio(loads, "helper", "one file"),
        "many_files_of_one": ratio(loads, "many files", "one file"),
        "counting_seconds": {name: round(seconds, 3) for name, seconds in counts.items()},
        "beside_of_whole": round(counts["beside"] / counts["whole"], 2),
        "filtered_of_whole": round(counts["filtered"] / counts["whole"], 2),
    }
    json.dump(out, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
