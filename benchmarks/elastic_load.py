"""How near loading comes to what a server takes, and what many small files cost, as JSON.

    python benchmarks/elastic_load.py CAPTIONS_FOLDER [--rows 200000] [--files 200] [--repeat 3]

ELASTICSEARCH_URL names the server; else one is started from Maven Central.

ceiling      raw NDJSON, made beforehand, posted by three bare HTTP connections, then refreshed
one file     `captrawl index captions` of the same rows in one file, with everything it does
many files   the same rows in --files files of equal size
helper       the client's own parallel_bulk, of documents made beforehand

All go into indices of today's format with three shards, in turn, --repeat times; the best of each counts. The
ratios are the result: client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.core.records import CorpusFile
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.elastic.bulk import chunks
from captrawl.search.elastic.schema import mapping, operations
from elastic import batches, load_helper, server
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captions")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {}
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
                seconds.setdefault(name, []).append(way(f"{host}/captrawl-bench-{uuid4().hex}"))
    best = {name: min(some) for name, some in seconds.items()}
    out = {
        "machine": machine(),
        "rows": given.rows,
        "files": given.files,
        "rows_a_second": {name: round(given.rows / some) for name, some in best.items()},
        "one_file_of_ceiling": round(best["ceiling"] / best["one file"], 2),
        "one_file_of_helper": round(best["helper"] / best["one file"], 2),
        "many_files_of_one": round(best["many files"] / best["one file"], 2),
    }
    json.dump(out, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
