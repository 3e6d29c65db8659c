"""An uploaded image: hostile bytes to an upright picture, within limits."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from ..core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from PIL import Image


MOST_SCANS = 100
"""Of a JPEG; real ones have twenty at most, and each costs as much as a picture of its own."""


class UnusableUploadError(InputError):
    """The uploaded bytes aren't an image that can be looked for."""


def read_upload(data: bytes, max_pixels: int) -> Image.Image:
    """The picture in ``data``, upright, first frame, without metadata; UnusableUploadError says why not.

    The size is judged by the header before a pixel is decoded.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("looking for an image", "cpu") from error
    from ..indexer.outcomes import Reason
    from ..indexer.pack.orient import upright
    from ..indexer.pack.sniff import may_be_image, sniff

    if not may_be_image(data, whole=True):
        raise UnusableUploadError("this isn't an image; give a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file")
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise UnusableUploadError(f"this JPEG has more than {MOST_SCANS} scans, as no camera makes them")
    try:
        header = sniff(data, min_side=1, max_pixels=max_pixels)
    except Exception as error:
        raise UnusableUploadError("this image's header can't be read; is it whole?") from error
    if header.reason is Reason.TOO_MANY_PIXELS:
        size = f"{header.width} × {header.height}" if header.width else "far too many"
        raise UnusableUploadError(f"the image has {size} pixels, this takes {max_pixels:,} at most")
    if header.reason is not None:
        raise UnusableUploadError("this image can't be read; is it whole?")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(upright(data))) as image:
                return image.convert("RGB")
    except Exception as error:  # decoders of hostile bytes raise anything
        reason = getattr(error, "reason", "undecodable")
        raise UnusableUploadError(f"this image can't be read ({reason}); is it whole?") from error
