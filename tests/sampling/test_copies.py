"""Copies by picture hash: what the hash finds, the leak guard, descriptors, and --dedup copies."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from captrawl.core.errors import InputError, ModelError
from captrawl.core.picture_hash import COPY, comparable, grey, hashes_of, positions
from captrawl.sampling.copies import stored
from captrawl.sampling.copies.alike import HashIndex, copies_among
from captrawl.sampling.copies.descriptors import load_descriptors, save_descriptors
from captrawl.sampling.copies.guard import LeakGuard
from captrawl.sampling.copies.stored import PictureHashes
from captrawl.sampling.files import read_sample
from captrawl.sampling.sample import draw
from captrawl.sampling.shots import picture_key
from captrawl.sampling.task import paths_of
from captrawl.sampling.vector_cache import save
from captrawl.search.vectors.models import model_of
from captrawl.workspace.settings import SampleSettings, save_settings
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from PIL.Image import Transpose

E = np.eye(8, dtype=np.float32)


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with large shapes and some noise, another for each seed."""
    chance = np.random.default_rng(seed)
    small = chance.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.SHARPEN)


def distance(one: Image.Image, other: Image.Image) -> int:
    references = HashIndex(hashes_of(grey(other))[None])
    return int(references.distances(hashes_of(grey(one))[None])[0])


CHANGES = {
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned": lambda one: one.rotate(90, expand=True),
    "turned back": lambda one: one.rotate(270, expand=True),
    "transposed": lambda one: one.transpose(Transpose.TRANSVERSE),
    "framed": lambda one: ImageOps.expand(one, 24, (255, 255, 255)),
    "brighter": lambda one: ImageEnhance.Brightness(one).enhance(1.2),
    "smaller": lambda one: one.resize((110, 80)),
    "cropped": lambda one: one.crop((20, 3, 312, 228)),
    "without an edge": lambda one: one.crop((0, 0, 320, 216)),
    "turned and framed": lambda one: ImageOps.expand(one.rotate(180), 20),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_a_copy_and_another_is_not(change: str) -> None:
    pictures = [scene(seed) for seed in range(12)]
    changed = [CHANGES[change](one) for one in pictures]
    assert max(distance(*pair) for pair in zip(changed, pictures, strict=True)) <= COPY
    assert min(distance(one, pictures[at - 1]) for at, one in enumerate(changed)) > COPY + 10


def test_the_positions_of_a_hash_are_the_hashes_of_the_positions() -> None:
    levels = grey(scene(3, (200, 200)))
    turned = {tuple(hashes_of(np.ascontiguousarray(one))[0]) for one in (
        levels, levels[:, ::-1], levels[::-1], levels[::-1, ::-1],
        levels.T, levels.T[:, ::-1], levels.T[::-1], levels.T[::-1, ::-1],
    )}  # fmt: skip
    assert len(turned) == 8
    assert {tuple(one) for one in positions(hashes_of(levels)[:1])[0]} == turned


def test_a_blank_picture_is_no_copy_of_anything() -> None:
    blank = hashes_of(grey(Image.new("RGB", (90, 60), (200, 200, 200))))
    assert not comparable(blank).any()
    assert copies_among(np.stack([blank, blank])) == {}
    assert not LeakGuard(blank[None], None).leaking(blank[None], E[:1]).any()


def test_a_near_vector_counts_only_where_the_hash_confirms_it() -> None:
    pictures = np.stack([hashes_of(grey(scene(seed))) for seed in range(2)])
    guard = LeakGuard(pictures[:1], E[:1])
    near = np.array([0.99 * E[0] + 0.14 * E[1], E[2]], np.float32)
    assert guard.leaking(pictures[[1, 0]], near).tolist() == [False, True]  # the second by its hash alone
    nothing = np.zeros_like(pictures)
    assert guard.leaking(nothing, near).tolist() == [True, False]  # no hash: the vector alone


def made_of_scenes(make_workspace: Any, make_row: Any, pictures: list[Image.Image]) -> Any:
    rows = [make_row(0, uid) for uid in range(len(pictures))]
    vectors = {
        uid: (E[uid], (E[0] + (0.1 * (9 - uid)) * E[7]).astype(np.float32)) for uid in range(len(rows))
    }
    made = make_workspace(rows, vectors, prompts=E[:1], pictures=True)
    files = sorted((made.workspace.root / "images").rglob("*.jpg"))
    for file, picture in zip(files, pictures, strict=True):
        picture.save(file, quality=90)
    return made.workspace


def reasons(workspace: Any, name: str) -> list[str]:
    table = read_sample(paths_of(workspace, name)).to_pylist()
    return [row["reason"] for row in sorted(table, key=lambda row: row["uid"])]


def test_the_guard_knows_copies_that_their_vectors_dont_show(make_workspace, make_row, tmp_path) -> None:
    test = scene(0)
    workspace = made_of_scenes(
        make_workspace, make_row, [ImageOps.mirror(test), scene(1), test.crop((9, 9, 311, 231))]
    )
    (tmp_path / "tests").mkdir()
    test.save(tmp_path / "tests" / "t.png")
    cache = workspace.vectors_folder(model_of(workspace).slug) / "labelled.npz"
    save(cache, [picture_key(tmp_path / "tests" / "t.png")], E[6:7], "made up")
    draw(workspace, SampleSettings(name="guarded", leak_guard=str(tmp_path / "tests")))
    assert reasons(workspace, "guarded") == ["leak", "", "leak"]


def test_descriptors_guard_as_their_images_do(make_workspace, make_row, tmp_path, captrawl) -> None:
    test = scene(0)
    workspace = made_of_scenes(make_workspace, make_row, [test.rotate(90, expand=True), scene(1)])
    (tmp_path / "t.png").parent.mkdir(exist_ok=True)
    test.save(tmp_path / "t.png")
    (tmp_path / "test.txt").write_text("t.png 0 0\n")
    target = tmp_path / "test.parquet"
    told = captrawl("descriptors", tmp_path / "test.txt", "-o", target, "--json")
    assert json.loads(told.stdout) == {"images": 1, "path": str(target)}
    assert b"t.png" not in target.read_bytes()
    draw(workspace, SampleSettings(name="shared", leak_guard=str(target)))
    assert reasons(workspace, "shared") == ["leak", ""]


def test_descriptors_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50)).save(tmp_path / "blank.png")
    with pytest.raises(InputError, match=r"blank\.png is of one colour"):
        save_descriptors([tmp_path / "blank.png"], tmp_path / "a.parquet")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"url": ["http://a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="has no descriptors of test images"):
        load_descriptors(tmp_path / "other.parquet")


def test_dedup_copies_keeps_the_best_ranked_of_each_picture(make_workspace, make_row, tmp_path) -> None:
    one, other = scene(0), scene(1)
    pictures = [other, one, ImageOps.mirror(one), ImageOps.expand(one, 20), scene(2)]
    workspace = made_of_scenes(make_workspace, make_row, pictures)
    draw(workspace, SampleSettings(name="distinct", dedup="copies"))
    got = reasons(workspace, "distinct")
    assert sorted(got) == ["", "", "", "near_duplicate", "near_duplicate"]
    assert got[0] == got[4] == ""
    ranks = [row["rank"] for row in read_sample(paths_of(workspace, "distinct")).to_pylist() if row["kept"]]
    assert sorted(ranks) == [1, 2, 3]


def with_copy_model(workspace: Any, path: Path, module: Any) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(module).save(str(path))
    settings = workspace.settings()
    model = settings.model.model_copy(update={"copies": str(path)})
    save_settings(settings.model_copy(update={"model": model}), workspace.settings_path)


def test_a_copy_model_is_asked_beside_the_hashes(make_workspace, make_row, tmp_path) -> None:
    from torch import nn

    one = scene(0)
    negative = ImageOps.invert(one)  # no copy by its hash; the model sees edges alone
    workspace = made_of_scenes(make_workspace, make_row, [one, negative, scene(1)])
    draw(workspace, SampleSettings(name="hashes", dedup="copies"))
    assert reasons(workspace, "hashes").count("near_duplicate") == 0
    with_copy_model(workspace, tmp_path / "edges.pt", edges())
    draw(workspace, SampleSettings(name="model", dedup="copies"))
    assert sorted(reasons(workspace, "model")[:2]) == ["", "near_duplicate"]
    assert reasons(workspace, "model")[2] == ""
    assert len(list((workspace.root / "hashes").glob("*.npz"))) == 1
    with_copy_model(workspace, tmp_path / "flat.pt", nn.Flatten(0))
    with pytest.raises(ModelError, match=r"flat\.pt is no TorchScript model of 320 × 320 images to vectors"):
        draw(workspace, SampleSettings(name="flat", dedup="copies"))
    (tmp_path / "flat.pt").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"flat\.pt is no TorchScript model"):
        draw(workspace, SampleSettings(name="flat", dedup="copies"))


def edges() -> Any:
    """A model whose vectors are how much a picture changes from place to place, as much in its negative."""
    import torch
    from torch import nn

    class Edges(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            small = nn.functional.adaptive_avg_pool2d(pixels.mean(1, keepdim=True), 24)
            steps = (small[:, :, 1:, 1:] - small[:, :, :-1, :-1]).abs().flatten(1)
            return steps - steps.mean(1, keepdim=True)

    return Edges()


def test_a_cosine_that_drops_a_lot_is_warned_of(make_workspace, make_row, caplog) -> None:
    rows = [make_row(0, uid) for uid in range(4)]
    vectors = {uid: (E[0] if uid < 3 else E[1], E[0]) for uid in range(4)}
    workspace = make_workspace(rows, vectors, prompts=E[:1]).workspace
    draw(workspace, SampleSettings(name="close", dedup=0.9))
    assert "dedup 0.9 takes over a fifth of the images of 1 class for near duplicates (class0)" in caplog.text


def test_hashes_are_made_once_and_go_on_where_they_were(tmp_path, monkeypatch) -> None:
    files = []
    for seed in range(5):
        scene(seed).save(tmp_path / f"{seed}.png")
        files.append((f"sha-{seed}", tmp_path / f"{seed}.png"))
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    PictureHashes(tmp_path / "hashes").fill(files[:2])
    (tmp_path / "hashes" / "hashes_00001.npy").write_bytes(b"cut off")  # killed before its table
    for _, path in files[:2]:
        path.unlink()  # not needed again
    hashes = PictureHashes(tmp_path / "hashes")
    hashes.fill(files)
    again = PictureHashes(tmp_path / "hashes").take([key for key, _ in files] + ["unknown"])
    assert np.array_equal(again[:5], hashes.take([key for key, _ in files]))
    assert np.array_equal(again[:5], np.stack([hashes_of(grey(scene(seed))) for seed in range(5)]))
    assert not again[5].any()
