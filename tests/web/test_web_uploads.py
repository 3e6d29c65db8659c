"""Damaged pictures: whatever a decoder raises on them, an upload is refused with a line."""

from __future__ import annotations

import io
import random
import warnings
from collections import Counter

import pytest
from captrawl.web.uploads import UnusableUploadError, read_upload
from PIL import Image, features

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", *(["AVIF"] if features.check("avif") else [])]
MUTANTS = 120


def mutated(data: bytes, generator: random.Random) -> bytes:
    """``data`` with up to twelve other bytes, and perhaps without its end."""
    changed = bytearray(data)
    for _ in range(generator.randint(1, 12)):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed[: generator.randrange(len(changed))] if generator.random() < 0.3 else changed)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_pictures_are_refused_with_a_line(kind: str) -> None:
    """Before, broken data streams of JPEGs and AVIFs went through as OSError and RuntimeError."""
    generator = random.Random(kind)
    out = io.BytesIO()
    Image.effect_noise((60, 40), 80).convert("RGB").save(out, kind)
    outcomes: Counter[str] = Counter()
    for _ in range(MUTANTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = read_upload(mutated(out.getvalue(), generator), 50_000_000)
            except UnusableUploadError:
                outcomes["refused"] += 1
            else:
                assert image.mode == "RGB"
                outcomes["read"] += 1
    assert outcomes["refused"] > MUTANTS / 10
