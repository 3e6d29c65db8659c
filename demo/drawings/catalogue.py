"""Every drawing by name, and one picture of each from a seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from .animals import ANIMALS
from .canvas import Canvas
from .flags import FLAGS, flag
from .goods import GOODS
from .lookalikes import LOOKALIKES
from .plants import PLANTS
from .scenes import SCENES
from .seaside import SEASIDE
from .signs import SIGNS
from .things import THINGS

DRAWINGS: dict[str, Callable[[Canvas], None]] = {
    **{f"flag of {name}": flag(name) for name in FLAGS},
    **SIGNS,
    **ANIMALS,
    **THINGS,
    **PLANTS,
    **SEASIDE,
    **SCENES,
    **LOOKALIKES,
    **GOODS,
}

SHAPES: tuple[tuple[float, float], ...] = ((1.0, 1.0), (1.0, 0.75), (0.8, 1.0), (1.0, 0.67), (0.75, 1.0))
"""Width and height of a picture, in its longer side."""


def draw(name: str, seed: int, side: int = 224) -> Image.Image:
    """The picture of ``name`` that belongs to ``seed``, RGB, its longer side ``side`` pixels.

    The same name, seed and side give the same pixels; another seed gives another picture.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    across, down = SHAPES[int(rng.integers(len(SHAPES)))]
    canvas = Canvas(round(across * side), round(down * side), rng)
    DRAWINGS[name](canvas)
    return canvas.finish()


def placeholder(style: int, side: int = 224) -> Image.Image:
    """What a host sends when the picture is gone: one of three notices, always the same pixels."""
    tone = ((232, 232, 234), (58, 62, 70), (250, 250, 250))[style % 3]
    ink = (150, 152, 158)
    image = Image.new("RGB", (side, side), tone)
    pen = ImageDraw.Draw(image)
    unit = side / 224
    left, top, right, bottom = (round(v * unit) for v in (72, 60, 152, 124))
    pen.rectangle((left, top, right, bottom), outline=ink, width=max(round(4 * unit), 1))
    pen.polygon(
        [
            (left + 8 * unit, bottom - 8 * unit),
            (left + 30 * unit, top + 26 * unit),
            (left + 52 * unit, bottom - 8 * unit),
        ],
        fill=ink,
    )
    pen.ellipse((right - 28 * unit, top + 10 * unit, right - 14 * unit, top + 24 * unit), fill=ink)
    if style % 3 == 1:
        pen.line(
            (left - 10 * unit, bottom + 10 * unit, right + 10 * unit, top - 10 * unit),
            fill=(220, 90, 80),
            width=round(6 * unit),
        )
    words = ("Image not available", "This photo was removed", "No picture")[style % 3]
    pen.text((side / 2, 152 * unit), words, fill=ink, anchor="mm", font_size=17 * unit)
    return image
