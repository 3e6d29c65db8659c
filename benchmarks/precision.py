"""What each sampling method and filter is worth on real photographs: precision of samples, as JSON.

    python benchmarks/precision.py --data ../shared [--small] [--keep DIR]

captioned: one caption a photo is matched; a photo belongs to a class when at least two of its other captions
name it. labelled: five shots a class, and pools polluted with other classes' photos under this class's
captions, with near-copies and with photos that stand in several pools.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
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
from captrawl.core.records import IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.core.row_ids import priorities, uids
from captrawl.core.text import tokens
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.indexer.embed.stage import embed
from captrawl.sampling.evaluate import evaluate
from captrawl.sampling.files import read_sample
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.workspace.settings import SampleSettings, parse_settings, save_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

THINGS = {
    "dog": ["dog", "dogs", "puppy"],
    "man": ["man", "guy"],
    "woman": ["woman", "lady"],
    "boy": ["boy"],
    "girl": ["girl"],
    "child": ["child", "children", "kids"],
    "bicycle": ["bicycle", "bike", "bikes"],
    "ball": ["ball", "football", "basketball"],
    "water": ["water", "lake", "pool", "ocean"],
    "street": ["street", "road"],
    "snow": ["snow", "snowy"],
    "grass": ["grass", "grassy", "field"],
    "table": ["table", "desk"],
    "horse": ["horse", "horses"],
    "car": ["car", "cars", "truck"],
}
TEXT_METHODS = ["Random", "T2T-rank", "T2I-rank", "T2T-rank-T2I-tshd"]
SHOT_METHODS = ["I2I-rank", "I2T-rank", "T2T-rank-I2I-tshd", "T2T-rank-I2T-tshd", "I2T-tshd"]
JUDGED = ["Random", *TEXT_METHODS[1:], "I2I-rank", "T2T-rank-I2I-tshd", "T2I-rank, dedup 0.95", "auto"]
"""The samples that a linear probe is trained on."""
CAPTIONS = [
    "a photo of a {}", "{} for sale, free shipping", "my {} in the garden", "the best {} of the year",
    "IMG_2041 {}", "how to draw a {}", "vintage {} poster", "{} at the museum", "picture of {} on a wall",
]  # fmt: skip


def has_phrase(caption: str, phrase: str) -> bool:
    return f" {' '.join(tokens(phrase))} " in f" {' '.join(tokens(caption))} "


Right = dict[tuple[int, str], str]
"""(class, URL) of every right image → the picture it is (a near-copy: of which)."""


class Maker:
    """Gathers classes, photos and matches of a workspace that skips the web."""

    def __init__(self, root: Path, model: str) -> None:
        root.mkdir(parents=True)
        self.workspace = Workspace(root)
        self.model = model
        self.images: dict[str, dict[str, Any]] = {}
        self.rows: list[dict[str, Any]] = []

    def photo(self, name: str, source: Path | Image.Image) -> str:
        """Put a photo into the workspace; gives its URL."""
        import hashlib

        url = f"http://127.0.0.1/{name}"
        if url not in self.images:
            path = self.workspace.root / f"images/00000/{len(self.images):09d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path):
                shutil.copyfile(source, path)
            else:
                source.convert("RGB").save(path, quality=92)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            relative = path.relative_to(self.workspace.root).as_posix()
            self.images[url] = {
                "url": url, "state": "packed", "attempts": 1, "path": relative, "sha256": sha256,
            }  # fmt: skip
        return url

    def match(self, class_id: int, synonym: str, url: str, caption: str) -> None:
        self.rows.append(
            {"class_id": class_id, "synonym": synonym, "url": url, "caption": caption,
             "file": "made/0.parquet", "row": len(self.rows)}
        )  # fmt: skip

    def finish(self, entries: list[ClassEntry], **task: str) -> Workspace:
        workspace = self.workspace
        settings = {
            "task": task,
            "captions": {"index": "none"},
            "model": {"name": f"local-dir:{self.model}", "pretrained": ""},
        }
        save_settings(parse_settings(settings, "made"), workspace.settings_path)
        save_classes(entries, workspace.root / "classes.json")
        rows = sorted(self.rows, key=lambda row: row["class_id"])
        found = uids(pa.array([r["url"] for r in rows]), pa.array([r["caption"] for r in rows]))
        numbers = np.array([row["row"] for row in rows])
        for row, uid, priority in zip(
            rows, found.tolist(), priorities(found, rows[0]["file"], numbers).tolist(), strict=True
        ):
            row.update(uid=uid, priority=priority)
        table = {
            name: pa.array([row.get(name) for row in rows], MATCH_SCHEMA.field(name).type)
            for name in MATCH_SCHEMA.names
        }
        pq.write_table(pa.table(table, schema=MATCH_SCHEMA), workspace.matches_path)
        images = [self.images[url] for url in sorted(self.images)]
        pq.write_table(pa.Table.from_pylist(images, IMAGE_SCHEMA), workspace.images_path)
        started = time.perf_counter()
        embed(workspace)
        build_vectors(workspace)
        print(f"embedded {len(images)} photos in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        return workspace


def captioned(data: Path, root: Path, model: str, *, small: bool) -> tuple[Workspace, Right]:
    """The workspace, and what is right in it."""
    rows = pq.read_table(data / "data/photos/captioned.parquet").to_pylist()
    captions: dict[str, list[str]] = {}
    for row in rows:
        captions.setdefault(row["path"], []).append(row["caption"])
    paths = sorted(captions)[:: 3 if small else 1]
    maker = Maker(root, model)
    right: Right = {}
    entries = []
    for number, (name, synonyms) in enumerate(THINGS.items()):
        entries.append(ClassEntry(number, name, tuple(Synonym(text) for text in synonyms)))
        for path in paths:
            first, *others = captions[path]
            hit = next((text for text in synonyms if has_phrase(first, text)), None)
            if hit is None:
                continue
            url = maker.photo(path.replace(" ", "_"), data / "data/photos" / path)
            maker.match(number, hit, url, first)
            if sum(any(has_phrase(caption, text) for text in synonyms) for caption in others) >= 2:
                right[number, url] = url
    return maker.finish(entries), right


def labelled(data: Path, root: Path, model: str, *, small: bool) -> tuple[Workspace, Right]:
    """The workspace with shots and test.txt, and what is right in it."""
    rows = pq.read_table(data / "data/photos/labelled.parquet").to_pylist()
    photos: dict[str, list[str]] = {}
    for row in rows:
        photos.setdefault(row["label"], []).append(row["path"])
    names = sorted(photos)[:: 3 if small else 1]
    generator = np.random.default_rng(1)
    maker = Maker(root, model)
    lists: dict[str, list[str]] = {"shots": [], "test": []}
    right: Right = {}
    pool = {name: sorted(photos[name])[13:] for name in names}
    for number, name in enumerate(names):
        ordered = sorted(photos[name])
        lists["shots"] += [f"{path} {number} 1" for path in ordered[:5]]
        lists["test"] += [f"{path} {number} 1" for path in ordered[5:13]]
        spoken = name.replace("_", " ").lower()
        wrong = [(other, path) for other in names if other != name for path in pool[other]]
        chosen = [wrong[at] for at in generator.choice(len(wrong), 2 * len(pool[name]), replace=False)]
        for owner, path in [*((name, path) for path in pool[name]), *chosen]:
            url = maker.photo(path, data / "data/photos" / path)
            maker.match(number, spoken, url, str(generator.choice(CAPTIONS)).format(spoken))
            if owner == name:
                right[number, url] = path
        for path in pool[name][:3]:  # near-copies of right photos, and of a wrong one
            copy_of(maker, data, path, number, spoken, right)
        copy_of(maker, data, chosen[0][1], number, spoken, None)
    entries = [
        ClassEntry(number, name, (Synonym(name.replace("_", " ").lower()),))
        for number, name in enumerate(names)
    ]
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return maker.finish(entries, shots="shots.txt", root=str(data / "data/photos")), right


def copy_of(maker: Maker, data: Path, path: str, number: int, spoken: str, right: Right | None) -> None:
    """A smaller, recompressed copy under another URL."""
    with Image.open(data / "data/photos" / path) as image:
        width, height = image.size
        smaller = image.convert("RGB").resize((max(86, width * 4 // 5), max(86, height * 4 // 5)))
    url = maker.photo(f"copy-{number}/{path}", smaller)
    maker.match(number, spoken, url, f"{spoken} wallpaper")
    if right is not None:
        right[number, url] = path


def measure(workspace: Workspace, right: Right, spec: SampleSettings) -> dict[str, float | int]:
    """Images, and which share of them is right, counting a picture and its near-copies once."""
    draw(workspace, spec)
    rows = read_sample(paths_of(workspace, spec.name), ["class_id", "url"], kept=True).to_pylist()
    found = [(row["class_id"], right.get((row["class_id"], row["url"]))) for row in rows]
    distinct = {pair for pair in found if pair[1] is not None}
    right_ones = sum(picture is not None for _, picture in found)
    return {
        "images": len(rows),
        "precision": round(len(distinct) / max(len(rows), 1), 4),
        "near_copies": right_ones - len(distinct),
    }


def table(workspace: Workspace, right: Right, specs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: measure(workspace, right, SampleSettings(name=f"s{at}", **spec))
        for at, (name, spec) in enumerate(specs.items())
    }


def accuracies(workspace: Workspace, data: Path, names: list[str]) -> dict[str, Any]:
    """Linear-probe accuracy of every sample on held-out photos."""
    found = evaluate(
        workspace,
        workspace.root / "test.txt",
        data / "data/photos",
        samples=[f"s{at}" for at, name in enumerate(names) if name in JUDGED],
    )
    shown = {f"s{at}": name for at, name in enumerate(names)}
    return {
        " + ".join(shown.get(part, part) for part in line.name.split(" + ")): {
            "accuracy": round(line.accuracy, 4), "low": round(line.low, 4), "high": round(line.high, 4),
        }
        for line in found.lines
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--small", action="store_true", help="a third of the photos")
    parser.add_argument("--keep", type=Path, help="leave the workspaces in this folder")
    given = parser.parse_args()
    data = given.data.resolve()
    model = str(data / "models/captrawl-small")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="captrawl-precision-"))
    out: dict[str, Any] = {"machine": platform.platform(), "cores": os.cpu_count()}

    workspace, right = captioned(data, folder / "captioned", model, small=given.small)
    specs: dict[str, dict[str, Any]] = {"raw matches": {"method": "Random", "n": 100_000}}
    for n in (5, 10, 20) if given.small else (10, 20, 40):
        specs |= {f"{method}, n {n}": {"method": method, "n": n} for method in TEXT_METHODS}
    for threshold in (0.2, 0.3):
        specs[f"T2T-rank, T2I>={threshold}, n 20"] = {"rank": "T2T", "keep": [f"T2I>={threshold}"], "n": 20}
    specs["Random, zeroshot, n 20"] = {"method": "Random", "n": 20, "zeroshot": True}
    specs["T2I-rank, dedup 0.9, n 20"] = {"method": "T2I-rank", "n": 20, "dedup": 0.9}
    out["captioned"] = table(workspace, right, specs)

    workspace, right = labelled(data, folder / "labelled", model, small=given.small)
    n = 10
    specs = {"raw matches": {"method": "Random", "n": 100_000}}
    specs |= {method: {"method": method, "n": n} for method in TEXT_METHODS + SHOT_METHODS}
    specs["Random, T2I>=0.25"] = {"method": "Random", "threshold": 0.25, "n": n}
    specs["Random-I2I, I2I.mean>=0.4"] = {"method": "Random-I2I", "threshold": 0.4, "n": n}
    specs["Random, zeroshot"] = {"method": "Random", "zeroshot": True, "n": n}
    specs["Random, referee margin"] = {"method": "Random", "referee": "margin", "n": n}
    specs["Random, referee drop"] = {"method": "Random", "referee": "drop", "n": n}
    specs["T2I-rank, dedup 0.95"] = {"method": "T2I-rank", "dedup": 0.95, "n": n}
    specs["T2T-rank, zeroshot, referee margin, dedup 0.95"] = {
        "method": "T2T-rank", "zeroshot": True, "referee": "margin", "dedup": 0.95, "n": n,
    }  # fmt: skip
    specs["auto"] = {"method": "auto", "n": n}
    out["labelled"] = table(workspace, right, specs)
    chosen = paths_of(workspace, f"s{len(specs) - 1}").auto
    out["auto"] = json.loads(chosen.read_text())
    out["accuracy"] = accuracies(workspace, data, list(specs))
    print(json.dumps(out, indent=2))
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
