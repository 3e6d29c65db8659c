"""What the benchmarks measure captrawl against, and how: seconds, bytes and memory of a fresh process."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

LAION_ROWS = 413_000_000
COLUMNS = ["SAMPLE_ID", "URL", "TEXT", "HEIGHT", "WIDTH", "LICENSE", "NSFW", "similarity"]


def data() -> Path:
    """The folder of real captions and class lists (CAPTRAWL_TEST_DATA)."""
    root = Path(__file__).resolve().parents[1]
    return (root / os.environ.get("CAPTRAWL_TEST_DATA", "../shared") / "data").resolve()


def machine() -> dict[str, Any]:
    """Where this ran, and with what."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    packages = ("captrawl", "tantivy", "pyarrow", "mmh3", "numpy")
    return {
        "cpu": models[0].split(":")[1].strip() if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in packages},
    }


def folder_bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def measured(work: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """``work(*arguments)`` in a fresh process: its seconds, the peak memory of its tree, its result."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_timed, args=(theirs, work, arguments))
    process.start()
    peak = 0
    while not ours.poll(0.1):
        peak = max(peak, _tree_rss(process.pid or 0))
        if not process.is_alive() and not ours.poll():
            raise SystemExit(f"{work.__name__} died")
    seconds, cpu, result = ours.recv()
    process.join()
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_rss_mb": round(peak / 1e6),
        "result": result,
    }


def _timed(connection: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    started, before = time.perf_counter(), os.times()
    result = work(*arguments)
    seconds, after = time.perf_counter() - started, os.times()
    connection.send((seconds, sum(after[:4]) - sum(before[:4]), result))


def _tree_rss(pid: int) -> int:
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total


# SQLite, as SWAT's scripts do it ----------------------------------------------------------------------


def build_sqlite(files: list[Path], path: Path) -> int:
    """A table part0, part1, … a file, each with an external-content FTS5 table (unicode61); rows.

    SWAT's own FTS tables hold their text a second time; external content is smaller and faster to build.
    """
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    rows = 0
    for part, file in enumerate(files):
        database.execute(
            f'CREATE TABLE part{part} ("SAMPLE_ID" INTEGER, "URL" TEXT, "TEXT" TEXT, "HEIGHT" INTEGER, '
            '"WIDTH" INTEGER, "LICENSE" TEXT, "NSFW" TEXT, "similarity" REAL)'
        )
        marks = ", ".join("?" * len(COLUMNS))
        for values in _parquet_rows(file):
            database.executemany(f"INSERT INTO part{part} VALUES ({marks})", values)
        database.execute(
            f"CREATE VIRTUAL TABLE _fts{part} USING fts5(TEXT, content='part{part}', tokenize='unicode61')"
        )
        database.execute(f"INSERT INTO _fts{part}(_fts{part}) VALUES ('rebuild')")
        database.commit()
        rows += database.execute(f"SELECT max(rowid) FROM part{part}").fetchone()[0]
    database.close()
    return rows


def _parquet_rows(file: Path) -> Iterator[Iterator[tuple[Any, ...]]]:
    for batch in pq.ParquetFile(file).iter_batches(65536, columns=COLUMNS):
        yield zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)


def sqlite_phrase(text: str) -> str | None:
    """``text`` as an FTS5 phrase; None where nothing is left of it (SWAT's normalisation)."""
    cleaned = text.replace("'", "").replace('"', "").replace("-", " ").replace("_", " ").strip().lower()
    return f'"{cleaned}"' if any(c.isalnum() for c in cleaned) else None
