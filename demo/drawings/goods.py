"""What shops and publishers print a phrase on: covers, sleeves, shirts, mugs, paint cards and charts."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas, clear, dark, light, mix, ring
from .grounds import lying, plain
from .things import BRIGHT


def chart(canvas: Canvas) -> None:
    """Bars and a rising line, as in a brochure on insurance."""
    canvas.gradient([(252, 252, 252), (232, 238, 244)])
    pen = canvas.pen(0.5, 0.5, canvas.some(0.75, 0.9))
    one = canvas.vary(canvas.pick(BRIGHT[:5]))
    bars = int(canvas.some(4, 8))
    tops = sorted(canvas.some(0.1, 1.4) for _ in range(bars))
    if canvas.chance(0.4):
        canvas.rng.shuffle(tops)
    for k, top in enumerate(tops):
        x = -0.85 + 1.7 * k / bars
        pen.box(x, 0.8 - top, x + 1.2 / bars, 0.8, mix(one, (255, 255, 255), 0.1 * (k % 3)))
    pen.line([(-0.95, 0.82), (0.95, 0.82)], 0.022, (70, 74, 80))
    pen.line([(-0.95, -0.85), (-0.95, 0.82)], 0.022, (70, 74, 80))
    if canvas.chance(0.6):
        pen.line([(-0.8 + 1.7 * k / bars, 0.66 - top) for k, top in enumerate(tops)], 0.035, (240, 110, 50))
    for k in range(3):
        pen.line([(-0.4, -0.92 + 0.09 * k), (canvas.some(0.1, 0.8), -0.92 + 0.09 * k)], 0.03, (176, 182, 190))


def book(canvas: Canvas) -> None:
    """A book's cover."""
    pen = lying(canvas, turn=10)
    cover = canvas.vary(canvas.pick(BRIGHT))
    canvas.shadow(pen, [(-0.58, -0.78), (0.7, -0.78), (0.7, 0.98), (-0.58, 0.98)], 0.5)
    pen.box(-0.56, -0.84, 0.66, 0.9, (236, 232, 220))
    pen.box(-0.62, -0.88, 0.6, 0.86, cover)
    pen.box(-0.62, -0.88, -0.5, 0.86, dark(cover, 0.25))
    ink = (250, 250, 250) if sum(cover) < 420 else (30, 30, 40)
    for k, half in enumerate((canvas.some(0.2, 0.44), canvas.some(0.15, 0.44))):
        pen.line([(0.05 - half, -0.6 + 0.17 * k), (0.05 + half, -0.6 + 0.17 * k)], 0.09, ink)
    if canvas.chance(0.5):
        pen.disc(0.05, 0.14, 0.26, clear(ink, 90))
    else:
        pen.box(-0.3, -0.1, 0.4, 0.4, clear(ink, 80))
    pen.line([(-0.16, 0.7), (0.26, 0.7)], 0.05, clear(ink, 200))


def record(canvas: Canvas) -> None:
    """A long-playing record half out of its sleeve."""
    pen = lying(canvas, turn=12)
    canvas.shadow(pen, [(-0.8, -0.68), (0.95, -0.68), (0.95, 0.78), (-0.8, 0.78)], 0.5)
    pen.disc(0.34, 0, 0.66, (24, 24, 26))
    for r in (0.6, 0.5, 0.4):
        pen.curve([(0.34 + x, y) for x, y in ring(r, r, count=25)], 0.008, (64, 64, 68))
    tone = canvas.vary(canvas.pick(BRIGHT))
    pen.disc(0.34, 0, 0.24, tone)
    pen.disc(0.34, 0, 0.03, (240, 240, 240))
    pen.box(-0.9, -0.7, 0.28, 0.7, canvas.vary(canvas.pick(BRIGHT)))
    pen.disc(-0.3, 0.06, canvas.some(0.2, 0.4), clear(tone, 200))
    pen.line([(-0.74, -0.54), (0.1, -0.54)], 0.08, (250, 250, 250))


def shirt(canvas: Canvas) -> None:
    """A plain T-shirt on a shop's page."""
    pen = lying(canvas, turn=8, ground_of=plain)
    cloth = canvas.vary(canvas.pick((*BRIGHT, (40, 42, 48), (246, 246, 246))))
    outline = [(-0.26, -0.78), (0.26, -0.78), (0.56, -0.66), (0.92, -0.26), (0.66, -0.04),
               (0.5, -0.2), (0.5, 0.86), (-0.5, 0.86), (-0.5, -0.2), (-0.66, -0.04),
               (-0.92, -0.26), (-0.56, -0.66)]  # fmt: skip
    canvas.shadow(pen, [(x + 0.05, y + 0.06) for x, y in outline], 0.4)
    pen.shape(outline, cloth)
    pen.disc(0, -0.78, (0.24, 0.16), dark(cloth, 0.35))
    for x in (-0.5, 0.5):
        pen.line([(x, -0.2), (x * 0.9, 0.3)], 0.02, dark(cloth, 0.2))
    pen.line(
        [(-0.2, -0.1), (0.2, -0.1)],
        0.07,
        clear(dark(cloth, 0.5) if sum(cloth) > 380 else light(cloth, 0.8), 200),
    )
    pen.line(
        [(-0.14, 0.04), (0.14, 0.04)],
        0.05,
        clear(dark(cloth, 0.5) if sum(cloth) > 380 else light(cloth, 0.8), 200),
    )


def mug(canvas: Canvas) -> None:
    """A plain mug on a shop's page."""
    pen = lying(canvas, turn=5, ground_of=plain)
    glaze = canvas.vary(canvas.pick((*BRIGHT, (248, 248, 246))))
    canvas.shadow(pen, [(x * 0.7 + 0.06, y * 0.14 + 0.74) for x, y in ring(1, 1)], 0.5)
    pen.curve([(0.4, -0.36), (0.86, -0.34), (0.84, 0.32), (0.4, 0.36)], 0.13, dark(glaze, 0.15))
    pen.shape([(-0.5, -0.64), (0.5, -0.64), (0.46, 0.66), (-0.46, 0.66)], glaze)
    pen.disc(0, 0.66, (0.46, 0.11), glaze)
    pen.shape([(0.2, -0.64), (0.5, -0.64), (0.46, 0.7), (0.2, 0.74)], dark(glaze, 0.12))
    pen.line([(-0.36, -0.5), (-0.33, 0.5)], 0.06, light(glaze, 0.5))
    pen.disc(0, -0.64, (0.5, 0.12), light(glaze, 0.3))
    pen.disc(0, -0.63, (0.44, 0.09), canvas.pick(((70, 42, 28), (240, 240, 240), (120, 76, 44))))


def swatches(canvas: Canvas) -> None:
    """Paint cards or stripes of cloth."""
    tones = [canvas.vary(canvas.pick(BRIGHT), 40) for _ in range(int(canvas.some(4, 8)))]
    pen = canvas.pen(0.5, 0.5, 1.0, canvas.pick((0.0, 0.0, 45.0, 90.0)))
    for k, tone in enumerate(tones):
        top = -2 + 4 * k / len(tones)
        pen.box(-3, top, 3, top + 4 / len(tones), tone)
        if canvas.chance(0.5):
            pen.box(-3, top, 3, top + 0.06, (250, 250, 250))
    canvas.grain(70, canvas.some(1, 6))


GOODS: dict[str, Callable[[Canvas], None]] = {
    "chart": chart,
    "book": book,
    "record": record,
    "shirt": shirt,
    "mug": mug,
    "swatches": swatches,
}
