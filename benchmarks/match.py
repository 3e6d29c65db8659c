"""Match: peak memory of `match --all` with ten times the matching (class, row) pairs, as JSON.

    python benchmarks/match.py CAPTIONS_FOLDER [--work FOLDER] [--pairs 1000000]

Classes are the corpus's own frequent words, each class one word, taken until their rows add up. Each run is a
process of its own; the peer is the run with the fewer pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from captrawl.classes.model import ClassEntry, ClassList, Synonym
from captrawl.core.text import token_column
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.indexer.match_stage import match
from captrawl.workspace.settings import Settings
from captrawl.workspace.workspace import Workspace
from peers import machine

FACTOR = 10


def frequent_words(folder: str) -> list[tuple[str, int]]:
    """Words and the number of rows that hold them, the most frequent first."""
    rows: Counter[str] = Counter()
    for file in find_files([folder]):
        for batch in read_batches(file):
            for text in token_column(batch.column("caption")).to_pylist():
                rows.update(set(text.split(" ")))
    del rows[""]
    return rows.most_common()


def classes_of(words: list[tuple[str, int]], pairs: int) -> ClassList:
    """A class a word, the most frequent first, until their rows reach ``pairs``; words may repeat."""
    entries: list[ClassEntry] = []
    total = 0
    while total < pairs:
        for word, count in words[:400]:
            if total + count <= pairs * 1.02:
                entries.append(ClassEntry(len(entries), f"{word} {len(entries)}", (Synonym(word),)))
                total += count
            if total >= pairs:
                break
    return tuple(entries)


def run_one(folder: Path) -> None:
    """Match in this process and print what it took."""
    start = time.perf_counter()
    counts = match(Workspace.open(folder))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - start
    rows = pq.ParquetFile(folder / "matches.parquet").metadata.num_rows
    found = {"pairs": counts["matches"], "rows_written": rows, "classes": counts["classes"]}
    print(json.dumps({**found, "seconds": round(seconds, 1), "peak_rss_mb": usage.ru_maxrss // 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions")
    parser.add_argument("--work", type=Path, default=Path("/tmp/captrawl-bench-match"))
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(Path(given.captions))
        return
    index = given.work / "index"
    index_captions(str(index), find_files([given.captions]), part=None, replace=False, workers=2)
    words = frequent_words(given.captions)
    settings = Settings.model_validate({"captions": {"index": str(index)}, "match": {"sample": "all"}})
    results: list[dict[str, float]] = []
    for pairs in (given.pairs, given.pairs * FACTOR):
        folder = given.work / f"pairs-{pairs}"
        if not folder.exists():
            Workspace.create(folder, settings, classes_of(words, pairs))
        command = [sys.executable, __file__, str(folder), "--one"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout))
        (folder / "matches.parquet").unlink()
    few, many = results
    growth = many["peak_rss_mb"] / few["peak_rss_mb"] - 1
    report = {"machine": machine(), "few": few, "many": many, "growth": round(growth, 3), "target": "< 0.15"}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
