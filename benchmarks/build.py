"""Build: corpus files into a caption index, against SQLite FTS5 and a bare tantivy loop, as JSON.

    python benchmarks/build.py [CAPTIONS_FOLDER] [--workers 2] [--repeat 1] [--work FOLDER]

Every builder runs in fresh processes; with --repeat the best of each counts. The bare loop has the same
preparation (decoding, analyzer, uid, priority), fields and number of processes, and none of the rest: no
presets, types, filters' fields, locks, resumption, protocol.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tantivy
from captrawl.core.row_ids import priorities, uids
from captrawl.core.text import TOKENIZER, word_column
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from peers import LAION_ROWS, build_sqlite, data, folder_bytes, machine, measured

HEAP = 128 << 20


def build_captrawl(source: Path, folder: Path, workers: int) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    return index_captions(folder, find_files([source]), workers=workers).rows


def build_bare(source: Path, folder: Path, workers: int) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    jobs = [(file, folder / file.stem) for file in sorted(source.rglob("*.parquet"))]
    with get_context("spawn").Pool(workers) as pool:
        return sum(pool.starmap(bare_file, jobs, chunksize=1))


def bare_file(file: Path, folder: Path) -> int:
    folder.mkdir(parents=True)
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("tokens", tokenizer_name="captrawl", index_option="position")
    builder.add_bytes_field("caption", stored=True)
    builder.add_bytes_field("url", stored=True)
    for name in ("uid", "priority", "row"):
        builder.add_integer_field(name, fast=True)
    index = tantivy.Index(builder.build(), path=str(folder))
    index.register_tokenizer("captrawl", TOKENIZER)
    writer = index.writer(HEAP, 1)
    row = 0
    for batch in pq.ParquetFile(file).iter_batches(16384, columns=["URL", "TEXT"]):
        url, text = batch.columns
        uid = uids(url, text)
        rows = np.arange(row, row + len(uid))
        priority = priorities(uid, str(file), rows)
        columns = (word_column(text), url, text, uid, priority, rows)
        values = zip(*(column.tolist() for column in columns), strict=True)
        for tokens, link, caption, one, rank, number in values:
            document = tantivy.Document()
            document.add_text("tokens", tokens)
            if link is not None:
                document.add_bytes("url", link.encode())
            if caption is not None:
                document.add_bytes("caption", caption.encode())
            document.add_integer("uid", one)
            document.add_integer("priority", rank)
            document.add_integer("row", number)
            writer.add_document(document)
        row += len(uid)
    writer.commit()
    writer.wait_merging_threads()
    return row


def best(work: Any, *arguments: Any, repeat: int) -> dict[str, Any]:
    """The quickest of ``repeat`` runs."""
    return min((measured(work, *arguments) for _ in range(repeat)), key=lambda run: run["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("captions", type=Path, nargs="?", default=data() / "captions")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("/tmp/captrawl-benchmark"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    parquets = sorted(arguments.captions.rglob("*.parquet"))
    builders: dict[str, tuple[Any, ...]] = {
        "captrawl": (build_captrawl, arguments.captions, arguments.work / "index", arguments.workers),
        "bare tantivy": (build_bare, arguments.captions, arguments.work / "bare", arguments.workers),
        "sqlite": (build_sqlite, parquets, arguments.work / "peer.db"),
    }
    runs: dict[str, dict[str, Any]] = {}
    for name, (work, *given) in builders.items():
        run = best(work, *given, repeat=arguments.repeat)
        rows = run.pop("result")
        run["rows_per_second"] = round(rows / run["seconds"])
        place = arguments.work / {"captrawl": "index", "bare tantivy": "bare", "sqlite": "peer.db"}[name]
        run["bytes_per_row"] = round(folder_bytes(place) / rows, 1)
        run["rows"] = rows
        runs[name] = run
    ours = runs["captrawl"]
    result = {
        "benchmark": "build",
        "machine": machine(),
        "workers": arguments.workers,
        "runs": runs,
        "ratios": {
            "rate to sqlite's": round(ours["rows_per_second"] / runs["sqlite"]["rows_per_second"], 2),
            "bytes to sqlite's": round(ours["bytes_per_row"] / runs["sqlite"]["bytes_per_row"], 2),
            "rate to the bare loop's": round(
                ours["rows_per_second"] / runs["bare tantivy"]["rows_per_second"], 2
            ),
            "processor time to the bare loop's": round(
                ours["cpu_seconds"] / runs["bare tantivy"]["cpu_seconds"], 2
            ),
        },
        "target": {"rate to sqlite's": 1.3, "bytes to sqlite's": 0.6, "rate to the bare loop's": 0.85},
        "laion400m": {
            "minutes": round(LAION_ROWS / ours["rows_per_second"] / 60, 1),
            "gb": round(LAION_ROWS * ours["bytes_per_row"] / 1e9, 1),
        },
    }
    json.dump(result, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
