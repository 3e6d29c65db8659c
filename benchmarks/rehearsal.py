"""Rehearsal: an index of many million rows built, killed, resumed and asked, at several sizes, as JSON.

    python benchmarks/rehearsal.py --millions 1 3 [--work FOLDER] [--store none] [--kills 2]
    python benchmarks/rehearsal.py --millions 10 50 --work /big     # hours of rehearsal for LAION's days

Rows are made up with the word statistics of the real captions: a caption is a walk through their bigrams, and
a URL has a real one's host, another's folders and a number of its own. Every size goes on from the one
before, file by file. While it is built, the whole process tree is killed at random moments, and the same call
resumes. What a size is asked: cold and warm `query`, counts of the nine class lists, `match --all` of one.
The fit of every measure over the rows goes to LAION-400M and LAION-5B, with its residuals.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from peers import data, machine

FILE_ROWS = 500_000
GROUP_ROWS = 65_536
PROJECTED = (413_000_000, 5_000_000_000)
FITTED = (
    "build_cpu_seconds", "bytes", "files", "open_files", "count_seconds", "peak_rss_mb", "match_peak_rss_mb",
    "cold_query_seconds",
)  # fmt: skip


class Writer:
    """Makes corpus files of captions by bigrams of the real ones."""

    def __init__(self, captions: Path, sample: int = 200_000) -> None:
        table = pa.concat_tables(
            pq.read_table(file, columns=["URL", "TEXT"]) for file in sorted(captions.rglob("*.parquet"))
        )
        generator = np.random.default_rng(5)
        some = table.take(np.sort(generator.choice(len(table), min(sample, len(table)), replace=False)))
        texts = [text.split() for text in some["TEXT"].drop_null().to_pylist()]
        words = pa.array([word for text in texts for word in (*text, "")])  # "" ends a caption
        encoded = words.dictionary_encode()
        self.words = np.array(encoded.dictionary.to_pylist(), object)
        codes = encoded.indices.to_numpy()
        self._end = int(pc.index(encoded.dictionary, "").as_py())
        # successors of every word, one after the other: a word's are drawn as often as they follow it
        before, after = np.concatenate([[self._end], codes[:-1]]), codes
        order = np.argsort(before, kind="stable")
        self._after = after[order]
        self._starts = np.searchsorted(before[order], np.arange(len(self.words) + 1))
        # hosts of a LAION crawl, as often as there
        first = pq.read_table(sorted(captions.rglob("*.parquet"))[0], columns=["URL", "source"])
        urls = first.filter(pc.equal(first["source"], "laion10k"))["URL"].drop_null().to_pylist()
        self._urls = [(f"{u.scheme}://{u.netloc}", u.path.rpartition("/")[0]) for u in map(urlsplit, urls)]

    def captions(self, generator: np.random.Generator, rows: int) -> list[str]:
        """Walks through the bigrams until each is at its end, 40 words at most."""
        word = np.full(rows, self._end)
        live = np.arange(rows)
        pieces: list[list[str]] = [[] for _ in range(rows)]
        for _ in range(40):
            low, high = self._starts[word[live]], self._starts[word[live] + 1]
            word[live] = self._after[(low + generator.random(len(live)) * (high - low)).astype(np.int64)]
            live = live[word[live] != self._end]
            if not len(live):
                break
            for at, text in zip(live.tolist(), self.words[word[live]].tolist(), strict=True):
                pieces[at].append(text)
        return [" ".join(piece) for piece in pieces]

    def file(self, path: Path, number: int) -> None:
        """Write corpus file ``number``, the same whenever it is made."""
        generator = np.random.default_rng([11, number])
        texts = self.captions(generator, FILE_ROWS)
        hosts = generator.integers(0, len(self._urls), FILE_ROWS).tolist()
        paths = generator.integers(0, len(self._urls), FILE_ROWS).tolist()
        marks = generator.bytes(8 * FILE_ROWS).hex()
        urls = [
            f"{self._urls[host][0]}{self._urls[path][1]}/{marks[16 * at : 16 * at + 16]}.jpg"
            for at, (host, path) in enumerate(zip(hosts, paths, strict=True))
        ]
        table = pa.table(
            {
                "SAMPLE_ID": np.arange(FILE_ROWS) + number * FILE_ROWS,
                "URL": urls,
                "TEXT": texts,
                "WIDTH": generator.integers(150, 2000, FILE_ROWS),
                "HEIGHT": generator.integers(150, 2000, FILE_ROWS),
                "NSFW": generator.choice(["UNLIKELY", "UNSURE", "NSFW"], FILE_ROWS, p=[0.95, 0.04, 0.01]),
                # doubles that were floats, as LAION's are
                "similarity": generator.uniform(0.3, 0.4, FILE_ROWS).astype(np.float32).astype(float),
            }
        )
        pq.write_table(table, path.with_suffix(".tmp"), row_group_size=GROUP_ROWS)
        path.with_suffix(".tmp").rename(path)


class Watch:
    """The peak memory and open files of a process tree while it runs, and its processor time."""

    def __init__(self) -> None:
        self.rss = self.files = 0
        self.cpu: dict[int, float] = {}

    def look(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            tree = [process, *process.children(recursive=True)]
            rss = files = 0
            for one in tree:
                with contextlib.suppress(psutil.Error):
                    rss += one.memory_info().rss
                    files = max(files, one.num_fds())
                    self.cpu[one.pid] = sum(one.cpu_times()[:2])
            self.rss, self.files = max(self.rss, rss), max(self.files, files)


def run(arguments: list[str], watch: Watch, *, kill_after: float | None = None) -> tuple[float, str]:
    """The seconds and output of a captrawl command; with ``kill_after`` its tree is killed at that moment."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "captrawl", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    tree = psutil.Process(process.pid)
    while process.poll() is None:
        watch.look(tree)
        if kill_after is not None and time.perf_counter() - started > kill_after:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    out, errors = process.communicate()
    if process.returncode and process.returncode != -signal.SIGKILL:
        raise SystemExit(f"captrawl {' '.join(arguments)} failed: {errors.strip()}")
    return time.perf_counter() - started, out


def build(corpus: Path, index: Path, store: str, kills: int, seconds: float) -> dict[str, Any]:
    """Index ``corpus``, killed ``kills`` times within the ``seconds`` that it may take; then to the end."""
    command = ["index", "captions", str(corpus), "--to", str(index), "--store", store, "--json"]
    watch, lost, spent = Watch(), 0, 0.0
    for _ in range(kills):
        took, out = run(command, watch, kill_after=random.uniform(0.2, 0.6) * seconds)
        spent += took
        if out:  # it was faster
            break
        lost += 1
    took, out = run(command, watch)
    report = json.loads(out)
    entries = [entry for entry in index.rglob("*") if entry.is_file()]
    return {
        "rows": report["rows"], "kills": lost, "seconds": round(spent + took, 1),
        "build_cpu_seconds": round(sum(watch.cpu.values()), 1),
        "peak_rss_mb": round(watch.rss / 1e6), "build_open_files": watch.files,
        "bytes": sum(entry.stat().st_size for entry in entries), "files": len(entries),
        "parts": len([*index.glob("groups/*/part-*/part.json")]),
    }  # fmt: skip


def forget(folder: Path) -> None:
    """Put the folder's files out of the page cache: what follows is cold."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def asked(index: Path, work: Path) -> dict[str, Any]:
    """Cold and warm queries, the nine lists' counts, and all matches of one list."""
    forget(index)
    query = ["query", "--index", str(index), "red car", "--limit", "20"]
    cold, *warm = (run(query, Watch())[0] for _ in range(4))
    watch = Watch()
    counted, _ = run_script("count", index, watch)
    tasks = sorted((data() / "swat").glob("*_metrics-LAION400M.json"))
    folder = work / "task"
    shutil.rmtree(folder, ignore_errors=True)
    run(["init", str(folder), "--classes", str(tasks[0]), "--index", str(index)], Watch())
    matching = Watch()
    seconds, out = run(["-C", str(folder), "match", "--all", "--json"], matching)
    pairs = json.loads(out)["counts"]["matches"]
    shutil.rmtree(folder)
    return {
        "cold_query_seconds": round(cold, 2), "warm_query_seconds": round(min(warm), 2),
        "count_seconds": round(float(counted), 3), "open_files": watch.files,
        "match_list": tasks[0].name, "match_pairs": pairs, "match_pairs_per_second": round(pairs / seconds),
        "match_peak_rss_mb": round(matching.rss / 1e6),
    }  # fmt: skip


def run_script(what: str, index: Path, watch: Watch) -> tuple[str, float]:
    """What this script prints when it is called to ``what`` the index, watched."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--ask", what, str(index)], stdout=subprocess.PIPE, text=True
    )
    tree = psutil.Process(process.pid)
    while process.poll() is None:
        watch.look(tree)
        time.sleep(0.02)
    out, _ = process.communicate()
    return out.strip(), process.returncode


def count(index: Path) -> float:
    """The seconds in which all synonyms of the nine lists are counted, the second time."""
    from captrawl.classes.files import load_classes
    from captrawl.search.captions import open_captions
    from captrawl.search.match import Scope

    lists = sorted((data() / "swat").glob("*_metrics-LAION400M.json"))
    queries = [
        Scope().query((phrase,)) for file in lists for e in load_classes(file) for phrase in e.match_phrases()
    ]
    with open_captions(index) as captions:
        captions.count(queries)
        started = time.perf_counter()
        captions.count(queries)
        return time.perf_counter() - started


def fitted(sizes: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each measure the line over the rows, its residuals, and where it goes."""
    rows = np.array([size["rows"] for size in sizes], float)
    for name in FITTED:
        values = np.array([size[name] for size in sizes], float)
        slope, start = np.polyfit(rows, values, 1) if len(rows) > 1 else (values[0] / rows[0], 0.0)
        residuals = values - slope * rows - start
        projected = {f"{goal / 1e6:.0f} M": float(f"{slope * goal + start:.4g}") for goal in PROJECTED}
        yield (
            name,
            {
                "per_million": float(f"{slope * 1e6:.4g}"), "start": float(f"{start:.4g}"),
                "residuals": [float(f"{value:.3g}") for value in residuals], "projected": projected,
            },
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--work", type=Path, default=Path("/tmp/captrawl-rehearsal"))
    parser.add_argument("--store", choices=["rows", "none"], default="rows")
    parser.add_argument("--kills", type=int, default=2, help="for each size")
    parser.add_argument("--ask", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        print(count(Path(arguments.ask[1])))
        return
    random.seed(3)
    corpus, index = arguments.work / "corpus", arguments.work / "index"
    shutil.rmtree(index, ignore_errors=True)
    corpus.mkdir(parents=True, exist_ok=True)
    writer = Writer(data() / "captions")
    sizes: list[dict[str, Any]] = []
    rate = 50_000.0
    for millions in sorted(arguments.millions):
        for number in range(millions * 1_000_000 // FILE_ROWS):
            path = corpus / f"part-{number:05}.parquet"
            if not path.exists():
                writer.file(path, number)
        new = millions * 1_000_000 - (sizes[-1]["rows"] if sizes else 0)
        size = build(corpus, index, arguments.store, arguments.kills, new / rate)
        rate = new / size["seconds"]
        if sizes:  # what was in already cost what it cost then
            size["build_cpu_seconds"] = round(size["build_cpu_seconds"] + sizes[-1]["build_cpu_seconds"], 1)
        size |= {"rows_per_second": round(rate), "bytes_per_row": round(size["bytes"] / size["rows"], 1)}
        size |= asked(index, arguments.work)
        sizes.append(size)
        print(json.dumps(size), file=sys.stderr, flush=True)
    result = {
        "benchmark": "rehearsal", "machine": machine(), "store": arguments.store,
        "sizes": sizes, "fit": dict(fitted(sizes)),
    }  # fmt: skip
    json.dump(result, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
