"""A tower crane, an anchor, a balloon and an umbrella."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from .canvas import Canvas, Colour, Pen, clear, dark, light, ring
from .grounds import anything, ground, plain, rain, sea, sky, trees


def tower_crane(canvas: Canvas) -> None:
    """A lattice mast with a jib over a building site."""
    sky(canvas)
    base = canvas.pen(0, 1.0, 1.0)
    x = -0.1
    while x < 4:
        wide, tall = canvas.some(0.2, 0.5), canvas.some(0.15, 0.7)
        tone = canvas.vary(canvas.pick(((150, 152, 158), (184, 170, 150), (120, 124, 134))))
        base.box(x, -tall, x + wide, 0.02, tone)
        for level in range(int(tall / 0.16)):
            base.line([(x, -tall + 0.16 * level), (x + wide, -tall + 0.16 * level)], 0.012, dark(tone, 0.35))
        x += wide + canvas.some(0, 0.3)
    pen = canvas.pen(
        canvas.some(0.3, 0.7),
        canvas.some(0.5, 0.58),
        canvas.some(0.75, 1.0),
        canvas.some(-2, 2),
        flip=canvas.chance(0.5),
    )
    steel = canvas.vary(
        canvas.pick(((246, 184, 30), (246, 184, 30), (206, 54, 40), (232, 234, 236), (40, 104, 176))), 10
    )
    _lattice(pen, (0, 1.6), (0, -0.5), 0.075, steel)
    _lattice(pen, (-0.42, -0.52), (1.08, -0.52), 0.05, steel)
    pen.line([(0, -0.5), (0, -0.86)], 0.05, steel)
    for end in (-0.38, 0.5, 0.92):
        pen.line([(0, -0.86), (end, -0.54)], 0.014, dark(steel, 0.35))
    pen.box(-0.46, -0.5, -0.28, -0.28, (104, 106, 110))
    pen.box(0.05, -0.46, 0.2, -0.26, light(steel, 0.25))
    pen.box(0.1, -0.43, 0.19, -0.34, (92, 140, 176))
    hook, drop = canvas.some(0.5, 0.95), canvas.some(-0.2, 0.4)
    pen.line([(hook, -0.48), (hook, drop)], 0.014, (34, 34, 36))
    if canvas.chance(0.6):
        pen.line([(hook - 0.16, drop + 0.16), (hook, drop), (hook + 0.16, drop + 0.16)], 0.012, (34, 34, 36))
        pen.box(hook - 0.2, drop + 0.16, hook + 0.2, drop + 0.26, (170, 120, 80))
    else:
        pen.curve(
            [(hook, drop), (hook + 0.05, drop + 0.06), (hook, drop + 0.12), (hook - 0.05, drop + 0.08)],
            0.025,
            (34, 34, 36),
        )


def _lattice(
    pen: Pen, start: tuple[float, float], end: tuple[float, float], half: float, colour: Colour
) -> None:
    """Two rails from ``start`` to ``end``, ``half`` a width apart from the middle, with crossed braces."""
    length = math.dist(start, end)
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    nx, ny = -uy * half, ux * half
    bays = max(int(length / (half * 2)), 1)
    for k in range(bays):
        a, b = k / bays * length, (k + 1) / bays * length
        left, right = (
            (start[0] + ux * a + nx, start[1] + uy * a + ny),
            (start[0] + ux * b - nx, start[1] + uy * b - ny),
        )
        other, last = (
            (start[0] + ux * a - nx, start[1] + uy * a - ny),
            (start[0] + ux * b + nx, start[1] + uy * b + ny),
        )
        pen.line([left, right], 0.014, dark(colour, 0.2))
        pen.line([other, last], 0.014, dark(colour, 0.2))
    for side in (-1, 1):
        pen.line(
            [(start[0] + side * nx, start[1] + side * ny), (end[0] + side * nx, end[1] + side * ny)],
            0.03,
            colour,
        )


def anchor(canvas: Canvas) -> None:
    """An anchor: iron on a quay, a badge, or a tattoo-like print."""
    anything(canvas)
    if canvas.chance(0.3):
        canvas.gradient([(28, 84, 128), (8, 32, 70)])
        canvas.glow(0.5, 0, 0.5, (120, 200, 220), 0.4)
    iron = canvas.vary(
        canvas.pick(((54, 58, 66), (24, 46, 92), (150, 88, 56), (214, 176, 84), (190, 194, 200))), 10
    )
    pen = canvas.pen(
        canvas.some(0.42, 0.58), canvas.some(0.44, 0.54), canvas.some(0.6, 0.86), canvas.some(-35, 35)
    )
    canvas.shadow(pen, [(x * 0.8 + 0.04, y * 0.9 + 0.1) for x, y in ring(0.9, 0.9, start=10, end=170)], 0.25)
    pen.box(-0.065, -0.64, 0.065, 0.8, iron)
    pen.curve([(x, y - 0.78) for x, y in ring(0.15, 0.15, count=17)], 0.07, iron)
    pen.line([(-0.38, -0.42), (0.38, -0.42)], 0.1, iron)
    arms = [(x, y + 0.12) for x, y in ring(0.66, 0.68, count=15, start=12, end=168)]
    pen.curve(arms, 0.13, iron)
    for side in (-1, 1):
        pen.shape([(side * 0.82, 0.3), (side * 0.62, -0.02), (side * 0.46, 0.36)], iron)
        pen.disc(side * 0.4, -0.42, 0.075, iron)
    pen.line([(-0.03, -0.5), (-0.03, 0.66)], 0.022, light(iron, 0.4))
    if canvas.chance(0.55):
        rope = canvas.vary((206, 174, 120))
        path = [(0.1, -0.95), (0.42, -0.5), (-0.3, -0.1), (0.34, 0.3), (-0.24, 0.66)]
        pen.curve(path, 0.075, dark(rope, 0.3))
        pen.curve(path, 0.045, rope)


BRIGHT: tuple[Colour, ...] = (
    (226, 62, 54), (250, 180, 44), (44, 120, 196), (66, 164, 104), (142, 76, 168), (250, 242, 226),
    (240, 116, 50), (36, 60, 120), (236, 110, 150), (62, 184, 190),
)  # fmt: skip


def hot_air_balloon(canvas: Canvas) -> None:
    """Striped balloons with baskets above hills."""
    sky(canvas)
    if canvas.chance(0.3):
        canvas.glow(canvas.some(0, 1), 0.85, 0.6, (255, 190, 120), 0.7)
    if canvas.chance(0.7):
        horizon = canvas.some(0.82, 0.94)
        trees(canvas, horizon, (90, 120, 110), 0.1)
        ground(canvas, horizon, (112, 140, 84))
    for k in range(int(canvas.some(0, 3.5))):
        _balloon(
            canvas, canvas.pen(canvas.some(0.05, 0.95), canvas.some(0.1, 0.6), canvas.some(0.1, 0.2) + 0 * k)
        )
    _balloon(
        canvas,
        canvas.pen(
            canvas.some(0.36, 0.64), canvas.some(0.36, 0.44), canvas.some(0.5, 0.8), canvas.some(-8, 8)
        ),
    )


def _balloon(canvas: Canvas, pen: Pen) -> None:
    one, two = canvas.rng.choice(len(BRIGHT), 2, replace=False)
    colours = (canvas.vary(BRIGHT[one]), canvas.vary(BRIGHT[two]))
    edges = [math.sin(math.radians(a)) for a in (-90, -58, -33, -11, 11, 33, 58, 90)]
    for k, (a, b) in enumerate(pairwise(edges)):
        sides = [[(edge * 0.7 * math.cos(math.radians(t)), math.sin(math.radians(t)) * 0.7 - 0.28)
                  for t in range(-90, 25, 9)] for edge in (a, b)]  # fmt: skip
        outline = [*sides[0], (a * 0.16, 0.58), (b * 0.16, 0.58), *reversed(sides[1])]
        pen.shape(outline, dark(colours[k % 2], 0.04 * abs(k - 2)))
    if canvas.chance(0.4):
        band = canvas.vary(BRIGHT[int(one + 3) % len(BRIGHT)])
        pen.shape([(-0.69, -0.34), (0.69, -0.34), (0.7, -0.14), (-0.7, -0.14)], clear(band, 210))
    pen.disc(-0.26, -0.56, (0.16, 0.26), (255, 255, 255, 50), 28)
    for x in (-0.1, 0.1):
        pen.line([(x * 1.4, 0.58), (x, 0.84)], 0.014, (70, 54, 40))
    pen.shape([(-0.13, 0.82), (0.13, 0.82), (0.1, 1.02), (-0.1, 1.02)], (136, 90, 52))
    pen.line([(-0.13, 0.83), (0.13, 0.83)], 0.03, (92, 60, 34))


def umbrella(canvas: Canvas) -> None:
    """An open umbrella in the rain, in a shop, or over a beach."""
    where = canvas.pick(("rain", "shop", "beach"))
    if where == "beach":
        sky(canvas)
        horizon = canvas.some(0.5, 0.62)
        sea(canvas, horizon, (50, 140, 180), (230, 246, 250))
        ground(canvas, horizon + 0.14, (238, 216, 168))
    elif where == "rain":
        canvas.gradient([canvas.vary((88, 98, 116)), canvas.vary((150, 158, 168)), canvas.vary((84, 88, 98))])
        rain(canvas)
    else:
        plain(canvas)
    one, two = canvas.rng.choice(len(BRIGHT), 2, replace=False)
    cloth = canvas.vary(BRIGHT[one])
    other = canvas.vary(BRIGHT[two]) if canvas.chance(0.55) else cloth
    pen = canvas.pen(
        canvas.some(0.4, 0.6), canvas.some(0.46, 0.54), canvas.some(0.62, 0.9), canvas.some(-28, 28)
    )
    pen.line([(0, -0.7), (0, 0.76)], 0.05, (70, 56, 48))
    if where != "beach":
        pen.curve([(0, 0.74), (0.02, 0.94), (0.14, 0.98), (0.24, 0.84)], 0.07, (110, 70, 42))
    else:
        pen.line([(0, 0.7), (0, 1.3)], 0.05, (240, 240, 240))
    edges = [math.sin(math.radians(a)) for a in (-90, -54, -18, 18, 54, 90)]
    for k, (a, b) in enumerate(pairwise(edges)):
        left = [
            (a * 0.95 * math.cos(math.radians(t)), -0.02 - 0.68 * math.sin(math.radians(t)))
            for t in range(0, 91, 10)
        ]
        right = [
            (b * 0.95 * math.cos(math.radians(t)), -0.02 - 0.68 * math.sin(math.radians(t)))
            for t in range(90, -1, -10)
        ]
        scallop = [
            (((1 - t) * b + t * a) * 0.95, -0.02 - 0.13 * math.sin(math.pi * t)) for t in (0.25, 0.5, 0.75)
        ]
        pen.shape([*left, *right, *scallop], dark(cloth if k % 2 else other, 0.07 * abs(k - 1)))
    pen.line([(0, -0.7), (0, -0.82)], 0.035, (60, 50, 44))
    if where == "rain":
        rain(canvas)


THINGS: dict[str, Callable[[Canvas], None]] = {
    "tower crane": tower_crane,
    "anchor": anchor,
    "hot air balloon": hot_air_balloon,
    "umbrella": umbrella,
}
