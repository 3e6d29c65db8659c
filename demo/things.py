"""A tower crane, a palm tree, an anchor, a balloon, a mushroom, a cactus and an umbrella."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Colour, Pen, clear, dark, light, mix, ring
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
        canvas.some(0.3, 0.7), canvas.some(0.5, 0.58), canvas.some(0.75, 1.0), canvas.some(-2, 2), flip=canvas.chance(0.5)
    )
    steel = canvas.vary(canvas.pick(((246, 184, 30), (246, 184, 30), (206, 54, 40), (232, 234, 236), (40, 104, 176))), 10)
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
        pen.curve([(hook, drop), (hook + 0.05, drop + 0.06), (hook, drop + 0.12), (hook - 0.05, drop + 0.08)], 0.025, (34, 34, 36))


def _lattice(pen: Pen, start: tuple[float, float], end: tuple[float, float], half: float, colour: Colour) -> None:
    """Two rails from ``start`` to ``end``, ``half`` a width apart from the middle, with crossed braces."""
    length = math.dist(start, end)
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    nx, ny = -uy * half, ux * half
    bays = max(int(length / (half * 2)), 1)
    for k in range(bays):
        a, b = k / bays * length, (k + 1) / bays * length
        left, right = (start[0] + ux * a + nx, start[1] + uy * a + ny), (start[0] + ux * b - nx, start[1] + uy * b - ny)
        other, last = (start[0] + ux * a - nx, start[1] + uy * a - ny), (start[0] + ux * b + nx, start[1] + uy * b + ny)
        pen.line([left, right], 0.014, dark(colour, 0.2))
        pen.line([other, last], 0.014, dark(colour, 0.2))
    for side in (-1, 1):
        pen.line([(start[0] + side * nx, start[1] + side * ny), (end[0] + side * nx, end[1] + side * ny)], 0.03, colour)


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
            canvas.some(0.3, 0.7), canvas.some(0.86, 0.96), canvas.some(0.78, 1.0), canvas.some(-5, 5), flip=canvas.chance(0.5)
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
        pen.shape([top, ((top[0] + mid[0]) / 2, (top[1] + mid[1]) / 2 - 0.05), mid, tip, low, (top[0], top[1] + 0.05)], tone)
        pen.curve([top, mid, tip], 0.014, light(tone, 0.25))
    for dx in (-0.07, 0.03, 0.1):
        pen.disc(top[0] + dx, top[1] + 0.07, 0.06, (112, 74, 42))


def anchor(canvas: Canvas) -> None:
    """An anchor: iron on a quay, a badge, or a tattoo-like print."""
    anything(canvas)
    if canvas.chance(0.3):
        canvas.gradient([(28, 84, 128), (8, 32, 70)])
        canvas.glow(0.5, 0, 0.5, (120, 200, 220), 0.4)
    iron = canvas.vary(canvas.pick(((54, 58, 66), (24, 46, 92), (150, 88, 56), (214, 176, 84), (190, 194, 200))), 10)
    pen = canvas.pen(canvas.some(0.42, 0.58), canvas.some(0.44, 0.54), canvas.some(0.6, 0.86), canvas.some(-35, 35))
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
    (226, 62, 54), (250, 180, 44), (44, 120, 196), (66, 164, 104), (142, 76, 168), (250, 242, 226), (240, 116, 50), (36, 60, 120),
    (236, 110, 150), (62, 184, 190),
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
        _balloon(canvas, canvas.pen(canvas.some(0.05, 0.95), canvas.some(0.1, 0.6), canvas.some(0.1, 0.2) + 0 * k))
    _balloon(canvas, canvas.pen(canvas.some(0.36, 0.64), canvas.some(0.36, 0.44), canvas.some(0.5, 0.8), canvas.some(-8, 8)))


def _balloon(canvas: Canvas, pen: Pen) -> None:
    one, two = canvas.rng.choice(len(BRIGHT), 2, replace=False)
    colours = (canvas.vary(BRIGHT[one]), canvas.vary(BRIGHT[two]))
    edges = [math.sin(math.radians(a)) for a in (-90, -58, -33, -11, 11, 33, 58, 90)]
    for k, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
        sides = [[(edge * 0.7 * math.cos(math.radians(t)), math.sin(math.radians(t)) * 0.7 - 0.28) for t in range(-90, 25, 9)]
                 for edge in (a, b)]  # fmt: skip
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
    cap = canvas.vary((206, 40, 34) if fly else canvas.pick(((150, 96, 54), (196, 150, 96), (226, 206, 176))), 14)
    for k in range(int(canvas.some(1, 3.4))):
        spot = (canvas.some(0.4, 0.6), canvas.some(0.52, 0.6)) if k == 0 else (canvas.some(0.12, 0.88), canvas.some(0.7, 0.82))
        scale = canvas.some(0.6, 0.85) if k == 0 else canvas.some(0.2, 0.34)
        _mushroom(canvas, canvas.pen(*spot, scale, canvas.some(-10, 10)), cap, spots=fly)
    if canvas.chance(0.5):
        front = canvas.pen(0, 1.02, 1.0)
        for _ in range(30):
            x, tall = canvas.some(0, 3), canvas.some(0.08, 0.26)
            front.curve([(x, 0.05), (x + 0.02, -tall / 2), (x + canvas.some(-0.1, 0.1), -tall)], 0.02, canvas.vary((92, 130, 50), 24))


def _mushroom(canvas: Canvas, pen: Pen, cap: Colour, *, spots: bool) -> None:
    stem = canvas.vary((240, 230, 208), 8)
    wide, tall = canvas.some(0.7, 0.95), canvas.some(0.5, 0.72)
    pen.blob([(-0.15, -0.14), (0.15, -0.14), (0.17, 0.4), (0.26, 0.82), (0, 0.9), (-0.26, 0.82), (-0.17, 0.4)], stem)
    pen.blob([(0.04, -0.1), (0.15, -0.1), (0.17, 0.4), (0.26, 0.8), (0.06, 0.86)], dark(stem, 0.12))
    if spots:
        pen.blob([(-0.16, 0.1), (0.16, 0.1), (0.28, 0.3), (0, 0.36), (-0.28, 0.3)], light(stem, 0.4))
    pen.disc(0, -0.1, (wide * 0.97, 0.17), dark(stem, 0.2))
    dome = [(x * wide, -0.1 + y * tall) for x, y in ring(1, 1, count=30, start=180, end=360)]
    pen.shape([*dome, *[(x * wide, -0.1 + y * 0.12) for x, y in ring(1, 1, count=20, start=0, end=180)]], cap)
    pen.disc(-wide * 0.4, -0.1 - tall * 0.55, (wide * 0.26, tall * 0.16), clear(light(cap, 0.6), 90), -32)
    if spots:
        for x, y, r in ((-0.5, 0.25, 0.09), (-0.1, 0.4, 0.12), (0.36, 0.3, 0.1), (0.1, 0.78, 0.09), (-0.36, 0.64, 0.08),
                        (0.64, 0.12, 0.07), (-0.76, 0.06, 0.06), (0.48, 0.62, 0.06)):  # fmt: skip
            pen.disc(x * wide, -0.1 - y * tall, (r, r * 0.8), (250, 244, 232))


def cactus(canvas: Canvas) -> None:
    """A saguaro in the desert, or a potted cactus on a sill."""
    green = canvas.vary((72, 138, 78), 22)
    if canvas.chance(0.6):
        canvas.gradient(canvas.pick((((90, 170, 220), (250, 226, 180)), ((240, 130, 80), (255, 216, 140)), ((120, 110, 170), (250, 180, 140)))))
        horizon = canvas.some(0.62, 0.76)
        ground(canvas, horizon, (214, 160, 104))
        pen = canvas.pen(canvas.some(0.36, 0.64), canvas.some(0.5, 0.6), canvas.some(0.65, 0.9), canvas.some(-4, 4), flip=canvas.chance(0.5))
        _arms(canvas, pen, green, 1.0)
        for _ in range(int(canvas.some(0, 3))):
            _arms(canvas, canvas.pen(canvas.some(0, 1), horizon, canvas.some(0.1, 0.2)), dark(green, 0.15), 0.6)
    else:
        anything(canvas)
        pen = canvas.pen(canvas.some(0.4, 0.6), canvas.some(0.46, 0.54), canvas.some(0.65, 0.9), canvas.some(-5, 5), flip=canvas.chance(0.5))
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
    pen = canvas.pen(canvas.some(0.4, 0.6), canvas.some(0.46, 0.54), canvas.some(0.62, 0.9), canvas.some(-28, 28))
    pen.line([(0, -0.7), (0, 0.76)], 0.05, (70, 56, 48))
    if where != "beach":
        pen.curve([(0, 0.74), (0.02, 0.94), (0.14, 0.98), (0.24, 0.84)], 0.07, (110, 70, 42))
    else:
        pen.line([(0, 0.7), (0, 1.3)], 0.05, (240, 240, 240))
    edges = [math.sin(math.radians(a)) for a in (-90, -54, -18, 18, 54, 90)]
    for k, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
        left = [(a * 0.95 * math.cos(math.radians(t)), -0.02 - 0.68 * math.sin(math.radians(t))) for t in range(0, 91, 10)]
        right = [(b * 0.95 * math.cos(math.radians(t)), -0.02 - 0.68 * math.sin(math.radians(t))) for t in range(90, -1, -10)]
        scallop = [(((1 - t) * b + t * a) * 0.95, -0.02 - 0.13 * math.sin(math.pi * t)) for t in (0.25, 0.5, 0.75)]
        pen.shape([*left, *right, *scallop], dark(cloth if k % 2 else other, 0.07 * abs(k - 1)))
    pen.line([(0, -0.7), (0, -0.82)], 0.035, (60, 50, 44))
    if where == "rain":
        rain(canvas)


THINGS: dict[str, Callable[[Canvas], None]] = {
    "tower crane": tower_crane,
    "palm tree": palm_tree,
    "anchor": anchor,
    "hot air balloon": hot_air_balloon,
    "mushroom": mushroom,
    "cactus": cactus,
    "umbrella": umbrella,
}
