"""An uploaded image: hostile bytes to an upright picture, within limits."""

from __future__ import annotations

import contextlib
import ctypes
import warnings
from collections.abc import Generator
from threading import Lock
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.pictures import Fault, UnreadablePictureError, may_be_image, read_upright

if TYPE_CHECKING:
    from PIL import Image


MOST_SCANS = 100
"""Of a JPEG; real ones have twenty at most, and each costs as much as a picture of its own."""


class UnusableUploadError(InputError):
    """The uploaded bytes aren't an image that can be looked for."""


_ALONE = Lock()


@contextlib.contextmanager
def one_upload() -> Generator[None]:
    """Wait for other uploads, and give the memory of this one back to the system at the end.

    A picture of 50 million pixels takes several hundred megabytes, which glibc would keep for its threads.
    """
    with _ALONE:
        try:
            yield
        finally:
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
            if trim is not None:
                trim(0)


def read_upload(data: bytes, max_pixels: int) -> Image.Image:
    """The picture in ``data``, upright, first frame, without metadata; UnusableUploadError says why not.

    The size is judged by the header before a pixel is decoded.
    """
    if not may_be_image(data, whole=True):
        raise UnusableUploadError("this isn't an image; give a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file")
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise UnusableUploadError(f"this JPEG has more than {MOST_SCANS} scans, as no camera makes them")
    try:
        with warnings.catch_warnings(action="ignore"):
            return read_upright(data, max_pixels=max_pixels).convert("RGB")
    except UnreadablePictureError as error:
        if error.fault is Fault.TOO_MANY_PIXELS:
            raise UnusableUploadError(f"the image is too large: {error}") from error
        raise UnusableUploadError(f"this image can't be read ({error.fault}); is it whole?") from error
