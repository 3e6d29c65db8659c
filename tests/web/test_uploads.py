"""Uploaded bytes → a picture, or one line: damaged and mutated files of every format."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
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


def test_uploads_leave_no_memory_behind(serve: Any, site: Any) -> None:
    """Eight pictures of 49 million pixels at once left 1.3 GB; what stays now is less than one of them."""
    server = serve("-C", site.workspace.root)
    token = httpx.get(f"{server.url}api/session").json()["token"]
    large, small = io.BytesIO(), io.BytesIO()
    Image.effect_noise((500, 500), 60).convert("RGB").resize((7000, 7000)).save(large, "JPEG", quality=50)
    Image.new("RGB", (99, 99)).save(small, "PNG")

    def post(data: bytes) -> int:
        headers = {"x-captrawl-token": token}
        return httpx.post(
            f"{server.url}api/similar/image", content=data, headers=headers, timeout=200
        ).status_code

    assert post(small.getvalue()) == 200
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(post, [large.getvalue()] * 8)) == [200] * 8
    assert process.memory_info().rss - before < 400 << 20
