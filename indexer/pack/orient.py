"""Image bytes → bytes that img2dataset decodes rightly: upright, 8 bits, RGB or grey, whole.

img2dataset (OpenCV) ignores the EXIF orientation, clips 16 bits to white, inverts plain CMYK and fills what
is missing of a JPEG with grey. A JPEG without any of these passes as it is; everything else is decoded here
and handed on as uncompressed PNM.
"""

from __future__ import annotations

import io

from ...core.pictures import Fault, UnreadablePictureError, open_picture, orientation, upright

_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"


def plain_bytes(data: bytes) -> bytes:
    """``data`` where it is a plain upright JPEG, else the same picture (its first frame) as PNM.

    UnreadablePictureError where the picture is cut off or can't be decoded. The same bytes give the same
    bytes.
    """
    picture = open_picture(data)
    if picture.format in {"JPEG", "MPO"}:
        if not is_whole_jpeg(data):
            raise UnreadablePictureError(Fault.TRUNCATED)
        if picture.mode in {"L", "RGB"} and orientation(picture) == 1:
            return data
    out = io.BytesIO()
    upright(picture).save(out, format="PPM")
    return out.getvalue()


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
