"""Decoding in processes gives what decoding in threads gives, in order, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from captrawl.core.errors import ModelError
from captrawl.search.vectors import encoder as encoder_module
from captrawl.search.vectors.decode import Undecodable, decoded, split_transform
from captrawl.search.vectors.decode_processes import CHUNK, WORTH, decode_processes, decoded_in_processes
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import resolve


@pytest.fixture
def files(picture: Any, tmp_path: Path) -> list[Path]:
    """More than the ring has room for, with one that isn't there, one cut and one that is text."""
    paths = [tmp_path / f"{n}.png" for n in range(18 * CHUNK + 3)]
    for n, path in enumerate(paths):
        picture(n % 7, (40 + n, 90)).save(path)
    paths[3].unlink()
    paths[20].write_bytes(paths[21].read_bytes()[:60])
    paths[70].write_text("<html>")
    return paths


def shared() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("psm_*")}


def workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_the_same_pixels_in_the_same_order(tiny_model: Path, files: list[Path]) -> None:
    encoder = load_encoder(resolve(f"local-dir:{tiny_model}"))
    before = shared()
    theirs = list(decoded(files, split_transform(encoder.preprocess)[0], ahead=9))
    ours = list(decoded_in_processes(files, encoder.preprocess, processes=2))
    assert len(ours) == len(theirs) == len(files)
    for one, other in zip(ours, theirs, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
    assert [n for n, image in enumerate(ours) if isinstance(image, Undecodable)] == [3, 20, 70]
    assert not workers()
    assert shared() == before


def test_an_encoder_may_decode_in_processes(
    tiny_model: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=5)
    theirs = list(encoder.image_batches(files))
    monkeypatch.setattr(encoder_module, "decode_processes", lambda *_: 2)
    ours = list(encoder.image_batches(files))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.vectors, other.vectors)
        assert one.failed == other.failed


@pytest.mark.parametrize(
    ("device", "images", "some"),
    [
        ("cuda", [Path("a")] * WORTH, True),
        ("cuda:1", [Path("a")] * WORTH, True),
        ("cuda", [Path("a")] * (WORTH - 1), False),
        ("cpu", [Path("a")] * WORTH, False),
        ("cuda", [*[Path("a")] * WORTH, "a picture"], False),
    ],
)
def test_only_a_gpu_with_many_files_has_processes(device: str, images: Sequence[Any], some: bool) -> None:
    assert (decode_processes(device, images) > 0) is some


def test_a_killed_process_is_a_line(tiny_model: Path, files: list[Path]) -> None:
    encoder = load_encoder(resolve(f"local-dir:{tiny_model}"))
    stream = decoded_in_processes(files, encoder.preprocess, processes=1)
    next(stream)
    for child in workers():
        child.kill()
    with pytest.raises(ModelError, match="a process that decodes images was ended"):
        list(stream)


def test_processes_end_with_a_killed_parent(tiny_model: Path, files: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "decode.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            from pathlib import Path
            from captrawl.search.vectors.decode_processes import decoded_in_processes
            from captrawl.search.vectors.loading import load_encoder
            from captrawl.search.vectors.models import resolve

            if __name__ == "__main__":
                encoder = load_encoder(resolve("local-dir:{tiny_model}"))
                files = [Path(path) for path in sys.argv[1:]]
                stream = decoded_in_processes(files, encoder.preprocess, processes=2)
                next(stream)
                print("begun", flush=True)
                time.sleep(600)
            """
        )
    )
    before = shared()
    command = [sys.executable, str(script), *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert len(gone) >= 2
    assert not alive
    assert shared() == before
