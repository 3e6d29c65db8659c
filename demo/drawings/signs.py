"""Road signs and traffic lights, on their posts along a road."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .canvas import Canvas, Colour, Pen, Point, clear, dark, light, ring
from .grounds import ground, plain, sky, trees

RED = (190, 24, 36)
WHITE = (248, 248, 246)


def _street(canvas: Canvas) -> None:
    """A road under a sky, with trees or houses."""
    sky(canvas)
    horizon = canvas.some(0.62, 0.8)
    if canvas.chance(0.5):
        trees(canvas, horizon, (70, 104, 62), canvas.some(0.08, 0.2))
    else:
        pen = canvas.pen(0, horizon, 1.0)
        x = -0.1
        while x < 4:
            wide, tall = canvas.some(0.25, 0.5), canvas.some(0.3, 0.9)
            tone = canvas.vary(
                canvas.pick(((176, 150, 130), (150, 90, 74), (196, 190, 178), (120, 130, 144)))
            )
            pen.box(x, -tall, x + wide, 0.02, tone)
            for k in range(3):
                for m in range(int(tall / 0.22)):
                    left, top = x + wide * (0.14 + 0.28 * k), -tall + 0.08 + 0.22 * m
                    pen.box(left, top, left + wide * 0.16, top + 0.1, dark(tone, 0.45))
            x += wide + canvas.some(0, 0.1)
    if canvas.chance(0.6):
        canvas.blur(canvas.some(0.4, 1.6))
    ground(canvas, horizon, canvas.pick(((104, 106, 110), (96, 130, 70), (150, 140, 120))))


def _post(canvas: Canvas, pen: Pen) -> None:
    tone = canvas.pick(((150, 154, 160), (110, 114, 120), (134, 104, 74)))
    pen.box(-0.055, 0, 0.055, 6, dark(tone, 0.25))
    pen.box(-0.055, 0, 0.0, 6, tone)


def _stand(canvas: Canvas) -> Pen:
    """A ground, a post on most of them, and a pen at the sign's middle."""
    on_street = canvas.chance(0.75)
    (_street if on_street else plain)(canvas)
    pen = canvas.pen(
        canvas.some(0.36, 0.64), canvas.some(0.34, 0.5), canvas.some(0.4, 0.68), canvas.some(-9, 9)
    )
    if on_street or canvas.chance(0.4):
        _post(canvas, pen)
    return pen


def _plate(
    canvas: Canvas, pen: Pen, outline: Sequence[Point], layers: Sequence[tuple[float, Colour]]
) -> None:
    """A sign: ``outline`` filled several times, each shrunk by its share, with a sheen and two bolts."""
    canvas.shadow(pen, [(x * 1.02 + 0.05, y * 1.02 + 0.07) for x, y in outline], 0.35)
    for share, colour in layers:
        pen.shape([(x * share, y * share) for x, y in outline], colour)


def _wear(canvas: Canvas, pen: Pen) -> None:
    """Bolts, a sheen, and now and then scratches."""
    for y in (-0.62, 0.62):
        pen.disc(0, y, 0.028, (200, 200, 204))
    pen.shape([(-1, -0.5), (-0.1, -1), (0.25, -1), (-1, -0.15)], (255, 255, 255, 26))
    if canvas.chance(0.3):
        for _ in range(6):
            x, y = canvas.some(-0.7, 0.7), canvas.some(-0.7, 0.7)
            pen.line(
                [(x, y), (x + canvas.some(-0.2, 0.2), y + canvas.some(-0.2, 0.2))], 0.015, (90, 60, 44, 120)
            )


def stop_sign(canvas: Canvas) -> None:
    """An octagon with STOP."""
    pen = _stand(canvas)
    octagon = [(x, y) for x, y in ring(1, 1, count=9, start=22.5, end=382.5)]
    red = canvas.vary(RED, 14)
    _plate(canvas, pen, octagon, ((1.0, WHITE), (0.94, red)))
    pen.text("STOP", 0, 0, 0.66, WHITE)
    _wear(canvas, pen)


def yield_sign(canvas: Canvas) -> None:
    """A triangle on its point."""
    pen = _stand(canvas)
    triangle = [(-1.02, -0.72), (-0.94, -0.84), (0.94, -0.84), (1.02, -0.72), (0.09, 0.92), (-0.09, 0.92)]
    red = canvas.vary(RED, 14)
    _plate(canvas, pen, triangle, ((1.0, WHITE), (0.96, red)))
    pen.shape([(-0.6, -0.54), (0.6, -0.54), (0, 0.44)], WHITE)
    if canvas.chance(0.4):
        pen.text("YIELD", 0, -0.36, 0.24, red)
    _wear(canvas, pen)


def no_entry_sign(canvas: Canvas) -> None:
    """A red disc with a white bar."""
    pen = _stand(canvas)
    _plate(canvas, pen, ring(1, 1), ((1.0, WHITE), (0.95, canvas.vary(RED, 14))))
    pen.box(-0.68, -0.17, 0.68, 0.17, WHITE)
    _wear(canvas, pen)


def speed_limit_sign(canvas: Canvas) -> None:
    """A number in a red ring."""
    pen = _stand(canvas)
    _plate(canvas, pen, ring(1, 1), ((1.0, canvas.vary(RED, 14)), (0.76, WHITE)))
    pen.text(canvas.pick(("30", "50", "60", "80")), 0, 0, 0.84, (24, 24, 26))
    _wear(canvas, pen)


LAMPS: tuple[Colour, ...] = ((240, 44, 40), (252, 190, 40), (60, 214, 96))


def traffic_light(canvas: Canvas) -> None:
    """Three lamps, one or two of them lit, by day or night."""
    night = canvas.chance(0.3)
    if night:
        sky(canvas, night=True)
        canvas.glow(canvas.some(0, 1), 0.9, 0.4, (250, 190, 110), 0.4)
    else:
        _street(canvas)
    pen = canvas.pen(
        canvas.some(0.34, 0.66), canvas.some(0.42, 0.52), canvas.some(0.5, 0.72), canvas.some(-6, 6)
    )
    _post(canvas, pen)
    case = canvas.pick(((34, 38, 40), (46, 60, 52), (224, 172, 40)))
    canvas.shadow(
        pen, [(x + 0.06, y + 0.06) for x, y in ((-0.46, -1.1), (0.46, -1.1), (0.46, 1.1), (-0.46, 1.1))], 0.4
    )
    pen.blob(
        [
            (-0.42, -1.1),
            (0, -1.16),
            (0.42, -1.1),
            (0.46, 0),
            (0.42, 1.1),
            (0, 1.16),
            (-0.42, 1.1),
            (-0.46, 0),
        ],
        dark(case, 0.4),
    )
    pen.box(-0.38, -1.06, 0.38, 1.06, case)
    lit = canvas.pick(((0,), (1,), (2,), (0, 1)))
    for i, y in enumerate((-0.68, 0.0, 0.68)):
        on = i in lit
        if on:
            x0, y0 = pen.places([(0, y)])[0]
            canvas.glow(x0 / canvas.width, y0 / canvas.height, 0.14 * pen.unit / canvas.unit, LAMPS[i], 0.8)
        pen.disc(0, y, 0.3, (18, 18, 18))
        pen.disc(0, y, 0.26, LAMPS[i] if on else dark(LAMPS[i], 0.72))
        if on:
            pen.disc(-0.07, y - 0.08, 0.1, clear(light(LAMPS[i], 0.8), 170))
        pen.shape(
            [
                (-0.33, y - 0.12),
                (-0.26, y - 0.3),
                (0.26, y - 0.3),
                (0.33, y - 0.12),
                (0.22, y - 0.22),
                (-0.22, y - 0.22),
            ],
            dark(case, 0.55),
        )


SIGNS: dict[str, Callable[[Canvas], None]] = {
    "stop sign": stop_sign,
    "yield sign": yield_sign,
    "no entry sign": no_entry_sign,
    "speed limit sign": speed_limit_sign,
    "traffic light": traffic_light,
}
