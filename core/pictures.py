"""Image bytes → an upright, flattened, 8-bit picture: one way for all that is packed, embedded or shown.

Browsers are the model: the first frame, turned as EXIF (not XMP) says, transparency laid on white. Text,
profiles and other metadata are never read. Whatever a decoder raises is an UnreadablePictureError, unless
this machine allows less memory than any picture may take, and that was too little.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Generator, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from .errors import import_failure, lacks_memory
from .startup import memory_left

if TYPE_CHECKING:
    from PIL import Image

PIXELS_VERSION = 2
"""Goes up whenever equal bytes give other pixels: part of the key of every vector kept by a file's hash."""

MAX_PIXELS = 50_000_000
"""Of a picture that is decoded: a decoder needs several bytes for each."""
MOST_MEMORY = 1 << 30
"""Bytes that decoding one of so many pixels takes at most: 967 MiB were seen, of a PNG with transparency."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow's names of the formats taken from strangers; no other parser ever sees their bytes."""

NO_HEIF = "HEIC needs captrawl[heic]: pip install 'captrawl[heic]'"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_ENOUGH = 16
_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED_CHUNKS = frozenset({b"tRNS", b"eXIf"})
"""Of the chunks that a decoder may skip (lower-case first letter), those that change the picture."""
_LONGEST_EXIF = 65_536
_ORIENTATION = 0x0112


class Fault(StrEnum):
    """Why there is no picture."""

    NOT_A_PICTURE = "not_an_image"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    TOO_MANY_PIXELS = "too_many_pixels"


class UnreadablePictureError(ValueError):
    """The bytes give no picture: ``fault``, and in one short line what the decoder said."""

    def __init__(self, fault: Fault, text: str = "") -> None:
        super().__init__(text or str(fault))
        self.fault = fault


def may_be_image(start: bytes | bytearray, *, whole: bool = False) -> bool:
    """Whether bytes that begin so can be an image; True while there are too few to tell."""
    if len(start) < _ENOUGH and not whole:
        return True
    head = bytes(start[:_ENOUGH])
    boxed = (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:8] == b"ftyp"
    return boxed or head.startswith(_STARTS)


def open_picture(
    data: bytes, *, formats: Sequence[str] | None = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """The picture in ``data``, its size known and no pixel decoded; ``formats`` None: all that Pillow reads.

    UnreadablePictureError where it isn't one, or has more than ``max_pixels``.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise import_failure(error, "reading images", "cpu") from error
    if formats is None and _is_heif(data):
        _enable_heif()
    with _decoder_errors():
        Image.init()
        names = None if formats is None else [name for name in formats if name in Image.OPEN]
        picture = Image.open(io.BytesIO(without_metadata(data)), formats=names)
        for key in ("xmp", "XML:com.adobe.xmp"):  # Pillow would turn the picture by it
            picture.info.pop(key, None)
    if max_pixels is not None and picture.width * picture.height > max_pixels:
        text = f"{picture.width} × {picture.height} pixels are more than {max_pixels:,}"
        raise UnreadablePictureError(Fault.TOO_MANY_PIXELS, text)
    return picture


def reads_heif() -> bool:
    """Whether HEIC, as phones store it, can be read where all formats are allowed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _is_heif(data: bytes) -> bool:
    brands = data[8:12] + data[16:64]
    return data[4:8] == b"ftyp" and b"avif" not in brands and data[8:12] in _HEIF_BRANDS


def _enable_heif() -> None:
    if not reads_heif():
        raise UnreadablePictureError(Fault.UNDECODABLE, NO_HEIF)
    importlib.import_module("pillow_heif").register_heif_opener()


def upright(picture: Image.Image, *, side: int = 0) -> Image.Image:
    """``picture`` decoded, turned as its EXIF says, flattened on white, as L or RGB of 8 bits.

    ``side`` > 0 allows a smaller picture (at least twice that wide and high) where that is faster.
    UnreadablePictureError where it is cut off or can't be decoded.
    """
    with _decoder_errors():
        if side:
            picture.draft("RGB", (2 * side, 2 * side))
        picture.load()
        turn = _turn(orientation(picture))
        return _eight_bits(picture if turn is None else picture.transpose(turn))


def read_upright(
    data: bytes, *, formats: Sequence[str] | None = FORMATS, max_pixels: int | None = None
) -> Image.Image:
    """:func:`upright` of :func:`open_picture`."""
    return upright(open_picture(data, formats=formats, max_pixels=max_pixels))


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it makes no sense."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 broken EXIF: browsers show the picture as it lies
        return 1
    return value if value in range(1, 9) else 1


def without_metadata(data: bytes) -> bytes:
    """A PNG without the chunks that don't change the picture (they may be huge or broken); else ``data``."""
    if not data.startswith(_PNG):
        return data
    needed = [data[start:end] for kind, start, end in _chunks(data) if _changes_pixels(kind, end - start)]
    return _PNG + b"".join(needed)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of a PNG's chunks; what is left when a length makes no sense is one last chunk."""
    at = len(_PNG)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield (data[at + 4 : at + 8], at, end) if end <= len(data) else (b"", at, len(data))
        at = end


def _changes_pixels(kind: bytes, size: int) -> bool:
    if kind == b"eXIf" and size > _LONGEST_EXIF:
        return False
    return kind in _NEEDED_CHUNKS or not kind[:1].islower()


@contextlib.contextmanager
def _decoder_errors() -> Generator[None]:
    """Whatever Pillow and the libraries below it raise, as one error with a reason."""
    from PIL import Image

    try:
        yield
    except UnreadablePictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePictureError(Fault.TOO_MANY_PIXELS, str(error)) from error
    except Image.UnidentifiedImageError as error:
        raise UnreadablePictureError(Fault.NOT_A_PICTURE, "not an image") from error
    except Exception as error:  # decoders raise anything on hostile bytes
        left = memory_left()
        if left is not None and left < MOST_MEMORY and lacks_memory(error):
            raise  # ulimit -v is no picture's fault
        text = " ".join(str(error).split())[:200] or type(error).__name__
        fault = Fault.TRUNCATED if "truncated" in text.lower() else Fault.UNDECODABLE
        raise UnreadablePictureError(fault, text) from error


def _turn(number: int) -> Image.Transpose | None:
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(number)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """``picture`` as L or RGB; 16-bit and float values scaled to 8 bits, transparency on white."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        return _scaled(picture)
    if picture.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture if picture.mode in {"L", "RGB"} else picture.convert("L" if picture.mode == "1" else "RGB")


def _scaled(picture: Image.Image) -> Image.Image:
    """A picture of wide or float values in 8 bits: 65535 is white, or 1.0 where none exceeds it."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    white = 1.0 if picture.mode == "F" and values.max(initial=0.0) <= 1.0 else 65535.0
    return Image.fromarray(np.rint(values / white * 255.0).clip(0, 255).astype(np.uint8))
