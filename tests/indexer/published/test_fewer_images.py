"""Ranked by published vectors and asked until enough: the same list for a fraction of the images."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.match_stage import read_matches
from captrawl.indexer.published.register import VectorSource, register
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import model_of
from captrawl.workspace import pipeline
from captrawl.workspace.settings import (
    CaptionSettings,
    DownloadSettings,
    MatchSettings,
    ModelSettings,
    SampleSettings,
    Settings,
)
from captrawl.workspace.workspace import Workspace
from PIL import Image

ROWS, N = map(int, os.environ.get("CAPTRAWL_FEWER", "240,12").split(","))
"""The long run is of 4000,500 (docs/development.md)."""
CLASSES = (ClassEntry(0, "dog", (Synonym("dog"),)),)


def jpeg(number: int) -> bytes:
    blocks = np.random.default_rng(number).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(blocks).resize((120, 96), Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


def is_gone(number: int) -> bool:
    return number % 3 == 1


class Pictures(ThreadingHTTPServer):
    """A third of the pictures is gone; counts the requests for pictures."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PictureHandler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PictureHandler(BaseHTTPRequestHandler):
    server: Pictures

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if not self.path.endswith(".jpg"):
            return self.send_error(404)
        self.server.asked.append(self.path)
        number = int(self.path[1:-4])
        if is_gone(number):
            return self.send_error(404)
        data = jpeg(number)
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    server = Pictures()
    yield server
    server.shutdown()
    server.server_close()


def published(tmp_path: Path, model: Path, port: int) -> tuple[Path, Settings]:
    """An index whose rows have published vectors of their images, and settings that take these."""
    folder, index = tmp_path / "vectors", tmp_path / "idx"
    folder.mkdir()
    table = pa.table(
        {
            "url": [f"http://127.0.0.1:{port}/{row}.jpg" for row in range(ROWS)],
            "caption": [f"a dog {row}" for row in range(ROWS)],
        }
    )
    pq.write_table(table, folder / "a.parquet")
    settings = Settings(
        captions=CaptionSettings(index=str(index)),
        model=ModelSettings(
            name=f"local-dir:{model}", pretrained="", templates=["a {}"], published=True, precision="float32"
        ),
        match=MatchSettings(sample="all"),
        download=DownloadSettings(allow_private=True, retries=0, processes=1, contact="us@here"),
        sample=[SampleSettings(name="best", rank="T2I", n=N)],
    )
    probe = Workspace.create(tmp_path / "probe", settings, CLASSES)
    files = []
    for row in range(ROWS):
        files.append(tmp_path / f"{row}.jpg")
        files[-1].write_bytes(jpeg(row))
    np.save(folder / "a.npy", load_encoder(model_of(probe)).encode_images(files))
    index_captions(index, find_files([folder / "a.parquet"]), workers=1)
    register(str(index), VectorSource(str(folder), model_of(probe), normalised=True, names={}))
    return index, settings


def chosen(workspace: Workspace) -> list[str]:
    """Download, embed and draw: the URLs of the list, best first."""
    for _ in pipeline.run(workspace):
        pass
    table = pq.read_table(workspace.root / "samples" / "best.parquet", columns=["url", "kept", "rank"])
    rows = sorted((row["rank"], row["url"]) for row in table.to_pylist() if row["kept"])
    return [url for _, url in rows]


def test_a_quarter_of_the_images_gives_the_same_list(
    tmp_path: Path, tiny_model: Path, pictures: Pictures
) -> None:
    _, settings = published(tmp_path, tiny_model, pictures.server_port)
    whole = chosen(Workspace.create(tmp_path / "whole", settings, CLASSES))
    asked_for_whole = len(pictures.asked)
    pictures.asked.clear()
    ranked = settings.model_copy(
        update={
            "match": MatchSettings(sample="all", rank="T2I", top=ROWS * 5 // 12),
            "download": settings.download.model_copy(update={"until": N}),
        }
    )
    few = chosen(Workspace.create(tmp_path / "few", ranked, CLASSES))
    assert len(whole) == N
    assert few == whole
    assert asked_for_whole == ROWS
    assert N < len(pictures.asked) <= ROWS / 4
    print(f"{N} images of {ROWS} rows: asked for {len(pictures.asked)} pictures, in place of {ROWS}")


def test_a_ranked_match_killed_and_run_again(tmp_path: Path, tiny_model: Path) -> None:
    _, settings = published(tmp_path, tiny_model, 9)
    ranked = settings.model_copy(update={"match": MatchSettings(sample="all", rank="T2I", top=100)})
    calm = Workspace.create(tmp_path / "calm", ranked, CLASSES)
    pipeline.match(calm)
    killed = Workspace.create(tmp_path / "killed", ranked, CLASSES)
    command = [sys.executable, "-m", "captrawl", "-C", str(killed.root), "match"]
    kills = 0
    for seconds in (0.6, 1.5, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    pipeline.match(killed)
    assert kills
    assert read_matches(killed).equals(read_matches(calm))
    assert killed.matches_path.read_bytes() == calm.matches_path.read_bytes()
    assert not list(killed.root.glob(".*matches*"))
