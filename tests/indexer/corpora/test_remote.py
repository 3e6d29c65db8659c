"""Corpora behind URLs: a hub's routes served on loopback, and a store's own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptrawlError, CorpusError
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.indexer.corpora.fingerprints import fingerprint
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery

ROWS = 3000
TOKEN = "hf_" + "k" * 34


class Hub(ThreadingHTTPServer):
    """A hub's tree and resolve routes for one data set, files from a folder; counts the bytes of bodies."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.folder, self.sent, self.tokens = folder, 0, set[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class HubHandler(BaseHTTPRequestHandler):
    """GET and HEAD of /api/datasets/lab/pairs… and /datasets/lab/pairs/resolve/…"""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        asked = json.loads(self.rfile.read(length) or b"{}")
        self._json([entry for entry in self._entries() if entry["path"] in asked.get("paths", [])])

    def do_GET(self) -> None:
        self.server.tokens.add(self.headers.get("authorization", ""))
        path = self.path.partition("?")[0]
        if path.startswith("/api/datasets/lab/pairs/tree/main"):
            below = path.removeprefix("/api/datasets/lab/pairs/tree/main").strip("/")
            self._json([entry for entry in self._entries() if entry["path"].startswith(below)])
        elif path.startswith("/api/datasets/lab/pairs"):
            self._json({"id": "lab/pairs", "sha": "0" * 40, "siblings": [], "private": False})
        elif "/resolve/" in path:
            self._file(self.server.folder / path.partition("/resolve/main/")[2])
        else:
            self.send_error(404)

    def _entries(self) -> list[dict[str, Any]]:
        files = [path for path in sorted(self.server.folder.rglob("*")) if path.is_file()]
        folders = [{"type": "directory", "oid": "1" * 40, "size": 0, "path": "data"}]
        return folders + [
            {"type": "file", "oid": hashlib.sha1(path.read_bytes()).hexdigest(), "size": path.stat().st_size,
             "path": path.relative_to(self.server.folder).as_posix()}
            for path in files
        ]  # fmt: skip

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"content-type": "application/json"})

    def _file(self, path: Path) -> None:
        data, headers = path.read_bytes(), {"x-repo-commit": "0" * 40, "accept-ranges": "bytes"}
        headers["etag"] = f'"{hashlib.sha1(data).hexdigest()}"'
        first, _, last = self.headers.get("range", "").removeprefix("bytes=").partition("-")
        if first:
            end = min(int(last or len(data)), len(data) - 1)
            headers["content-range"] = f"bytes {first}-{end}/{len(data)}"
            self._send(206, data[int(first) : end + 1], headers)
        else:
            self._send(200, data, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers.items(), ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.server.sent += len(body)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A data set lab/pairs of two Parquet files and a TSV below data/."""
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    for number in range(2):
        write(folder / "data" / f"{number}.parquet", number)
    (folder / "data" / "more.tsv").write_text("".join(f"http://h/t{n}.jpg\ta tern {n}\n" for n in range(9)))
    (folder / "README.md").write_text("# no corpus")
    server = Hub(folder)
    yield server
    server.shutdown()
    server.server_close()


def write(path: Path, number: int, rows: int = ROWS) -> None:
    noise = np.random.default_rng(number)
    table = {
        "url": [f"http://host/{number}/{row}.jpg" for row in range(rows)],
        "caption": [f"a dog {row}" if row % 3 else f"a cat {row}" for row in range(rows)],
        "ballast": [noise.bytes(500).hex() for _ in range(rows)],
    }
    pq.write_table(pa.table(table), path, row_group_size=1000)


def index_from(hub: Hub, index: Path) -> tuple[dict[str, int], str]:
    """What `index captions` says of the data set, in a process that has the hub's address and a token."""
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    words = ["index", "captions", "hf://datasets/lab/pairs/data", "--corpus", "pairs", "--to", str(index)]
    command = [sys.executable, "-m", "captrawl", *words, "--workers", "1", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def test_a_corpus_on_a_hub_is_indexed_where_it_lies(hub: Hub, tmp_path: Path) -> None:
    index = tmp_path / "idx"
    counts, text = index_from(hub, index)
    assert (counts["files_added"], counts["rows"]) == (3, 2 * ROWS + 9)
    whole = sum(path.stat().st_size for path in (hub.folder / "data").iterdir())
    assert hub.sent < whole / 2  # the ballast stays where it is
    assert f"Bearer {TOKEN}" in hub.tokens
    assert TOKEN not in text
    with open_captions(index) as captions:
        assert captions.count([CaptionQuery((word,)) for word in ("cat", "tern")]) == [2 * ROWS // 3, 9]
        for file, mark in captions.files().items():
            assert mark == fingerprint(hub.folder / "data" / file.removeprefix("pairs/"))
    assert index_from(hub, index)[0]["files_skipped"] == 3


def test_a_changed_or_missing_remote_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    folder.mkdir()
    write(folder / "0.parquet", 0, rows=50)
    url = f"file://{folder}"
    index_captions(tmp_path / "idx", find_files([url]), workers=1)
    write(folder / "0.parquet", 1, rows=60)
    with pytest.raises(CaptrawlError, match=rf"another version of birds/0.parquet than {url}/0.parquet"):
        index_captions(tmp_path / "idx", find_files([f"{url}/0.parquet"]), workers=1)
    with pytest.raises(CaptrawlError, match=r"gone.parquet\S* isn't there"):
        find_files([f"{url}/gone.parquet"])
    (folder / "0.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CaptrawlError, match=rf"{url}/0.parquet"):
        find_files([url])
    (folder / "0.parquet").unlink()
    (folder / "notes.md").write_text("none")
    with pytest.raises(CorpusError, match="birds contains no corpus files"):
        find_files([url])
