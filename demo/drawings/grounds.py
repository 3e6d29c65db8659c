"""Where things stand: skies, lands, rooms and tables, drawn behind the object."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .canvas import Canvas, Colour, Pen, dark, light, mix

DAY: tuple[tuple[Colour, Colour], ...] = (
    ((64, 128, 206), (200, 226, 246)),
    ((104, 172, 224), (238, 244, 248)),
    ((134, 148, 170), (222, 226, 230)),
    ((58, 100, 168), (246, 214, 176)),
)
NIGHT: tuple[tuple[Colour, Colour], ...] = (
    ((8, 10, 34), (42, 48, 96)),
    ((12, 20, 48), (30, 78, 108)),
    ((24, 12, 48), (110, 58, 104)),
)
PLAIN: tuple[Colour, ...] = (
    (244, 244, 242), (250, 236, 214), (214, 230, 236), (232, 214, 226), (208, 226, 206), (92, 104, 122),
    (250, 214, 120), (238, 148, 122), (120, 178, 178), (56, 60, 72),
)  # fmt: skip
WOOD: tuple[Colour, ...] = ((170, 120, 76), (120, 82, 54), (206, 170, 126), (88, 66, 52))


def sky(canvas: Canvas, *, night: bool = False, clouds: bool = True) -> None:
    """A sky over the whole canvas: with clouds by day, with stars by night."""
    top, bottom = canvas.pick(NIGHT if night else DAY)
    canvas.gradient([canvas.vary(top), canvas.vary(bottom)])
    if night:
        for _ in range(int(canvas.some(15, 50))):
            x, y, r = canvas.some(0, canvas.width), canvas.some(0, canvas.height * 0.8), canvas.some(0.5, 2.2)
            canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 226, int(canvas.some(90, 255))))
    elif clouds:
        for _ in range(int(canvas.some(0, 5))):
            cloud(canvas, canvas.some(0, 1), canvas.some(0.03, 0.5), canvas.some(0.12, 0.3))


def cloud(canvas: Canvas, x: float, y: float, scale: float) -> None:
    """A flat-bottomed cloud at (x, y) in shares of the canvas."""
    pen = canvas.pen(x, y, scale)
    puffs = [(canvas.some(-1.3, 1.3), canvas.some(-0.35, 0.05), canvas.some(0.3, 0.6)) for _ in range(6)]
    for px, py, r in puffs:
        pen.disc(px, py + 0.08, (r * 1.25, r * 0.66), (196, 206, 222, 110))
    for px, py, r in puffs:
        pen.disc(px, py, (r * 1.25, r * 0.6), (255, 255, 255, 150))


def ground(canvas: Canvas, horizon: float, colour: Colour, *, rough: float = 7.0) -> None:
    """Land from ``horizon`` (a share of the height) down, lighter far away."""
    base = canvas.vary(colour)
    canvas.gradient([light(base, 0.25), base, dark(base, 0.25)], horizon, 1.0)
    for _ in range(40):
        y = canvas.some(horizon, 1.0)
        depth = (y - horizon) / max(1 - horizon, 0.01)
        x, reach = canvas.some(0, 1) * canvas.width, canvas.unit * (0.05 + 0.3 * depth)
        tone = (*dark(base, 0.35), 40) if canvas.chance(0.5) else (*light(base, 0.4), 40)
        top = y * canvas.height
        canvas.draw.ellipse(
            (x - reach, top, x + reach, top + rough * (0.3 + depth) * canvas.unit / 150), fill=tone
        )


def sea(canvas: Canvas, horizon: float, colour: Colour, gleam: Colour) -> None:
    """Water from ``horizon`` down with bright ripples."""
    base = canvas.vary(colour, 10)
    canvas.gradient([light(base, 0.3), base, dark(base, 0.3)], horizon, 1.0)
    for _ in range(70):
        depth = canvas.some(0, 1) ** 1.6
        y = (horizon + depth * (1 - horizon)) * canvas.height
        x, reach = canvas.some(0, 1) * canvas.width, canvas.unit * (0.03 + 0.16 * depth)
        thick = max(1.0, (0.2 + depth) * canvas.unit * 0.018)
        tone = gleam if canvas.chance(0.6) else dark(base, 0.4)
        canvas.draw.ellipse((x - reach, y, x + reach, y + thick), fill=(*tone[:3], 90))


def plain(canvas: Canvas) -> None:
    """A studio: one colour with a soft light, as in a shop's catalogue."""
    tone = canvas.vary(canvas.pick(PLAIN), 12)
    canvas.gradient([light(tone, 0.15), tone, dark(tone, 0.14)])
    canvas.glow(canvas.some(0.2, 0.8), canvas.some(0.1, 0.6), 0.45, light(tone, 0.5), 0.6)
    if canvas.chance(0.35):
        canvas.grain(canvas.pick((8, 40, 90)), canvas.some(2, 7))


def table(canvas: Canvas) -> None:
    """Planks, seen from above."""
    tone = canvas.vary(canvas.pick(WOOD), 14)
    canvas.gradient([light(tone, 0.1), dark(tone, 0.15)])
    planks = int(canvas.some(3, 7))
    for i in range(planks):
        top, bottom = i * canvas.height / planks, (i + 1) * canvas.height / planks
        shade = canvas.some(0, 0.14)
        canvas.draw.rectangle((0, top, canvas.width, bottom), fill=(*dark(tone, 0.8), int(shade * 255)))
        canvas.draw.line((0, bottom, canvas.width, bottom), fill=(*dark(tone, 0.7), 170), width=2)
        for _ in range(5):
            y = canvas.some(top, bottom)
            canvas.draw.line(
                (0, y, canvas.width, y + canvas.some(-4, 4)), fill=(*dark(tone, 0.5), 46), width=1
            )


def anything(canvas: Canvas) -> None:
    """A ground for an object that may lie anywhere."""
    canvas.pick((plain, plain, table, _bokeh, _paper))(canvas)


def _bokeh(canvas: Canvas) -> None:
    """Lights out of focus."""
    tone = canvas.vary(
        canvas.pick(((40, 52, 44), (52, 44, 60), (96, 112, 84), (70, 90, 112), (150, 120, 90))), 16
    )
    canvas.gradient([light(tone, 0.12), dark(tone, 0.25)])
    for _ in range(int(canvas.some(8, 22))):
        bright = mix(
            tone, canvas.pick(((255, 230, 170), (210, 240, 255), (255, 190, 160), (220, 255, 200))), 0.6
        )
        x, y, r = (
            canvas.some(0, canvas.width),
            canvas.some(0, canvas.height),
            canvas.some(0.05, 0.2) * canvas.unit,
        )
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(*bright, int(canvas.some(20, 70))))
    canvas.blur(1.5)


def _paper(canvas: Canvas) -> None:
    """Paper, sometimes ruled or dotted."""
    tone = canvas.vary((246, 242, 230), 8)
    canvas.gradient([tone, dark(tone, 0.06)])
    step = canvas.some(0.1, 0.2) * canvas.unit
    style = canvas.pick(("", "", "ruled", "dots"))
    for y in np.arange(step, canvas.height, step):
        if style == "ruled":
            canvas.draw.line((0, y, canvas.width, y), fill=(120, 160, 210, 90), width=1)
        elif style == "dots":
            for x in np.arange(step, canvas.width, step):
                canvas.draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(120, 120, 140, 110))
    canvas.grain(50, canvas.some(1, 5))


def trees(canvas: Canvas, horizon: float, colour: Colour, height: float = 0.12) -> None:
    """A far row of trees standing on ``horizon``."""
    tone = canvas.vary(colour)
    pen = canvas.pen(0, horizon, 1.0)
    end = 2 * canvas.width / min(canvas.width, canvas.height)
    x = -0.1
    while x < end:
        tall = height * 2 * canvas.some(0.5, 1)
        if canvas.chance(0.5):
            pen.shape(
                [(x - tall * 0.25, 0.01), (x, -tall), (x + tall * 0.25, 0.01)],
                dark(tone, canvas.some(0, 0.3)),
            )
        else:
            pen.disc(x, -tall * 0.4, (tall * 0.4, tall * 0.5), dark(tone, canvas.some(0, 0.3)))
        x += canvas.some(0.04, 0.16)


def ridge(canvas: Canvas, start: float, rise: float, *, steps: int = 7) -> list[tuple[float, float]]:
    """A mountain line by midpoint displacement: (x, y) in shares of the canvas, left to right."""
    heights = [canvas.some(0, 0.6), canvas.some(0.6, 1.0), canvas.some(0, 0.6)]
    rough = 0.32
    for _ in range(steps - 2):
        finer: list[float] = []
        for a, b in pairwise(heights):
            finer += [a, (a + b) / 2 + canvas.some(-rough, rough) / 2]
        heights = [*finer, heights[-1]]
        rough *= 0.52
    count = len(heights) - 1
    return [(i / count, start - rise * h) for i, h in enumerate(heights)]


def rain(canvas: Canvas) -> None:
    """Slanting rain over what is drawn so far."""
    slant = canvas.some(0.05, 0.25)
    for _ in range(70):
        x, y, long = (
            canvas.some(0, canvas.width),
            canvas.some(0, canvas.height),
            canvas.some(0.05, 0.16) * canvas.unit,
        )
        canvas.draw.line((x, y, x - slant * long, y + long), fill=(226, 238, 255, 120), width=2)


def snow(canvas: Canvas) -> None:
    """Falling snow over what is drawn so far."""
    for _ in range(int(canvas.some(30, 80))):
        x, y, r = (
            canvas.some(0, canvas.width),
            canvas.some(0, canvas.height),
            canvas.some(0.006, 0.022) * canvas.unit,
        )
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255, int(canvas.some(140, 240))))


def reeds(canvas: Canvas, base: float) -> None:
    """Reeds growing from ``base``, a share of the height."""
    pen = canvas.pen(0, base, 1.0)
    end = 2 * canvas.width / min(canvas.width, canvas.height)
    for _ in range(int(canvas.some(10, 36))):
        x, tall, lean = canvas.some(0, end), canvas.some(0.2, 0.6), canvas.some(-0.15, 0.15)
        tone = canvas.vary((132, 130, 70), 26)
        pen.curve([(x, 0.05), (x + lean * 0.3, -tall * 0.5), (x + lean, -tall)], 0.016, tone)
        if canvas.chance(0.25):
            pen.disc(x + lean, -tall, (0.02, 0.07), (98, 66, 40), math.degrees(lean))


def lying(canvas: Canvas, *, turn: float = 15.0, ground_of: Callable[[Canvas], None] = anything) -> Pen:
    """A ground, and a pen for an object that lies on it."""
    ground_of(canvas)
    return canvas.pen(
        canvas.some(0.42, 0.58),
        canvas.some(0.44, 0.56),
        canvas.some(0.6, 0.88),
        canvas.some(-turn, turn),
        flip=canvas.chance(0.5),
    )
