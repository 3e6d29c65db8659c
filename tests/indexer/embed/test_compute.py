"""A forward pass in a shorter type: near float32, part of what the vectors are, never mixed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from captrawl.core.errors import ModelError
from captrawl.indexer.embed import stage
from captrawl.indexer.embed.stage import embed, embed_part, embed_status
from captrawl.search.vectors.encoder import compute_of
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of, resolve
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.parts import StagePart
from captrawl.workspace.settings_edits import edit_settings
from captrawl.workspace.workspace import State, Workspace

ROWS = [(0, f"http://h/{n}", f"caption {n} {'word ' * n}", n) for n in range(8)]


def stored(workspace: Workspace) -> Embeddings:
    return Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug))


def with_compute(workspace: Workspace, compute: str) -> None:
    edit_settings(workspace.settings_path, {"model": {"compute": compute}})


def vectors(embeddings: Embeddings) -> dict[str, np.ndarray]:
    """Both vectors of each row, by its uid."""
    every = np.arange(embeddings.rows)
    both = np.hstack([embeddings.images.take(every), embeddings.captions.take(every)])
    return dict(zip(embeddings.metadata["uid"].to_pylist(), both, strict=True))


@pytest.mark.parametrize(
    ("setting", "device", "compute"),
    [
        ("auto", "cuda", "float16"),
        ("auto", "cuda:1", "float16"),
        ("auto", "cpu", "float32"),
        ("auto", "mps", "float32"),
        ("float32", "cuda", "float32"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_auto_is_short_on_cuda_alone(setting: str, device: str, compute: str) -> None:
    assert compute_of(setting, device) == compute


@pytest.mark.data
@pytest.mark.parametrize(("compute", "least"), [("bfloat16", 0.995), ("float16", 0.9999)])
def test_short_types_are_near_float32(data_folder: Any, picture: Any, compute: str, least: float) -> None:
    encoder = load_encoder(resolve(f"local-dir:{data_folder}/models/captrawl-small"), batch=3)
    short = dataclasses.replace(encoder, compute=compute)
    texts = ["a red bus", "", None, "a " * 60]
    pictures = [picture(n) for n in range(8)]
    pairs = [
        (encoder.encode_texts(texts), short.encode_texts(texts)),
        (encoder.encode_images(pictures), short.encode_images(pictures)),
    ]
    for exact, near in pairs:
        assert near.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(near, axis=1), 1, atol=1e-6)
        assert least < (exact * near).sum(axis=1).min()
        assert np.abs(exact - near).max() > 1e-6  # it was in use


def test_vectors_of_two_kinds_never_mix(make_workspace: Any) -> None:
    workspace = make_workspace(ROWS, precision="float32")
    embed(workspace)
    exact = vectors(stored(workspace))
    path = workspace.embeddings_folder(model_of(workspace).slug) / "model.json"
    assert "compute" not in json.loads(path.read_text())  # as every folder before has it
    with_compute(workspace, "bfloat16")
    status = embed_status(workspace)
    assert status.state is State.STALE
    assert "contains vectors computed in float32, the settings ask for bfloat16" in status.reason
    with pytest.raises(ModelError, match="computed in float32"):
        embed(workspace)
    stage.EMBED_STAGE.run(workspace, lambda *_: None)
    assert stored(workspace).info.compute == "bfloat16"
    assert embed_status(workspace).state is State.DONE
    for uid, row in vectors(stored(workspace)).items():
        assert 0 < np.abs(row - exact[uid]).max() < 0.05


def test_auto_goes_on_as_the_vectors_were_made(make_workspace: Any, rewrite: Any) -> None:
    whole = make_workspace(ROWS, name="whole", precision="float32")
    with_compute(whole, "bfloat16")
    embed(whole)
    extended = make_workspace(ROWS[:3], name="extended", precision="float32")
    with_compute(extended, "bfloat16")
    embed(extended)
    with_compute(extended, "auto")
    assert embed_status(extended).state is State.DONE
    rewrite(extended, ROWS)
    embed(extended)
    assert stored(extended).info.compute == "bfloat16"
    assert stored(extended).shards == 2
    theirs = vectors(stored(whole))
    for uid, row in vectors(stored(extended)).items():
        np.testing.assert_allclose(row, theirs[uid], atol=0.02)


def test_parts_made_on_a_gpu_are_merged_without_one(make_workspace: Any) -> None:
    workspace = make_workspace(ROWS, precision="float32")
    with_compute(workspace, "bfloat16")  # as auto is there
    embed_part(workspace, StagePart(1, 2))
    with_compute(workspace, "auto")
    embed_part(workspace, StagePart(2, 2))
    assert embed(workspace)["rows"] == len(ROWS)
    assert stored(workspace).info.compute == "bfloat16"
