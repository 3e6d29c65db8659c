"""The formats of an Elasticsearch index, and what may be chosen, side by side in one run, as JSON.

    python benchmarks/elastic_formats.py CAPTIONS_FOLDER [--rows 300000] [--shards 3] [--repeat 3]

ELASTICSEARCH_URL names the server; else one is started from Maven Central. Its indices are deleted again.

Every kind of index gets the same rows: format 1, today's, that with best_compression, that with pairs of
tokens (`?phrases=1`). Each is merged to a segment a shard once the server has no more need of the whole
sources that it keeps for replicas. Of the seconds the least of --repeat counts; CPU is the server's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from captrawl.core.records import CorpusFile
from captrawl.indexer.corpora.files import find_files
from captrawl.search.elastic.address import parse_address
from captrawl.search.elastic.admin import settings
from captrawl.search.elastic.catalogue import Catalogue
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.schema import mapping
from captrawl.search.elastic.server import connect
from captrawl.search.elastic.session import change_control
from captrawl.search.query import CaptionQuery, Filters, Safety
from elastic import batches, server
from peers import machine

KINDS = {
    "format 1": (1, ""),
    "format 2": (2, ""),
    "format 2, best_compression": (2, "&codec=best_compression"),
    "format 2, phrases": (2, "&phrases=1"),
}
ANY = Filters(safety=Safety.OFF)
PHRASES = ("black and white", "in the", "stock photo", "for sale", "of the", "living room", "new york")


def make(location: str, number: int) -> None:
    """An index of one format, empty."""
    address = parse_address(location)
    fields = mapping(index_format=number, phrases=bool(address.options.phrases))
    cluster = connect(address)
    extra = {**settings(address.options), "soft_deletes.retention_lease.period": "1s"}
    cluster.client.indices.create(index=address.name, mappings=fields, settings=extra)
    meta = fields["_meta"]["captrawl"]
    change_control(Catalogue(cluster, address.name), lambda detail: {**detail, **meta})
    cluster.close()


def cpu(index: ElasticCaptions) -> float:
    nodes = index.server.client.nodes.stats(metric="process").body["nodes"].values()
    return sum(node["process"]["cpu"]["total_in_millis"] for node in nodes) / 1000


def measure(index: ElasticCaptions, work: Callable[[], Any], repeat: int) -> dict[str, float]:
    """The least seconds of ``work`` and the least CPU seconds that the server took."""
    seconds, used = [], []
    for _ in range(repeat):
        before, started = cpu(index), time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
        used.append(cpu(index) - before)
    return {"seconds": round(min(seconds), 3), "server_cpu": round(min(used), 2)}


def size(index: ElasticCaptions, rows: int) -> float:
    """Bytes a row, merged to a segment a shard once the sources that replicas might need may go."""
    es, name = index.server.client, index.index
    es.indices.flush(index=name, force=True)
    while _retained(index):
        time.sleep(1)
    es.indices.flush(index=name, force=True)
    es.options(request_timeout=600).indices.forcemerge(index=name, max_num_segments=1, flush=True)
    sizes: list[int] = []
    while len(sizes) < 3 or len(set(sizes[-3:])) > 1:  # the merged segments' files go a while later
        time.sleep(1)
        es.indices.refresh(index=name)
        es.indices.flush(index=name, force=True)
        stored = es.indices.stats(index=name, metric="store").body["_all"]["primaries"]["store"]
        sizes.append(stored["size_in_bytes"])
    return round(sizes[-1] / rows, 1)


def _retained(index: ElasticCaptions) -> bool:
    """Whether some shard keeps changes for replicas."""
    stats = index.server.client.indices.stats(index=index.index, level="shards").body
    shards = [shard for copies in stats["indices"][index.index]["shards"].values() for shard in copies]
    return any(
        lease["retaining_seq_no"] <= shard["seq_no"]["max_seq_no"]
        for shard in shards
        for lease in shard["retention_leases"]["leases"]
    )


def load(index: ElasticCaptions, files: Sequence[CorpusFile], rows: int) -> None:
    """The first rows of several corpus files: there are segments to merge then."""
    with index.loading():
        for file in files:
            index.add(file, batches(file, rows // len(files)))


def figures(location: str, files: Sequence[CorpusFile], rows: int, repeat: int) -> dict[str, Any]:
    """What one kind of index takes, in bytes and seconds."""
    queries = [CaptionQuery((phrase,), filters=ANY) for phrase in PHRASES]
    common = CaptionQuery(("the",), filters=ANY)
    words = CaptionQuery(("a",), filters=ANY)
    with ElasticCaptions.open(location) as index:
        out: dict[str, Any] = {"load": measure(index, lambda: load(index, files, rows), 1)}
        out["bytes_a_row"] = size(index, rows)
        out["draw_2000"] = measure(index, lambda: index.sample(common, 2000, 1), repeat)
        out["scan"] = measure(index, lambda: sum(1 for _ in index.scan(words)), repeat)
        out["count"] = measure(index, lambda: index.count(queries), repeat)
        index.server.client.indices.delete(index=index.index)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captions")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    files = find_files([given.captions], corpus="bench")[:3]
    out: dict[str, Any] = {"machine": machine(), "rows": given.rows, "shards": given.shards}
    with server() as host:
        for kind in given.kinds:
            number, options = KINDS[kind]
            location = f"{host}/captrawl-bench-{uuid4().hex}?shards={given.shards}&replicas=0{options}"
            make(location, number)
            out[kind] = figures(location, files, given.rows, given.repeat)
    json.dump(out, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
