"""A palm tree, a mushroom and a cactus."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Colour, Pen, clear, dark, light, mix, ring
from .grounds import anything, ground, plain, sea, sky, trees


def palm_tree(canvas: Canvas) -> None:
    """One to three palms on a beach."""
    sky(canvas)
    if canvas.chance(0.3):
        canvas.gradient([(250, 140, 90), (255, 206, 130)])
    horizon = canvas.some(0.6, 0.74)
    sea(canvas, horizon, (44, 150, 170), (220, 246, 246))
    ground(canvas, horizon + canvas.some(0.1, 0.18), (236, 212, 160))
    for _ in range(int(canvas.some(1, 2.6))):
        pen = canvas.pen(
            canvas.some(0.3, 0.7),
            canvas.some(0.86, 0.96),
            canvas.some(0.78, 1.0),
            canvas.some(-5, 5),
            flip=canvas.chance(0.5),
        )
        _palm(canvas, pen)


def _palm(canvas: Canvas, pen: Pen) -> None:
    lean = canvas.some(0.0, 0.45)
    bark = canvas.vary((146, 110, 76))
    top = (lean, -1.2)
    trunk = [(0.0, 0.0), (lean * 0.15, -0.45), (lean * 0.5, -0.85), top]
    for k, width in ((0, 0.15), (1, 0.12)):
        pen.curve(trunk[k:], width, bark)
    for k in range(9):
        t = k / 9
        x, y = lean * t**1.7, -1.2 * t
        pen.line([(x - 0.06, y), (x + 0.06, y - 0.02)], 0.018, dark(bark, 0.35))
    leaf = canvas.vary((58, 130, 62), 20)
    turns = [*range(-200, 30, 26)]
    canvas.rng.shuffle(turns)
    for turn in turns:
        a = math.radians(turn + canvas.some(-9, 9))
        reach, drop = canvas.some(0.5, 0.72), canvas.some(0.1, 0.34)
        mid = (top[0] + math.cos(a) * reach * 0.55, top[1] + math.sin(a) * reach * 0.5 - 0.06)
        tip = (top[0] + math.cos(a) * reach, top[1] + math.sin(a) * reach * 0.62 + drop)
        tone = mix(leaf, (20, 50, 30) if turn > -90 else (150, 190, 80), canvas.some(0, 0.35))
        low = (mid[0], mid[1] + 0.13)
        pen.shape(
            [
                top,
                ((top[0] + mid[0]) / 2, (top[1] + mid[1]) / 2 - 0.05),
                mid,
                tip,
                low,
                (top[0], top[1] + 0.05),
            ],
            tone,
        )
        pen.curve([top, mid, tip], 0.014, light(tone, 0.25))
    for dx in (-0.07, 0.03, 0.1):
        pen.disc(top[0] + dx, top[1] + 0.07, 0.06, (112, 74, 42))


def mushroom(canvas: Canvas) -> None:
    """Fly agarics and boletes on the forest floor."""
    if canvas.chance(0.75):
        canvas.gradient([canvas.vary((62, 86, 60)), canvas.vary((120, 146, 84)), canvas.vary((70, 84, 48))])
        trees(canvas, canvas.some(0.4, 0.6), (38, 60, 44), 0.4)
        canvas.blur(2.5)
        ground(canvas, canvas.some(0.64, 0.76), (84, 104, 52))
    else:
        plain(canvas)
    fly = canvas.chance(0.65)
    cap = canvas.vary(
        (206, 40, 34) if fly else canvas.pick(((150, 96, 54), (196, 150, 96), (226, 206, 176))), 14
    )
    for k in range(int(canvas.some(1, 3.4))):
        spot = (
            (canvas.some(0.4, 0.6), canvas.some(0.52, 0.6))
            if k == 0
            else (canvas.some(0.12, 0.88), canvas.some(0.7, 0.82))
        )
        scale = canvas.some(0.6, 0.85) if k == 0 else canvas.some(0.2, 0.34)
        _mushroom(canvas, canvas.pen(*spot, scale, canvas.some(-10, 10)), cap, spots=fly)
    if canvas.chance(0.5):
        front = canvas.pen(0, 1.02, 1.0)
        for _ in range(30):
            x, tall = canvas.some(0, 3), canvas.some(0.08, 0.26)
            front.curve(
                [(x, 0.05), (x + 0.02, -tall / 2), (x + canvas.some(-0.1, 0.1), -tall)],
                0.02,
                canvas.vary((92, 130, 50), 24),
            )


# Where a fly agaric's spots sit: across and up in shares of the cap, and their radius.
_SPOTS = ((-0.5, 0.25, 0.09), (-0.1, 0.4, 0.12), (0.36, 0.3, 0.1), (0.1, 0.78, 0.09), (-0.36, 0.64, 0.08),
          (0.64, 0.12, 0.07), (-0.76, 0.06, 0.06), (0.48, 0.62, 0.06))  # fmt: skip


def _mushroom(canvas: Canvas, pen: Pen, cap: Colour, *, spots: bool) -> None:
    stem = canvas.vary((240, 230, 208), 8)
    wide, tall = canvas.some(0.7, 0.95), canvas.some(0.5, 0.72)
    pen.blob(
        [(-0.15, -0.14), (0.15, -0.14), (0.17, 0.4), (0.26, 0.82), (0, 0.9), (-0.26, 0.82), (-0.17, 0.4)],
        stem,
    )
    pen.blob([(0.04, -0.1), (0.15, -0.1), (0.17, 0.4), (0.26, 0.8), (0.06, 0.86)], dark(stem, 0.12))
    if spots:
        pen.blob([(-0.16, 0.1), (0.16, 0.1), (0.28, 0.3), (0, 0.36), (-0.28, 0.3)], light(stem, 0.4))
    pen.disc(0, -0.1, (wide * 0.97, 0.17), dark(stem, 0.2))
    dome = [(x * wide, -0.1 + y * tall) for x, y in ring(1, 1, count=30, start=180, end=360)]
    pen.shape([*dome, *[(x * wide, -0.1 + y * 0.12) for x, y in ring(1, 1, count=20, start=0, end=180)]], cap)
    pen.disc(-wide * 0.4, -0.1 - tall * 0.55, (wide * 0.26, tall * 0.16), clear(light(cap, 0.6), 90), -32)
    if spots:
        for x, y, r in _SPOTS:
            pen.disc(x * wide, -0.1 - y * tall, (r, r * 0.8), (250, 244, 232))


def cactus(canvas: Canvas) -> None:
    """A saguaro in the desert, or a potted cactus on a sill."""
    green = canvas.vary((72, 138, 78), 22)
    if canvas.chance(0.6):
        canvas.gradient(
            canvas.pick(
                (
                    ((90, 170, 220), (250, 226, 180)),
                    ((240, 130, 80), (255, 216, 140)),
                    ((120, 110, 170), (250, 180, 140)),
                )
            )
        )
        horizon = canvas.some(0.62, 0.76)
        ground(canvas, horizon, (214, 160, 104))
        pen = canvas.pen(
            canvas.some(0.36, 0.64),
            canvas.some(0.5, 0.6),
            canvas.some(0.65, 0.9),
            canvas.some(-4, 4),
            flip=canvas.chance(0.5),
        )
        _arms(canvas, pen, green, 1.0)
        for _ in range(int(canvas.some(0, 3))):
            _arms(
                canvas, canvas.pen(canvas.some(0, 1), horizon, canvas.some(0.1, 0.2)), dark(green, 0.15), 0.6
            )
    else:
        anything(canvas)
        pen = canvas.pen(
            canvas.some(0.4, 0.6),
            canvas.some(0.46, 0.54),
            canvas.some(0.65, 0.9),
            canvas.some(-5, 5),
            flip=canvas.chance(0.5),
        )
        if canvas.chance(0.5):
            _arms(canvas, pen, green, 0.5)
        else:
            pen.disc(0, 0.06, (0.46, 0.5), green)
            for x in (-0.3, -0.15, 0.0, 0.15, 0.3):
                pen.curve([(x * 0.4, -0.42), (x * 1.2, 0.0), (x, 0.5)], 0.02, dark(green, 0.25))
                for y in (-0.25, -0.05, 0.15, 0.35):
                    pen.line([(x - 0.05, y - 0.03), (x + 0.05, y + 0.03)], 0.012, (250, 246, 220))
            pen.disc(0, -0.44, 0.12, canvas.pick(((236, 90, 140), (250, 200, 60), (250, 250, 250))))
        clay = canvas.vary(canvas.pick(((196, 104, 66), (232, 230, 224), (70, 110, 140))))
        pen.shape([(-0.4, 0.48), (0.4, 0.48), (0.3, 1.0), (-0.3, 1.0)], clay)
        pen.box(-0.45, 0.44, 0.45, 0.58, light(clay, 0.15))


def _arms(canvas: Canvas, pen: Pen, green: tuple[int, int, int], foot: float) -> None:
    stems = [
        ([(0, foot), (0, -0.82)], 0.32),
        ([(0, 0.2), (-0.36, 0.18), (-0.5, 0.0), (-0.5, canvas.some(-0.5, -0.25))], 0.2),
        ([(0, 0.0), (0.34, -0.02), (0.46, -0.18), (0.46, canvas.some(-0.7, -0.45))], 0.2),
    ]
    for points, width in stems[1:] if canvas.chance(0.85) else stems[2:]:
        pen.line(points, width, green)
        pen.line(points, width * 0.12, dark(green, 0.3))
    points, width = stems[0]
    pen.line(points, width, green)
    for x in (-0.09, 0.0, 0.09):
        pen.line([(x, foot), (x, -0.84)], 0.02, dark(green, 0.28))
    pen.line([(-0.12, foot), (-0.12, -0.8)], 0.03, light(green, 0.3))


PLANTS: dict[str, Callable[[Canvas], None]] = {"palm tree": palm_tree, "mushroom": mushroom, "cactus": cactus}
