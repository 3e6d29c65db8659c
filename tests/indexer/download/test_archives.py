"""Pictures in tars: only the wanted ones are read, and the web isn't asked for them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError
from captrawl.indexer.download.stage import download, download_status
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.sources import blobs
from captrawl.indexer.sources.locations import archives_at
from captrawl.indexer.sources.tables import MemberTables
from captrawl.workspace.workspace import State

URL = "http://rotten.invalid/{}.jpg"
Row = dict[str, Any]


def member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write_tar(path: Path, rows: Sequence[Row], layout: str) -> None:
    """A shard of ``rows`` (key, url, uid, data): img2dataset's, with its Parquet; or plain, with json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for row in rows:
            described = {name: value for name, value in row.items() if name != "data"}
            member(archive, f"{row['key']}.jpg", row["data"])
            if layout == "plain":
                member(archive, f"{row['key']}.json", json.dumps(described).encode())
            member(archive, f"{row['key']}.txt", b"a dog")
    if layout == "img2dataset":
        failed = {"key": f"{path.stem}9999", "url": URL.format("failed"), "status": "failed_to_download"}
        table = [{name: value for name, value in row.items() if name != "data"} for row in rows]
        pq.write_table(pa.Table.from_pylist([*table, failed]), path.with_suffix(".parquet"))


@pytest.fixture
def make_workspace(make_workspace):
    """Pictures here differ in their bytes alone."""
    return partial(make_workspace, placeholders="keep")


def pictures(count: int, tools: Any, *, size: int = 0, first: int = 0) -> list[Row]:
    """Rows with pictures of their own, at least ``size`` bytes each."""
    base = tools.jpeg(7)
    rows: list[Row] = []
    for number in range(first, first + count):
        data = base + random.Random(number).randbytes(max(8, size - len(base)))
        rows.append({"key": f"{number:09d}", "url": URL.format(number), "uid": 1000 + number, "data": data})
    return rows


def shards(folder: Path, tools: Any, *, tars: int, a_tar: int, size: int = 0) -> list[Row]:
    rows: list[Row] = []
    for number in range(tars):
        some = pictures(a_tar, tools, size=size, first=number * a_tar)
        write_tar(folder / f"{number:05d}.tar", some, ("plain", "img2dataset")[number % 2])
        rows += some
    return rows


def matched(rows: Sequence[Row]) -> list[Row]:
    return [{"url": row["url"], "uid": row["uid"]} for row in rows]


def unpacked(folder: Path, to: Path) -> dict[str, str]:
    """The sha256 of every picture of the tars, all of them unpacked, by key."""
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            archive.extractall(to, filter="data")
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in to.rglob("*.jpg")}


@pytest.fixture
def read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of every read from an archive."""
    counted: list[int] = []
    system = os.pread

    def counting(handle: int, length: int, offset: int) -> bytes:
        data = system(handle, length, offset)
        counted.append(len(data))
        return data

    monkeypatch.setattr(blobs.os, "pread", counting)
    return counted


def test_one_row_in_a_hundred_costs_its_bytes_and_the_headers(
    make_workspace, tools, tmp_path, read_bytes
) -> None:
    rows = shards(tmp_path / "tars", tools, tars=20, a_tar=50, size=20_000)
    total = sum(path.stat().st_size for path in (tmp_path / "tars").glob("*.tar"))
    some = random.Random(1).sample(rows, 10)
    workspace = make_workspace(matched(some), archives=[str(tmp_path / "tars")])
    for archive in archives_at([str(tmp_path / "tars")], tmp_path):
        MemberTables(workspace.images_folder / "members").of(archive)
    headers = sum(read_bytes)
    read_bytes.clear()
    assert download(workspace) == {"packed": 10}
    assert sum(read_bytes) <= total * 0.015
    assert headers <= len(rows) * 6 * 1024 + 20 * 1024
    sha256s = unpacked(tmp_path / "tars", tmp_path / "unpacked")
    images = tools.images_of(workspace)
    assert {images[row["url"]]["sha256"] for row in some} == {sha256s[row["key"]] for row in some}
    read_bytes.clear()
    assert download(workspace) == {"packed": 10}
    assert read_bytes == []


def test_the_web_is_asked_for_the_rest_only(make_workspace, web, tools, tmp_path) -> None:
    rows = pictures(6, tools)
    rows = [{**row, "url": web.give(f"/{row['key']}.jpg", row["data"])} for row in rows]
    write_tar(tmp_path / "a" / "00000.tar", rows[:4], "img2dataset")
    workspace = make_workspace(matched(rows), archives=["../a"])
    assert download(workspace) == {"packed": 6}
    assert sorted(hit.target for hit in web.hits) == ["/000000004.jpg", "/000000005.jpg"]
    with Ledger(workspace.ledger_path) as ledger:
        consents = dict(ledger.database.execute("SELECT url, consent FROM urls"))
    assert consents[rows[0]["url"]] == f"unchecked: from {tmp_path / 'birds' / '../a/00000.tar'} 000000000"
    assert not (consents[rows[5]["url"]] or "").startswith("unchecked")
    assert download_status(workspace).state is State.DONE


def test_the_order_is_the_settings(make_workspace, web, tools, tmp_path) -> None:
    rows = pictures(3, tools)
    rows[0]["url"] = web.give("/there.jpg", tools.jpeg(3))
    rows[1]["url"] = web.url("/gone.jpg")
    rows[2]["url"] = web.give("/page.jpg", b"<html>moved</html>")
    write_tar(tmp_path / "a" / "0.tar", rows, "plain")
    workspace = make_workspace(matched(rows), archives=["../a"], sources=["web", "tars"])
    assert download(workspace) == {"packed": 3}
    images = tools.images_of(workspace)
    assert images[rows[0]["url"]]["sha256"] == hashlib.sha256(tools.jpeg(3)).hexdigest()
    assert images[rows[1]["url"]]["sha256"] == hashlib.sha256(rows[1]["data"]).hexdigest()
    hits = len(web.hits)
    assert download(workspace) == {"packed": 3}
    assert len(web.hits) == hits == 3


def test_until_enough_counts_what_a_tar_has(make_workspace, web, tools, tmp_path) -> None:
    rows = pictures(16, tools)
    rows = [{**row, "url": web.give(f"/{row['key']}.jpg", row["data"])} for row in rows]
    for row in rows[6:8]:
        web.give(f"/{row['key']}.jpg", status=404)
    write_tar(tmp_path / "a" / "0.tar", rows[:6], "plain")
    asked = [{**row, "class_id": number % 2} for number, row in enumerate(matched(rows))]
    workspace = make_workspace(asked, archives=["../a"], until=4)
    counts = download(workspace)
    assert counts["packed"] == 10  # of 4 asked a class 3 came, so 2 more were
    assert counts["failed:http_404"] == 2
    assert sorted(hit.target for hit in web.hits) == [f"/{row['key']}.jpg" for row in rows[6:12]]


def test_without_the_web_a_row_that_no_source_has_says_so(make_workspace, web, tools, tmp_path) -> None:
    rows = pictures(2, tools)
    rows[1]["url"] = web.give("/x.jpg", rows[1]["data"])
    copies = [{**row, "url": f"http://copy.invalid/{row['key']}"} for row in rows]  # joined by uid
    write_tar(tmp_path / "a" / "0.tar", [copies[0], {**copies[1], "uid": "7"}], "plain")
    workspace = make_workspace(matched(rows), archives=["../a"], sources=["tars"])
    assert download(workspace) == {"packed": 1, "failed": 1, "failed:no_source": 1}
    assert download_status(workspace).state is State.DONE
    assert not web.hits
    write_tar(tmp_path / "a" / "0.tar", [copies[0], {**copies[1], "uid": str(rows[1]["uid"])}], "plain")
    assert download(workspace) == {"packed": 2}
    assert not web.hits


def test_what_came_in_vain_says_why_and_is_read_once(make_workspace, tools, tmp_path, read_bytes) -> None:
    rows = pictures(5, tools)
    rows[0]["data"] = b"<html>no picture</html>"
    rows[1]["data"] = tools.jpeg(1, 50, 50)
    rows[2]["data"] += b"x" * 30_000
    (tmp_path / "birds").mkdir()
    blocked = [hashlib.md5(rows[3]["data"]).hexdigest(), "b" * 64]
    (tmp_path / "birds" / "blocked.txt").write_text("\n".join(blocked))
    rows[4]["sha256"] = "b" * 64  # of the bytes that this picture was made of
    write_tar(tmp_path / "a" / "0.tar", rows, "plain")
    workspace = make_workspace(
        matched(rows), archives=["../a"], max_bytes=20_000, blocklist=["blocked.txt"], min_side=85
    )
    counts = {
        "dropped": 2, "dropped:not_an_image": 1, "dropped:too_small": 1,
        "failed": 1, "failed:too_large": 1, "refused": 2, "refused:blocked_hash": 2,
    }  # fmt: skip
    assert download(workspace) == counts
    read_bytes.clear()
    assert download(workspace) == counts
    assert read_bytes == []


def test_parquet_with_pictures_is_read_by_row_group(make_workspace, tools, tmp_path, read_bytes) -> None:
    rows = pictures(400, tools, size=20_000)
    structs = [{"image": {"bytes": row["data"], "path": None}, "image_url": row["url"]} for row in rows[:200]]
    structs[5]["image"] = {"bytes": None, "path": "elsewhere.jpg"}
    structs[6]["image"] = None
    plain = [{"jpg": row["data"], "uid": row["uid"]} for row in rows[200:300]]
    placed = [{"image": {"bytes": row["data"], "path": None}, "text": "a dog"} for row in rows[300:]]
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    for name, some in (("structs", structs), ("plain", plain), ("placed", placed)):
        table = pa.Table.from_pylist(some)
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=20, compression="none")
    pq.write_table(pa.table({"url": ["x"]}), folder / "captions.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    numbers = [5, 6, 21, 23, 210, 305, 399]
    asked = [{**row, "file": "other/placed.parquet", "row": 0} for row in matched([rows[n] for n in numbers])]
    for row, number in zip(asked, numbers, strict=True):
        if number >= 300:
            row |= {"file": "data/placed.parquet", "row": number - 300}
    workspace = make_workspace(asked, archives=["../hub"], sources=["tars"])
    for archive in archives_at(["../hub/data/structs.parquet", "../hub/data/plain.parquet"], workspace.root):
        MemberTables(workspace.images_folder / "members").of(archive)
    read_bytes.clear()
    assert download(workspace) == {"packed": 5, "failed": 2, "failed:bad_member": 2}
    images = tools.images_of(workspace)
    for number in numbers[2:]:
        assert images[rows[number]["url"]]["sha256"] == hashlib.sha256(rows[number]["data"]).hexdigest()
    groups = 5  # of the 20 that there are
    assert sum(read_bytes) < (groups + 1) * 20 * 20_000


def raw_header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:108] = b"0000644\0"
    header[124:136] = size
    header[136:148] = b"00000000000\0"
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def bad_url(kind: str) -> str:
    return URL.format(f"bad-{kind}")


def hostile(kind: str, path: Path, row: Row) -> None:
    """A tar whose first picture is the good ``row``, and something behind it."""
    url = json.dumps({"url": bad_url(kind)}).encode()
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        member(archive, "good.jpg", row["data"])
        member(archive, "good.json", json.dumps({"url": row["url"]}).encode())
        member(archive, "bad.json", url)
        if kind in {"symlink", "hardlink"}:
            info = tarfile.TarInfo("bad.jpg")
            info.type = tarfile.SYMTYPE if kind == "symlink" else tarfile.LNKTYPE
            info.linkname = "/etc/passwd" if kind == "symlink" else "good.jpg"
            archive.addfile(info)
        elif kind == "dots":
            member(archive, "../../bad.jpg", row["data"])
            member(archive, "../../bad.json", url)
        elif kind == "device":
            info = tarfile.TarInfo("bad.jpg")
            info.type = tarfile.CHRTYPE
            archive.addfile(info)
        end = archive.offset
    tail = {
        "size": raw_header("bad.jpg", b"77777777777\0") + b"x" * 1024,
        "negative": raw_header("bad.jpg", b"\xff" * 8 + b"\xff\xff\xfc\x00") + b"x" * 1024,
        "name": raw_header("././@LongLink", b"17777777777\0", b"L") + b"x" * 4096,
        "pax": raw_header("pax", b"00040000000\0", b"x") + bytes(8 << 20),
        "sparse": raw_header("bad.jpg", b"00000002000\0", b"S") + b"x" * 1024 + bytes(1024),
        "noise": b"\x7fELF" * 400,
        "cut": raw_header("bad.jpg", b"00000100000\0") + b"x" * 100,
        "names": raw_header("././@LongLink", b"00000000010\0", b"L") + bytes(512),
    }.get(kind)
    if tail is not None:
        with path.open("r+b") as file:
            file.truncate(end)
            file.seek(end)
            file.write(tail * (3000 if kind == "names" else 1))


UNREADABLE = ["symlink", "hardlink", "device", "size", "sparse", "cut"]
"""A picture of the tar that can't be read."""
BROKEN_OFF = ["negative", "name", "pax", "noise", "names"]
"""The tar ends there."""


def test_hostile_tars_give_their_good_pictures_and_a_reason(
    make_workspace, tools, tmp_path, caplog, read_bytes
) -> None:
    kinds = [*UNREADABLE, *BROKEN_OFF, "dots"]
    rows = pictures(len(kinds) + 1, tools)
    (tmp_path / "a").mkdir()
    for kind, row in zip(kinds, rows, strict=False):
        hostile(kind, tmp_path / "a" / f"{kind}.tar", row)
    (tmp_path / "a" / "empty.tar").write_bytes(b"")
    (tmp_path / "a" / "gzip.tar").write_bytes(b"\x1f\x8b" + b"x" * 2000)
    write_tar(tmp_path / "a" / "zz.tar", rows[-1:], "plain")
    urls = [row["url"] for row in rows]
    workspace = make_workspace([*urls, *map(bad_url, kinds)], archives=["../a"], sources=["tars"])
    before = {path for path in tmp_path.rglob("*") if "birds" not in path.parts}
    assert download(workspace) == {
        "packed": len(rows) + 1, "failed": len(kinds) - 1,
        "failed:bad_member": len(UNREADABLE), "failed:no_source": len(BROKEN_OFF),
    }  # fmt: skip
    assert {path for path in tmp_path.rglob("*") if "birds" not in path.parts} == before
    assert sum(read_bytes) < 8 << 20
    images = tools.images_of(workspace)
    assert {images[url]["state"] for url in [*urls, bad_url("dots")]} == {"packed"}
    assert {images[bad_url(kind)]["reason"] for kind in UNREADABLE} == {"bad_member"}
    assert {images[bad_url(kind)]["reason"] for kind in BROKEN_OFF} == {"no_source"}
    lines = [record.getMessage() for record in caplog.records]
    for name in [*UNREADABLE, *BROKEN_OFF, "empty", "gzip"]:
        about = [line for line in lines if f"{name}.tar" in line]
        assert 1 <= len(about) <= 2, about
        assert all("\n" not in line and len(line) < 400 for line in about)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../nowhere", "isn't there"),
        ("../empty", "contains no .tar and no .parquet"),
        ("{0..9999999}.tar", "10,000,000 names"),
        ("{7..3}.tar", "names"),
    ],
)
def test_a_location_without_archives_is_an_error(location, words, make_workspace, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    workspace = make_workspace(["http://a.invalid/x.jpg"], archives=[location])
    with pytest.raises(InputError, match=re.escape(words)):
        download(workspace)


def test_braces_name_shards(tmp_path, tools) -> None:
    for number in (8, 9, 10):
        write_tar(tmp_path / f"x-{number:03d}.tar", [], "plain")
    names = [archive.where for archive in archives_at(["x-{008..010}.tar"], tmp_path)]
    assert names == [str(tmp_path / f"x-{number}.tar") for number in ("008", "009", "010")]


KILLED = "import sys; from pathlib import Path; from captrawl.indexer.download.stage import download; "
KILLED += "from captrawl.workspace.workspace import Workspace; download(Workspace(Path(sys.argv[1])))"


def killed_and_resumed(workspace: Any, kills: int) -> None:
    """Run the download, killed at random moments, until it ends."""
    chance = random.Random(5)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(workspace.root)], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        began = time.monotonic()
        moment = chance.uniform(0.0, 1.0)
        while process.poll() is None and not workspace.ledger_path.exists() and time.monotonic() - began < 30:
            time.sleep(0.01)
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_and_resumed_the_end_is_the_same(make_workspace, web, tools, tmp_path) -> None:
    rows = shards(tmp_path / "a", tools, tars=4, a_tar=100)
    rows += [{**row, "url": web.url(f"/{row['key']}.jpg")} for row in pictures(3, tools, first=900)]
    undisturbed = make_workspace(matched(rows), name="one", archives=["../a"])
    counts = {"packed": 400, "failed": 3, "failed:http_404": 3}
    assert download(undisturbed) == counts
    workspace = make_workspace(matched(rows), name="two", archives=["../a"])
    killed_and_resumed(workspace, int(os.environ.get("CAPTRAWL_KILLS", "2")))
    assert download(workspace) == counts
    keep: Callable[[Row], Row] = lambda row: {name: row[name] for name in ("state", "reason", "sha256")}  # noqa: E731
    images = tools.images_of(workspace)
    expected = tools.images_of(undisturbed)
    assert {url: keep(row) for url, row in images.items()} == {u: keep(r) for u, r in expected.items()}
    assert len({row["path"] for row in images.values() if row["path"]}) == 400
    assert not list((workspace.images_folder / "spool").iterdir())
