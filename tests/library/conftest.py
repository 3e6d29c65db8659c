"""A drawn task in a workspace that Python made: three classes, pictures on loopback, the demo's model."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import captrawl as ct
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.demo.drawings.catalogue import draw
from captrawl.demo.run import MODEL
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files

CLASSES = ("stop sign", "anchor", "palm tree")
EACH = 6
HOSTILE = "an anchor <script>alert(1)</script> & <b>more</b>"


@dataclass(frozen=True)
class Task:
    """The folder of everything, and the index in it."""

    folder: Path
    index: Path

    def new(self, name: str) -> ct.Workspace:
        """A workspace of the three classes over the index."""
        classes = self.folder / "classes.txt"
        classes.write_text("\n".join(CLASSES))
        settings = {
            "model": {"name": f"local-dir:{MODEL}", "pretrained": ""},
            "download": {"deadline": 4.0, "allow_private": True},
            "sample": [],
        }
        return ct.Workspace.new(self.folder / name, classes=classes, index=self.index, settings=settings)


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    """18 captions, whose pictures are drawn when they are asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path.strip("/").removesuffix(".png")
            if not place.isdecimal():
                self.send_error(404)
                return
            body = io.BytesIO()
            draw(CLASSES[int(place) // EACH], int(place)).save(body, "PNG")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(body.getvalue())

        def log_message(self, *arguments: object) -> None:
            pass

    folder = tmp_path_factory.mktemp("task")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = [name for name in CLASSES for _ in range(EACH)]
    captions = [HOSTILE if at == EACH else f"a photo of a {name}" for at, name in enumerate(names)]
    urls = [f"http://127.0.0.1:{server.server_port}/{at}.png" for at in range(len(names))]
    (folder / "corpus").mkdir()
    pq.write_table(pa.table({"url": urls, "caption": captions}), folder / "corpus" / "a.parquet")
    index_captions(str(folder / "captions"), find_files([folder / "corpus"], corpus="drawn"))
    yield Task(folder, folder / "captions")
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def ready(task: Task) -> ct.Workspace:
    """A workspace with every stage done; its tests don't write."""
    workspace = task.new("ready")
    workspace.match()
    workspace.download()
    workspace.embed()
    workspace.sample(method="T2I-rank", n=4)
    return workspace


@pytest.fixture
def copy(ready: ct.Workspace, tmp_path: Path) -> ct.Workspace:
    """A workspace like ``ready`` to write in."""
    shutil.copytree(ready.root, tmp_path / "copy")
    return ct.Workspace(tmp_path / "copy")
