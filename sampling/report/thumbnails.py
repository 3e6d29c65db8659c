"""Small pictures of images as data: URIs, within a budget of bytes that all of them share."""

from __future__ import annotations

import base64
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import MissingExtraError

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
        self._made: dict[str, str] = {}
        self.lost = 0
        """Pictures asked for and not given: the file is gone or broken, or the budget used up."""

    def uri(self, path: str) -> str | None:
        """The data: URI of the image at ``path`` (relative), None where it can't be shown."""
        share = 2 * self._left // self._expected
        self._expected = max(self._expected - 1, 1)
        found = self._made.get(path) or next((uri for uri in self._tries(path) if len(uri) <= share), None)
        if found is None or len(found) > self._left:
            self.lost += 1
            return None
        self._made[path] = found
        self._left -= len(found)
        return found

    def _tries(self, path: str) -> Iterator[str]:
        """The picture, ever more coarsely; nothing where it can't be opened."""
        try:
            from PIL import Image, ImageOps, UnidentifiedImageError
        except ImportError as error:
            raise MissingExtraError("a report", "cpu") from error
        file = (self._root / path).resolve()
        if not file.is_relative_to(self._root):
            log.warning("%s lies outside the workspace; not shown", path)
            return
        try:
            with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
                opened.draft("RGB", (2 * self._side, 2 * self._side))
                picture = ImageOps.exif_transpose(opened)
                picture.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
                picture = picture.convert("RGB")
        except (
            OSError,
            ValueError,
            SyntaxError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
        ) as error:
            log.warning("%s isn't shown: %s", path, error)
            return
        for quality in QUALITIES:
            held = io.BytesIO()
            picture.save(held, "WEBP", quality=quality, method=2)
            yield "data:image/webp;base64," + base64.b64encode(held.getvalue()).decode()
