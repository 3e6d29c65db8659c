"""A SWAT folder as its scripts leave it, of real photos where they are; SWAT's own reader, re-implemented."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

MODEL = Path(__file__).resolve().parents[2] / "demo" / "model"
CLASSES = {
    "0": {
        "name": "red star",
        "alternates": {"red star": 5, "Red Star": 5, "crimson star": 2},
        "most_common_name": "red star",
        "actual_freq": 6,
    },
    "1": {"name": "blue_disc", "alternates": {"blue disc": 4, "blue circle": 3}, "actual_freq": 7},
    "2": {"name": "unicorn", "alternates": {"unicorn": 0}, "actual_freq": 0},
}
CAPTIONS = {
    "0": [
        "a Red-Star on a wall",
        "crimson star and red star",
        "red star",
        None,
        "“red star” flag &amp; pole",
    ],
    "1": ["a blue disc", "blue circle, flat", "the blue disc & the red star", "blue disc again"],
    "2": [],
}


@dataclass
class Swat:
    """What was put into the folder."""

    root: Path
    model: str
    captions: dict[str, list[str | None]] = field(default_factory=lambda: CAPTIONS)
    arrived: dict[tuple[str, int], str] = field(default_factory=dict)
    """(class, n) → URL."""
    features: dict[str, np.ndarray] = field(default_factory=dict)


def drawing(seed: int, size: tuple[int, int] = (120, 100)) -> Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def small_model() -> str:
    return f"local-dir:{MODEL}"


@pytest.fixture
def draw() -> Callable[..., Image.Image]:
    return drawing


def picture(seed: int) -> Image.Image:
    """A real photo where the real data is, else a drawing; another one a seed."""
    root = Path(__file__).resolve().parents[2]
    photos = root / os.environ.get("CAPTRAWL_TEST_DATA", "../shared") / "data" / "photos" / "labelled"
    files = sorted(photos.rglob("*.jpg"))
    return Image.open(files[seed * 29 % len(files)]).convert("RGB") if files else drawing(seed)


@pytest.fixture
def make_swat(tmp_path: Path, small_model: str) -> Callable[..., Swat]:
    """make_swat(dataset="shapes", …) → a folder with all of SWAT.md's files.

    Rows are (synonym, shard number, rowid, caption, …), matches a set of them, as SWAT's scripts write them;
    ``bare``: (shard, rowid, caption, …) in a list, as they did before.
    """

    def make(
        dataset: str = "shapes", *, features: bool = True, database: bool = False, bare: bool = False
    ) -> Swat:
        root = tmp_path / "retrieved" / dataset
        images = root / f"{dataset}_retrieved_LAION400M-all_synonyms-random"
        made = Swat(root, small_model)
        mined: dict[str, list[tuple[Any, ...]] | set[tuple[Any, ...]]] = {}
        meta: dict[str, list[tuple[Any, ...]]] = {}
        captions: dict[str, dict[int, str]] = {}
        for key, texts in CAPTIONS.items():
            (images / key).mkdir(parents=True)
            rows = [row_of(key, at, text, bare=bare) for at, text in enumerate(texts)]
            mined[key] = rows if bare else set(rows)
            meta[key], captions[key] = [], {}
            n = 0
            for at, (row, text) in enumerate(zip(rows, texts, strict=True)):
                url = f"http://127.0.0.1:9/{key}-{at}.jpg"
                entry = (*row, url, "UNLIKELY")
                if at == 1:  # it never came
                    meta[key].append(entry)
                    continue
                picture(10 * int(key) + at).save(images / key / f"{n}.jpg", quality=100)
                meta[key].append((*entry, n))
                captions[key][n] = text or "N.A."
                made.arrived[key, n] = url
                n += 1
        stem = f"{dataset}_metadata-random-0.0-LAION400M"
        for name, value in (
            (f"{dataset}_mined_captions-LAION400M.pkl", mined),
            (f"{stem}.meta", meta),
            (f"{stem}.map", captions),
        ):
            (root / name).write_bytes(pickle.dumps(value))
        where = 3 if bare else 4
        pairs = [(key, entry[where]) for key, entries in meta.items() for entry in entries]
        urls = pa.table({"class": [c for c, _ in pairs], "url": [u for _, u in pairs]})
        pq.write_table(urls, root / f"{dataset}-urls-random-0.0-LAION400M.parquet")
        counts = {key: {"name": CLASSES[key]["name"], "actual_freq": len(v)} for key, v in mined.items()}
        (root / f"{dataset}_class_frequency-LAION400M.json").write_text(json.dumps(counts))
        arrived = {key: len(found) for key, found in captions.items()}
        name = f"{dataset}_downloaded_ct-LAION400M-all_synonyms-random.json"
        (root / name).write_text(json.dumps(arrived))
        (root / f"{dataset}_metrics-LAION400M.json").write_text(json.dumps(CLASSES))
        if features:
            write_features(made, root, dataset, captions, images)
        if database:
            write_database(root / "laion400m.db")
        return made

    return make


def row_of(key: str, at: int, text: str | None, *, bare: bool) -> tuple[Any, ...]:
    """A match as SWAT's parser notes it: NULL captions are N.A. in the table that it searches."""
    if bare:
        return (f"part{key}", 10 + at, text)
    name = next((name for name in CLASSES[key]["alternates"] if name in (text or "").lower()), "red star")
    return (name, int(key), 10 + at, text or "N.A.")


def write_features(made: Swat, root: Path, dataset: str, captions: dict, images: Path) -> None:
    import torch
    from captrawl.search.vectors.loading import load_encoder
    from captrawl.search.vectors.models import resolve

    encoder = load_encoder(resolve(made.model), device="cpu")
    keys = list(made.arrived)
    texts = [captions[key][n] for key, n in keys]
    files = [images / key / f"{n}.jpg" for key, n in keys]
    made.features = {"image": encoder.encode_images(files), "caption": encoder.encode_texts(texts)}
    elsewhere = f"/scratch/group/retrieved/{dataset}/{images.name}"
    torch.save(
        {
            "image_features": torch.from_numpy(made.features["image"]),
            "caption_features": torch.from_numpy(made.features["caption"]),
            "labels": torch.tensor([int(key) for key, _ in keys]),
            "filepath": [f"{elsewhere}/{key}/{n}.jpg" for key, n in keys],
        },
        root / f"{dataset}_{resolve(made.model).slug}_mined.pth",
    )


def write_database(path: Path) -> None:
    """SWAT's SQLite tables with the rows that the pickles name by (part, rowid)."""
    with sqlite3.connect(path) as connection:
        for key, texts in CAPTIONS.items():
            connection.execute(f"CREATE TABLE part{key} (SAMPLE_ID, URL, TEXT, NSFW)")
            for at, text in enumerate(texts):
                values = (10 + at, at, f"http://127.0.0.1:9/{key}-{at}.jpg", text, "UNLIKELY")
                connection.execute(
                    f"INSERT INTO part{key} (rowid, SAMPLE_ID, URL, TEXT, NSFW) VALUES (?, ?, ?, ?, ?)",
                    values,
                )
    connection.close()


@pytest.fixture
def swat_reader() -> Callable[[Path, Path], list[tuple[Image.Image, int, int]]]:
    """SWAT's own dataset class, re-implemented from SWAT.md: split at blanks, join to a root, open, RGB."""

    def read(listing: Path, root: Path) -> list[tuple[Image.Image, int, int]]:
        import os

        samples = []
        for line in listing.read_text().splitlines():
            path, label, source = line.split()
            with Image.open(os.path.join(root, path)) as image:  # noqa: PTH118 - an absolute path wins
                samples.append((image.convert("RGB"), int(label), int(source)))
        return samples

    return read
