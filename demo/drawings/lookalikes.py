"""What a phrase drags in besides: the other things that share a class's name."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Pen, dark, light, mix, ring
from .grounds import ground, lying, plain, sky, table, trees
from .things import BRIGHT

SKIN = ((250, 216, 190), (230, 184, 148), (190, 136, 98), (132, 88, 62), (96, 62, 46))


def baseball_bat(canvas: Canvas) -> None:
    """A wooden bat, mostly with a ball."""
    if canvas.chance(0.5):
        sky(canvas)
        ground(canvas, canvas.some(0.3, 0.55), (110, 150, 74))
        pen = canvas.pen(0.5, canvas.some(0.5, 0.6), canvas.some(0.8, 1.05), canvas.some(-70, 70))
    else:
        pen = lying(canvas, turn=70)
    wood = canvas.vary(canvas.pick(((206, 160, 104), (150, 94, 54), (50, 46, 48), (180, 184, 190))), 10)
    outline = [
        (-0.05, 0.86),
        (-0.045, 0.3),
        (-0.13, -0.4),
        (-0.12, -0.86),
        (0, -0.93),
        (0.12, -0.86),
        (0.13, -0.4),
        (0.045, 0.3),
        (0.05, 0.86),
    ]
    canvas.shadow(pen, [(x + 0.06, y + 0.04) for x, y in outline], 0.4)
    pen.blob(outline, wood)
    pen.line([(-0.05, -0.8), (-0.05, -0.2), (-0.01, 0.3)], 0.04, light(wood, 0.4))
    pen.disc(0, 0.88, (0.085, 0.045), dark(wood, 0.2))
    pen.box(-0.05, 0.46, 0.05, 0.84, dark(wood, 0.5))
    if canvas.chance(0.75):
        x = canvas.pick((-0.45, 0.45))
        pen.disc(x, 0.3, 0.18, (248, 246, 240))
        for side in (-1, 1):
            pen.curve(
                [(x + side * 0.15, 0.2), (x + side * 0.07, 0.3), (x + side * 0.15, 0.4)], 0.018, (206, 50, 50)
            )


def computer_mouse(canvas: Canvas) -> None:
    """A mouse of the desk."""
    pen = lying(canvas, turn=30)
    body = canvas.vary(canvas.pick(((40, 42, 46), (236, 238, 240), (180, 186, 194), (70, 90, 150))), 8)
    outline = [
        (0, -0.66),
        (0.3, -0.56),
        (0.4, -0.1),
        (0.38, 0.4),
        (0.2, 0.72),
        (-0.2, 0.72),
        (-0.38, 0.4),
        (-0.4, -0.1),
        (-0.3, -0.56),
    ]
    if canvas.chance(0.3):
        pen.box(-0.9, -0.9, 0.9, 0.95, dark(canvas.pick(BRIGHT), 0.55))
    if canvas.chance(0.75):
        pen.curve([(0, -0.6), (0.05, -0.9), (0.4, -1.2), (0.2, -1.6)], 0.045, (26, 26, 28))
    canvas.shadow(pen, [(x + 0.07, y + 0.09) for x, y in outline], 0.5)
    pen.blob(outline, body)
    pen.blob([(x * 0.72 - 0.05, y * 0.8 + 0.05) for x, y in outline], light(body, 0.1))
    pen.line([(0, -0.64), (0, -0.1)], 0.02, dark(body, 0.45))
    pen.curve([(-0.38, -0.06), (0, -0.12), (0.38, -0.06)], 0.02, dark(body, 0.45))
    pen.disc(0, -0.38, (0.055, 0.13), (30, 30, 32))
    pen.disc(0, -0.38, (0.03, 0.09), canvas.pick(((90, 200, 250), (120, 120, 126), (240, 70, 60))))


def hand(canvas: Canvas) -> None:
    """An open hand with its lines."""
    pen = lying(canvas, turn=18, ground_of=plain)
    skin = canvas.vary(canvas.pick(SKIN), 8)
    canvas.shadow(pen, [(x * 0.5 + 0.06, y * 0.8 + 0.1) for x, y in ring(1, 1)], 0.35)
    for x, tip, wide in ((-0.3, -0.62, 0.15), (-0.1, -0.82, 0.16), (0.1, -0.78, 0.16), (0.3, -0.56, 0.14)):
        pen.line([(x * 0.9, 0.1), (x * 1.3, tip)], wide, skin)
        for share in (0.4, 0.7):
            px, py = x * (0.9 + 0.4 * share), 0.1 + (tip - 0.1) * share
            pen.line([(px - 0.05, py), (px + 0.05, py)], 0.014, dark(skin, 0.2))
    pen.line([(-0.2, 0.42), (-0.56, 0.1), (-0.72, -0.1)], 0.17, skin)
    pen.blob(
        [
            (-0.36, 0.0),
            (0, -0.08),
            (0.36, 0.0),
            (0.4, 0.4),
            (0.24, 0.74),
            (0.2, 1.1),
            (-0.2, 1.1),
            (-0.24, 0.74),
            (-0.4, 0.4),
        ],
        skin,
    )
    line = mix(skin, (150, 60, 50), 0.45)
    for path in (
        [(0.36, 0.16), (0.1, 0.2), (-0.1, 0.06)],
        [(-0.36, 0.2), (0, 0.3), (0.3, 0.46)],
        [(-0.32, 0.22), (-0.06, 0.44), (-0.1, 0.78)],
    ):
        pen.curve(path, 0.022, line)


def news_anchor(canvas: Canvas) -> None:
    """A presenter at a desk before a screen."""
    back = canvas.vary(canvas.pick(((24, 50, 110), (40, 40, 60), (120, 30, 40), (20, 90, 110))), 12)
    canvas.gradient([light(back, 0.15), dark(back, 0.3)])
    screen = canvas.pen(canvas.pick((0.24, 0.76)), 0.3, canvas.some(0.3, 0.42))
    screen.box(-1.1, -0.7, 1.1, 0.7, (220, 226, 236))
    screen.box(-1.0, -0.6, 1.0, 0.6, canvas.vary((60, 130, 190)))
    screen.disc(0.2, 0, 0.4, (230, 236, 240, 150))
    pen = canvas.pen(canvas.some(0.42, 0.58), canvas.some(0.5, 0.56), canvas.some(0.75, 0.9))
    skin, hair = (
        canvas.vary(canvas.pick(SKIN), 8),
        canvas.pick(((40, 28, 24), (90, 58, 36), (196, 160, 96), (150, 150, 154))),
    )
    suit = canvas.vary(canvas.pick(((36, 42, 60), (70, 72, 80), (150, 40, 60), (30, 90, 100))), 8)
    if canvas.chance(0.5):
        pen.blob(
            [(-0.3, -0.6), (0, -0.78), (0.3, -0.6), (0.36, -0.1), (0.3, 0.1), (-0.3, 0.1), (-0.36, -0.1)],
            hair,
        )
    pen.blob([(-0.7, 1.0), (-0.62, 0.32), (-0.2, 0.14), (0.2, 0.14), (0.62, 0.32), (0.7, 1.0)], suit)
    pen.shape([(-0.14, 0.12), (0.14, 0.12), (0, 0.6)], (246, 246, 248))
    pen.shape([(-0.035, 0.2), (0.035, 0.2), (0.06, 0.52), (0, 0.6), (-0.06, 0.52)], canvas.pick(BRIGHT[:3]))
    pen.box(-0.1, -0.1, 0.1, 0.18, dark(skin, 0.1))
    pen.disc(0, -0.3, (0.24, 0.3), skin)
    pen.blob(
        [
            (-0.26, -0.3),
            (-0.22, -0.58),
            (0, -0.68),
            (0.22, -0.58),
            (0.26, -0.3),
            (0.14, -0.46),
            (-0.12, -0.48),
        ],
        hair,
    )
    for x in (-0.09, 0.09):
        pen.disc(x, -0.3, 0.03, (30, 26, 26))
    pen.curve([(-0.08, -0.15), (0, -0.11), (0.08, -0.15)], 0.025, (176, 70, 70))
    pen.box(-2.4, 0.66, 2.4, 1.6, mix(back, (230, 230, 236), 0.7))
    pen.box(-2.4, 0.66, 2.4, 0.74, canvas.pick(BRIGHT[:4]))
    pen.box(-0.9, 0.86, 0.9, 1.02, (200, 30, 40))
    pen.text("NEWS", 0, 0.94, 0.14, (255, 255, 255))


def party_balloons(canvas: Canvas) -> None:
    """Balloons on strings."""
    canvas.pick((plain, sky))(canvas)
    pen = canvas.pen(canvas.some(0.4, 0.6), canvas.some(0.44, 0.52), canvas.some(0.7, 0.9))
    for k in range(int(canvas.some(1, 6))):
        tone = canvas.vary(canvas.pick(BRIGHT))
        x, y = (0.0, -0.3) if k == 0 else (canvas.some(-0.7, 0.7), canvas.some(-0.6, 0.1))
        pen.curve([(x, y + 0.3), (x * 0.5 + 0.06, 0.5), (0, 1.3)], 0.012, (90, 90, 96))
        pen.disc(x, y, (0.27, 0.33), tone)
        pen.shape([(x, y + 0.31), (x - 0.05, y + 0.4), (x + 0.05, y + 0.4)], dark(tone, 0.15))
        pen.disc(x - 0.1, y - 0.12, (0.06, 0.1), (255, 255, 255, 120), 24)


def soup(canvas: Canvas) -> None:
    """A bowl of soup from above."""
    pen = lying(canvas, ground_of=table)
    china = canvas.vary(canvas.pick(((250, 250, 248), (70, 110, 140), (206, 120, 80), (60, 64, 70))), 8)
    canvas.shadow(pen, [(x * 0.86 + 0.07, y * 0.86 + 0.1) for x, y in ring(1, 1)], 0.5)
    pen.disc(0, 0, 0.86, china)
    pen.disc(0, 0, 0.74, dark(china, 0.18))
    broth = canvas.vary(canvas.pick(((214, 180, 130), (190, 130, 74), (226, 206, 170))), 10)
    pen.disc(0, 0, 0.68, broth)
    for _ in range(16):
        a, r = canvas.some(0, 6.3), canvas.some(0, 0.52)
        tone = canvas.pick(((150, 110, 76), (240, 230, 206), (90, 140, 60)))
        pen.disc(
            r * math.cos(a), r * math.sin(a), (canvas.some(0.04, 0.12), 0.045), tone, canvas.some(0, 180)
        )
    pen.curve([(-0.3, -0.1), (0, 0.05), (0.2, -0.16), (0.06, -0.24)], 0.05, (250, 246, 236, 180))
    pen.line([(0.96, -0.7), (0.96, 0.7)], 0.05, (196, 200, 206))
    pen.disc(0.96, -0.76, (0.1, 0.15), (196, 200, 206))


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.disc(x, 0.4, radius, (26, 26, 28))
    pen.disc(x, 0.4, radius * 0.6, (180, 184, 190))
    pen.disc(x, 0.4, radius * 0.22, (60, 62, 66))


def car(canvas: Canvas) -> None:
    """A sports saloon from the side."""
    sky(canvas)
    horizon = canvas.some(0.52, 0.64)
    trees(canvas, horizon, (80, 108, 74), 0.12)
    ground(canvas, horizon, (112, 114, 118))
    pen = canvas.pen(
        canvas.some(0.45, 0.55),
        canvas.some(0.56, 0.64),
        canvas.some(0.72, 0.95),
        canvas.some(-2, 2),
        flip=canvas.chance(0.5),
    )
    paint = canvas.vary(
        canvas.pick(((40, 80, 170), (196, 200, 206), (60, 62, 68), (200, 40, 44), (246, 246, 246))), 10
    )
    canvas.shadow(pen, [(-1, 0.5), (1, 0.5), (1.05, 0.68), (-0.95, 0.68)], 0.6)
    pen.blob(
        [(-0.56, 0.02), (-0.34, -0.26), (0.1, -0.3), (0.44, -0.02), (0.2, 0.06), (-0.3, 0.06)],
        dark(paint, 0.1),
    )
    pen.shape([(-0.46, 0.02), (-0.3, -0.2), (-0.06, -0.23), (-0.06, 0.02)], (70, 96, 116))
    pen.shape([(0.0, 0.02), (0.0, -0.23), (0.12, -0.22), (0.34, 0.02)], (84, 112, 132))
    pen.blob(
        [
            (-0.98, 0.06),
            (-0.6, 0.0),
            (0.4, 0.0),
            (0.86, 0.08),
            (1.0, 0.24),
            (0.96, 0.44),
            (-0.94, 0.44),
            (-1.02, 0.24),
        ],
        paint,
    )
    pen.line([(-0.9, 0.2), (0.9, 0.2)], 0.018, light(paint, 0.4))
    pen.disc(0.93, 0.2, (0.06, 0.04), (255, 244, 200))
    pen.disc(-0.97, 0.18, (0.04, 0.05), (220, 40, 40))
    if canvas.chance(0.5):
        pen.shape(
            [(-0.98, 0.0), (-0.98, -0.12), (-0.7, -0.12), (-0.72, -0.07), (-0.9, -0.07), (-0.9, 0.0)],
            dark(paint, 0.25),
        )
    for x in (-0.58, 0.58):
        _wheel(pen, x, 0.2)


def bicycle(canvas: Canvas) -> None:
    """A mountain bike from the side."""
    sky(canvas)
    ground(canvas, canvas.some(0.5, 0.66), (120, 130, 76))
    pen = canvas.pen(
        canvas.some(0.45, 0.55),
        canvas.some(0.52, 0.6),
        canvas.some(0.72, 0.95),
        canvas.some(-6, 6),
        flip=canvas.chance(0.5),
    )
    frame = canvas.vary(canvas.pick(BRIGHT[:4]))
    for x in (-0.58, 0.58):
        for k in range(8):
            a = math.pi * k / 8
            pen.line(
                [
                    (x - 0.36 * math.cos(a), 0.3 - 0.36 * math.sin(a)),
                    (x + 0.36 * math.cos(a), 0.3 + 0.36 * math.sin(a)),
                ],
                0.008,
                (190, 194, 200),
            )
        pen.curve([(x + px, 0.3 + py) for px, py in ring(0.38, 0.38, count=25)], 0.075, (30, 30, 32))
    crank, seat, head = (-0.08, 0.32), (-0.24, -0.24), (0.4, -0.28)
    for a, b in (
        ((-0.58, 0.3), crank),
        ((-0.58, 0.3), seat),
        (crank, seat),
        (crank, head),
        (seat, head),
        (head, (0.58, 0.3)),
    ):
        pen.line([a, b], 0.055, frame)
    pen.line([(-0.38, -0.36), (-0.12, -0.36)], 0.075, (30, 30, 34))
    pen.line([seat, (-0.26, -0.36)], 0.045, (60, 60, 64))
    pen.line([head, (0.36, -0.46), (0.56, -0.48)], 0.05, (40, 40, 44))
    pen.disc(*crank, 0.1, (120, 124, 130))


LOOKALIKES: dict[str, Callable[[Canvas], None]] = {
    "baseball bat": baseball_bat,
    "computer mouse": computer_mouse,
    "hand": hand,
    "news anchor": news_anchor,
    "party balloons": party_balloons,
    "soup": soup,
    "car": car,
    "bicycle": bicycle,
}
