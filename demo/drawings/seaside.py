"""By the sea: a lighthouse, a sailing boat and a sunset."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas, Pen, clear, dark, light, mix
from .grounds import ridge, sea, sky
from .things import BRIGHT


def lighthouse(canvas: Canvas) -> None:
    """A banded tower on a rock by the sea, its beam on at night."""
    night = canvas.chance(0.35)
    sky(canvas, night=night)
    horizon = canvas.some(0.62, 0.76)
    sea(
        canvas,
        horizon,
        (24, 48, 90) if night else (52, 116, 160),
        (160, 190, 230) if night else (230, 244, 250),
    )
    pen = canvas.pen(
        canvas.some(0.34, 0.66), canvas.some(0.48, 0.54), canvas.some(0.7, 0.95), canvas.some(-2, 2)
    )
    rock = canvas.vary((96, 88, 84))
    pen.blob([(-1.2, 1.2), (-0.8, 0.82), (-0.4, 0.66), (0.3, 0.62), (0.7, 0.8), (1.1, 1.2)], rock)
    for _ in range(14):
        x, y = canvas.some(-0.8, 0.8), canvas.some(0.75, 1.1)
        pen.shape([(x, y), (x + 0.16, y - 0.06), (x + 0.22, y + 0.08)], light(rock, canvas.some(0, 0.2)))
    if night:
        turn = canvas.pick((-1, 1))
        pen.shape([(0, -0.74), (turn * 2.6, -1.2), (turn * 2.6, -0.42)], (255, 240, 170, 90))
        pen.shape([(0, -0.74), (-turn * 2.6, -0.8), (-turn * 2.6, -0.5)], (255, 240, 170, 46))
    wall = canvas.vary((244, 242, 236), 8)
    band = canvas.vary(canvas.pick(((200, 44, 40), (200, 44, 40), (34, 62, 120), (40, 40, 44))), 8)
    stripes = canvas.pick((1, 5, 7))
    for k in range(stripes):
        top, bottom = -0.56 + 1.26 * k / stripes, -0.56 + 1.26 * (k + 1) / stripes
        a, b = 0.13 + 0.09 * (top + 0.56), 0.13 + 0.09 * (bottom + 0.56)
        tone = wall if k % 2 or stripes == 1 else band
        pen.shape([(-a, top), (a, top), (b, bottom), (-b, bottom)], tone)
        pen.shape([(a * 0.3, top), (a, top), (b, bottom), (b * 0.3, bottom)], dark(tone, 0.14))
    pen.box(-0.18, -0.6, 0.18, -0.55, (52, 52, 58))
    for x in (-0.16, -0.08, 0.0, 0.08, 0.16):
        pen.line([(x, -0.68), (x, -0.58)], 0.01, (52, 52, 58))
    pen.box(-0.09, -0.84, 0.09, -0.6, (255, 236, 150) if night else (176, 210, 226))
    pen.shape([(-0.13, -0.84), (0.13, -0.84), (0, -1.0)], band)
    if night:
        x, y = pen.places([(0, -0.72)])[0]
        canvas.glow(x / canvas.width, y / canvas.height, 0.1, (255, 246, 196), 0.9)
    for y in (-0.3, 0.1):
        pen.box(-0.03, y, 0.03, y + 0.09, (60, 70, 84))
    pen.box(-0.06, 0.52, 0.06, 0.7, (90, 60, 44))
    if canvas.chance(0.5):
        pen.box(0.24, 0.46, 0.6, 0.68, wall)
        pen.shape([(0.2, 0.46), (0.64, 0.46), (0.42, 0.28)], band)


def sailboat(canvas: Canvas) -> None:
    """One boat near by, perhaps others far off."""
    sky(canvas)
    horizon = canvas.some(0.5, 0.64)
    if canvas.chance(0.4):
        canvas.draw.polygon(
            [
                (x * canvas.width, y * canvas.height)
                for x, y in [(0, horizon), *ridge(canvas, horizon, 0.12), (1, horizon)]
            ],
            fill=(120, 144, 160),
        )
    sea(canvas, horizon, canvas.pick(((40, 110, 160), (40, 140, 150), (70, 110, 140))), (236, 248, 252))
    for _ in range(int(canvas.some(0, 3))):
        _boat(
            canvas,
            canvas.pen(canvas.some(0, 1), horizon - 0.015, canvas.some(0.06, 0.14), flip=canvas.chance(0.5)),
        )
    pen = canvas.pen(
        canvas.some(0.38, 0.62),
        canvas.some(0.5, 0.56),
        canvas.some(0.6, 0.85),
        canvas.some(-7, 7),
        flip=canvas.chance(0.5),
    )
    _boat(canvas, pen)
    for _ in range(12):
        x, y = canvas.some(-0.9, 0.9), canvas.some(0.74, 0.86)
        pen.disc(x, y, (canvas.some(0.06, 0.2), 0.018), (240, 250, 255, 150))


def _boat(canvas: Canvas, pen: Pen) -> None:
    hull = canvas.vary(canvas.pick(((250, 250, 248), (150, 84, 48), (28, 52, 100), (196, 48, 44))), 8)
    sail = canvas.vary(canvas.pick(((250, 250, 246), (250, 250, 246), (240, 222, 186), *BRIGHT[:3])), 6)
    pen.line([(0, -0.98), (0, 0.56)], 0.035, (112, 84, 60))
    pen.shape([(0.03, -0.94), (0.2, -0.4), (0.3, 0.1), (0.66, 0.44), (0.03, 0.44)], sail)
    pen.shape([(0.03, -0.94), (0.12, -0.4), (0.14, 0.44), (0.03, 0.44)], dark(sail, 0.1))
    pen.shape([(-0.03, -0.84), (-0.14, -0.2), (-0.6, 0.46), (-0.03, 0.42)], dark(sail, 0.06))
    if canvas.chance(0.4):
        pen.shape(
            [(0.03, 0.1), (0.3, 0.1), (0.42, 0.22), (0.03, 0.22)], canvas.vary(BRIGHT[int(canvas.some(0, 5))])
        )
    pen.shape([(-0.82, 0.5), (0.86, 0.5), (0.6, 0.78), (-0.6, 0.78)], hull)
    pen.shape(
        [(-0.82, 0.5), (0.86, 0.5), (0.82, 0.56), (-0.77, 0.56)],
        dark(hull, 0.25) if sum(hull) < 600 else (44, 92, 150),
    )
    pen.shape([(-0.01, -1.0), (-0.2, -0.95), (-0.01, -0.9)], canvas.pick(BRIGHT))


def sunset(canvas: Canvas) -> None:
    """The sun going down into the sea."""
    stops = canvas.pick(
        (((52, 40, 110), (220, 80, 90), (255, 190, 90)),
         ((30, 50, 110), (150, 80, 140), (250, 150, 100), (255, 220, 140)),
         ((120, 40, 60), (230, 90, 50), (255, 200, 80)), ((60, 80, 140), (240, 150, 140), (255, 224, 180)))
    )  # fmt: skip
    canvas.gradient([canvas.vary(c, 10) for c in stops])
    horizon = canvas.some(0.52, 0.7)
    x, radius = canvas.some(0.25, 0.75), canvas.some(0.12, 0.26)
    y = horizon - radius * canvas.some(-0.3, 0.9) * min(1.0, canvas.width / canvas.height) / 2
    canvas.glow(x, y, radius * 1.3, (255, 220, 150), 0.85)
    canvas.pen(x, y, radius).disc(0, 0, 1, (255, 246, 200))
    for _ in range(int(canvas.some(2, 7))):
        cx, cy, long = canvas.some(0, 1), canvas.some(0.05, horizon - 0.08), canvas.some(0.2, 0.6)
        bar = canvas.pen(cx, cy, long)
        for k in range(3):
            bar.disc(
                canvas.some(-0.5, 0.5),
                0.07 * k,
                (canvas.some(0.5, 1.1), 0.05),
                clear(mix(stops[1], (90, 50, 90), 0.5), 120),
            )
    sea(canvas, horizon, mix(stops[0], stops[1], 0.35), stops[-1])
    for _ in range(60):
        depth = canvas.some(0, 1)
        reach = canvas.unit * (0.03 + 0.1 * depth) * (1 + radius)
        px = (x + canvas.some(-0.06, 0.06) * (0.5 + depth)) * canvas.width
        py = (horizon + depth * (1 - horizon)) * canvas.height
        canvas.draw.ellipse((px - reach, py, px + reach, py + canvas.unit * 0.02), fill=(255, 226, 150, 120))
    if canvas.chance(0.4):
        pen = canvas.pen(canvas.pick((0.1, 0.9)), horizon, 0.3)
        pen.shape([(-1.4, 0.02), (-0.7, -0.3), (0, -0.14), (0.6, -0.34), (1.4, 0.02)], dark(stops[0], 0.5))
    for _ in range(int(canvas.some(0, 5))):
        bird = canvas.pen(canvas.some(0.1, 0.9), canvas.some(0.1, 0.4), canvas.some(0.03, 0.07))
        bird.curve([(-1, -0.3), (-0.5, -0.5), (0, 0), (0.5, -0.5), (1, -0.3)], 0.16, (30, 22, 40))


SEASIDE: dict[str, Callable[[Canvas], None]] = {
    "lighthouse": lighthouse,
    "sailboat": sailboat,
    "sunset": sunset,
}
