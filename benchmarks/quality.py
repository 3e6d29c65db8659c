"""What each order and n is worth on labelled photos, in pools made as the web makes them; prints a table.

    python benchmarks/quality.py --data ../shared [--seeds 5] [--cache FOLDER] [--orders NAME …] [--weak 1]

A class's pool: 60 % its own photos, 30 % of other classes under this class's name (half of them of one class
that people confuse it with), 10 % photos of something else, and two near-copies. Captions of own photos are
somewhat more plainly worded. For K shots a class and each seed, every order draws half as many images as the
pool has right ones, and as many; a linear probe (logistic regression) on shots + sample classifies eight
other photos of each class.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.classes.files import save_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import CaptrawlError
from captrawl.core.files import digest
from captrawl.core.records import EMBEDDED_SCHEMA, IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.core.row_ids import priorities, uids
from captrawl.sampling.files import read_sample
from captrawl.sampling.probe import predicted
from captrawl.sampling.references import Shots
from captrawl.sampling.sample import draw
from captrawl.sampling.shots import picture_key
from captrawl.sampling.task import paths_of
from captrawl.sampling.vector_cache import cached, save
from captrawl.search.vectors.models import ModelId, model_of
from captrawl.search.vectors.store import EmbeddingsInfo, write_shard
from captrawl.workspace.settings import SampleSettings, parse_settings, save_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

SHOTS = (4, 8, 16)
TESTS = 8
OTHERS, JUNK, COPIES = 0.3, 0.1, 2
OWN = 1 - OTHERS - JUNK
PLAIN = ["a photo of a {}", "my {} in the garden", "{}", "a {} close up", "the best {} of the year"]
NOISY = [
    "{} for sale, free shipping", "how to draw a {}", "vintage {} poster", "{} at the museum", "{} wallpaper",
    "picture of {} on a wall", "gift for lovers of {}",
]  # fmt: skip
TEMPLATES = ("a photo of a {}.", "a close-up of the {}.", "{}")
WORDED = 0.7
"""The share of own photos' captions that are plain, and of others' that are noisy."""
ORDERS: dict[str, dict[str, Any]] = {
    "Random": {"rank": "Random"},
    "T2T-rank": {"method": "T2T-rank"},
    "T2I-rank": {"method": "T2I-rank"},
    "T2T-rank-T2I-tshd": {"method": "T2T-rank-T2I-tshd"},
    "I2I-rank": {"method": "I2I-rank"},
    "T2I.margin": {"rank": "T2I.margin"},
    "I2I.margin": {"rank": "I2I.margin"},
    "probe": {"rank": "probe"},
    "T2I+I2I": {"rank": "T2I+I2I"},
    "rrf(T2T,T2I,I2I)": {"rank": "rrf(T2T,T2I,I2I)"},
    "T2I+I2I+I2I.margin": {"rank": "T2I+I2I+I2I.margin"},
    "fit": {"method": "fit"},
    "fit-text": {"method": "fit-text"},
    "clean": {"method": "clean"},
    "clean-text": {"method": "clean-text"},
    "Random, clean>=mix": {"rank": "Random", "keep": ["clean>=mix"]},
    "Random, T2I>=q40": {"rank": "Random", "keep": ["T2I>=q40"]},
    "clean, zeroshot": {"method": "clean", "zeroshot": True},
    "clean, referee": {"method": "clean", "referee": "margin"},
    "clean, dedup 0.9": {"method": "clean", "dedup": 0.9},
    "auto": {"method": "auto"},
    "auto without shots": {"rank": "clean-text", "keep": ["clean-text>=mix"], "n": 500},
    "all that match": {"rank": "Random", "n": 500},
}
ALONE, ORACLE = "shots alone", "oracle"


@dataclass(frozen=True)
class Picture:
    """A photo: its class's index, -1 for something else."""

    path: Path
    label: int


class Encoded:
    """Vectors of photos and texts by the small model, each made once and kept in ``folder``."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.model = f"local-dir:{data / 'models/captrawl-small'}"
        self._folder = folder
        self._encoder: Any = None
        self.weak, self.bank = 0.0, np.zeros((0, 512), np.float32)
        """How much of another photo's vector, of ``bank``, each gets at most: a model that confuses."""

    def _load(self) -> Any:
        from captrawl.search.vectors.loading import load_encoder

        self._encoder = self._encoder or load_encoder(ModelId(self.model), device="cpu", batch=32)
        return self._encoder

    def _cached(self, name: str, keys: Sequence[str], compute: Callable[[Sequence[int]], Any]) -> Any:
        path = self._folder / f"{name}.npz"
        return cached(path, keys, compute, weights="small", dimension=512, chunk=4096)

    def photos(self, paths: Sequence[Path]) -> np.ndarray:
        def compute(places: Sequence[int]) -> np.ndarray:
            return self._load().encode_images([paths[place] for place in places], lambda *_: None)

        keys = [digest(str(path)) for path in paths]
        vectors = self._cached("photos", keys, compute)
        if not self.weak or not len(self.bank):
            return vectors
        numbers = np.array([int(key[:12], 16) for key in keys])
        weights = self.weak * (numbers % 1009 / 1009)[:, None]
        mixed = (1 - weights) * vectors + weights * self.bank[numbers // 1009 % len(self.bank)]
        return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        def compute(places: Sequence[int]) -> np.ndarray:
            return self._load().encode_texts([texts[place] for place in places])

        return self._cached("texts", [digest(text) for text in texts], compute)

    def copy_of(self, path: Path) -> Path:
        """A smaller, recompressed copy."""
        copy = self._folder / f"{digest(str(path))[:16]}.jpg"
        if not copy.exists():
            with Image.open(path) as image:
                width, height = image.size
                smaller = image.convert("RGB").resize((max(86, width * 4 // 5), max(86, height * 4 // 5)))
            smaller.save(copy, quality=80)
        return copy


@dataclass(frozen=True)
class Cell:
    """A drawn task: its workspace, the right (class, uid) pairs, shots and tests."""

    workspace: Workspace
    right: set[tuple[int, int]]
    shots: Shots
    tests: Shots
    vectors: dict[int, np.ndarray]


class Task:
    """The labelled photos, in an order that a seed gives, and the photos of something else."""

    def __init__(self, data: Path, encoded: Encoded, folder: Path, classes: int) -> None:
        root = data / "data/photos"
        rows = pq.read_table(root / "labelled.parquet").to_pylist()
        captioned = pq.read_table(root / "captioned.parquet").to_pylist()
        labels = sorted({row["label"] for row in rows})[:classes]
        self.names = [label.replace("_", " ").lower() for label in labels]
        self.photos: dict[int, list[Path]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["path"]):
            if row["label"] in labels:
                self.photos[labels.index(row["label"])].append(root / row["path"])
        self.junk = sorted({root / row["path"] for row in captioned})[: 5 * classes]
        self.encoded, self.folder = encoded, folder
        encoded.bank = encoded.photos([path for paths in self.photos.values() for path in paths])

    def cell(self, shots: int, seed: int) -> Cell:
        """The task of ``shots`` a class."""
        generator = np.random.default_rng([shots, seed])
        parts = {label: generator.permutation(len(paths)) for label, paths in self.photos.items()}
        photos = {label: [self.photos[label][at] for at in order] for label, order in parts.items()}
        tests = [Picture(p, label) for label, paths in photos.items() for p in paths[:TESTS]]
        given_shots = [Picture(p, label) for label, ps in photos.items() for p in ps[TESTS : TESTS + shots]]
        pools = {label: paths[TESTS + shots :] for label, paths in photos.items()}
        rows = [row for label in pools for row in self._pool(label, pools, generator)]
        return self._workspace(rows, given_shots, tests, f"{shots}-{seed}")

    def _pool(
        self, label: int, pools: dict[int, list[Path]], generator: np.random.Generator
    ) -> list[tuple[int, Picture, str]]:
        own = pools[label]
        others = round(len(own) * OTHERS / OWN)
        confused = (label + 1) % len(pools)
        away = [
            Picture(p, other) for other, ps in pools.items() if other not in (label, confused) for p in ps
        ]
        near = [Picture(path, confused) for path in pools[confused]]
        half = min(others // 2, len(near))
        wrong = [near[at] for at in generator.choice(len(near), half, replace=False)]
        wrong += [away[at] for at in generator.choice(len(away), others - half, replace=False)]
        junk = generator.choice(len(self.junk), round(len(own) * JUNK / OWN), replace=False)
        wrong += [Picture(self.junk[at], -1) for at in junk]
        copies = [Picture(self.encoded.copy_of(path), label) for path in own[:COPIES]]
        out: list[tuple[int, Picture, str]] = []
        for picture in [*(Picture(path, label) for path in own), *copies, *wrong]:
            plain = (generator.random() < WORDED) == (picture.label == label)
            template = str(generator.choice(PLAIN if plain else NOISY))
            out.append((label, picture, template.format(self.names[label])))
        return out

    def _workspace(
        self, rows: list[tuple[int, Picture, str]], shots: list[Picture], tests: list[Picture], name: str
    ) -> Cell:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        workspace = Workspace(root)
        urls = [f"http://127.0.0.1/{label}/{picture.path.name}" for label, picture, _ in rows]
        urls = [f"{url}?{number}" for number, url in enumerate(urls)]
        captions = [caption for _, _, caption in rows]
        ids = uids(pa.array(urls), pa.array(captions))
        order = priorities(ids, "made/0.parquet", np.arange(len(rows)))
        matches = [
            {"class_id": label, "synonym": self.names[label], "uid": uid, "url": url, "caption": caption,
             "priority": priority, "file": "made/0.parquet", "row": number}
            for number, ((label, _, caption), uid, url, priority) in enumerate(
                zip(rows, ids.tolist(), urls, order.tolist(), strict=True))
        ]  # fmt: skip
        hashes = [hashlib.sha256(str(picture.path).encode()).hexdigest() for _, picture, _ in rows]
        images = [
            {
                "url": url,
                "state": "packed",
                "attempts": 1,
                "path": f"images/{sha256[:16]}.jpg",
                "sha256": sha256,
            }
            for url, sha256 in zip(urls, hashes, strict=True)
        ]
        table = {
            field.name: pa.array([row.get(field.name) for row in matches], field.type)
            for field in MATCH_SCHEMA
        }
        pq.write_table(pa.table(table, schema=MATCH_SCHEMA), workspace.matches_path)
        images.sort(key=lambda line: line["url"])
        pq.write_table(pa.Table.from_pylist(images, IMAGE_SCHEMA), workspace.images_path)
        listing = root / "shots.txt"
        listing.write_text("".join(f"{picture.path} {picture.label} 1\n" for picture in shots))
        settings = {
            "task": {"shots": "shots.txt", "root": "/"},
            "captions": {"index": "none"},
            "model": {
                "name": self.encoded.model,
                "pretrained": "",
                "precision": "float32",
                "templates": list(TEMPLATES),
            },
        }
        save_settings(parse_settings(settings, "made"), workspace.settings_path)
        entries = [ClassEntry(at, name, (Synonym(name),)) for at, name in enumerate(self.names)]
        save_classes(entries, root / "classes.json")
        vectors = self.encoded.photos([picture.path for _, picture, _ in rows])
        folder = workspace.embeddings_folder(model_of(workspace).slug)
        folder.mkdir(parents=True)
        EmbeddingsInfo(self.encoded.model, "", "small", 512, "float32").save(folder)
        lines = [
            {
                "uid": row["uid"],
                "url": row["url"],
                "caption": row["caption"],
                "image_path": "x.jpg",
                "sha256": sha,
            }
            for row, sha in zip(matches, hashes, strict=True)
        ]
        write_shard(
            folder, 0, pa.Table.from_pylist(lines, EMBEDDED_SCHEMA),
            images=vectors, captions=self.encoded.texts(captions),
        )  # fmt: skip
        shot_vectors = self._references(workspace, shots)
        right = {
            (label, uid)
            for (label, picture, _), uid in zip(rows, ids.tolist(), strict=True)
            if picture.label == label
        }
        return Cell(
            workspace,
            right,
            Shots(shot_vectors, np.array([picture.label for picture in shots])),
            Shots(self.encoded.photos([p.path for p in tests]), np.array([p.label for p in tests])),
            dict(zip(ids.tolist(), vectors, strict=True)),
        )

    def _references(self, workspace: Workspace, shots: list[Picture]) -> np.ndarray:
        """Fill the caches of prompts and shots; the shots' vectors."""
        store = workspace.vectors_folder(model_of(workspace).slug)
        texts = [template.replace("{}", name) for name in self.names for template in TEMPLATES]
        means = self.encoded.texts(texts).reshape(len(self.names), len(TEMPLATES), -1).mean(axis=1)
        save(store / "prompts.npz", [digest([name, TEMPLATES]) for name in self.names], means, "small")
        vectors = self.encoded.photos([picture.path for picture in shots])
        keys = [picture_key(picture.path) for picture in shots]
        first = {key: at for at, key in enumerate(keys)}
        save(store / "labelled.npz", list(first), vectors[list(first.values())], "small")
        return vectors


def measured(cell: Cell, sample: set[tuple[int, int]]) -> tuple[float, float]:
    """Precision, and the accuracy of a probe on shots + sample."""
    pairs = sorted(sample)
    vectors = np.array([cell.vectors[uid] for _, uid in pairs], np.float32).reshape(-1, 512)
    train = cell.shots.joined(Shots(vectors, np.array([label for label, _ in pairs], np.int64)))
    accuracy = float((predicted(train, cell.tests.vectors) == cell.tests.labels).mean())
    return len(sample & cell.right) / max(len(sample), 1), accuracy


def drawn(cell: Cell, name: str, n: int) -> set[tuple[int, int]]:
    spec = SampleSettings(name="s", **{"n": n, **ORDERS[name]})
    draw(cell.workspace, spec)
    rows = read_sample(paths_of(cell.workspace, "s"), ["class_id", "uid"], kept=True).to_pylist()
    return {(row["class_id"], row["uid"]) for row in rows}


Results = dict[str, dict[tuple[int, int, str], tuple[float, float]]]


def run(task: Task, orders: Sequence[str], seeds: int) -> Results:
    """order → (K, seed, how many) → (precision, accuracy)."""
    out: Results = defaultdict(dict)
    for seed in range(seeds):
        for shots in SHOTS:
            cell = task.cell(shots, seed)
            right = len(cell.right) // len(task.names)
            sizes = {"half": max(1, right // 2), "right": right}
            out[ALONE][shots, seed, "right"] = out[ALONE][shots, seed, "half"] = (
                1.0,
                measured(cell, set())[1],
            )
            out[ORACLE][shots, seed, "right"] = out[ORACLE][shots, seed, "half"] = measured(cell, cell.right)
            for name in orders:
                for size, n in sizes.items():
                    try:
                        out[name][shots, seed, size] = measured(cell, drawn(cell, name, n))
                    except CaptrawlError as error:
                        sys.exit(f"{name}: {error}")
            shutil.rmtree(cell.workspace.root)
            so_far = "\n".join([f"so far: seed {seed}, {shots} shots", *table(out)])
            print(so_far, file=sys.stderr, flush=True)
    return out


def table(results: Results) -> list[str]:
    """A line an order: precision and the difference to T2T-rank, by how many images."""
    base = results["T2T-rank"]
    lines = [
        "| order | precision | to T2T-rank, as many as are right | below by > 0.5 | half as many |",
        "|---|---|---|---|---|",
    ]
    for name, cells in results.items():
        texts: list[str] = []
        for size in ("right", "half"):
            keys = [key for key in cells if key[2] == size]
            differences = 100 * np.array([cells[key][1] - base[key][1] for key in keys])
            half = 1.96 * differences.std(ddof=1) / np.sqrt(len(keys)) if len(keys) > 1 else 0.0
            texts.append(f"{differences.mean():+.1f} ± {half:.1f}")
            if size == "right":
                precision = np.mean([cells[key][0] for key in keys])
                below = int((differences < -0.5).sum())
                texts += [f"{below} of {len(keys)}"]
        words = [f"{100 * precision:.0f} %" if name not in (ALONE,) else "", *texts]
        lines.append(f"| {name} | {' | '.join(words)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--classes", type=int, default=30)
    parser.add_argument("--weak", type=float, default=0.0, help="share of another photo, at most, in each")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "captrawl-quality")
    parser.add_argument("--orders", nargs="*", choices=list(ORDERS), default=list(ORDERS))
    parser.add_argument("--json", type=Path, help="write every cell here")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    data = options.data.resolve()
    with tempfile.TemporaryDirectory(prefix="captrawl-quality-") as folder:
        encoded = Encoded(data, options.cache)
        encoded.weak = options.weak
        task = Task(data, encoded, Path(folder), options.classes)
        names = dict.fromkeys(["T2T-rank", *options.orders])
        results = run(task, list(names), options.seeds)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores; K {SHOTS}, {options.seeds} seeds, "
        f"{len(task.names)} classes, weak {options.weak:g}"
    )
    print("\n".join(table(results)))
    if options.json:
        cells = {name: {str(key): value for key, value in some.items()} for name, some in results.items()}
        options.json.write_text(json.dumps(cells, indent=1))


if __name__ == "__main__":
    main()
