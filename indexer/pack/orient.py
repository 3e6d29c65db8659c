"""Image bytes → bytes that img2dataset decodes rightly: upright, 8 bits, RGB or grey, whole.

img2dataset (OpenCV) ignores the EXIF orientation, clips 16 bits to white, inverts plain CMYK and fills what
is missing of a JPEG with grey. A JPEG without any of these passes as it is; everything else is decoded here
and handed on as uncompressed PNM.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from ..outcomes import Reason
from .sniff import DECODER_ERRORS, known_formats

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"


class UnusableImageError(ValueError):
    """The bytes can't be made an image; ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def upright(data: bytes) -> bytes:
    """``data`` where it is a plain upright JPEG, else the same picture (its first frame) as PNM.

    Transparency is laid on white. UnusableImageError where the picture is cut off or can't be decoded. The
    same bytes give the same bytes.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=known_formats()) as image:
                if image.format in {"JPEG", "MPO"}:
                    if not is_whole_jpeg(data):
                        raise UnusableImageError(Reason.TRUNCATED)
                    if image.mode in {"L", "RGB"} and image.getexif().get(_ORIENTATION, 1) == 1:
                        return data
                image.load()
                turned = ImageOps.exif_transpose(image)
                return _as_pnm(turned)
    except UnusableImageError:
        raise
    except DECODER_ERRORS as error:
        cut = "truncated" in str(error).lower()
        raise UnusableImageError(Reason.TRUNCATED if cut else Reason.UNDECODABLE) from error


def is_whole_jpeg(data: bytes) -> bool:
    """Whether an end marker follows the first scan: inside a scan, FF D9 can be nothing else."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
        elif data[at + 1] == _START_OF_SCAN:
            return data.find(_END_OF_IMAGE, at + 2) != -1
        elif data[at + 1] == 0xFF:
            at += 1
        elif data[at + 1] in _STANDALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _as_pnm(image: Image.Image) -> bytes:
    out = io.BytesIO()
    _eight_bits(image).save(out, format="PPM")
    return out.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """``image`` as L or RGB; 16-bit and float values scaled to 8 bits, transparency on white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """A picture of wide or float values in 8 bits: 65535 is white, or 1.0 where none exceeds it."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    white = 1.0 if image.mode == "F" and values.max(initial=0.0) <= 1.0 else 65535.0
    return Image.fromarray(np.rint(values / white * 255.0).clip(0, 255).astype(np.uint8))
