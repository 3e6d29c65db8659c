"""Small pictures of images, and as data: URIs within a budget of bytes that all of them share."""

from __future__ import annotations

import base64
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.pictures import MAX_PIXELS, UnreadablePictureError, open_picture, upright

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)
QUALITIES = (70, 45, 25)
BUDGET = 18_000_000
"""Characters of all the data: URIs of a page together."""


@dataclass(frozen=True, slots=True)
class Size:
    """How a page shows pictures: their longer side in pixels, and how many at each end of a sheet."""

    side: int
    each: int


SIZES = (
    Size(144, 8),
    Size(128, 8),
    Size(112, 6),
    Size(96, 5),
    Size(88, 4),
    Size(80, 3),
    Size(72, 2),
    Size(80, 1),
    Size(64, 1),
    Size(48, 1),
)
"""From roomy to crowded; the first whose pictures fit the budget is used."""
ROUGHLY = 0.42
"""Characters of a data: URI for a pixel of the bounding square: photographs as WebP of quality 70."""


def size_for(sheets: int, others: int, budget: int = BUDGET) -> Size:
    """The roomiest size at which ``sheets`` sheets of two ends and ``others`` pictures fit the budget."""
    for size in SIZES:
        if (sheets * 2 * size.each + others) * size.side**2 * ROUGHLY <= budget:
            return size
    return SIZES[-1]


class Thumbnails:
    """Makes thumbnails of the images under ``root``; every one that is given out counts.

    ``expected``: how many will be asked for. A picture may take twice its even share of what is left.
    """

    def __init__(self, root: Path, size: Size, *, expected: int, budget: int = BUDGET) -> None:
        self._root = root.resolve()
        self._side = size.side
        self._left = budget
        self._expected = max(expected, 1)
        self._uris: dict[str, str] = {}
        self.lost = 0
        """Pictures asked for and not given: the file is gone or broken, or the budget used up."""

    def uri(self, path: str) -> str | None:
        """The data: URI of the image at ``path`` (relative), None where it can't be shown."""
        share = 2 * self._left // self._expected
        self._expected = max(self._expected - 1, 1)
        uri = self._uris.get(path) or next((uri for uri in self._tries(path) if len(uri) <= share), None)
        if uri is None or len(uri) > self._left:
            self.lost += 1
            return None
        self._uris[path] = uri
        self._left -= len(uri)
        return uri

    def _tries(self, path: str) -> Iterator[str]:
        """The picture, ever more coarsely; nothing where it can't be opened."""
        file = (self._root / path).resolve()
        if not file.is_relative_to(self._root):
            log.warning("%s lies outside the workspace; not shown", path)
            return
        try:
            picture = small(file.read_bytes(), self._side)
        except (OSError, UnreadablePictureError) as error:
            log.warning("%s isn't shown: %s", path, error)
            return
        for quality in QUALITIES:
            encoded = io.BytesIO()
            picture.save(encoded, "WEBP", quality=quality, method=2)
            yield "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode()


def small(data: bytes, side: int, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in ``data``, upright, RGB, at most ``side`` pixels wide and high.

    UnreadablePictureError where it can't be decoded or has more than ``max_pixels``.
    """
    from PIL import Image

    with warnings.catch_warnings(action="ignore"):
        picture = upright(open_picture(data, max_pixels=max_pixels), side=side)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture.convert("RGB")
