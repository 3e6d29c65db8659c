"""Bytes → upright pictures: orientation, depth, transparency, metadata, and whatever damaged files raise."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from captrawl.core.pictures import (
    Fault,
    UnreadablePictureError,
    open_picture,
    orientation,
    read_upright,
    without_metadata,
)
from PIL import Image, PngImagePlugin


def scene(size: tuple[int, int] = (120, 80)) -> Image.Image:
    """Smooth, and alike under no turn or flip."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return Image.fromarray(np.stack([x, y, (x * y) / 255], axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def distance(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(
        np.abs(np.asarray(one.convert("RGB"), float) - np.asarray(other.convert("RGB"), float)).mean()
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("number", "stored_as"),
    [(1, None), (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90),
     (8, Image.Transpose.ROTATE_270), (5, Image.Transpose.TRANSPOSE), (7, Image.Transpose.TRANSVERSE)],
)  # fmt: skip
def test_a_picture_on_its_side_is_turned(kind: str, number: int, stored_as: Image.Transpose | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    stored = scene() if stored_as is None else scene().transpose(stored_as)
    assert distance(read_upright(encoded(stored, kind, exif=exif)), scene()) < 4


def test_only_exif_turns_a_picture(data_folder: Path) -> None:
    data = (data_folder / "cases/xmp-orientation/xmp6.jpg").read_bytes()
    assert b"tiff:Orientation" in data
    assert (orientation(open_picture(data)), read_upright(data).size) == (1, (200, 100))
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    assert read_upright(encoded(scene(), "PNG", pnginfo=text)).size == (120, 80)
    exif = Image.Exif()
    exif[0x0112] = 6
    both = encoded(
        scene().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, xmp=b'tiff:Orientation="3"'
    )
    assert distance(read_upright(both), scene()) < 4


@pytest.mark.parametrize("number", [0, 9, 65535])
def test_an_orientation_that_makes_no_sense_is_none(number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    assert read_upright(encoded(scene(), "JPEG", exif=exif)).size == (120, 80)
    assert read_upright(encoded(scene(), "JPEG", exif=b"Exif\0\0nonsense")).size == (120, 80)


def test_sixteen_bits_and_transparency() -> None:
    grey = scene().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert distance(read_upright(encoded(deep, "PNG")), grey) < 1
    cutout = scene()
    cutout.putalpha(Image.new("L", cutout.size, 0))
    assert read_upright(encoded(cutout, "PNG")).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["crc", "iccp", "itxt", "ztxt", "plain"])
def test_a_png_is_read_whatever_its_metadata_unpacks_to(data_folder: Path, name: str) -> None:
    folder = data_folder / "cases/png-metadata"
    picture = read_upright((folder / f"{name}.png").read_bytes())
    assert picture.size == (160, 120)
    assert np.asarray(picture.convert("L")).std() > 5


def test_a_png_keeps_the_chunks_that_change_it() -> None:
    palette = scene().convert("P", palette=Image.Palette.ADAPTIVE)
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 1000)
    data = encoded(palette, "PNG", transparency=0, exif=exif, pnginfo=text, icc_profile=b"p" * 500)
    bare = without_metadata(data)
    assert [kind for kind in (b"tEXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE") if kind in bare] == [
        b"eXIf", b"tRNS", b"PLTE",
    ]  # fmt: skip
    assert read_upright(data).size == (80, 120)
    long = (
        struct.pack(">I", 70_000)
        + b"eXIf"
        + bytes(70_000)
        + struct.pack(">I", zlib.crc32(b"eXIf" + bytes(70_000)))
    )
    assert len(without_metadata(data[:33] + long + data[33:])) == len(bare)


@pytest.mark.parametrize("start", [8, 9, 20, 40])
def test_a_cut_or_empty_png_is_walked_to_its_end(start: int) -> None:
    data = encoded(scene(), "PNG")[:start]
    assert without_metadata(data) == data
    with pytest.raises(UnreadablePictureError):
        read_upright(data)


def test_faults() -> None:
    def fault(data: bytes, **limits: int) -> Fault:
        with pytest.raises(UnreadablePictureError) as caught:
            read_upright(data, **limits)
        return caught.value.fault

    assert fault(b"<html>") is Fault.NOT_A_PICTURE
    assert fault(encoded(scene(), "JPEG")[:800]) is Fault.TRUNCATED
    assert fault(encoded(scene(), "PNG"), max_pixels=9599) is Fault.TOO_MANY_PIXELS
    assert fault(encoded(Image.new("1", (20_000, 20_000)), "PNG")) is Fault.TOO_MANY_PIXELS
    assert fault(encoded(scene(), "PPM")) is Fault.NOT_A_PICTURE
    assert read_upright(encoded(scene(), "PPM"), formats=None).size == (120, 80)


@pytest.mark.parametrize("name", ["a_look.avif", "b_upright.avif"])
def test_a_damaged_avif_is_a_fault_of_its_own(data_folder: Path, name: str) -> None:
    with pytest.raises(UnreadablePictureError) as caught:
        read_upright((data_folder / "cases/hostile" / name).read_bytes())
    assert caught.value.fault is Fault.UNDECODABLE


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_picture_is_not_undecodable_for_want_of_memory(tmp_path: Path) -> None:
    Image.new("RGB", (7000, 7000)).save(tmp_path / "large.png", compress_level=1)
    code = (
        "import resource\nfrom pathlib import Path\nfrom PIL import Image\nImage.init()\n"
        "from captrawl.core.pictures import read_upright\n"
        "size = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() + 100_000_000\n"
        "data = Path('large.png').read_bytes()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "try:\n    read_upright(data)\nexcept MemoryError:\n    print('no memory')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout == "no memory\n", done.stderr


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_mutated_files_raise_nothing_else(kind: str) -> None:
    """150 mutations of each format; with a warning an error, as the suite runs, none may pass either."""
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    data = encoded(scene((64, 48)), kind, **options)
    random = np.random.default_rng(7)
    outcomes: set[str] = set()
    for _ in range(150):
        body = bytearray(data)
        for _ in range(int(random.integers(1, 5))):
            body[int(random.integers(4, len(body)))] = int(random.integers(256))
        try:
            outcomes.add(read_upright(bytes(body), max_pixels=1_000_000).mode)
        except UnreadablePictureError as error:
            outcomes.add(error.fault if str(error) else "no reason")
    assert len(outcomes) > 1
    assert "no reason" not in outcomes


def test_heic_of_ones_own_is_read_and_strangers_isnt() -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(scene().transpose(Image.Transpose.ROTATE_90), "HEIF", quality=95, exif=exif.tobytes())
    assert distance(read_upright(data, formats=None), scene()) < 4
    with pytest.raises(UnreadablePictureError):
        read_upright(data)


def test_heic_without_its_decoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadablePictureError, match=r"pip install 'captrawl\[heic\]'"):
        open_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(32), formats=None)
