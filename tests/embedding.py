"""A tiny open_clip model with random weights, and workspaces with drawn images, for the embedding tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.workspace.settings import CaptionSettings, ModelSettings, Settings, save_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}

MakeModel = Callable[..., Path]
MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """make_model(seed=0, text_cfg={}, **model_cfg) → a local-dir with a tiny random open_clip model."""

    def make(*, seed: int = 0, text_cfg: dict[str, object] | None = None, **changes: object) -> Path:
        import open_clip
        import torch
        from safetensors.torch import save_file

        folder = tmp_path_factory.mktemp("tiny")
        config = {**TINY, **changes, "text_cfg": {**TINY["text_cfg"], **(text_cfg or {})}}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
        torch.manual_seed(seed)
        network = open_clip.create_model(f"local-dir:{folder}")
        with torch.no_grad():  # larger than the initial ones, so that inputs make a difference
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape) * 0.2)
        save_file(network.state_dict(), folder / "open_clip_model.safetensors")
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: MakeModel) -> Path:
    """The folder of one tiny model; never change it."""
    return make_model()


def draw(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture of random coarse blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


@pytest.fixture
def make_workspace(tmp_path: Path, tiny_model: Path) -> MakeWorkspace:
    """make_workspace(rows, …) → a workspace as match and download leave it.

    ``rows`` are (class id, url, caption, image seed or None); a seed below 0 is a damaged file.
    """

    def make(
        rows: Sequence[tuple[int, str, str | None, int | None]],
        *,
        name: str = "birds",
        model: Path = tiny_model,
        **settings: object,
    ) -> Workspace:
        root = tmp_path / name
        (root / "images" / "00000").mkdir(parents=True, exist_ok=True)
        chosen = ModelSettings(name=f"local-dir:{model}", batch=4, **settings)
        save_settings(Settings(captions=CaptionSettings(index="idx"), model=chosen), root / "captrawl.toml")
        workspace = Workspace.open(root)
        write_rows(workspace, rows)
        return workspace

    return make


def write_rows(workspace: Workspace, rows: Sequence[tuple[int, str, str | None, int | None]]) -> None:
    """Write matches.parquet, images.parquet and the pictures."""
    from captrawl.core.row_ids import uids

    keys = uids(
        pa.array([row[1] for row in rows], pa.string()), pa.array([row[2] for row in rows], pa.string())
    )
    matches = [
        {
            "class_id": class_id, "synonym": "x", "uid": int(uid), "url": url, "caption": caption,
            "priority": 0, "file": "corpus/a.parquet", "row": at,
        }
        for at, ((class_id, url, caption, _), uid) in enumerate(zip(rows, keys, strict=True))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(matches, MATCH_SCHEMA), workspace.matches_path)
    images: dict[str, dict[str, object]] = {}
    for _, url, _, seed in rows:
        images[url] = _image(workspace, url, seed)
    table = pa.Table.from_pylist([images[url] for url in sorted(images)], IMAGE_SCHEMA)
    pq.write_table(table, workspace.images_path)


def _image(workspace: Workspace, url: str, seed: int | None) -> dict[str, object]:
    if seed is None:
        return {"url": url, "state": "failed", "reason": "http_404", "attempts": 1}
    path = f"images/00000/{seed}.png"
    target = workspace.root / path
    if not target.exists():
        if seed < 0:
            target.write_bytes(b"\x89PNG\r\n\x1a\nnothing else")
        else:
            draw(seed).save(target)
    sha256 = hashlib.sha256(f"picture {seed}".encode()).hexdigest()
    return {"url": url, "state": "packed", "attempts": 1, "path": path, "sha256": sha256}


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """write_rows for tests: change what a workspace matched and downloaded."""
    return write_rows


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """draw for tests: a picture of random blocks, by seed."""
    return draw
