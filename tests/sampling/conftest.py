"""A workspace whose pools, images and vectors are made up, so that no model and no download is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.files import digest
from captrawl.core.records import EMBEDDED_SCHEMA, IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.sampling.shots import picture_key
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import EmbeddingsInfo, write_shard
from captrawl.workspace.settings import parse_settings, save_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

TEMPLATE = "a photo of {}."
WEIGHTS = "made up"


@dataclass
class Made:
    """What a made-up workspace holds. ``rows`` are matches; ``vectors`` uid → (image, caption) vectors."""

    workspace: Workspace
    names: list[str]
    prompts: np.ndarray
    rows: list[dict[str, Any]]
    vectors: dict[int, tuple[np.ndarray, np.ndarray]]
    shots: dict[int, np.ndarray] = field(default_factory=dict)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def phrase_of(name: str) -> str:
    """The synonym that prompts a class: its name, or a word where the name has none."""
    return name if any(map(str.isalnum, name)) else "nameless"


def match_row(class_id: int, number: int, **changes: Any) -> dict[str, Any]:
    """A line of matches.parquet; uid, URL and caption follow ``number`` unless changed."""
    row = {
        "class_id": class_id,
        "synonym": f"class{class_id}",
        "uid": number,
        "url": f"http://127.0.0.1/{number}.jpg",
        "caption": f"caption {number}",
        "width": 100,
        "height": 100,
        "similarity": None,
        "nsfw": None,
        "punsafe": None,
        "licence": None,
        "language": None,
        "priority": (number * 2654435761) % 2**62,
        "file": "corpus/a.parquet",
        "row": number,
    }
    return {**row, **changes}


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    return match_row


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[..., Made]:
    """make_workspace(rows, vectors, prompts=…, shots=…, unusable={url: reason}, settings={…}) → Made.

    Every image file is a real little picture in the workspace; equal URLs share it.
    """

    def make(
        rows: Sequence[Mapping[str, Any]],
        vectors: Mapping[int, tuple[np.ndarray, np.ndarray]],
        *,
        prompts: np.ndarray,
        names: Sequence[str] | None = None,
        shots: Mapping[int, np.ndarray] | None = None,
        unusable: Mapping[str, str] | None = None,
        hashes: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        pictures: bool = False,
        folder: str = "birds",
    ) -> Made:
        root = tmp_path / folder
        root.mkdir(parents=True)
        named = list(names or [f"class{i}" for i in range(len(prompts))])
        data: dict[str, Any] = {
            "captions": {"index": "nowhere"},
            "model": {"templates": [TEMPLATE], "precision": "float32"},
            **(settings or {}),
        }
        workspace = Workspace(root)
        entries = [
            {"id": i, "name": name, "synonyms": [{"text": phrase_of(name)}]} for i, name in enumerate(named)
        ]
        (root / "classes.json").write_text(json.dumps({"format": 1, "classes": entries}))
        if shots:
            data["task"] = {**data.get("task", {}), **write_shots(tmp_path / "shots", shots)}
        save_settings(parse_settings(data, "made up"), workspace.settings_path)
        ordered = sorted(rows, key=lambda row: row["class_id"])
        pq.write_table(pa.Table.from_pylist(ordered, MATCH_SCHEMA), workspace.matches_path)
        paths = write_images(workspace, ordered, unusable or {}, hashes or {}, pictures=pictures)
        write_vectors(workspace, ordered, vectors, paths, dimension=prompts.shape[1])
        fill_caches(workspace, named, prompts, shots or {}, tmp_path / "shots")
        return Made(workspace, named, prompts, ordered, dict(vectors), dict(shots or {}))

    return make


def write_shots(folder: Path, shots: Mapping[int, np.ndarray]) -> dict[str, str]:
    """Shot files, each of its own bytes, and their list; the [task] keys that name them."""
    folder.mkdir()
    lines = []
    for label, vectors in shots.items():
        for number in range(len(vectors)):
            (folder / f"{label}-{number}.jpg").write_bytes(f"{label}-{number}".encode())
            lines.append(f"{label}-{number}.jpg {label} 1")
    (folder / "list.txt").write_text("\n".join(lines))
    return {"shots": str(folder / "list.txt"), "root": str(folder)}


def write_images(
    workspace: Workspace,
    rows: Sequence[Mapping[str, Any]],
    unusable: Mapping[str, str],
    hashes: Mapping[str, str],
    *,
    pictures: bool,
) -> dict[str, tuple[str, str]]:
    """images.parquet; URL → (path, sha256) of the usable ones."""
    paths: dict[str, tuple[str, str]] = {}
    lines = []
    for number, url in enumerate(sorted({row["url"] for row in rows if row["url"]})):
        line = {"url": url, "state": "packed", "attempts": 1}
        if url in unusable:
            line.update(state="failed", reason=unusable[url])
        else:
            sha256 = hashes.get(url) or hashlib.sha256(url.encode()).hexdigest()
            known = [path for path, held in paths.values() if held == sha256]
            path = known[0] if known else f"images/00000/{number:09d}.jpg"
            line.update(path=path, sha256=sha256)
            paths[url] = (path, sha256)
            if pictures and not known:
                file = workspace.root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (96, 96), (number % 256, 80, 160)).save(file)
        lines.append(line)
    pq.write_table(pa.Table.from_pylist(lines, IMAGE_SCHEMA), workspace.images_path)
    return paths


def write_vectors(
    workspace: Workspace,
    rows: Sequence[Mapping[str, Any]],
    vectors: Mapping[int, tuple[np.ndarray, np.ndarray]],
    paths: Mapping[str, tuple[str, str]],
    *,
    dimension: int,
) -> None:
    model = model_of(workspace)
    folder = workspace.embeddings_folder(model.slug)
    folder.mkdir(parents=True)
    EmbeddingsInfo(model.name, model.pretrained, WEIGHTS, dimension, "float32").save(folder)
    by_uid = {row["uid"]: row for row in rows if row["url"] in paths and row["uid"] in vectors}
    # another order than the matches', in two shards: a row's place must never stand for its identity
    uids = sorted(by_uid, key=lambda uid: hashlib.sha256(str(uid).encode()).digest())
    half = (len(uids) + 1) // 2
    for shard, some in enumerate((uids[:half], uids[half:])):
        lines = [
            {
                "uid": uid,
                "url": by_uid[uid]["url"],
                "caption": by_uid[uid]["caption"],
                "image_path": paths[by_uid[uid]["url"]][0],
                "sha256": paths[by_uid[uid]["url"]][1],
            }
            for uid in some
        ]
        images = np.array([vectors[uid][0] for uid in some], np.float32).reshape(-1, dimension)
        captions = np.array([vectors[uid][1] for uid in some], np.float32).reshape(-1, dimension)
        table = pa.Table.from_pylist(lines, EMBEDDED_SCHEMA)
        write_shard(folder, shard, table, images=images, captions=captions)


def fill_caches(
    workspace: Workspace,
    names: Sequence[str],
    prompts: np.ndarray,
    shots: Mapping[int, np.ndarray],
    folder: Path,
) -> None:
    """The vectors of prompts and shots, so that no model is asked for them."""
    cache = workspace.vectors_folder(model_of(workspace).slug)
    keys = [digest([phrase_of(name), (TEMPLATE,)]) for name in names]
    save(cache / "prompts.npz", keys, prompts.astype(np.float32), WEIGHTS)
    keys, held = [], [np.zeros((0, prompts.shape[1]), np.float32)]
    for label, vectors in shots.items():
        keys += [picture_key(folder / f"{label}-{number}.jpg") for number in range(len(vectors))]
        held.append(np.asarray(vectors, np.float32).reshape(-1, prompts.shape[1]))
    save(cache / "labelled.npz", keys, np.concatenate(held), WEIGHTS)
