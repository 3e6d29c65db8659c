"""Real photos on a loopback web that is as broken as the real one, and a corpus that points to it."""

from __future__ import annotations

import dataclasses
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HOSTS = [f"127.0.0.{n}" for n in range(1, 25)]
TROUBLES = ("404", "410", "500", "loop", "nothing", "html", "truncated")
HANG = 8.0  # seconds of silence, longer than the deadline of the run


@dataclasses.dataclass
class Web:
    """The loopback web: one port on many loopback hosts, and what each path was asked."""

    port: int
    asked: Counter[str]

    def url(self, path: str, place: int) -> str:
        return f"http://{HOSTS[place % len(HOSTS)]}:{self.port}/{path}"


@pytest.fixture(scope="session")
def web(data_folder: Path) -> Iterator[Web]:
    photos = data_folder / "data" / "photos"
    asked: Counter[str] = Counter()
    truncated = next((photos / "captioned" / "coco").glob("*.jpg")).read_bytes()[:3000]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path in ("/robots.txt", "/.well-known/tdmrep.json"):
                return self.answer(404, b"no rules")
            asked[self.path] += 1
            kind, _, rest = self.path.lstrip("/").partition("/")
            if kind == "photos":
                path = (photos / rest).resolve()
                found = path.is_relative_to(photos) and path.is_file()
                self.answer(200, path.read_bytes(), "image/jpeg") if found else self.answer(404, b"gone")
            elif kind in ("404", "410", "500"):
                self.answer(int(kind), b"no")
            elif kind == "loop":
                self.answer(302, b"", location=self.path)
            elif kind == "nothing":
                time.sleep(HANG)
                self.close_connection = True
            elif kind == "html":
                self.answer(200, b"<html><body>parked</body></html>", "text/html")
            else:
                self.answer(200, truncated, "image/jpeg")
            return None

        def answer(self, status: int, body: bytes, kind: str = "text/plain", location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *arguments: Any) -> None:
            pass  # a killed client resets its connections

    port = free_port()
    servers = [Server((host, port), Handler) for host in HOSTS]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield Web(port, asked)
    for server in servers:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def corpus(web: Web, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LAION-400M-schema folder: a caption a photo, mixed into 50,000 real captions with broken URLs."""
    photos = pq.read_table(data_folder / "data" / "photos" / "captioned.parquet").to_pylist()
    rows = [
        (web.url(f"photos/{photo['path']}", place), photo["caption"])
        for place, photo in enumerate(p for p in photos if p["caption_no"] == 0)
    ]
    batches = pq.ParquetFile(data_folder / "data" / "captions" / "part-00002.parquet").iter_batches(
        50_000, columns=["TEXT"]
    )
    for place, caption in enumerate(next(batches).column("TEXT").to_pylist()):
        rows.append((web.url(f"{TROUBLES[place % len(TROUBLES)]}/{place}.jpg", place // 7), caption))
    random.Random(1).shuffle(rows)
    folder = tmp_path_factory.mktemp("corpus") / "loopback"
    folder.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(laion_table(part), folder / f"part-{number:05}.parquet", row_group_size=10_000)
    return folder


def laion_table(rows: list[tuple[str, str | None]]) -> pa.Table:
    size = len(rows)
    return pa.table(
        {
            "SAMPLE_ID": pa.array(range(size), pa.int64()),
            "URL": pa.array([url for url, _ in rows], pa.string()),
            "TEXT": pa.array([text for _, text in rows], pa.string()),
            "HEIGHT": pa.nulls(size, pa.int32()),
            "WIDTH": pa.nulls(size, pa.int32()),
            "LICENSE": pa.array(["?"] * size, pa.string()),
            "NSFW": pa.array(["UNLIKELY"] * size, pa.string()),
            "similarity": pa.nulls(size, pa.float64()),
        }
    )
