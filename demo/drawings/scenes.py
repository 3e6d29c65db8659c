"""A snowman, a city and mountains."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Colour, Pen, Point, dark, light, mix
from .grounds import NIGHT, cloud, ground, ridge, sea, sky, snow, trees
from .things import BRIGHT


def snowman(canvas: Canvas) -> None:
    """Three balls of snow, a carrot, and what the children found."""
    sky(canvas, night=canvas.chance(0.2))
    horizon = canvas.some(0.6, 0.74)
    trees(canvas, horizon, (60, 92, 84), canvas.some(0.1, 0.3))
    ground(canvas, horizon, (222, 232, 244))
    pen = canvas.pen(
        canvas.some(0.38, 0.62),
        canvas.some(0.5, 0.56),
        canvas.some(0.6, 0.85),
        canvas.some(-4, 4),
        flip=canvas.chance(0.5),
    )
    canvas.shadow(pen, [(-0.7, 0.82), (0.8, 0.82), (0.9, 1.0), (-0.5, 1.0)], 0.3)
    twig = (86, 58, 40)
    for side in (-1, 1):
        tip = (side * 0.82, canvas.some(-0.42, 0.0))
        pen.line([(side * 0.26, 0.02), tip], 0.04, twig)
        pen.line([(side * 0.66, tip[1] * 0.8), (side * 0.8, tip[1] + 0.14)], 0.026, twig)
    white = canvas.vary((246, 249, 253), 4)
    for y, r in ((0.5, 0.46), (-0.06, 0.34), (-0.5, 0.25)):
        pen.disc(0, y, r, dark(white, 0.14))
        pen.disc(-0.03, y - 0.03, r * 0.93, white)
    coal = (30, 30, 34)
    for y in (-0.16, 0.0, 0.16):
        pen.disc(0.02, y, 0.034, coal)
    for x in (-0.08, 0.1):
        pen.disc(x, -0.56, 0.034, coal)
    for k in range(5):
        a = math.radians(40 + 25 * k)
        pen.disc(0.01 + 0.14 * math.cos(a), -0.48 + 0.12 * math.sin(a), 0.017, coal)
    pen.shape([(0.0, -0.53), (0.38, -0.45), (0.0, -0.44)], (240, 124, 36))
    scarf = canvas.vary(canvas.pick(BRIGHT[:4]))
    pen.curve([(-0.22, -0.3), (0, -0.24), (0.22, -0.3)], 0.1, scarf)
    pen.shape([(0.1, -0.28), (0.22, -0.3), (0.28, 0.08), (0.16, 0.1)], dark(scarf, 0.12))
    if canvas.chance(0.6):
        pen.box(-0.3, -0.74, 0.3, -0.68, (36, 36, 42))
        pen.box(-0.19, -1.05, 0.19, -0.7, (36, 36, 42))
        pen.box(-0.19, -0.8, 0.19, -0.73, scarf)
    else:
        pen.shape([(-0.25, -0.64), (0.25, -0.64), (0.16, -0.86), (-0.16, -0.86)], scarf)
        pen.disc(0, -0.88, 0.08, light(scarf, 0.6))
    if canvas.chance(0.7):
        snow(canvas)


def skyline(canvas: Canvas) -> None:
    """A row of towers at day, dusk or night, sometimes mirrored in a river."""
    kind = canvas.pick(("day", "dusk", "night"))
    if kind == "dusk":
        canvas.gradient(
            [canvas.vary((70, 70, 140)), canvas.vary((236, 130, 110)), canvas.vary((255, 210, 140))]
        )
    else:
        sky(canvas, night=kind == "night")
    base = canvas.some(0.74, 0.98)
    if base < 0.9:
        sea(
            canvas,
            base,
            (30, 46, 86) if kind != "day" else (80, 130, 160),
            (250, 220, 150) if kind != "day" else (240, 248, 250),
        )
    else:
        ground(canvas, base, (44, 48, 60))
    pen = canvas.pen(0, base, 1.0)
    end = 2 * canvas.width / min(canvas.width, canvas.height)
    for layer, (low, high) in enumerate(((0.4, 1.0), (0.3, 1.2), (0.15, 0.7))):
        x = canvas.some(-0.3, 0)
        while x < end:
            wide, tall = canvas.some(0.12, 0.3), canvas.some(low, high)
            far = 0.55 - 0.25 * layer
            haze = (230, 190, 180) if kind == "dusk" else (190, 206, 226)
            stone = canvas.vary((62, 72, 98) if kind != "day" else (120, 136, 160), 20)
            wall = mix(stone, haze, far if kind != "night" else 0)
            _tower(
                canvas,
                pen,
                (x, wide, tall),
                wall if kind != "night" else dark(wall, 0.2 + 0.12 * layer),
                lit=kind != "day",
            )
            x += wide + canvas.some(-0.02, 0.12)


def _tower(canvas: Canvas, pen: Pen, size: tuple[float, float, float], wall: Colour, *, lit: bool) -> None:
    x, wide, tall = size
    top = canvas.pick(("flat", "flat", "spire", "step", "slope"))
    pen.box(x, -tall, x + wide, 0.0, wall)
    if top == "spire":
        pen.shape([(x + wide * 0.3, -tall), (x + wide * 0.5, -tall - 0.26), (x + wide * 0.7, -tall)], wall)
    elif top == "step":
        pen.box(x + wide * 0.2, -tall - 0.1, x + wide * 0.8, -tall, wall)
    elif top == "slope":
        pen.shape([(x, -tall), (x + wide, -tall - 0.12), (x + wide, -tall)], wall)
    pen.box(x + wide * 0.86, -tall, x + wide, 0.0, dark(wall, 0.2))
    glass = (255, 222, 140) if lit else light(wall, 0.45)
    columns = max(int(wide / 0.07), 1)
    for row in range(int(tall / 0.075)):
        for k in range(columns):
            if canvas.rng.random() < (0.5 if lit else 0.8):
                left, up = x + wide * (k + 0.2) / (columns + 0.3), -tall + 0.03 + 0.075 * row
                pen.box(left, up, left + wide * 0.45 / columns, up + 0.035, glass)


def mountain(canvas: Canvas) -> None:
    """Snow-capped ridges above a lake, a forest or a meadow."""
    if canvas.chance(0.2):
        top, bottom = canvas.pick(NIGHT)
        canvas.gradient([top, light(bottom, 0.3), (244, 170, 150)])
    else:
        sky(canvas)
    base = canvas.some(0.66, 0.8)
    tone = canvas.vary((92, 104, 130), 16)
    for layer, rise in enumerate((canvas.some(0.5, 0.62), canvas.some(0.42, 0.55), canvas.some(0.1, 0.2))):
        line = ridge(canvas, base, rise)
        shade = mix(tone, (206, 216, 230), 0.45 - 0.25 * layer) if layer < 2 else canvas.vary((70, 96, 70))
        spots = [(x * canvas.width, y * canvas.height) for x, y in line]
        floor = base * canvas.height
        canvas.draw.polygon([(0, floor), *spots, (canvas.width, floor)], fill=shade)
        if layer == 2:
            break
        _relief(canvas, spots, floor)
    ending = canvas.pick(("lake", "meadow", "forest"))
    if ending == "lake":
        sea(canvas, base, (70, 120, 150), (220, 236, 244))
    else:
        ground(canvas, base, (104, 140, 72))
    trees(
        canvas, base + (0.0 if ending == "lake" else 0.06), (38, 72, 56), 0.09 if ending != "forest" else 0.22
    )
    if canvas.chance(0.3):
        cloud(canvas, canvas.some(0.1, 0.9), base - 0.25, 0.3)


def _relief(canvas: Canvas, line: list[Point], floor: float) -> None:
    """A slope in the shade on one side of the summit, and snow down to a ragged edge."""
    top = min(range(len(line)), key=lambda i: line[i][1])
    x, summit = line[top]
    spine = [
        (x + canvas.some(-0.05, 0.05) * canvas.width * k, summit + (floor - summit) * k / 5) for k in range(6)
    ]
    edge = summit + (floor - summit) * canvas.some(0.35, 0.55)
    teeth = [
        (px, max(py, edge + (canvas.some(0, 0.1) if i % 2 else canvas.some(-0.1, 0)) * (floor - summit)))
        for i, (px, py) in enumerate(line[::3])
    ]
    canvas.draw.polygon([*line, *reversed(teeth)], fill=(248, 251, 255))
    canvas.draw.polygon([*line[top:], (canvas.width, floor), *reversed(spine)], fill=(24, 32, 70, 62))


SCENES: dict[str, Callable[[Canvas], None]] = {
    "snowman": snowman,
    "skyline": skyline,
    "mountain": mountain,
}
