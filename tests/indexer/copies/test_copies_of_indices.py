"""An index pushed to a place and pulled from there counts the same; damage and kills are noticed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.cli import app
from captrawl.core.errors import CaptrawlError, InputError
from captrawl.indexer.captions import index_captions, remove_files
from captrawl.indexer.copies.manifest import MANIFEST, IndexManifest
from captrawl.indexer.copies.pull import pull
from captrawl.indexer.copies.push import push
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import create_without_rows, open_captions
from captrawl.search.query import CaptionQuery
from typer.testing import CliRunner

WORDS = ("dog", "red dog", "cat", "tern")
LICENCE = "CC-BY-4.0"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpus files in, a third taken out again."""
    folder = tmp_path_factory.mktemp("corpus") / "birds"
    folder.mkdir()
    for number, word in enumerate(("red dog", "cat", "tern")):
        rows = range(300 + number)
        captions = [f"a {word} {row}" for row in rows]
        table = {"url": [f"http://h/{number}/{row}.jpg" for row in rows], "caption": captions}
        pq.write_table(pa.table(table), folder / f"{number}.parquet")
    index = folder.parent / "idx"
    for number in range(3):
        index_captions(index, find_files([folder / f"{number}.parquet"], corpus="birds"), workers=1)
    remove_files(str(index), "birds/2.parquet")
    return index


def counts(index: Path) -> list[int]:
    with open_captions(index) as captions:
        return captions.count([CaptionQuery((word,)) for word in WORDS])


def check(index: Path, place: str, new: Path) -> None:
    manifest = push(str(index), place, LICENCE).manifest
    pulled = pull(place, str(new)).manifest
    assert pulled == manifest
    assert (manifest.rows, manifest.licence, manifest.analyzer) == (601, LICENCE, 2)
    assert counts(new) == counts(index) == [300, 300, 301, 0]
    again = push(str(index), place, LICENCE)
    assert again.sent == 0


def test_a_licence_that_hubs_know_by_no_name_is_named_in_words(index: Path, tmp_path: Path) -> None:
    push(str(index), str(tmp_path / "x"), 'as "the source" says')
    card = (tmp_path / "x" / "README.md").read_text()
    assert card.startswith('---\nlicense: other\nlicense_name: "as \\"the source\\" says"\n')


@pytest.mark.filterwarnings("ignore")
def test_a_folder(index: Path, tmp_path: Path) -> None:
    import mlcroissant

    place = tmp_path / "shared" / "birds"
    check(index, str(place), tmp_path / "new")
    extra = find_files([index.parent / "birds" / "2.parquet"], corpus="birds")
    assert index_captions(tmp_path / "new", extra, workers=1).rows == 903  # an index like any other
    card = (place / "README.md").read_text()
    assert "| birds | 2 | 601 |" in card
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert f"source: {LICENCE}" in card
    dataset = mlcroissant.Dataset(jsonld=place / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    described = json.loads((place / "croissant.json").read_text())
    assert (described["@type"], described["license"]) == ("sc:Dataset", LICENCE)
    for file in described["distribution"]:
        content = (place / file["contentUrl"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert f"{len(content)} B" == file["contentSize"]


def test_a_store(index: Path, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    try:
        check(index, "memory://bucket/birds", tmp_path / "new")
    finally:
        store.store.clear()


def test_the_commands(index: Path, tmp_path: Path) -> None:
    place, new = str(tmp_path / "place"), str(tmp_path / "new")
    runner = CliRunner()
    done = runner.invoke(app, ["index", "push", str(index), place, "--licence", LICENCE, "--json"])
    assert done.exit_code == 0, done.output
    sent = json.loads(done.stdout)
    assert (sent["rows"], sent["sent"]) == (601, sent["files"])
    done = runner.invoke(app, ["index", "pull", place, new, "--json"])
    assert json.loads(done.stdout) == {
        "rows": 601,
        "bytes": sent["bytes"],
        "files": sent["files"],
        "already": 0,
    }
    done = runner.invoke(app, ["index", "pull", place, new, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["already"]) == (0, sent["files"])
    (other := tmp_path / "other").mkdir()
    done = runner.invoke(app, ["index", "pull", place, str(other)])
    assert (done.exit_code, f"{other} is there already" in " ".join(done.stderr.split())) == (1, True)


def test_damage_is_named(index: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    manifest = push(str(index), str(place), LICENCE).manifest
    victim = max(manifest.files, key=lambda file: file.size)
    path = place / victim.name
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:9] + bytes([whole[9] ^ 1]) + whole[10:], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=re.escape(f"({victim.path}) isn't what was pushed")):
            pull(str(place), str(tmp_path / "new"))
        assert not (tmp_path / "new").exists()
    path.unlink()
    with pytest.raises(CaptrawlError, match=victim.sha256):
        pull(str(place), str(tmp_path / "new"))
    path.write_bytes(whole)
    assert pull(str(place), str(tmp_path / "new")).earlier > 0
    assert counts(tmp_path / "new") == counts(index)


def test_what_is_there_stays(index: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    push(str(index), str(place), LICENCE)
    with pytest.raises(InputError, match=r"place has an index of birds already \(601 rows\)"):
        push(str(index), str(place), "another licence")
    with pytest.raises(InputError, match="no index was pushed there"):
        pull(str(tmp_path), str(tmp_path / "new"))
    with pytest.raises(InputError, match="is a server"):
        push("http://127.0.0.1:1/captions", str(place), LICENCE)
    with pytest.raises(InputError, match="pushed to a folder"):
        push(str(index), "https://127.0.0.1/x", LICENCE)
    create_without_rows(str(tmp_path / "bare"))
    with pytest.raises(InputError, match="--store none"):
        push(str(tmp_path / "bare"), str(tmp_path / "other"), LICENCE)


@pytest.mark.parametrize(
    "change",
    [
        {"files": [{"path": "../x", "size": 0, "sha256": "0" * 64}]},
        {"files": [{"path": "/etc/x", "size": 0, "sha256": "0" * 64}]},
        {"files": [{"path": "x", "size": 0, "sha256": "../../x"}]},
        {"files": [{"path": "x", "size": -1, "sha256": "0" * 64}]},
        {"format": 2},
        {"corpora": 7},
        {"corpora": []},
        {"rows": "\x1b[31m7"},
        {"more": 1},
    ],
)
def test_a_hostile_manifest_is_refused(index: Path, tmp_path: Path, change: dict) -> None:
    text = json.loads(IndexManifest.of(index, LICENCE, lambda *_: None).text())
    (tmp_path / MANIFEST).write_text(json.dumps({**text, **change}))
    with pytest.raises(InputError, match="is no copy of an index"):
        pull(str(tmp_path), str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == [tmp_path / MANIFEST]


class Slow(ThreadingHTTPServer):
    """Files of a folder by range, slowly; counts the bytes."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), SlowHandler)
        self.folder, self.sent, self.delay = folder, 0, 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SlowHandler(BaseHTTPRequestHandler):
    server: Slow
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        data = (self.server.folder / self.path.lstrip("/")).read_bytes()
        first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
        body = data[first : last + 1]
        self.send_response(206)
        self.send_header("content-range", f"bytes {first}-{first + len(body) - 1}/{len(data)}")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.sent += len(body)


def test_killed_and_pulled_on(index: Path, tmp_path: Path) -> None:
    place, new = tmp_path / "place", tmp_path / "new"
    manifest = push(str(index), str(place), LICENCE).manifest
    server = Slow(place)
    server.delay = 0.05
    url = f"http://127.0.0.1:{server.server_port}"
    command = [sys.executable, "-m", "captrawl", "index", "pull", url, str(new), "--json"]
    kills = 0
    for seconds in (1.2, 1.4, 1.6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
            process.wait()
    server.delay = 0.0
    if not new.exists():
        pull(url, str(new))
    assert kills
    assert counts(new) == counts(index)
    assert server.sent < 1.5 * manifest.size + (kills + 1) * (place / MANIFEST).stat().st_size + 100_000
    assert not list(tmp_path.glob(".new*"))
    server.shutdown()
    server.server_close()


def test_killed_inside_a_file(index: Path, tmp_path: Path) -> None:
    """A part that is right is gone on with, one that is wrong is named and begun anew."""
    place, new = tmp_path / "place", tmp_path / "new"
    manifest = push(str(index), str(place), LICENCE).manifest
    file = max(manifest.files, key=lambda file: file.size)
    part = tmp_path / ".new.pulling" / f"{file.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((place / file.name).read_bytes()[: file.size // 2])
    (tmp_path / ".new.pulling" / "stray").write_text("of another copy")
    pull(str(place), str(new))
    assert counts(new) == counts(index)
    assert not (new / "stray").exists()
    shutil.rmtree(new)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * (file.size // 2))
    with pytest.raises(InputError, match="isn't what was pushed"):
        pull(str(place), str(new))
    pull(str(place), str(new))
    assert counts(new) == counts(index)


def test_a_pull_killed_when_it_was_whole_is_finished(index: Path, tmp_path: Path) -> None:
    place, new = tmp_path / "place", tmp_path / "new"
    push(str(index), str(place), LICENCE)
    pull(str(place), str(new))
    again = pull(str(place), str(new))
    assert again.earlier == len(again.manifest.files)
    assert counts(new) == counts(index)
    (new / "captions.json").write_text((new / "captions.json").read_text() + "\n")
    with pytest.raises(InputError, match="is there already"):
        pull(str(place), str(new))


def test_killed_and_pushed_on(index: Path, tmp_path: Path) -> None:
    """Without the manifest nothing was pushed; what is there isn't sent again."""
    place = tmp_path / "place"
    push(str(index), str(place), LICENCE)
    (place / MANIFEST).unlink()
    for path in sorted((place / "files").iterdir())[::2]:
        path.unlink()
    again = push(str(index), str(place), LICENCE)
    assert 0 < again.sent < len(again.manifest.files)
    pull(str(place), str(tmp_path / "new"))
    assert counts(tmp_path / "new") == counts(index)


def test_s3(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        s3fs.S3FileSystem().mkdir("shared")
        check(index, "s3://shared/birds", tmp_path / "new")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


LARGE, PART = 400, 1_000
"""Bytes from which a hub wants a file as a large one, and of which it takes a part at once."""


class Hub(ThreadingHTTPServer):
    """A hub's routes for making a data set, committing files to it, listing and reading them.

    Large files are uploaded apart, by git's LFS protocol, in parts where they are larger still; the commit
    names their sha256, and reading them leads elsewhere.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.commits = 0
        self.refusal = 0
        self.tokens: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        self.server.tokens.add(self.headers.get("authorization", ""))
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.refusal:
            self._send(self.server.refusal, b"", {})
        elif self.path == "/api/repos/create":
            self._json(
                {"url": f"http://127.0.0.1:{self.server.server_port}/datasets/lab/birds", "name": "lab/birds"}
            )
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            modes = ["lfs" if one["size"] >= LARGE else "regular" for one in asked]
            self._json(
                {
                    "files": [
                        {"path": one["path"], "uploadMode": mode, "shouldIgnore": False}
                        for one, mode in zip(asked, modes, strict=True)
                    ]
                }
            )
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._json({"transfer": "basic", "objects": [*map(self._upload, json.loads(body)["objects"])]})
        elif self.path.startswith("/lfs/complete/"):
            oid = self.path.rpartition("/")[2]
            numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
            data = b"".join(self.server.parts[f"/lfs/{oid}/{number}"] for number in numbers)
            assert hashlib.sha256(data).hexdigest() == oid
            self.server.large[oid] = data
            self._json({})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    self.server.files[line["value"]["path"]] = self.server.large[line["value"]["oid"]]
            self.server.commits += 1
            url = f"http://127.0.0.1:{self.server.server_port}/datasets/lab/birds/commit/{'0' * 40}"
            self._json({"commitUrl": url, "commitOid": "0" * 40, "hookOutput": ""})
        elif "/paths-info/" in self.path:
            asked = json.loads(body)["paths"]
            self._json([one for one in self._entries() if one["path"] in asked])
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        self.server.parts[self.path] = data
        if self.path.count("/") == 2:
            self.server.large[self.path.rpartition("/")[2]] = data
        self._send(200, b"", {"etag": f'"{hashlib.md5(data).hexdigest()}"'})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/cdn/"):
            self._bytes(self.server.large[path.rpartition("/")[2]], {})
        elif "/tree/" in path:
            below = path.partition("/tree/main")[2].strip("/")
            self._json([one for one in self._entries() if one["path"].startswith(below)])
        elif path.startswith("/api/datasets/lab/birds"):
            self._json({"id": "lab/birds", "sha": "0" * 40, "siblings": [], "private": False})
        elif "/resolve/" in path and path.partition("/resolve/main/")[2] in self.server.files:
            data = self.server.files[path.partition("/resolve/main/")[2]]
            oid = hashlib.sha256(data).hexdigest()
            headers = {"x-repo-commit": "0" * 40, "etag": f'"{hashlib.sha1(data).hexdigest()}"'}
            if oid in self.server.large:
                linked = {"x-linked-size": str(len(data)), "x-linked-etag": f'"{oid}"'}
                return self._send(302, b"", {**headers, **linked, "location": self._here(f"/cdn/{oid}")})
            self._bytes(data, headers)
        else:
            self._send(404, b"", {"x-error-code": "EntryNotFound"})
        return None

    def _here(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def _upload(self, asked: dict[str, object]) -> dict[str, object]:
        oid, size = str(asked["oid"]), int(str(asked["size"]))
        if size <= PART:
            return {"oid": oid, "size": size, "actions": {"upload": {"href": self._here(f"/lfs/{oid}")}}}
        numbers = range(1, -(-size // PART) + 1)
        header = {f"{number:05d}": self._here(f"/lfs/{oid}/{number}") for number in numbers}
        upload = {"href": self._here(f"/lfs/complete/{oid}"), "header": header | {"chunk_size": str(PART)}}
        return {"oid": oid, "size": size, "actions": {"upload": upload}}

    def _bytes(self, data: bytes, headers: dict[str, str]) -> None:
        headers = {**headers, "accept-ranges": "bytes"}
        first, _, last = self.headers.get("range", "").removeprefix("bytes=").partition("-")
        if not first:
            return self._send(200, data, headers)
        end = min(int(last or len(data)), len(data) - 1)
        headers["content-range"] = f"bytes {first}-{end}/{len(data)}"
        return self._send(206, data[int(first) : end + 1], headers)

    def _entries(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}
            for path, data in sorted(self.server.files.items())
        ]

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"content-type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers.items(), ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def test_a_hub(index: Path, tmp_path: Path) -> None:
    """In processes of their own: the library reads its endpoint when it is imported.

    Its large files go by LFS: Xet's storage, which it would take, is no server that there is here.
    """
    server = Hub()
    token = "hf_" + "k" * 34
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0"}
    environment["HF_HUB_DISABLE_XET"] = "1"

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "captrawl", "index", *words, "--json"],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert token not in done.stdout + done.stderr
        assert not done.stderr  # no progress of the library's either
        return done.stdout

    place, new = "hf://datasets/lab/birds/v1", tmp_path / "new"
    sent = json.loads(run("push", str(index), place, "--licence", LICENCE))
    assert sent["sent"] == sent["files"]
    assert f"v1/{MANIFEST}" in server.files
    assert server.commits == -(-sent["files"] // 50) + 3
    assert {f"Bearer {token}"} == server.tokens - {""}  # an upload's own address needs none
    sizes = [len(data) for name, data in server.files.items() if not name.endswith((".md", ".json"))]
    assert len(server.large) >= sum(size >= LARGE for size in sizes) > 0
    assert any(path.endswith("/2") for path in server.parts)
    assert any(size < LARGE for size in sizes)
    assert json.loads(run("push", str(index), place, "--licence", LICENCE))["sent"] == 0
    run("pull", place, str(new))
    assert counts(new) == counts(index)
    for refusal, remedy in ((403, "is a token with write access set"), (500, "HF_HUB_DISABLE_XET=1")):
        server.refusal = refusal
        words = ("index", "push", str(index), "hf://datasets/lab/other", "--licence", LICENCE)
        done = subprocess.run(
            [sys.executable, "-m", "captrawl", *words],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert remedy in " ".join(done.stderr.split())
    server.shutdown()
    server.server_close()
