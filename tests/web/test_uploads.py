"""Uploaded bytes → a picture, or one line: damaged and mutated files of every format."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from captrawl.web.uploads import UnusableUploadError, read_upload
from PIL import Image


@pytest.mark.parametrize("name", ["broken.jpg", "a_look.avif", "b_upright.avif"])
def test_damaged_files_are_refused(data_folder: Path, name: str) -> None:
    with pytest.raises(UnusableUploadError, match="can't be read"):
        read_upload((data_folder / "cases/hostile" / name).read_bytes(), 10_000_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_mutated_uploads_raise_nothing_else(kind: str) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(out, kind)
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(100):
        body = bytearray(out.getvalue())
        for _ in range(int(random.integers(1, 6))):
            body[int(random.integers(len(body)))] = int(random.integers(256))
        try:
            assert read_upload(bytes(body), 10_000_000).mode == "RGB"
        except UnusableUploadError:
            refused += 1
    assert refused
