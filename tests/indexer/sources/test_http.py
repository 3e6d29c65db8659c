"""Archives on a server: read by range, whatever the server does."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError
from captrawl.indexer.download.stage import download
from captrawl.indexer.sources import http_blob
from captrawl.indexer.sources.blobs import ArchiveError, MissingArchiveError
from captrawl.indexer.sources.http_blob import HttpBlob
from captrawl.indexer.sources.locations import archives_at


class Ranges:
    """Answers ranges of ``data``, and counts the bytes that went out."""

    def __init__(self, data: bytes, etag: str = '"1"') -> None:
        self.data, self.etag = data, etag
        self.bytes = 0

    async def __call__(self, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", headers["range"]).groups())  # type: ignore[union-attr]
        part = self.data[first : last + 1]
        self.bytes += len(part)
        lines = [
            "HTTP/1.1 206 Partial", f"ETag: {self.etag}", f"Content-Length: {len(part)}",
            f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(self.data)}",
        ]  # fmt: skip
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + part)


async def cut(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
    """Half an answer."""
    writer.write(b'HTTP/1.1 206 X\r\nETag: "1"\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\n\r\n23')
    await writer.drain()
    writer.close()


def plain_tar(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for row in rows:
            for ending, data in (("jpg", row["data"]), ("json", json.dumps({"url": row["url"]}).encode())):
                info = tarfile.TarInfo(f"{row['key']}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(http_blob.time, "sleep", waits.append)
    return waits


@pytest.fixture
def blobs() -> Iterator[list[HttpBlob]]:
    opened: list[HttpBlob] = []
    yield opened
    for blob in opened:
        blob.close()


def test_one_row_in_a_hundred_costs_its_bytes(make_workspace, web, tools, tmp_path) -> None:
    make_workspace = partial(make_workspace, placeholders="keep")  # one picture, other bytes behind it
    base = tools.jpeg(7)
    rows = [
        {
            "key": f"{n:06d}",
            "url": f"http://rotten.invalid/{n}.jpg",
            "data": base + random.Random(n).randbytes(20_000),
        }
        for n in range(400)
    ]
    files = [Ranges(plain_tar(rows[start : start + 100])) for start in range(0, 400, 100)]
    table = io.BytesIO()
    tabled = [{"image": {"bytes": row["data"], "path": None}, "url": row["url"] + "x"} for row in rows[:40]]
    pq.write_table(pa.Table.from_pylist(tabled), table, row_group_size=10, compression="none")
    parquet = Ranges(table.getvalue())
    for number, file in enumerate(files):
        web.handle(f"/t/{number:02d}.tar?key=secret", file)
    web.handle("/t/p.parquet", parquet)
    locations = [web.url("/t/{00..03}.tar?key=secret"), web.url("/t/missing.tar"), web.url("/t/p.parquet")]
    some = [*random.Random(2).sample(rows, 4), {**rows[33], "url": rows[33]["url"] + "x"}]
    workspace = make_workspace(
        [some[0]["url"], "http://127.0.0.1:1/x"], archives=locations[:1], sources=["tars"]
    )
    assert download(workspace)["packed"] == 1  # and the headers were read
    headers = sum(file.bytes for file in files) - len(some[0]["data"])
    assert headers < 400 * 3 * 4096
    before = sum(file.bytes for file in files)
    workspace = make_workspace([row["url"] for row in some], archives=locations, sources=["tars"])
    assert download(workspace) == {"packed": 5}
    assert sum(file.bytes for file in files) - before <= 0.015 * sum(len(file.data) for file in files)
    assert parquet.bytes < len(parquet.data) * 0.5
    spans = [(hit.target, hit.headers["range"]) for hit in web.hits if hit.headers["range"] != "bytes=0-0"]
    footer = [
        span for span in spans if span[0] == "/t/p.parquet" and span[1].endswith(f"-{len(parquet.data) - 1}")
    ]
    assert len(set(spans) - set(footer)) == len(spans) - len(footer)  # no byte is asked for twice
    images = tools.images_of(workspace)
    for row in some:
        assert images[row["url"]]["sha256"] == hashlib.sha256(row["data"]).hexdigest()
    before = len(web.hits)
    download(
        make_workspace(
            [*(row["url"] for row in some), "http://rotten.invalid/none"],
            archives=locations,
            sources=["tars", "web"],
            retries=0,
        ),
        resolver=tools.Names(),
    )
    assert len(web.hits) - before == 10  # is each still what it was? 4 tars, their Parquet, 2 others
    urls = [row["url"] for row in [*some, rows[9]]]
    workspace = make_workspace([*urls, web.url("/gone.jpg")], archives=locations[:1])
    counts = {"packed": 6, "failed": 1, "failed:http_404": 1}
    assert download(workspace) == counts
    before = len(web.hits)
    assert download(workspace) == counts
    assert len(web.hits) == before  # nothing is queued, nothing changed
    assert {hit.headers["user-agent"].partition("/")[0] for hit in web.hits} == {"captrawl"}
    with workspace.ledger_path.open("rb") as ledger:
        assert b"secret" not in ledger.read()


def test_ctrl_c_does_not_wait_for_a_slow_server(make_workspace, web) -> None:
    async def asleep(_: asyncio.StreamWriter, __: dict[str, str]) -> None:
        await asyncio.sleep(60)

    workspace = make_workspace(["http://rotten.invalid/x"], archives=[web.handle("/0.tar", asleep)])
    command = [sys.executable, "-m", "captrawl", "-C", str(workspace.root), "download"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        end = time.monotonic() + 60
        while not web.hits and time.monotonic() < end:
            assert process.poll() is None
            threading.Event().wait(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"interrupted" in output


def test_a_failure_in_passing_is_asked_again(web, blobs, no_waiting) -> None:
    ranges = Ranges(b"0123456789")
    busy = _status(503, "Retry-After: 7")
    blobs.append(HttpBlob(web.handle("/x", ranges, busy, cut, ranges), "captrawl"))
    assert blobs[0].size == 10
    assert blobs[0].read(2, 4) == b"2345"
    assert no_waiting[0] == 7.0
    assert web.count("/x") == 4


def test_a_redirect_is_kept_and_asked_for_anew_when_it_ends(web, blobs) -> None:
    ranges = Ranges(b"0123456789")
    web.handle("/cdn", ranges, ranges, _status(403), ranges)
    blobs.append(HttpBlob(web.handle("/x", _status(302, "Location: /cdn")), "captrawl"))
    assert [blobs[0].read(n, 2) for n in (0, 4)] == [b"01", b"45"]
    assert (web.count("/x"), web.count("/cdn")) == (2, 4)


def test_a_public_server_may_not_lead_to_a_private_one(web, blobs) -> None:
    web.handle("/inside", Ranges(b"0123456789"))
    blobs.append(HttpBlob(web.handle("/x", Ranges(b"0123456789"), _status(302, "Location: /inside")), "x"))
    blobs[0]._public = True  # as if its address were one
    with pytest.raises(ArchiveError, match="redirects to a private address"):
        blobs[0].read(0, 2)
    assert web.count("/inside") == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("whole", "doesn't answer ranges"),
        ("gone", "isn't there"),
        ("forbidden", "HTTP 403"),
        ("loop", "redirects more than"),
        ("file", "no http"),
        ("busy", "HTTP 500"),
        ("other", "ends at byte|changed"),
        ("more", "more bytes"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(answer, words, web, tools) -> None:
    answers = {
        "whole": tools.whole(b"0123456789"),
        "gone": _status(410),
        "forbidden": _status(403),
        "loop": _status(301, "Location: /x"),
        "file": _status(301, "Location: file:///etc/passwd"),
        "busy": _status(500),
        "other": _ranged("bytes 5-5/10", b"5"),
        "more": _ranged("bytes 0-0/10", b"0123"),
    }
    with pytest.raises(ArchiveError, match=words) as error:
        HttpBlob(web.handle("/x", answers[answer]), "captrawl")
    assert isinstance(error.value, MissingArchiveError) == (answer == "gone")
    assert "\n" not in str(error.value)


def test_a_file_that_changes_is_not_read_on(web, blobs) -> None:
    blobs.append(HttpBlob(web.handle("/x", Ranges(b"0123456789"), Ranges(b"0123456789", '"2"')), "captrawl"))
    with pytest.raises(ArchiveError, match="changed"):
        blobs[0].read(0, 4)
    with pytest.raises(ArchiveError, match=r"ends at byte|changed"):
        blobs[0].read(8, 4)


@pytest.mark.parametrize(
    "url", ["http://h/folder/", "http://user:secret@h/x.tar", "http:///x.tar", "https://h:x/x.tar"]
)
def test_a_url_that_is_no_archive_is_an_error(url, tmp_path) -> None:
    with pytest.raises(InputError, match="must be the URL") as error:
        archives_at([url], tmp_path)
    assert "secret" not in str(error.value)


def _status(status: int, *lines: str) -> Any:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
        head = [f"HTTP/1.1 {status} X", "Content-Length: 0", *lines]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n")

    return answer


def _ranged(span: str, body: bytes) -> Any:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
        head = f"HTTP/1.1 206 X\r\nContent-Range: {span}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    return answer
