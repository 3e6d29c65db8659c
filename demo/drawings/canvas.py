"""A supersampled canvas, pens that draw in an object's own coordinates, and the finish of a photograph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

T = TypeVar("T")

SHARP = 2
"""Pixels drawn a pixel kept, in each direction."""


def mix(one: Colour, other: Colour, share: float) -> tuple[int, int, int]:
    """``one`` and ``other`` blended; ``share`` of 1 is ``other``. Transparency is dropped."""
    return tuple(round(a + (b - a) * share) for a, b in zip(one[:3], other[:3], strict=True))  # pyright: ignore[reportReturnType]  # three in, three out


def dark(colour: Colour, share: float = 0.3) -> tuple[int, int, int]:
    """``colour`` with ``share`` of black in it."""
    return mix(colour, (0, 0, 0), share)


def light(colour: Colour, share: float = 0.3) -> tuple[int, int, int]:
    """``colour`` with ``share`` of white in it."""
    return mix(colour, (255, 255, 255), share)


def clear(colour: Colour, alpha: int) -> tuple[int, int, int, int]:
    """``colour`` with an opacity of 0 to 255."""
    return (*colour[:3], alpha)


def ring(rx: float, ry: float, *, count: int = 48, start: float = 0.0, end: float = 360.0) -> list[Point]:
    """Points along an ellipse about the origin, from ``start`` to ``end`` degrees (0 is right, 90 below)."""
    angles = np.radians(np.linspace(start, end, count))
    return [(rx * math.cos(a), ry * math.sin(a)) for a in angles]


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 8) -> list[Point]:
    """A Catmull-Rom curve through ``points``."""
    count = len(points)
    array = np.asarray(points, dtype=np.float64)
    ids = np.arange(count if closed else count - 1)
    around = [(ids + k) % count if closed else np.clip(ids + k, 0, count - 1) for k in (-1, 0, 1, 2)]
    p0, p1, p2, p3 = (array[i][:, None, :] for i in around)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    flat = [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]
    return flat if closed else [*flat, points[-1]]


class Canvas:
    """A picture in the making. ``rng`` is the only source of chance, so that a seed gives one picture."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.size = (width, height)
        self.rng = rng
        self.width, self.height = width * SHARP, height * SHARP
        self.unit = min(self.width, self.height) / 2
        self.show(Image.new("RGB", (self.width, self.height), (255, 255, 255)))

    def show(self, image: Image.Image) -> None:
        """Take ``image``, of the canvas's own size, as the picture so far."""
        self.image = image
        self.draw = ImageDraw.Draw(image, "RGBA")

    # Chance -----------------------------------------------------------------------------------

    def some(self, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""
        return float(self.rng.uniform(low, high))

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """True in ``share`` of the cases."""
        return bool(self.rng.random() < share)

    def vary(self, colour: Colour, amount: int = 18) -> tuple[int, int, int]:
        """A colour near ``colour``."""
        moved = np.clip(np.asarray(colour[:3]) + self.rng.integers(-amount, amount + 1, 3), 0, 255)
        return (int(moved[0]), int(moved[1]), int(moved[2]))

    # Grounds ------------------------------------------------------------------------------------

    def gradient(self, stops: Sequence[Colour], top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill the band from ``top`` to ``bottom`` (shares of the height) with colours running downwards."""
        first, last = round(top * self.height), max(round(bottom * self.height), round(top * self.height) + 1)
        places = np.linspace(0, 1, len(stops))
        key = np.linspace(0, 1, last - first)
        rows = np.stack([np.interp(key, places, [c[i] for c in stops]) for i in range(3)], axis=1)
        band = np.repeat(rows[:, None, :].round().astype(np.uint8), self.width, axis=1)
        self.image.paste(Image.fromarray(band), (0, first))

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Add soft light about (x, y), in shares of the canvas; ``radius`` in shares of its shorter side."""
        small = (max(self.width // 8, 8), max(self.height // 8, 8))
        ys, xs = np.mgrid[0 : small[1], 0 : small[0]]
        reach = radius * min(small)
        fall = np.exp(-(((xs - x * small[0]) ** 2 + (ys - y * small[1]) ** 2) / (2 * reach**2)))
        mask = Image.fromarray((np.clip(fall * strength, 0, 1) * 255).astype(np.uint8))
        self.image.paste(
            Image.new("RGB", self.image.size, colour[:3]),
            (0, 0),
            mask.resize(self.image.size, Image.Resampling.BILINEAR),
        )

    def grain(self, coarse: int, strength: float) -> None:
        """Roughen what is drawn so far with cloudy noise of ``coarse`` cells (paper, plaster, grass)."""
        cells = self.rng.normal(0, 1, (coarse, coarse)).astype(np.float32)
        noise = Image.fromarray(cells).resize(self.image.size, Image.Resampling.BICUBIC)
        pixels = np.asarray(self.image, dtype=np.float32) + np.asarray(noise)[..., None] * strength
        self.show(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))

    def blur(self, radius: float) -> None:
        """Put what is drawn so far out of focus; ``radius`` in hundredths of the shorter side."""
        self.show(self.image.filter(ImageFilter.BoxBlur(radius * min(self.width, self.height) / 100)))

    # Pens ------------------------------------------------------------------------------------------

    def pen(self, x: float, y: float, scale: float, angle: float = 0.0, *, flip: bool = False) -> Pen:
        """A pen whose origin is at (x, y), in shares of the canvas.

        Its unit is ``scale`` times half the shorter side; it is turned by ``angle`` degrees, clockwise.
        """
        return Pen(self, (x * self.width, y * self.height), scale * self.unit, (math.radians(angle), flip))

    def shadow(self, pen: Pen, points: Iterable[Point], strength: float = 0.45, blur: float = 2.0) -> None:
        """Darken the ground under ``points`` of ``pen`` softly."""
        small = (self.width // 4, self.height // 4)
        mask = Image.new("L", small, 0)
        ImageDraw.Draw(mask).polygon(
            [(px / 4, py / 4) for px, py in pen.places(points)], fill=round(255 * strength)
        )
        mask = mask.filter(ImageFilter.GaussianBlur(blur * min(small) / 100)).resize(self.image.size)
        self.image.paste(Image.new("RGB", self.image.size, (12, 14, 24)), (0, 0), mask)

    # The end -------------------------------------------------------------------------------------------

    def finish(self) -> Image.Image:
        """The picture as a camera would give it: light falling off, a tint, noise, at the size asked for."""
        rng = self.rng
        small = self.image.reduce(SHARP)
        pixels = np.asarray(small, dtype=np.float32)
        height, width = pixels.shape[:2]
        ys = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        xs = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        slope = 1 + rng.uniform(-0.08, 0.08) * xs + rng.uniform(-0.08, 0.08) * ys
        corners = 1 - rng.uniform(0, 0.16) * (xs**2 + ys**2)
        tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
        pixels = (pixels - 128) * rng.uniform(0.88, 1.1) + 128 + rng.uniform(-10, 10)
        pixels = pixels * (slope * corners)[..., None].astype(np.float32) * tint
        noise = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(rng.uniform(0.5, 5))
        return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


class Pen:
    """Draws on a canvas in an object's own coordinates: x to the right, y downwards."""

    def __init__(self, canvas: Canvas, origin: Point, unit: float, turn: tuple[float, bool]) -> None:
        self.canvas, self.origin, self.unit = canvas, origin, unit
        angle, self.flipped = turn
        self.angle = angle
        self.cos, self.sin = math.cos(angle), math.sin(angle)

    def places(self, points: Iterable[Point]) -> list[Point]:
        """Where ``points`` lie on the canvas, in its pixels."""
        side = -1 if self.flipped else 1
        return [
            (
                self.origin[0] + self.unit * (side * x * self.cos - y * self.sin),
                self.origin[1] + self.unit * (side * x * self.sin + y * self.cos),
            )
            for x, y in points
        ]

    def shape(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        self.canvas.draw.polygon(self.places(points), fill=fill)

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled smooth outline through ``points``."""
        self.shape(smooth(points), fill)

    def disc(self, x: float, y: float, radius: float | Point, fill: Colour, turn: float = 0.0) -> None:
        """A filled circle, or an ellipse of two radii turned by ``turn`` degrees."""
        rx, ry = radius if isinstance(radius, tuple) else (radius, radius)
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        self.shape([(x + px * c - py * s, y + px * s + py * c) for px, py in ring(rx, ry, count=40)], fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """A filled rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line of ``width`` units with round joints and ends."""
        thick = max(1, round(width * self.unit))
        spots = self.places(points)
        self.canvas.draw.line(spots, fill=fill, width=thick, joint="curve")
        if thick > 3:
            for x, y in (spots[0], spots[-1]):
                half = thick / 2
                self.canvas.draw.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def curve(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A smooth line through ``points``."""
        self.line(smooth(points, closed=False), width, fill)

    def text(self, words: str, x: float, y: float, height: float, fill: Colour) -> None:
        """``words`` centred at (x, y), turned with the pen (never mirrored)."""
        font = ImageFont.load_default(size=max(round(height * self.unit), 4))
        left, top, right, bottom = font.getbbox(words)
        stamp = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4), 0)
        ImageDraw.Draw(stamp).text((2 - left, 2 - top), words, fill=255, font=font)
        if abs(self.angle) > 1e-3:
            stamp = stamp.rotate(-math.degrees(self.angle), Image.Resampling.BICUBIC, expand=True)
        ((px, py),) = self.places([(x, y)])
        corner = (round(px - stamp.width / 2), round(py - stamp.height / 2))
        self.canvas.image.paste(Image.new("RGB", stamp.size, fill[:3]), corner, stamp)
