"""Drawings: one picture a seed, and flags as their states lay them down."""

from __future__ import annotations

import numpy as np
import pytest
from captrawl.demo.drawings.catalogue import DRAWINGS, SHAPES, draw, placeholder
from captrawl.demo.drawings.flags import FLAGS
from PIL import Image, ImageDraw


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_seed_gives_one_picture(name: str) -> None:
    first, again, other = (np.asarray(draw(name, seed, 96)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert first.std() > 12  # something is there


@pytest.mark.parametrize("side", [64, 224])
def test_the_longer_side_is_what_was_asked(side: int) -> None:
    sizes = {draw("anchor", seed, side).size for seed in range(12)}
    assert sizes <= {(round(x * side), round(y * side)) for x, y in SHAPES}
    assert len(sizes) > 1


def test_placeholders_are_always_the_same_pixels_and_differ() -> None:
    styles = [placeholder(style).tobytes() for style in (0, 1, 2)]
    assert len(set(styles)) == 3
    assert placeholder(4).tobytes() == styles[1]


RED, WHITE, BLUE = (186, 12, 47), (255, 255, 255), (0, 32, 91)
POINTS = {  # flag → (share of the width, share of the height) → colour
    # 6-1-2-1-12 by 6-1-2-1-6
    "norway": {
        (0.1, 0.1): RED,
        (6.5 / 22, 0.1): WHITE,
        (8 / 22, 0.1): BLUE,
        (0.9, 0.5): BLUE,
        (0.9, 6.5 / 16): WHITE,
    },
    "japan": {(0.5, 0.5): (188, 0, 45), (0.5, 0.21): (188, 0, 45), (0.5, 0.18): WHITE, (0.05, 0.05): WHITE},
    "france": {(0.16, 0.5): (0, 38, 84), (0.5, 0.5): WHITE, (0.84, 0.5): (206, 17, 38)},
    "brazil": {(0.02, 0.05): (0, 151, 57), (0.15, 0.5): (254, 221, 0), (0.5, 0.68): (1, 33, 105)},
    "canada": {
        (0.1, 0.5): (216, 6, 33),
        (0.5, 0.5): (216, 6, 33),
        (0.3, 0.1): WHITE,
        (0.9, 0.9): (216, 6, 33),
    },
    "switzerland": {
        (0.5, 0.5): WHITE,
        (0.5, 0.1): (218, 41, 28),
        (0.25, 0.5): WHITE,
        (0.1, 0.1): (218, 41, 28),
    },
    "bangladesh": {(0.45, 0.5): (244, 42, 65), (0.9, 0.5): (0, 106, 78)},
}


@pytest.mark.parametrize("name", POINTS)
def test_flags_are_true(name: str) -> None:
    ratio, flag = FLAGS[name]
    height = 320
    image = Image.new("RGB", (round(ratio * height), height))
    flag(ImageDraw.Draw(image), image.width, image.height)
    found = {
        place: image.getpixel((int(place[0] * image.width), int(place[1] * height))) for place in POINTS[name]
    }
    assert found == POINTS[name]
