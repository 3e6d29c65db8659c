"""Bytes → what their header says, without decoding a pixel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from ...core.pictures import MAX_PIXELS, UnreadablePictureError, open_picture
from ..outcomes import Reason


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """A picture's size by its header (0 = unknown), and the reason not to take it, or None."""

    width: int = 0
    height: int = 0
    reason: Reason | None = None


def sniff(data: bytes, *, min_side: int, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """The size in the header of ``data``, and whether it may be taken: an image, neither vast nor tiny."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = open_picture(data).size
    except UnreadablePictureError as error:
        return ImageHeader(reason=Reason(error.fault))
    reason = None
    if width * height > max_pixels:
        reason = Reason.TOO_MANY_PIXELS
    elif min(width, height) < min_side:
        reason = Reason.TOO_SMALL
    return ImageHeader(width, height, reason)
