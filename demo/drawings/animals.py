"""A crane, a bat and a mouse: animals whose names are machines and sports gear too."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Pen, Point, clear, dark, light, mix
from .grounds import ground, plain, reeds, sea, sky, table, trees


def crane_bird(canvas: Canvas) -> None:
    """A long-necked bird standing in a marsh, or in flight."""
    sky(canvas)
    horizon = canvas.some(0.55, 0.72)
    trees(canvas, horizon, (96, 120, 84), canvas.some(0.04, 0.12))
    if canvas.chance(0.5):
        sea(canvas, horizon, (120, 158, 172), (226, 240, 246))
    else:
        ground(canvas, horizon, (150, 160, 96))
    reeds(canvas, canvas.some(0.98, 1.05))
    plumage = canvas.vary(canvas.pick(((246, 246, 244), (246, 246, 244), (176, 180, 186))), 6)
    flying = canvas.chance(0.3)
    pen = canvas.pen(
        canvas.some(0.36, 0.64), canvas.some(0.34, 0.46) if flying else canvas.some(0.46, 0.54),
        canvas.some(0.52, 0.78), canvas.some(-10, 10), flip=canvas.chance(0.5),
    )  # fmt: skip
    (_crane_flying if flying else _crane_standing)(pen, plumage, lifted=canvas.chance(0.3))


def _crane_head(pen: Pen, x: float, y: float, turn: float) -> None:
    """Head, red crown and bill; ``turn`` in degrees."""
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def at(px: float, py: float) -> Point:
        return (x + px * c - py * s, y + px * s + py * c)

    pen.disc(x, y, (0.1, 0.075), (34, 34, 38), turn)
    pen.disc(*at(0.015, -0.05), (0.065, 0.035), (204, 34, 38), turn)
    pen.shape([at(0.06, -0.035), at(0.42, 0.04), at(0.06, 0.045)], (118, 122, 84))
    pen.disc(*at(0.04, -0.005), 0.014, (250, 220, 120))


def _crane_standing(pen: Pen, plumage: tuple[int, int, int], *, lifted: bool) -> None:
    leg = (58, 58, 60)
    pen.line([(-0.06, 0.2), (-0.1, 0.62), (-0.02, 1.02)], 0.034, leg)
    pen.line([(-0.02, 1.02), (0.12, 1.04)], 0.026, leg)
    if lifted:
        pen.line([(0.06, 0.2), (0.24, 0.5), (-0.02, 0.68)], 0.034, leg)
    else:
        pen.line([(0.08, 0.2), (0.1, 0.62), (0.16, 1.0)], 0.034, leg)
        pen.line([(0.16, 1.0), (0.3, 1.02)], 0.026, leg)
    pen.curve([(0.26, -0.02), (0.44, -0.28), (0.3, -0.62), (0.38, -0.9)], 0.085, (36, 36, 40))
    pen.curve([(0.24, 0.0), (0.42, -0.2), (0.41, -0.34)], 0.12, plumage)
    pen.blob(
        [(0.36, -0.08), (0.2, 0.22), (-0.12, 0.3), (-0.5, 0.16), (-0.62, 0.04), (-0.3, -0.14), (0.1, -0.2)],
        plumage,
    )
    pen.blob([(0.14, -0.06), (-0.1, 0.18), (-0.46, 0.16), (-0.3, -0.04)], dark(plumage, 0.09))
    pen.blob(
        [(-0.34, 0.0), (-0.52, 0.06), (-0.82, 0.34), (-0.7, 0.42), (-0.5, 0.34), (-0.3, 0.18)], (40, 40, 44)
    )
    pen.curve([(-0.4, 0.08), (-0.62, 0.22), (-0.74, 0.5)], 0.05, (30, 30, 34))
    _crane_head(pen, 0.4, -0.94, 6)


def _crane_flying(pen: Pen, plumage: tuple[int, int, int], *, lifted: bool) -> None:
    up = -1 if lifted else 1
    pen.line([(-0.3, 0.02), (-1.1, 0.1)], 0.03, (58, 58, 60))
    pen.curve([(0.2, 0.0), (0.5, 0.02), (0.82, -0.08)], 0.075, (40, 40, 44))
    far = [
        (0.1, 0.0),
        (0.12, -0.36 * up),
        (-0.1, -0.8 * up),
        (-0.3, -0.84 * up),
        (-0.22, -0.4 * up),
        (-0.2, 0.0),
    ]
    near = [
        (0.16, 0.02),
        (0.34, -0.4 * up),
        (0.2, -0.92 * up),
        (-0.06, -1.0 * up),
        (-0.06, -0.46 * up),
        (-0.14, 0.04),
    ]
    pen.blob(far, dark(plumage, 0.16))
    pen.shape([(-0.1, -0.8 * up), (-0.34, -0.92 * up), (-0.3, -0.5 * up)], (40, 40, 44))
    pen.blob([(0.3, 0.0), (0.1, 0.12), (-0.3, 0.1), (-0.56, 0.02), (-0.26, -0.08), (0.1, -0.08)], plumage)
    pen.blob(near, light(plumage, 0.3))
    for k in range(5):
        x, y = 0.22 - 0.09 * k, -1.0 * up
        pen.line([(x, y * 0.8), (x - 0.08, y * (1.08 - 0.05 * k))], 0.05, (40, 40, 44))
    _crane_head(pen, 0.9, -0.1, -4)


def bat(canvas: Canvas) -> None:
    """A bat in a night sky, or hanging from a branch."""
    sky(canvas, night=canvas.chance(0.8), clouds=False)
    if canvas.chance(0.6):
        x, y, r = canvas.some(0.15, 0.85), canvas.some(0.15, 0.5), canvas.some(0.12, 0.34)
        canvas.glow(x, y, r * 0.8, (250, 236, 190), 0.5)
        moon = canvas.pen(x, y, r)
        moon.disc(0, 0, 1, (250, 240, 206))
        for dx, dy, size in ((-0.3, -0.2, 0.2), (0.3, 0.3, 0.26), (0.25, -0.45, 0.12)):
            moon.disc(dx, dy, size, (232, 216, 176))
    if canvas.chance(0.35):
        trees(canvas, 1.0, (14, 18, 26), canvas.some(0.1, 0.3))
    fur = canvas.vary(canvas.pick(((58, 42, 44), (34, 30, 40), (110, 74, 52), (72, 58, 66))), 8)
    if canvas.chance(0.25):
        pen = canvas.pen(
            canvas.some(0.35, 0.65), canvas.some(0.42, 0.55), canvas.some(0.5, 0.75), canvas.some(-8, 8)
        )
        _bat_hanging(canvas, pen, fur)
        return
    for k in range(1 if canvas.chance(0.65) else 3):
        scale = canvas.some(0.5, 0.9) if k == 0 else canvas.some(0.12, 0.26)
        spot = (
            (canvas.some(0.36, 0.64), canvas.some(0.36, 0.62))
            if k == 0
            else (canvas.some(0, 1), canvas.some(0, 0.5))
        )
        _bat_flying(canvas.pen(*spot, scale, canvas.some(-24, 24)), fur, canvas.some(-0.25, 0.3))


def _bat_flying(pen: Pen, fur: tuple[int, int, int], lift: float) -> None:
    skin = light(fur, 0.14)
    for side in (-1, 1):
        tip, wrist = (side * 1.02, 0.02 - lift), (side * 0.5, -0.42 - lift)
        wing = [(side * 0.08, -0.16), wrist, tip, (side * 0.82, 0.12 - lift * 0.6), (side * 0.66, 0.06),
                (side * 0.56, 0.3), (side * 0.4, 0.18), (side * 0.24, 0.42), (side * 0.08, 0.24)]  # fmt: skip
        pen.shape(wing, skin)
        for end in (tip, (side * 0.66, 0.08), (side * 0.4, 0.2)):
            pen.line([wrist, end], 0.018, dark(fur, 0.3))
        pen.line([(side * 0.08, -0.14), wrist, tip], 0.035, fur)
        pen.shape([(side * 0.02, -0.3), (side * 0.19, -0.56), (side * 0.17, -0.24)], fur)
        pen.shape(
            [(side * 0.07, -0.32), (side * 0.16, -0.48), (side * 0.14, -0.28)], mix(fur, (214, 150, 150), 0.5)
        )
    pen.disc(0, 0.06, (0.15, 0.3), fur)
    pen.disc(0, -0.22, 0.17, fur)
    pen.disc(0, 0.06, (0.09, 0.2), light(fur, 0.2))
    for side in (-1, 1):
        pen.disc(side * 0.065, -0.25, 0.03, (246, 226, 150))
        pen.disc(side * 0.065, -0.25, 0.014, (10, 10, 10))
        pen.shape([(side * 0.02, -0.14), (side * 0.05, -0.14), (side * 0.035, -0.08)], (250, 250, 250))
        pen.line([(side * 0.05, 0.32), (side * 0.06, 0.42)], 0.025, dark(fur, 0.4))
    pen.disc(0, -0.18, (0.035, 0.024), dark(fur, 0.5))


def _bat_hanging(canvas: Canvas, pen: Pen, fur: tuple[int, int, int]) -> None:
    bark = canvas.vary((70, 52, 40))
    pen.curve([(-3, -0.9), (-1, -0.98), (0, -0.92), (1.2, -1.0), (3, -0.86)], 0.15, bark)
    for x in (-0.09, 0.09):
        pen.line([(x, -0.9), (x * 0.8, -0.6)], 0.04, dark(fur, 0.3))
    pen.disc(0, -0.1, (0.24, 0.56), fur)
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.1, -0.66),
                (side * 0.44, -0.34),
                (side * 0.4, 0.18),
                (side * 0.06, 0.5),
                (side * 0.16, 0.0),
            ],
            light(fur, 0.12),
        )
        pen.curve([(side * 0.14, -0.6), (side * 0.42, -0.2), (side * 0.08, 0.46)], 0.02, dark(fur, 0.3))
        pen.shape([(side * 0.03, 0.62), (side * 0.2, 0.96), (side * 0.18, 0.54)], fur)
        pen.shape(
            [(side * 0.08, 0.64), (side * 0.17, 0.86), (side * 0.15, 0.58)], mix(fur, (214, 150, 150), 0.5)
        )
    pen.disc(0, 0.52, 0.18, fur)
    for side in (-1, 1):
        pen.disc(side * 0.07, 0.55, 0.032, (246, 226, 150))
        pen.disc(side * 0.07, 0.55, 0.015, (10, 10, 10))


def mouse(canvas: Canvas) -> None:
    """A mouse in the grass, on boards or in a laboratory, often beside its cheese."""
    outdoors = canvas.chance(0.4)
    if outdoors:
        sky(canvas)
        ground(canvas, canvas.some(0.3, 0.5), (118, 150, 70))
    else:
        canvas.pick((table, plain))(canvas)
    fur = canvas.vary(canvas.pick(((150, 130, 112), (122, 116, 116), (236, 232, 226), (168, 120, 84))), 10)
    pink = (232, 162, 158)
    pen = canvas.pen(
        canvas.some(0.4, 0.6),
        canvas.some(0.5, 0.62),
        canvas.some(0.5, 0.82),
        canvas.some(-8, 8),
        flip=canvas.chance(0.5),
    )
    canvas.shadow(
        pen, [(x, y + 0.42) for x, y in ((-0.7, -0.06), (0.8, -0.06), (0.8, 0.1), (-0.7, 0.1))], 0.35
    )
    if canvas.chance(0.4):
        pen.shape([(0.82, 0.42), (1.42, 0.42), (1.42, 0.12)], (250, 206, 84))
        pen.shape([(0.82, 0.42), (1.42, 0.12), (1.3, 0.02)], (255, 228, 140))
        for x, y, r in ((1.12, 0.34, 0.05), (1.3, 0.3, 0.06), (1.34, 0.2, 0.03)):
            pen.disc(x, y, r, (226, 172, 54))
    pen.curve([(-0.6, 0.26), (-0.96, 0.32), (-1.1, 0.06), (-1.3, 0.1), (-1.36, -0.1)], 0.05, pink)
    pen.disc(0.38, -0.28, 0.17, dark(fur, 0.15))
    pen.blob(
        [
            (0.86, 0.24),
            (0.66, 0.0),
            (0.4, -0.16),
            (0.1, -0.2),
            (-0.3, -0.24),
            (-0.66, 0.0),
            (-0.66, 0.34),
            (-0.3, 0.44),
            (0.4, 0.42),
            (0.74, 0.36),
        ],
        fur,
    )
    pen.blob(
        [(0.7, 0.34), (0.3, 0.32), (-0.2, 0.36), (-0.5, 0.4), (0.1, 0.45), (0.5, 0.42)], light(fur, 0.35)
    )
    pen.disc(-0.34, 0.2, (0.27, 0.24), dark(fur, 0.06))
    pen.disc(0.24, -0.24, 0.23, fur)
    pen.disc(0.25, -0.23, 0.16, mix(fur, pink, 0.75))
    pen.disc(0.58, 0.1, 0.05, (16, 14, 16))
    pen.disc(0.595, 0.085, 0.016, (255, 255, 255))
    pen.disc(0.87, 0.24, 0.045, (222, 120, 124))
    for y in (0.14, 0.24, 0.34):
        pen.line([(0.76, 0.25), (1.04, y)], 0.01, clear(light(fur, 0.6), 220))
        pen.line([(0.72, 0.26), (0.5, y + 0.02)], 0.01, clear(light(fur, 0.6), 200))
    for x in (-0.3, 0.02, 0.42):
        pen.disc(x, 0.44, (0.1, 0.045), pink)


ANIMALS: dict[str, Callable[[Canvas], None]] = {"crane bird": crane_bird, "bat": bat, "mouse": mouse}
