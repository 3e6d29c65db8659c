"""Copies of test images: what picture hash, cosine and the leak guard find, and drop wrongly.

300 photos are test images. Each is copied in eight ways; the other photos, which are of the same kinds of
things, are none of their copies. Recall is the share of copies found; a false drop is another photo that is
taken for a copy. A crop is a window of 90 % of the area, or of both sides, anywhere.

    python benchmarks/copies.py DATA_FOLDER [--model local-dir:PATH] [--photos 300]
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from captrawl.core.picture_hash import BYTES, COPY, CROPS, grey, hashes_of
from captrawl.sampling.copies.alike import HashIndex
from captrawl.sampling.copies.guard import LEAK, LeakGuard
from PIL import Image, ImageEnhance, ImageOps

Picture = Image.Image
COLOURS = [(255, 255, 255), (0, 0, 0), (40, 120, 30)]


def window(picture: Picture, share: float, chance: random.Random) -> Picture:
    width, height = picture.width * share, picture.height * share
    left, top = (picture.width - width) * chance.random(), (picture.height - height) * chance.random()
    return picture.crop((round(left), round(top), round(left + width), round(top + height)))


def copies(chance: random.Random) -> dict[str, Callable[[Picture], Picture]]:
    return {
        "encoded anew (JPEG 40)": lambda one: encoded(one, 40),
        "10 % of the area cropped": lambda one: encoded(window(one, 0.9**0.5, chance)),
        "10 % of both sides cropped": lambda one: encoded(window(one, 0.9, chance)),
        "mirrored": lambda one: encoded(ImageOps.mirror(one)),
        "framed": lambda one: encoded(
            ImageOps.expand(one, max(4, min(one.size) // 12), chance.choice(COLOURS))
        ),
        "30 % brighter or darker": lambda one: encoded(
            ImageEnhance.Brightness(one).enhance(chance.choice([0.7, 1.3]))
        ),
        "half the size": lambda one: encoded(one.resize((one.width // 2, one.height // 2))),
        "turned by 90, 180 or 270°": lambda one: encoded(
            one.rotate(chance.choice([90, 180, 270]), expand=True)
        ),
    }


def encoded(picture: Picture, quality: int = 85) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def hashes(pictures: list[Picture]) -> np.ndarray:
    return np.stack([hashes_of(grey(one)) for one in pictures])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--photos", type=int, default=300)
    options = parser.parse_args()
    chance = random.Random(0)
    files = sorted((options.data / "photos").rglob("*.jpg"))
    chance.shuffle(files)
    photos = [Image.open(path).convert("RGB") for path in files]
    tests, others = photos[: options.photos], photos[options.photos :]
    sets = {name: [copy(one) for one in tests] for name, copy in copies(chance).items()} | {"others": others}
    start = time.process_time()
    of_tests = hashes(tests)
    milliseconds = (time.process_time() - start) / len(tests) * 1e3
    references = HashIndex(of_tests)
    rules: dict[str, Callable[[str], np.ndarray]] = {
        f"hash, {COPY} bits": lambda name: references.distances(hashes(sets[name])) <= COPY
    }
    if options.model:
        rules |= by_vectors(options.model, tests, sets, of_tests)
    table = {
        name: {rule: round(float(found(name).mean()), 4) for rule, found in rules.items()} for name in sets
    }
    result = {"test images": len(tests), "others": len(others), "hash, ms": round(milliseconds, 2)}
    print(json.dumps({**result, "found": table}, indent=1, ensure_ascii=False))


def by_vectors(
    model: str, tests: list[Picture], sets: dict[str, list[Picture]], of_tests: np.ndarray
) -> dict[str, Callable[[str], np.ndarray]]:
    from captrawl.search.vectors.loading import load_encoder
    from captrawl.search.vectors.models import ModelId

    encoder = load_encoder(ModelId(model))
    of_images = encoder.encode_images(tests)
    vectors = {name: encoder.encode_images(pictures) for name, pictures in sets.items()}
    guard = LeakGuard(of_tests, of_images)
    alone = LeakGuard(np.zeros((len(tests), CROPS, BYTES), np.uint8), of_images)
    return {
        f"cosine {LEAK}": lambda name: alone.leaking(np.zeros_like(hashes(sets[name])), vectors[name]),
        "guard (both)": lambda name: guard.leaking(hashes(sets[name]), vectors[name]),
    }


if __name__ == "__main__":
    main()
