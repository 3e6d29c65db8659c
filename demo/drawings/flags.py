"""National flags, drawn as their states lay them down, then hung where people photograph them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .canvas import SHARP, Canvas, Colour, Point, dark, mix, ring

Flag = Callable[[ImageDraw.ImageDraw, float, float], None]


def _stripes(draw: ImageDraw.ImageDraw, size: Point, colours: Sequence[Colour], *, upright: bool) -> None:
    width, height = size
    for i, colour in enumerate(colours):
        a, b = i / len(colours), (i + 1) / len(colours)
        draw.rectangle(
            (a * width, 0, b * width, height) if upright else (0, a * height, width, b * height), fill=colour
        )


def _nordic(
    field: Colour, cross: Colour, inner: Colour | None, parts: tuple[Sequence[int], Sequence[int]]
) -> Flag:
    """A Nordic cross; ``parts`` are the widths along the fly and down the hoist, in the flag law's units."""

    def flag(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
        along, down = parts
        x, y = width / sum(along), height / sum(down)
        draw.rectangle((0, 0, width, height), fill=field)
        for colour, inset in ((cross, 0.0), (inner, 1.0)):
            if colour is None:
                continue
            left, right = (along[0] + inset) * x, (along[0] + along[1] - inset) * x
            top, bottom = (down[0] + inset) * y, (down[0] + down[1] - inset) * y
            draw.rectangle((left, 0, right, height), fill=colour)
            draw.rectangle((0, top, width, bottom), fill=colour)

    return flag


def _striped(colours: Sequence[Colour], *, upright: bool) -> Flag:
    def flag(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
        _stripes(draw, (width, height), colours, upright=upright)

    return flag


def _disc(field: Colour, disc: Colour, place: float, radius: float) -> Flag:
    """A disc on a field; ``place`` along the width, ``radius`` in heights."""

    def flag(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
        draw.rectangle((0, 0, width, height), fill=field)
        x, y, r = place * width, height / 2, radius * height
        draw.ellipse((x - r, y - r, x + r, y + r), fill=disc)

    return flag


# Some of the 27 stars: place and radius in modules from the globe's centre.
_STARS = ((-2.1, 1.3, 0.2), (-0.9, 2.1, 0.14), (0.3, 1.2, 0.2), (1.6, 1.6, 0.16), (0.4, 2.6, 0.16),
          (2.4, 0.6, 0.13), (-2.6, 0.5, 0.13), (-0.6, 1.1, 0.12), (0.6, -1.9, 0.15))  # fmt: skip


def _brazil(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
    """Law 5,700 of 1971: 14 modules by 20, a rhombus 1.7 from the edges, a globe of radius 3.5, a band."""
    m = height / 14
    x, y = width / 2, height / 2
    draw.rectangle((0, 0, width, height), fill=(0, 151, 57))
    draw.polygon(
        [(1.7 * m, y), (x, 1.7 * m), (width - 1.7 * m, y), (x, height - 1.7 * m)], fill=(254, 221, 0)
    )
    draw.ellipse((x - 3.5 * m, y - 3.5 * m, x + 3.5 * m, y + 3.5 * m), fill=(1, 33, 105))
    centre = (x - 2 * m, y + 7 * m)
    band = [
        (centre[0] + r * m * math.cos(a), centre[1] - r * m * math.sin(a))
        for r, angles in ((8.0, np.linspace(0.55, 1.88, 24)), (8.5, np.linspace(1.88, 0.55, 24)))
        for a in angles
    ]
    draw.polygon([p for p in band if math.dist(p, (x, y)) < 3.5 * m], fill=(255, 255, 255))
    for px, py, r in _STARS:
        draw.ellipse(
            (x + (px - r) * m, y + (py - r) * m, x + (px + r) * m, y + (py + r) * m), fill=(255, 255, 255)
        )


# The right half of the maple leaf, from its tip down to the stem, in heights of the flag about its centre.
_LEAF = ((0.0, -0.41), (0.08, -0.255), (0.145, -0.29), (0.115, -0.075), (0.225, -0.185), (0.247, -0.13),
         (0.36, -0.15), (0.325, -0.035), (0.38, -0.005), (0.19, 0.155), (0.207, 0.225), (0.015, 0.195),
         (0.022, 0.41))  # fmt: skip


def _canada(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
    red = (216, 6, 33)
    draw.rectangle((0, 0, width, height), fill=(255, 255, 255))
    draw.rectangle((0, 0, width / 4, height), fill=red)
    draw.rectangle((width * 3 / 4, 0, width, height), fill=red)
    leaf = [*_LEAF, *[(-x, y) for x, y in reversed(_LEAF)]]
    draw.polygon([(width / 2 + x * height, height / 2 + y * height) for x, y in leaf], fill=red)


def _switzerland(draw: ImageDraw.ImageDraw, width: float, height: float) -> None:
    draw.rectangle((0, 0, width, height), fill=(218, 41, 28))
    x, y, a, b = width / 2, height / 2, height * 3 / 32, height * 10 / 32
    for w, h in ((a, b), (b, a)):
        draw.rectangle((x - w, y - h, x + w, y + h), fill=(255, 255, 255))


NORDIC_18_BY_25 = ((5, 2, 9), (4, 2, 4))
RED, WHITE, BLUE = (186, 12, 47), (255, 255, 255), (0, 32, 91)

FLAGS: dict[str, tuple[float, Flag]] = {  # name → (width over height, how it is drawn)
    "norway": (22 / 16, _nordic(RED, WHITE, BLUE, ((6, 4, 12), (6, 4, 6)))),
    "iceland": (25 / 18, _nordic((2, 82, 156), WHITE, (220, 30, 53), ((7, 4, 14), (7, 4, 7)))),
    "sweden": (16 / 10, _nordic((0, 106, 167), (254, 204, 2), None, NORDIC_18_BY_25)),
    "japan": (3 / 2, _disc(WHITE, (188, 0, 45), 0.5, 0.3)),
    "bangladesh": (5 / 3, _disc((0, 106, 78), (244, 42, 65), 0.45, 1 / 3)),
    "france": (3 / 2, _striped([(0, 38, 84), WHITE, (206, 17, 38)], upright=True)),
    "italy": (3 / 2, _striped([(0, 140, 69), (244, 249, 255), (205, 33, 42)], upright=True)),
    "netherlands": (3 / 2, _striped([(173, 29, 37), WHITE, (30, 71, 133)], upright=False)),
    "brazil": (20 / 14, _brazil),
    "canada": (2 / 1, _canada),
    "switzerland": (1.0, _switzerland),
}


def _cloth(canvas: Canvas, name: str, height: float, *, waves: float) -> Image.Image:
    """The flag as RGBA cloth, ``height`` pixels of the finished picture high, rippled by ``waves``."""
    ratio, flag = FLAGS[name]
    h = max(round(height * SHARP), 12)
    w = round(h * ratio)
    flat = Image.new("RGB", (w, h))
    flag(ImageDraw.Draw(flat), w, h)
    pad = round(h * 0.12)
    phase, length = canvas.some(0, 6.3), canvas.some(0.8, 1.7)
    t = np.linspace(0, 1, w) * 2 * math.pi * length * ratio / 1.5 + phase
    grown = np.minimum(np.linspace(0, 3, w), 1)  # held still at the pole
    shift = np.rint((np.sin(t) - math.sin(phase)) * grown * h * 0.035 * waves).astype(np.int64)
    shade = 1 + np.cos(t) * grown * 0.2 * waves
    rows = np.arange(h + 2 * pad)[:, None] - pad - shift[None, :]
    inside = (rows >= 0) & (rows < h)
    colours = np.asarray(flat, dtype=np.float32)[np.clip(rows, 0, h - 1), np.arange(w)[None, :]]
    shaded = np.clip(colours * shade[None, :, None].astype(np.float32), 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([shaded, inside.astype(np.uint8) * 255]))


def _paste(canvas: Canvas, cloth: Image.Image, x: float, y: float, angle: float) -> None:
    """Put ``cloth`` on the canvas, centred at (x, y) in shares of it, with a soft shadow."""
    turned = cloth.rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    corner = (round(x * canvas.width - turned.width / 2), round(y * canvas.height - turned.height / 2))
    alpha = (
        turned.getchannel("A")
        .point([value // 3 for value in range(256)])
        .filter(ImageFilter.BoxBlur(canvas.unit / 40))
    )
    offset = round(canvas.unit / 30)
    canvas.image.paste(
        Image.new("RGB", turned.size, (10, 12, 20)), (corner[0] + offset, corner[1] + offset), alpha
    )
    canvas.image.paste(turned, corner, turned)


def _sky(canvas: Canvas) -> None:
    top, bottom = canvas.pick(
        (((70, 130, 205), (196, 222, 244)), ((110, 130, 160), (214, 218, 222)),
         ((38, 70, 130), (242, 190, 150)),
         ((100, 170, 220), (236, 244, 250)))
    )  # fmt: skip
    canvas.gradient([canvas.vary(top), canvas.vary(bottom)])
    for _ in range(int(canvas.some(0, 4))):
        x, y = canvas.some(0, 1), canvas.some(0, 0.8)
        for _ in range(4):
            canvas.glow(
                x + canvas.some(-0.12, 0.12),
                y + canvas.some(-0.02, 0.02),
                canvas.some(0.04, 0.1),
                (255, 255, 255),
                0.45,
            )


def _on_pole(canvas: Canvas, name: str) -> None:
    _sky(canvas)
    ratio = FLAGS[name][0]
    height = canvas.some(0.36, 0.58) * min(canvas.size[1], canvas.size[0] / ratio)
    cloth = _cloth(canvas, name, height, waves=canvas.some(0.7, 1.5))
    wide = cloth.width / canvas.width
    left = canvas.some(0.04, max(0.05, 0.9 - wide))
    top = canvas.some(0.16, 0.34)
    pen = canvas.pen(left, top, 1.0)
    tone = canvas.pick(((236, 236, 238), (120, 122, 128), (150, 110, 70)))
    pen.line([(-0.02, -0.2), (-0.02, 3)], 0.045, dark(tone, 0.3))
    pen.line([(-0.028, -0.2), (-0.028, 3)], 0.02, tone)
    pen.disc(-0.02, -0.22, 0.045, (214, 176, 70))
    _paste(canvas, cloth, left + wide / 2, top + height / canvas.size[1] / 2, canvas.some(-4, 8))


def _laid_flat(canvas: Canvas, name: str) -> None:
    """A printed flag: on paper, wood, or a plain ground, sometimes rippled."""
    tone = canvas.pick(((245, 245, 242), (222, 208, 186), (160, 120, 84), (60, 64, 74), (206, 220, 228)))
    canvas.gradient([canvas.vary(tone), dark(canvas.vary(tone), 0.12)])
    canvas.grain(canvas.pick((6, 30, 80)), canvas.some(2, 9))
    height = canvas.some(0.5, 0.8) * min(canvas.size[1], canvas.size[0] / FLAGS[name][0])
    cloth = _cloth(canvas, name, height, waves=canvas.pick((0.0, 0.0, 0.8)))
    _paste(canvas, cloth, canvas.some(0.44, 0.56), canvas.some(0.44, 0.56), canvas.some(-12, 12))


def _whole(canvas: Canvas, name: str) -> None:
    """The cloth alone, filling the picture."""
    height = 1.15 * max(canvas.size[1], canvas.size[0] / FLAGS[name][0])
    cloth = _cloth(canvas, name, height, waves=canvas.some(0.4, 1.2)).convert("RGB")
    cloth = cloth.crop((0, round(cloth.height * 0.12), cloth.width, round(cloth.height * 0.88)))
    canvas.show(cloth.resize((canvas.width, canvas.height), Image.Resampling.BILINEAR))
    canvas.grain(60, canvas.some(2, 6))


def _badge(canvas: Canvas, name: str) -> None:
    """A round badge."""
    tone = canvas.pick(((236, 238, 240), (40, 44, 52), (198, 180, 160), (112, 138, 150)))
    canvas.gradient([canvas.vary(tone), dark(canvas.vary(tone), 0.2)])
    pen = canvas.pen(canvas.some(0.42, 0.58), canvas.some(0.42, 0.58), canvas.some(0.55, 0.8))
    size = round(2 * pen.unit)
    canvas.shadow(pen, [(x + 0.06, y + 0.1) for x, y in ring(1.05, 1.05)])
    pen.disc(0, 0, 1.06, mix(tone, (255, 255, 255), 0.75))
    flat = _cloth(canvas, name, size / SHARP * 1.04, waves=0.0).convert("RGB")
    middle = flat.crop(
        (
            (flat.width - size) // 2,
            (flat.height - size) // 2,
            (flat.width + size) // 2,
            (flat.height + size) // 2,
        )
    )
    mask = Image.new("L", middle.size, 0)
    ImageDraw.Draw(mask).ellipse((0, 0, middle.width - 1, middle.height - 1), fill=255)
    canvas.image.paste(
        middle, (round(pen.origin[0] - middle.width / 2), round(pen.origin[1] - middle.height / 2)), mask
    )
    pen.disc(-0.3, -0.5, (0.45, 0.2), (255, 255, 255, 50), -30)


def flag(name: str) -> Callable[[Canvas], None]:
    """What draws the flag of ``name`` somewhere a person would find it."""

    def drawing(canvas: Canvas) -> None:
        canvas.pick((_on_pole, _on_pole, _laid_flat, _whole, _badge))(canvas, name)

    return drawing
