"""The user's own pictures are seen as packed ones are: upright, 8 bits, on white."""

from __future__ import annotations

import json
from pathlib import Path

import captrawl
import numpy as np
import pytest
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.indexer.embed.stage import embed
from captrawl.sampling.files import read_sample
from captrawl.sampling.sample import draw
from captrawl.sampling.shots import embed_labelled
from captrawl.sampling.task import paths_of
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.similar import similar
from captrawl.workspace.settings import SampleSettings
from captrawl.workspace.workspace import Workspace
from PIL import Image


def embedded(make_workspace, **settings: object) -> Workspace:
    made = make_workspace([(0, f"http://x/{n}", f"thing number {n}", n) for n in range(6)], **settings)
    synonym = {"text": "thing", "frequency": 1, "match": True, "prompt": True, "reason": ""}
    entry = {"id": 0, "name": "thing", "most_common_name": "thing", "extra": {}, "synonyms": [synonym]}
    made.classes_path().write_text(json.dumps({"format": 1, "classes": [entry]}))
    embed(made)
    build_vectors(made)
    return made


@pytest.fixture
def workspace(make_workspace) -> Workspace:
    return embedded(make_workspace)


def on_its_side(source: Path, target: Path) -> Path:
    """The same picture as a phone stores it: turned, with EXIF orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(source).transpose(Image.Transpose.ROTATE_90).save(target, exif=exif)
    return target


def test_a_phone_photo_finds_itself(workspace, tmp_path) -> None:
    phone = on_its_side(workspace.root / "images/00000/4.png", tmp_path / "phone.png")
    first = similar(workspace, image=phone, k=1).to_pylist()[0]
    assert (first["url"], round(first["score"], 3)) == ("http://x/4", 1.0)


def test_deep_and_transparent_pictures_find_themselves(workspace, tmp_path) -> None:
    encoder = load_encoder(model_of(workspace))
    source = Image.open(workspace.root / "images/00000/2.png")
    grey = np.asarray(source.convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    cutout = source.copy()
    cutout.putalpha(Image.linear_gradient("L").resize(cutout.size))
    cutout.save(tmp_path / "cutout.png")
    white = Image.new("RGBA", cutout.size, "white")
    Image.alpha_composite(white, cutout).convert("RGB").save(tmp_path / "flat.png")
    files = [tmp_path / f"{name}.png" for name in ("8", "16", "cutout", "flat")]
    vectors = encoder.encode_images(files)
    assert vectors[0] @ vectors[1] > 0.9999
    assert vectors[2] @ vectors[3] > 0.9999


def test_the_leak_guard_sees_a_phone_photo_upright(make_workspace, tmp_path) -> None:
    workspace = embedded(make_workspace, model=Path(captrawl.__file__).parent / "demo" / "model")
    on_its_side(workspace.root / "images/00000/3.png", tmp_path / "tests" / "phone.png")
    draw(workspace, SampleSettings(leak_guard=str(tmp_path / "tests")))
    rows = read_sample(paths_of(workspace, "T2T500")).to_pylist()
    assert [row["url"] for row in rows if row["reason"] == "leak"] == ["http://x/3"]


def test_vectors_of_shots_that_were_kept_before_are_made_again(workspace, tmp_path) -> None:
    """Older ones were kept by the file's sha256 alone, and of pictures that weren't turned."""
    from captrawl.core.files import sha256_file
    from captrawl.sampling.vector_cache import save

    phone = on_its_side(workspace.root / "images/00000/1.png", tmp_path / "phone.png")
    encoder = load_encoder(model_of(workspace))
    store = tmp_path / "labelled.npz"
    save(
        store,
        [sha256_file(phone)],
        encoder.encode_images([workspace.root / "images/00000/5.png"]),
        encoder.weights,
    )
    (vector,) = embed_labelled(
        [phone], lambda: encoder, store=store, weights=encoder.weights, dimension=encoder.dimension,
        progress=lambda *_: None,
    )  # fmt: skip
    (right,) = encoder.encode_images([workspace.root / "images/00000/1.png"])
    assert vector @ right > 0.9999
