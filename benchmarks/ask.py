"""Ask: every synonym counted and every class's pool fetched, captrawl against SQLite FTS5, as JSON.

    python benchmarks/ask.py [CAPTIONS_FOLDER [METRICS.json...]] [--work FOLDER]

Both hold the same files and run in a fresh process. SQLite is asked twice: as SWAT's scripts ask it, and as
sparingly as it can be. Pools are whole: URL, caption and metadata of every row that matches any synonym.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from captrawl.classes.files import load_classes
from captrawl.core.startup import settle_without_pandas
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import open_captions
from captrawl.search.match import Scope
from captrawl.search.query import Filters, Safety
from peers import build_sqlite, data, machine, measured, sqlite_phrase

PHRASES = list[tuple[str, ...]]
UNFILTERED = Scope(filters=Filters(safety=Safety.OFF))


def ask_as_swat(path: Path, phrases: PHRASES) -> dict[str, Any]:
    """SWAT's way: every synonym's captions by rank, joined here, then a row a match by its id."""
    database, parts = opened(path)
    started = time.perf_counter()
    counted = 0
    pools: list[set[tuple[int, int, str]]] = []
    for names in phrases:
        pool: set[tuple[int, int, str]] = set()
        for phrase in filter(None, map(sqlite_phrase, names)):
            for part in parts:
                sql = f"SELECT rowid, text FROM _fts{part} WHERE _fts{part} MATCH ? ORDER BY RANK"
                found = database.execute(sql, (phrase,)).fetchall()
                counted += len(found)
                pool.update((part, *row) for row in found)
        pools.append(pool)
    between = time.perf_counter()
    fetched = 0
    for pool in pools:
        for part, row, _ in pool:
            database.execute(f"SELECT url, nsfw FROM part{part} WHERE rowid = ?", (row,)).fetchone()
            fetched += 1
    return answer(counted, fetched, started, between)


def ask_plainly(path: Path, phrases: PHRASES) -> dict[str, Any]:
    """The least that SQLite can do: count(*) a synonym, one joined query a class, no ranking."""
    database, parts = opened(path)
    started = time.perf_counter()
    counted = 0
    for names in phrases:
        for phrase in filter(None, map(sqlite_phrase, names)):
            for part in parts:
                sql = f"SELECT count(*) FROM _fts{part} WHERE _fts{part} MATCH ?"
                counted += database.execute(sql, (phrase,)).fetchone()[0]
    between = time.perf_counter()
    fetched = 0
    for names in phrases:
        query = " OR ".join(filter(None, map(sqlite_phrase, names)))
        for part in parts if query else ():
            joined = f"_fts{part} f JOIN part{part} p ON p.rowid = f.rowid"
            sql = f"SELECT p.* FROM {joined} WHERE _fts{part} MATCH ?"
            fetched += len(database.execute(sql, (query,)).fetchall())
    return answer(counted, fetched, started, between)


def opened(path: Path) -> tuple[sqlite3.Connection, list[int]]:
    database = sqlite3.connect(path)
    listed = database.execute("SELECT name FROM sqlite_master WHERE name GLOB 'part[0-9]*'")
    return database, [int(name.removeprefix("part")) for (name,) in listed]


def answer(counted: int, fetched: int, started: float, between: float) -> dict[str, Any]:
    ended = time.perf_counter()
    steps = {"count": between - started, "fetch": ended - between, "both": ended - started}
    return {"counted": counted, "fetched": fetched, **{step: round(s, 3) for step, s in steps.items()}}


def ask_captrawl(path: Path, phrases: PHRASES) -> dict[str, Any]:
    settle_without_pandas()  # as every command does
    with open_captions(path) as index:
        started = time.perf_counter()
        counted = sum(index.count([UNFILTERED.query((phrase,)) for names in phrases for phrase in names]))
        between = time.perf_counter()
        pools = index.scans([UNFILTERED.query(names) for names in phrases])
        fetched = sum(batch.num_rows for _, batch in pools)
    return answer(counted, fetched, started, between)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path, nargs="?", default=data() / "captions")
    parser.add_argument("lists", type=Path, nargs="*")
    parser.add_argument("--work", type=Path, default=Path("/tmp/captrawl-benchmark"))
    arguments = parser.parse_args()
    arguments.lists = arguments.lists or sorted((data() / "swat").glob("*_metrics-LAION400M.json"))
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = find_files([arguments.captions])
    database, index = arguments.work / "peer.db", arguments.work / "index"
    if not database.exists():
        build_sqlite([file.path for file in found], database)
    index_captions(index, found)
    entries = [entry for file in arguments.lists for entry in load_classes(file)]
    phrases = [entry.match_phrases() for entry in entries if entry.match_phrases()]
    ours = measured(ask_captrawl, index, phrases)
    peers = {work.__name__: measured(work, database, phrases) for work in (ask_as_swat, ask_plainly)}
    result = {
        "benchmark": "ask",
        "machine": machine(),
        "rows": sum(file.fingerprint.rows for file in found),
        "classes": len(phrases),
        "synonyms": sum(map(len, phrases)),
        "captrawl": ours,
        "sqlite": peers,
        "times_faster": {
            name: {
                step: round(peer["result"][step] / ours["result"][step], 2)
                for step in ("count", "fetch", "both")
            }
            for name, peer in peers.items()
        },
        "target": {"times_faster": {"ask_as_swat": {"both": 4}}},
    }
    json.dump(result, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
