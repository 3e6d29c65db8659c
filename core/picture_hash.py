"""Perceptual hashes: copies stay alike that were encoded anew, scaled, brightened, cropped, framed or turned.

A hash is the signs of the 16 × 16 lowest frequencies (DCT) of a grey 80 × 80 picture, but for the first: 255
bits, as pHash has 64. As they are signs, mirroring and turning a picture flips and transposes the bits of its
hash: its eight positions need no hashes of their own. Crops do; they are taken of the same grey picture.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

Hashes = NDArray[np.uint8]
"""A hash a row: uint8 (rows, BYTES)."""

VERSION = 1
"""Of what hashes are made of: those of other versions can't be compared."""
BYTES = 32
GRID = 80
CROPS = 26
"""Hashes of a picture: whole, without its frame, nine windows each of 95 and 90 % of both sides, and three of
90 % of either."""
COPY = 52
"""So many bits of 255 at most are unlike in copies; of unlike pictures about half are."""
GREYS, COLOURS = 16, 8
"""Pixels of a side of what a signature keeps of a picture: its greys, and its colours."""
SIGNATURE = GREYS * GREYS + COLOURS * COLOURS * 3
_MARK = "captrawl hashes"
"""The key of a table's metadata whose value is the VERSION of its hashes."""
_SIDE = 16
_SMALLEST_FRAME, _LARGEST_FRAME = 2, GRID // 3
_EVEN = 6.0
"""Standard deviation in grey levels of a line that may belong to a frame."""
_BLANK = 3.0
"""Standard deviation of a picture that has nothing to tell it by."""


def grey(picture: Image.Image) -> NDArray[np.float32]:
    """An upright picture as (GRID, GRID) grey levels, whatever its shape."""
    from PIL.Image import Resampling

    return np.asarray(picture.convert("L").resize((GRID, GRID), Resampling.BOX), np.float32)


def hashes_of(levels: NDArray[np.float32]) -> Hashes:
    """The CROPS hashes of a grey picture, the whole first, then the whole without its frame.

    All zero where it is blank: that equals nothing (:func:`comparable`).
    """
    if levels.std() < _BLANK:
        return np.zeros((CROPS, BYTES), np.uint8)
    top, bottom, left, right = frame(levels)
    windows: list[Any] = [_waves(0, GRID) @ levels @ _waves(0, GRID).T]
    windows.append(_waves(top, bottom) @ levels @ _waves(left, right).T)
    small, smaller, all_of_it = _crop_waves(0.95), _crop_waves(0.9), _waves(0, GRID)
    for down, across in ((small, small), (smaller, smaller), (smaller, all_of_it), (all_of_it, smaller)):
        products = (down @ levels @ across.T).reshape(len(down) // _SIDE, _SIDE, -1, _SIDE)
        windows += [products[y, :, x] for y, x in product(range(len(products)), range(products.shape[2]))]
    return _packed(np.stack(windows))


def marked(table: pa.Table) -> pa.Table:
    """``table``, which says that its hashes are of this VERSION."""
    return table.replace_schema_metadata({_MARK: str(VERSION)})


def has_hashes(schema: pa.Schema) -> bool:
    """Whether the hashes of a table of this schema are of this VERSION."""
    return (schema.metadata or {}).get(_MARK.encode()) == str(VERSION).encode()


def signature(picture: Image.Image, levels: NDArray[np.float32]) -> bytes:
    """SIGNATURE bytes of a picture and its :func:`grey` levels, near one another where pictures are the same.

    GREYS × GREYS of its greys, and COLOURS × COLOURS of its colours.
    A hash doesn't do for that: of an even or symmetric picture, as placeholders are, most frequencies are
    nothing, and their signs are chance.
    """
    from PIL.Image import Resampling

    step = GRID // GREYS
    greys = levels.reshape(GREYS, step, GREYS, step).mean(axis=(1, 3)).round().astype(np.uint8)
    return greys.tobytes() + picture.convert("RGB").resize((COLOURS, COLOURS), Resampling.BOX).tobytes()


def comparable(hashes: Hashes) -> NDArray[np.bool_]:
    """(rows,) whether a hash tells anything: not that of a blank picture."""
    return np.any(hashes != 0, axis=-1)  # pyright: ignore[reportReturnType] - of an array, an array


def positions(hashes: Hashes) -> Hashes:
    """(rows, 8, BYTES): ``hashes`` of the pictures as they are, mirrored, and turned each way."""
    bits = np.unpackbits(hashes, axis=-1).reshape(-1, _SIDE, _SIDE)
    odd = np.arange(_SIDE) % 2
    columns, rows = np.tile(odd, (_SIDE, 1)).astype(np.uint8), np.tile(odd[:, None], _SIDE).astype(np.uint8)
    turned = [
        one ^ flip
        for one in (bits, bits.swapaxes(1, 2))
        for flip in (0 * rows, columns, rows, columns ^ rows)
    ]
    packed = np.packbits(np.stack(turned, axis=1).reshape(len(bits), 8, BYTES * 8), axis=-1)
    packed[~comparable(hashes)] = 0
    return packed


def frame(levels: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right): the window within even margins; all of it where there are none."""
    top, bottom = _margin(levels), GRID - _margin(levels[::-1])
    left, right = _margin(levels.T), GRID - _margin(levels.T[::-1])
    return top, bottom, left, right


def _margin(lines: NDArray[np.float32]) -> int:
    """How many lines from the first are as even and as light as it, and one more, which is half of each."""
    near = (lines.std(axis=1) < _EVEN) & (np.abs(lines.mean(axis=1) - lines[0].mean()) < _EVEN)
    width = int(np.argmin(near)) if not near.all() else 0
    return width + 1 if _SMALLEST_FRAME <= width <= _LARGEST_FRAME else 0


def _packed(windows: NDArray[np.float32]) -> Hashes:
    bits = windows.reshape(len(windows), -1) > 0
    bits[:, 0] = False
    return np.packbits(bits, axis=-1)


@cache
def _waves(start: int, end: int) -> NDArray[np.float32]:
    """(16, GRID): the lowest frequencies of a line's pixels from ``start`` to ``end``."""
    at = np.arange(GRID) - start + 0.5
    waves: Any = np.cos(np.pi * np.outer(np.arange(_SIDE), at) / (end - start))
    waves[:, (at < 0) | (at > end - start)] = 0
    return waves.astype(np.float32)


@cache
def _crop_waves(share: float) -> NDArray[np.float32]:
    """(3 × 16, GRID): of the windows of ``share`` of a line at its start, in the middle, and at its end."""
    size = round(GRID * share)
    return np.concatenate([_waves(start, start + size) for start in (0, (GRID - size) // 2, GRID - size)])
