"""Bytes → packed files: every odd kind of image, through the real workers."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from captrawl.core.errors import DownloadError
from captrawl.indexer.pack.orient import is_whole_jpeg
from captrawl.indexer.pack.pool import PackPool, PackSettings, Shard, WorkerDeathError
from captrawl.indexer.pack.sniff import sniff
from captrawl.indexer.pack.spool import Spool
from PIL import Image


@pytest.fixture(scope="module")
def packing(tmp_path_factory) -> Iterator[tuple[PackPool, Spool]]:
    root = tmp_path_factory.mktemp("a folder, with é::#?%20 spaces")
    spool = Spool(root / "spool")
    made = PackPool(root / "tmp", spool.folder, PackSettings(image_seconds=20))
    yield made, spool
    made.close()


@pytest.fixture
def pack(packing):
    """pack(*bytes) → their files as (PIL image or reason), in the same order."""
    made, spool = packing
    numbers = iter(range(int(time.time() * 1000), 10**15))

    def go(*bodies: bytes) -> list[Image.Image | str]:
        names = [hashlib.sha256(body).hexdigest() for body in bodies]
        for name, body in zip(names, bodies, strict=True):
            spool.write(name, body)
        shard = made.pack(next(numbers), names)
        assert shard.lost == ()
        found = {file.sha256: file for file in shard.files}
        return [opened(shard, found[name]) for name in names]

    return go


def opened(shard: Shard, file) -> Image.Image | str:
    if file.reason:
        return str(file.reason)
    assert shard.folder is not None
    data = (shard.folder / Path(file.path).name).read_bytes()
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    assert image.size == (file.width, file.height)
    image.load()
    return image


def close(image: Image.Image | str, wanted: Image.Image, within: float = 3) -> bool:
    """Whether two pictures are the same but for JPEG's noise."""
    assert isinstance(image, Image.Image), image
    assert image.size == wanted.size
    difference = np.asarray(image.convert("RGB"), float) - np.asarray(wanted.convert("RGB"), float)
    return float(np.abs(difference).mean()) < within


def with_orientation(image: Image.Image, orientation: int, format: str) -> bytes:  # noqa: A002
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, format=format, exif=exif, **({"quality": 95} if format == "JPEG" else {}))
    return out.getvalue()


TURNS = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_comes_out_upright(pack, tools, format) -> None:  # noqa: A002
    scene = tools.picture(3, 130, 90)
    packed = pack(*(with_orientation(scene, number, format) for number in TURNS))
    for image, turn in zip(packed, TURNS.values(), strict=True):
        assert close(image, scene if turn is None else scene.transpose(turn))
        assert image.getexif().get(0x0112) is None


def on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def test_modes_and_formats(pack, tools) -> None:
    scene = tools.picture(4)
    grey = scene.convert("L")
    alpha = Image.linear_gradient("L").resize(scene.size)
    veiled = scene.copy()
    veiled.putalpha(alpha)
    la = Image.merge("LA", (grey, alpha))
    palette = scene.convert("P", palette=Image.Palette.ADAPTIVE)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    cases = {
        "grey jpeg": (tools.encoded(grey, quality=95), grey),
        "progressive": (tools.encoded(scene, quality=95, progressive=True), scene),
        "cmyk": (tools.encoded(scene.convert("CMYK"), quality=95), scene),
        "png": (tools.encoded(scene, "PNG"), scene),
        "grey png": (tools.encoded(grey, "PNG"), grey),
        "16 bits": (tools.encoded(deep, "PNG"), grey),
        "16 bits rgb": (png16(np.asarray(scene)), scene),
        "1 bit": (tools.encoded(grey.convert("1"), "PNG"), grey.convert("1")),
        "la": (tools.encoded(la, "PNG"), on_white(la)),
        "rgba": (tools.encoded(veiled, "PNG"), on_white(veiled)),
        "palette": (tools.encoded(palette, "PNG"), palette),
        "palette, transparent": (tools.encoded(palette, "PNG", transparency=0), None),
        "webp": (tools.encoded(scene, "WEBP", quality=95), scene),
        "webp rgba": (tools.encoded(veiled, "WEBP", lossless=True), on_white(veiled)),
        "gif": (tools.encoded(palette, "GIF"), palette),
        "bmp": (tools.encoded(scene, "BMP"), scene),
        "tiff": (tools.encoded(scene, "TIFF"), scene),
        "float tiff": (tools.encoded(Image.fromarray(np.asarray(grey, np.float32) / 255), "TIFF"), grey),
    }
    packed = dict(zip(cases, pack(*(body for body, _ in cases.values())), strict=True))
    for name, (_, wanted) in cases.items():
        image = packed[name]
        if wanted is None:
            colour = Image.open(io.BytesIO(cases[name][0])).convert("RGBA")
            wanted = on_white(colour)
        assert close(
            image, wanted, 12 if name in {"palette, transparent", "palette", "gif", "1 bit"} else 3
        ), name


def png16(pixels: np.ndarray) -> bytes:
    """A 16-bit RGB PNG, which Pillow can't write."""
    height, width, _ = pixels.shape
    wide = (pixels.astype(np.uint16) * 257).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in wide)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(pack, tools, format) -> None:  # noqa: A002
    frames = [tools.picture(n) for n in range(3)]
    body = tools.encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
    (image,) = pack(body)
    assert close(image, frames[0], 12)
    assert not close(image, frames[1], 30)


def test_what_is_cut_off_or_broken_is_dropped(pack, tools) -> None:
    scene = tools.picture(5, 300, 300)
    plain, png, webp = (
        tools.encoded(scene, quality=95),
        tools.encoded(scene, "PNG"),
        tools.encoded(scene, "WEBP"),
    )
    progressive = tools.encoded(scene, quality=95, progressive=True)
    upset = bytearray(png)
    upset[len(png) // 2] ^= 0xFF
    packed = pack(
        plain[: len(plain) // 2], progressive[: len(progressive) // 2], plain[:-2], png[: len(png) // 2],
        webp[: len(webp) // 2], bytes(upset), with_orientation(scene, 6, "JPEG")[:-500], plain + b"trailing",
    )  # fmt: skip
    assert packed[:3] == ["truncated"] * 3
    assert packed[3] in {"truncated", "undecodable"}
    assert packed[4] in {"truncated", "undecodable"}
    assert packed[5] == "undecodable"
    assert packed[6] == "truncated"
    assert close(packed[7], scene)


def test_a_damaged_avif_is_dropped_alone(pack, tools, data_folder) -> None:
    """The decoder raises RuntimeError: once at the header, once at the pixels."""
    hostile = [path.read_bytes() for path in sorted((data_folder / "cases/hostile").glob("*.*vif"))]
    assert [sniff(body, min_side=1).reason for body in hostile] == ["undecodable", None]
    packed = pack(tools.jpeg(1), *hostile, tools.jpeg(2))
    assert packed[1:3] == ["undecodable", "undecodable"]
    assert all(isinstance(image, Image.Image) for image in (packed[0], packed[3]))


def test_mutated_images_are_packed_or_dropped_each_for_itself(pack, tools) -> None:
    """40 mutations of each format, among good images, in one job: every one has an outcome."""
    random = np.random.default_rng(3)
    scene = tools.picture(11, 64, 64)
    bodies: list[bytes] = []
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"):
        whole = tools.encoded(scene, kind)
        for _ in range(40):
            body = bytearray(whole)
            for _ in range(int(random.integers(1, 6))):
                body[int(random.integers(2, len(body)))] = int(random.integers(256))
            bodies.append(bytes(body))
    good = tools.jpeg(12)
    packed = pack(good, *dict.fromkeys(bodies))
    assert isinstance(packed[0], Image.Image)
    reasons = {image for image in packed if isinstance(image, str)}
    assert {"undecodable"} < reasons <= {"undecodable", "truncated", "not_an_image", "too_many_pixels"}


def test_whole_jpegs(tools) -> None:
    for options in ({}, {"progressive": True}, {"quality": 100}, {"exif": b"Exif\0\0\xff\xd9"}):
        data = tools.encoded(tools.picture(6), **options)
        assert is_whole_jpeg(data)
        assert not is_whole_jpeg(data[:-2])
        assert is_whole_jpeg(data + b"\0" * 100)
    assert not is_whole_jpeg(b"\xff\xd8")


def test_the_same_bytes_give_the_same_file(pack, packing, tools) -> None:
    bodies = [tools.jpeg(7), tools.encoded(tools.picture(8), "PNG"), tools.jpeg(9)]
    first = [np.asarray(image) for image in pack(*bodies)]
    again = [np.asarray(image) for image in reversed(pack(*reversed(bodies)))]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)


def test_quality_and_size_are_kept(pack, tools) -> None:
    scene = tools.picture(10, 1001, 333)
    (image,) = pack(tools.encoded(scene, "PNG"))
    assert image.size == (1001, 333)
    assert max(max(table) for table in image.quantization.values()) == 1  # quality 100


def test_resize_makes_the_short_side(tmp_path, tools) -> None:
    spool = Spool(tmp_path / "spool")
    bodies = [tools.jpeg(1, 400, 200), tools.jpeg(2, 90, 100), tools.jpeg(3, 300, 900)]
    names = [hashlib.sha256(body).hexdigest() for body in bodies]
    for name, body in zip(names, bodies, strict=True):
        spool.write(name, body)
    packing = PackPool(tmp_path / "tmp", spool.folder, PackSettings(resize=100))
    try:
        shard = packing.pack(12, names)
    finally:
        packing.close()
    assert [(f.path, f.width, f.height) for f in shard.files] == [
        ("images/00012/000120000.jpg", 200, 100),
        ("images/00012/000120001.jpg", 90, 100),
        ("images/00012/000120002.jpg", 100, 300),
    ]
    assert sorted(path.name for path in shard.folder.iterdir()) == [
        "000120000.jpg", "000120001.jpg", "000120002.jpg", "shard.parquet",
    ]  # fmt: skip


def test_spooled_bytes_that_are_gone_or_changed_are_lost_not_dropped(packing, tools) -> None:
    made, spool = packing
    bodies = [tools.jpeg(n) for n in (20, 21, 22)]
    names = [hashlib.sha256(body).hexdigest() for body in bodies]
    spool.write(names[0], bodies[0])
    spool.write(names[1], bodies[2])
    shard = made.pack(77, names)
    assert {file.sha256: bool(file.path) for file in shard.files} == {names[0]: True}
    assert sorted(shard.lost) == sorted(names[1:])


def test_a_decoder_that_hangs_is_killed_at_its_image(tmp_path, tools) -> None:
    body = tools.endless_jpeg()
    assert sniff(body, min_side=85).reason is None
    bodies = [tools.jpeg(1), body, tools.jpeg(2)]
    spool = Spool(tmp_path / "spool")
    names = [hashlib.sha256(b).hexdigest() for b in bodies]
    for name, b in zip(names, bodies, strict=True):
        spool.write(name, b)
    packing = PackPool(tmp_path / "tmp", spool.folder, PackSettings(image_seconds=3))
    try:
        with pytest.raises(WorkerDeathError) as caught:
            packing.pack(1, names)
        assert caught.value.suspect == names[1]
        assert len(packing.pack(2, [names[0], names[2]]).files) == 2  # the worker lives on
    finally:
        packing.close()


def test_memory_is_limited(tmp_path, tools) -> None:
    body = tools.encoded(Image.new("RGB", (7000, 7000)), "PNG")
    spool = Spool(tmp_path / "spool")
    name = hashlib.sha256(body).hexdigest()
    spool.write(name, body)
    packing = PackPool(tmp_path / "tmp", spool.folder, PackSettings(memory=800_000_000))
    try:
        shard = packing.pack(1, [name])
    finally:
        packing.close()
    assert [file.reason for file in shard.files] == ["undecodable"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_machine_that_allows_less_memory_packs_within_it(tmp_path, tools) -> None:
    """A hard limit below what a job may have is kept to; raising it isn't allowed."""
    body = tools.jpeg(1)
    name = hashlib.sha256(body).hexdigest()
    Spool(tmp_path / "spool").write(name, body)
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3_500_000_000, 3_500_000_000))\n"
        "from captrawl.indexer.pack.pool import PackPool, PackSettings\n"
        "pool = PackPool(Path('tmp'), Path('spool').absolute(), PackSettings())\n"
        "print([file.path for file in pool.pack(1, [sys.argv[1]]).files])\npool.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.strip() == "['images/00001/000010000.jpg']", done.stderr


def test_a_worker_leaves_nothing_in_the_systems_folder(tmp_path, tools, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "system"))
    (tmp_path / "system").mkdir()
    spool, body = Spool(tmp_path / "spool"), tools.jpeg(3)
    spool.write(hashlib.sha256(body).hexdigest(), body)
    packing = PackPool(tmp_path / "tmp", spool.folder, PackSettings())
    assert len(packing.pack(0, [hashlib.sha256(body).hexdigest()]).files) == 1
    packing.close()
    assert list((tmp_path / "system").iterdir()) == []


def test_a_stopped_packing_says_so(tmp_path) -> None:
    packing = PackPool(tmp_path / "tmp", tmp_path, PackSettings())
    packing.stop()
    with pytest.raises(DownloadError, match="stopped"):
        packing.pack(1, ["0" * 64])
