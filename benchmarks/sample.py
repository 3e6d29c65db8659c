"""Sampling at scale against bare exact matrix products over the same pools, in the same run.

    python benchmarks/sample.py [--classes 1000] [--pool 2000] [--dimension 512] [--folder DIR]
    python benchmarks/sample.py --classes 5000 --dimension 64 --only-draw     # 10 million rows: the memory

Made-up unit vectors, stored as float16 as embed stores them, one task of ``classes`` pools. For each method
the time of scoring (T2T and T2I, both of which the sample's table holds) and choosing, against the bare
products of the same two matrices by numpy; for dedup also each pool's product with itself. Both read the same
files, class by class, in turn. ``cpu_ratio`` is that of processor times, which other work on the machine
hardly changes. Then the whole of draw() in a fresh process, with its peak memory (mapped files included)
against the float32 size of one matrix. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.classes.files import save_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.files import digest
from captrawl.core.records import EMBEDDED_SCHEMA, IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.sampling.filters import Steps, choose
from captrawl.sampling.methods import named
from captrawl.sampling.pool import candidates_of, read_pools
from captrawl.sampling.sample import draw
from captrawl.sampling.scores import PoolScorer
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings, EmbeddingsInfo, write_shard
from captrawl.workspace.settings import SampleSettings, parse_settings, save_settings
from captrawl.workspace.workspace import Workspace

WEIGHTS = "made up"
TEMPLATE = "a photo of {}."
CASES: dict[str, tuple[str, float, float | None]] = {
    "T2T-rank": ("T2T-rank", 0.0, None),
    "T2T-rank-T2I-tshd": ("T2T-rank-T2I-tshd", 0.0, None),
    "dedup": ("T2T-rank", -1.0, 0.9),
}
"""Name → method, threshold, dedup. Random vectors have small cosines, so thresholds are set to keep half."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="an empty folder with room for two float16 matrices")
    parser.add_argument("--only-draw", action="store_true", help="nothing but the whole draw and its memory")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.draw:
        print(json.dumps(whole_draw(Workspace.open(given.draw))))
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="captrawl-sample-"))
    try:
        workspace = make(folder / "task", given.classes, given.pool, given.dimension)
        out: dict[str, Any] = {
            "benchmark": "sample",
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "classes": given.classes,
            "pool": given.pool,
            "dimension": given.dimension,
            "methods": {} if given.only_draw else measure(workspace),
        }
        command = [sys.executable, __file__, "--draw", str(workspace.root)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        out["draw"] = json.loads(done.stdout)
        float32 = given.classes * given.pool * given.dimension * 4
        out["draw"]["memory_ratio"] = round(out["draw"]["peak_bytes"] / float32, 3)
        print(json.dumps(out, indent=2))
    finally:
        shutil.rmtree(folder if not given.folder else folder / "task", ignore_errors=True)


def make(root: Path, classes: int, pool: int, dimension: int) -> Workspace:
    """A workspace with every artefact that draw() reads; captions and URLs of usual lengths."""
    generator = np.random.default_rng(0)
    root.mkdir(parents=True)
    workspace = Workspace(root)
    settings = {"captions": {"index": "none"}, "model": {"templates": [TEMPLATE]}}
    save_settings(parse_settings(settings, "made"), workspace.settings_path)
    names = [f"class {number}" for number in range(classes)]
    save_classes([ClassEntry(i, n, (Synonym(n),)) for i, n in enumerate(names)], root / "classes.json")
    model = model_of(workspace)
    folder = workspace.embeddings_folder(model.slug)
    folder.mkdir(parents=True)
    EmbeddingsInfo(model.name, model.pretrained, WEIGHTS, dimension, "float16").save(folder)
    prompts = unit(generator, classes, dimension)
    cache = workspace.vectors_folder(model.slug) / "prompts.npz"
    save(cache, [digest([name, (TEMPLATE,)]) for name in names], prompts, WEIGHTS)
    shards = min(100, classes)
    numbers = np.array_split(np.arange(classes), shards)
    with (
        pq.ParquetWriter(workspace.matches_path, MATCH_SCHEMA) as matches,
        pq.ParquetWriter(workspace.images_path, IMAGE_SCHEMA) as images,
    ):
        for shard, some in enumerate(numbers):
            rows = match_rows(generator, some, pool)
            matches.write_table(rows)
            size = rows.num_rows
            ledger = {
                "url": rows["url"], "state": ["packed"] * size, "attempts": [1] * size,
                "path": [f"images/{at:09d}.jpg" for at in rows["row"].to_pylist()],
                "sha256": [f"{at:064x}" for at in rows["row"].to_pylist()],
            }  # fmt: skip
            images.write_table(filled(ledger, IMAGE_SCHEMA, size).sort_by("url"))
            held = filled(
                {"uid": rows["uid"], "url": rows["url"], "caption": rows["caption"],
                 "image_path": ledger["path"], "sha256": ledger["sha256"]}, EMBEDDED_SCHEMA, size,
            )  # fmt: skip
            order = generator.permutation(size)  # pools don't lie together in the embeddings
            write_shard(
                folder, shard, held.take(order),
                images=unit(generator, size, dimension).astype(np.float16),
                captions=unit(generator, size, dimension).astype(np.float16),
            )  # fmt: skip
    return workspace


def unit(generator: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    vectors = generator.standard_normal((rows, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def match_rows(generator: np.random.Generator, classes: np.ndarray, pool: int) -> pa.Table:
    size = len(classes) * pool
    row = np.arange(classes[0] * pool, classes[0] * pool + size)
    uid = generator.integers(-(2**63), 2**63 - 1, size)
    columns = {
        "class_id": np.repeat(classes, pool),
        "synonym": [f"class {c}" for c in classes.tolist() for _ in range(pool)],
        "uid": uid,
        "url": [
            f"https://images.example.org/{u:020d}/photograph-{r}.jpg" for u, r in zip(uid, row, strict=True)
        ],
        "caption": [f"A photograph number {r} of something that people like to look at" for r in row],
        "priority": generator.integers(-(2**63), 2**63 - 1, size),
        "file": ["corpus/part-00000.parquet"] * size,
        "row": row,
    }
    return filled(columns, MATCH_SCHEMA, size)


def filled(columns: dict[str, Any], schema: pa.Schema, size: int) -> pa.Table:
    arrays = [
        pa.nulls(size, field.type) if field.name not in columns else columns[field.name] for field in schema
    ]
    return pa.table(
        [
            a if isinstance(a, (pa.ChunkedArray, pa.Array)) else pa.array(a, f.type)
            for a, f in zip(arrays, schema, strict=True)
        ],
        schema=schema,
    )


class Clock:
    """Adds up wall and processor time."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._start[0]
        self.cpu += time.process_time() - self._start[1]


def measure(workspace: Workspace) -> dict[str, Any]:
    from captrawl.classes.files import load_classes

    classes = load_classes(workspace.classes_path())
    model = model_of(workspace)
    embeddings = Embeddings.open(workspace.embeddings_folder(model.slug))
    scorer = PoolScorer(embeddings, workspace.vectors_folder(model.slug))
    with np.load(workspace.vectors_folder(model.slug) / "prompts.npz") as file:
        prompts = file["vectors"]
    no_shots = np.zeros((0, embeddings.dimension), np.float32)
    clocks = {name: (Clock(), Clock()) for name in CASES}
    for index, pool in enumerate(read_pools(workspace, classes, embeddings)):
        rows = pool.rows
        _ = embeddings.images.take(rows), embeddings.captions.take(rows)  # both find them in the page cache
        for name, (method, threshold, dedup) in CASES.items():
            ours, bare = clocks[name]
            with bare:
                images, captions = embeddings.images.take(rows), embeddings.captions.take(rows)
                _ = captions @ prompts[index], images @ prompts[index]
                if dedup:
                    _ = images @ images.T
            with ours:
                scores = scorer.score(rows, prompt=prompts[index], shots=no_shots)
                held = embeddings.images.take(rows) if dedup else np.zeros((len(rows), 0), np.float32)
                chosen = choose(
                    candidates_of(pool, scores, held), named(method, threshold), Steps(500, dedup=dedup)
                )
            assert (
                len(chosen.kept) == min(500, int((scores.values[:, 0] >= threshold).sum()))
                or dedup
                or "-" in method
            )
    return {
        name: {
            "seconds": round(ours.wall, 2), "bare_seconds": round(bare.wall, 2),
            "ratio": round(ours.wall / bare.wall, 3), "cpu_ratio": round(ours.cpu / bare.cpu, 3),
        }
        for name, (ours, bare) in clocks.items()
    }  # fmt: skip


def whole_draw(workspace: Workspace) -> dict[str, Any]:
    """draw() from files to files, dedup included."""
    started = time.perf_counter(), time.process_time()
    counts = draw(workspace, SampleSettings(dedup=0.9))
    return {
        "seconds": round(time.perf_counter() - started[0], 1),
        "cpu_seconds": round(time.process_time() - started[1], 1),
        "kept": counts["kept"],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
