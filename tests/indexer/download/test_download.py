"""The whole of download() over a web of the kinds of answers that occur."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from captrawl.cli import app
from captrawl.core.errors import NO_MEMORY, DownloadError, WorkspaceError
from captrawl.core.records import IMAGE_SCHEMA
from captrawl.indexer.download.crawl import in_flight_limit
from captrawl.indexer.download.stage import download, download_status
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.pack import queue as packline
from captrawl.workspace.workspace import State
from PIL import Image
from typer.testing import CliRunner


def test_every_kind_of_answer_is_counted(web, make_workspace, tools) -> None:
    good = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(5)]
    same = web.give("/copy.jpg", tools.jpeg(0))
    cut = web.give("/cut.jpg", tools.jpeg(50)[:-100])
    gone = web.url("/gone.jpg")
    small = web.give("/small.gif", tools.encoded(tools.picture(1, 40, 300), "GIF"))
    page = web.give("/page.html", b"<html>no such picture here</html>")
    loop = web.give("/loop", status=302, Location="/loop")
    refused = web.give("/noai.jpg", tools.jpeg(60), X_Robots_Tag="noai")
    local = "file:///etc/hostname"
    broken = web.give("/broken", b"", 500)
    rows = [
        *({"url": url, "class_id": 1} for url in (*good, same, cut, gone, small, page, loop)),
        *({"url": url, "class_id": 3} for url in (refused, local, broken)),
        {"url": good[0], "class_id": 2, "priority": -5},
        {"url": None, "row": 900}, {"url": None, "row": 901}, {"url": None, "row": 901, "class_id": 2},
    ]  # fmt: skip
    workspace = make_workspace(rows)
    assert download_status(workspace).state is State.MISSING
    told: list[tuple[str, int, int | None]] = []
    counts = download(workspace, progress=lambda what, done, total=None: told.append((what, done, total)))
    assert counts == {
        "packed": 6, "no_url": 2,
        "failed": 3, "failed:http_404": 1, "failed:redirects": 1, "failed:http_500": 1,
        "refused": 2, "refused:x_robots_tag": 1, "refused:scheme": 1,
        "dropped": 3, "dropped:truncated": 1, "dropped:too_small": 1, "dropped:not_an_image": 1,
    }  # fmt: skip
    table = pq.read_table(workspace.images_path)
    assert table.schema.equals(IMAGE_SCHEMA)
    urls = table["url"].to_pylist()
    assert urls == sorted(urls, key=str.encode)
    images = tools.images_of(workspace)
    assert images[same]["path"] == images[good[0]]["path"]
    assert images[good[1]] == {
        "url": good[1], "state": "packed", "reason": None, "status": 200, "attempts": 1,
        "path": images[good[1]]["path"], "width": 120, "height": 100,
        "sha256": hashlib.sha256(tools.jpeg(1)).hexdigest(), "md5": hashlib.md5(tools.jpeg(1)).hexdigest(),
    }  # fmt: skip
    assert (images[gone]["status"], images[gone]["attempts"]) == (404, 1)
    assert (images[broken]["status"], images[broken]["attempts"]) == (500, 2)
    assert (images[small]["width"], images[small]["height"]) == (40, 300)
    for row in images.values():
        assert (row["state"] == "packed") == (row["path"] is not None)
        if row["path"]:
            with Image.open(workspace.root / row["path"]) as image:
                assert image.size == (row["width"], row["height"])
    assert {web.count(f"/{n}.jpg") for n in range(5)} == {1}
    assert (web.count("/gone.jpg"), web.count("/noai.jpg"), web.count("/broken")) == (1, 1, 2)
    assert web.count("/loop") == 1
    assert not any((workspace.images_folder / "spool").iterdir())
    assert not (workspace.images_folder / ".tmp").exists() or not any(
        (workspace.images_folder / ".tmp").iterdir()
    )
    assert ("fetch", 14, 14) in told
    assert told[-1][0] == "pack"
    status = download_status(workspace)
    assert (status.state, status.counts) == (State.DONE, counts)
    before = len(web.hits), workspace.images_path.read_bytes()
    assert download(workspace) == counts
    assert (len(web.hits), workspace.images_path.read_bytes()) == before


def test_a_folder_holds_no_more_images_than_a_shard(web, make_workspace, tools, monkeypatch) -> None:
    """A defect of the origin: one shard of two million, so two million files in one folder."""
    assert packline.A_SHARD == 1000
    monkeypatch.setattr(packline, "A_SHARD", 5)
    workspace = make_workspace([web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(12)])
    assert download(workspace) == {"packed": 12}
    folders = [path.parent.name for path in workspace.images_folder.rglob("*.jpg")]
    assert max(folders.count(name) for name in set(folders)) <= 5
    assert len(folders) == 12


def test_passing_trouble_is_asked_again_and_nothing_else(web, make_workspace, tools) -> None:
    busy = web.handle("/busy", tools.whole(b"", 503), tools.whole(tools.jpeg(1)))
    never = web.give("/never", b"", 429)
    workspace = make_workspace([busy, never], retries=2, retry_after=0.3)
    counts = download(workspace)
    assert counts == {"packed": 1, "failed": 1, "failed:http_429": 1}
    assert (web.count("/busy"), web.count("/never")) == (2, 3)
    times = [hit.at for hit in web.hits if hit.target == "/never"]
    assert all(b - a >= 0.29 for a, b in itertools.pairwise(times))


def test_retry_after_holds_for_the_host(web, make_workspace, tools) -> None:
    names = tools.Names(one_example=["127.0.0.1"], two_example=["127.0.0.1"])
    web.handle("/0", tools.whole(b"", 429, Retry_After="2"), tools.whole(tools.jpeg(0)))
    for n in range(1, 8):
        web.give(f"/{n}", tools.jpeg(n))
    web.delay = 0.05
    urls = [web.url(f"/{n}", "one.example") for n in range(8)] + [web.url("/1", "two.example")]
    counts = download(make_workspace(urls, retry_after=0.0), resolver=names)
    assert counts == {"packed": 9}
    mine = [hit.at for hit in web.hits if hit.headers["host"].startswith("one")]
    assert 1 <= sum(at - mine[0] < 0.2 for at in mine) <= 3  # what was under way already
    assert all(at - mine[0] < 0.2 or at - mine[0] > 1.9 for at in mine)
    other = next(hit.at for hit in web.hits if hit.headers["host"].startswith("two"))
    assert other - mine[0] < 1


def test_a_host_that_wants_hours_is_left_for_a_later_run(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(6)]
    web.give("/0", b"", 503, Retry_After="86400")
    web.delay = 0.1
    workspace = make_workspace(urls)
    counts = download(workspace)
    assert counts["queued"] >= 4
    assert len(web.hits) <= 2
    status = download_status(workspace)
    assert (status.state, status.counts["queued"]) == (State.PARTIAL, counts["queued"])
    assert download(workspace) == counts
    assert len(web.hits) <= 2


def test_an_image_edited_in_place_stops_the_next_download_until_it_is_gone(
    web, make_workspace, tools
) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(2)]
    workspace = make_workspace(urls)
    download(workspace)
    first = sorted(workspace.images_folder.glob("0*/*.jpg"))[0]
    first.write_bytes(first.read_bytes() + b"edited")
    with pytest.raises(WorkspaceError, match=f"{first.name} isn't what was packed"):
        download(workspace)
    first.unlink()
    assert download(workspace) == {"packed": 2}
    assert len(web.hits) == 3


def test_what_killed_downloads_left_is_swept(web, make_workspace, tools) -> None:
    workspace = make_workspace([web.give("/a", tools.jpeg(1))])
    download(workspace)
    others = workspace.root / ".matches.parquet.99999.tmp"  # another stage's, which may be running
    for path in (
        others,
        workspace.root / ".images.parquet.99999.tmp",
        workspace.root / ".urls.parquet.99999.tmp",
        workspace.root / ".captrawl.lock.json.99999.tmp",
        workspace.images_folder / ".tmp" / "00001-9" / "out" / "00001" / "1.jpg",
        workspace.images_folder / "spool" / f".{'0' * 64}.9.9.part",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    before = {path for path in workspace.root.rglob("*") if path.is_file()}
    assert download(workspace) == {"packed": 1}
    left = {path for path in before if path.is_file() and path.read_bytes() == b"half"}
    assert left == {others}


def test_a_silent_host_holds_nobody_up(web, make_workspace, tools) -> None:
    """40 URLs of a host that never answers, beside ten of one that does."""
    names = tools.Names(dead_example=["127.0.0.1"], live_example=["127.0.0.1"])

    async def silence(*_: object) -> None:
        await asyncio.sleep(30)

    urls = []
    for n in range(40):
        web.handle(f"/dead/{n}", silence)
        urls.append(web.url(f"/dead/{n}", "dead.example"))
    for n in range(10):
        web.give(f"/{n}", tools.jpeg(n))
        urls.append(web.url(f"/{n}", "live.example"))
    started = time.monotonic()
    workspace = make_workspace(urls, deadline=0.5, retries=1, retry_after=0.2)
    counts = download(workspace, resolver=names)
    asked = [hit for hit in web.hits if hit.target.startswith("/dead")]
    assert counts["packed"] == 10
    assert counts["failed:silent_host"] + counts["failed:timeout"] == counts["failed"] == 40
    assert 6 <= len(asked) <= 7  # five, one under way, and a probe in the last pass
    rows = pq.read_table(workspace.images_path, columns=["reason", "attempts"]).to_pylist()
    never = [row for row in rows if row["reason"] == "silent_host" and row["attempts"] == 1]
    assert len(never) >= 34  # nobody waits a second time for what the host was never asked
    assert time.monotonic() - started < 12


def test_a_url_that_hangs_makes_no_host_silent_by_being_asked_again(web, make_workspace, tools) -> None:
    """Eight URLs that hang, among pictures of the same host: the second pass asks nobody else."""

    async def silence(*_: object) -> None:
        await asyncio.sleep(30)

    urls = []
    for n in range(8):
        urls.append(web.handle(f"/hang/{n}", silence))
        urls.append(web.give(f"/{n}", tools.jpeg(n)))
    counts = download(make_workspace(urls, deadline=0.5, retries=2, retry_after=0.1))
    assert counts == {"packed": 8, "failed": 8, "failed:timeout": 8}
    assert [web.count(f"/hang/{n}") for n in range(8)] == [3] * 8


def test_a_host_that_wakes_up_is_asked_for_all(web, make_workspace, tools) -> None:
    async def hang_up(*_: object) -> None:
        pass

    broken = 6
    urls = []
    for n in range(20):
        fine = tools.whole(tools.jpeg(n))
        handlers = (hang_up, fine) if n < broken else (fine,)
        urls.append(web.handle(f"/{n}", *handlers))
    assert download(make_workspace(urls, retries=1, retry_after=0.1)) == {"packed": 20}


def test_two_connections_a_host(web, make_workspace, tools) -> None:
    names = tools.Names(a_example=["127.0.0.1"])
    web.delay = 0.02
    body = tools.encoded(tools.picture(0, 50, 50))
    urls = [web.give(f"/{n}", body) for n in range(40)]
    hops = [web.give(f"/hop{n}", status=302, Location=web.url(f"/{n}")) for n in range(20)]
    hops = [url.replace("127.0.0.1", "a.example") for url in hops]
    counts = download(make_workspace(urls + hops), resolver=names)
    assert counts == {"dropped": 60, "dropped:too_small": 60}
    assert web.most_at_once <= 4  # two names of one server
    alone = [web.url(f"/{n}") for n in range(40)]
    web.most_at_once = 0
    download(make_workspace(alone, name="alone"))
    assert web.most_at_once == 2


def test_dead_names_are_looked_up_once(web, make_workspace, tools) -> None:
    names = tools.Names(live_example=["127.0.0.1"])
    web.give("/x", b"")
    urls = [f"http://dead{n % 3}.example/{n}.jpg" for n in range(30)] + [web.url("/x", "live.example")]
    counts = download(make_workspace(urls), resolver=names)
    assert counts == {"failed": 30, "failed:dns": 30, "dropped": 1, "dropped:not_an_image": 1}
    assert sorted(names.asked) == ["dead0.example", "dead1.example", "dead2.example", "live.example"]


def test_urls_are_asked_in_priority_order(web, make_workspace) -> None:
    places = [7, 3, -9, 12, 0, 5]
    rows = [{"url": web.url(f"/{n}"), "priority": n} for n in places]
    web.delay = 0.02
    download(make_workspace(rows))
    order = [int(hit.target[1:]) for hit in web.hits]
    wanted = sorted(places)
    assert all(abs(order.index(n) - wanted.index(n)) <= 1 for n in places)  # two at once


def test_a_new_class_fetches_only_its_rows(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(4)]
    workspace = make_workspace(urls[:2])
    download(workspace)
    old = tools.images_of(workspace)
    make_workspace(urls[1:])
    status = download_status(workspace)
    assert (status.state, status.reason) == (State.STALE, "urls changed since")
    assert download(workspace) == {"packed": 3}
    assert [hit.target for hit in web.hits].count("/1") == 1
    new = tools.images_of(workspace)
    assert {url: new[url] for url in old} == old
    assert len(new) == 4


def test_the_command_tells_its_counts_in_json(web, make_workspace, tools) -> None:
    workspace = make_workspace([web.give("/a", tools.jpeg(1)), web.url("/gone"), None])
    planned = CliRunner().invoke(app, ["-C", str(workspace.root), "download", "--plan-only", "--json"])
    assert json.loads(planned.stdout) == {"plan": str(workspace.root / "urls.parquet")}
    done = CliRunner().invoke(app, ["-C", str(workspace.root), "download", "--json"])
    assert json.loads(done.stdout) == {
        "counts": {"failed": 1, "failed:http_404": 1, "packed": 1, "no_url": 1}
    }


def test_a_plan_goes_by_allow_private(web, make_workspace) -> None:
    workspace = make_workspace([web.url("/a")], allow_private=False)
    command = ["-C", str(workspace.root), "download", "--plan-only"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert pq.read_table(workspace.root / "urls.parquet").num_rows == 0
    assert CliRunner().invoke(app, [*command, "--allow-private"]).exit_code == 0
    assert pq.read_table(workspace.root / "urls.parquet")["url"].to_pylist() == [web.url("/a")]


def test_one_address_setting_lifted(web, make_workspace, tools) -> None:
    url = web.give("/a", tools.jpeg(1))
    workspace = make_workspace([url], allow_private=False)
    assert download(workspace) == {"refused": 1, "refused:private_address": 1}
    assert not web.hits
    make_workspace([url], allow_private=True)
    assert download_status(workspace).reason == "1 private URL may be fetched now"
    assert download(workspace) == {"packed": 1}


def test_limits_that_move_judge_anew(web, make_workspace, tools) -> None:
    urls = [web.give("/small", tools.jpeg(1, 60, 60)), web.give("/big", tools.jpeg(2, 900, 900)),
            web.give("/busy", b"", 500)]  # fmt: skip
    workspace = make_workspace(urls, max_bytes=10_000, retries=0)
    assert download(workspace) == {
        "dropped": 1, "dropped:too_small": 1, "failed": 2, "failed:too_large": 1, "failed:http_500": 1,
    }  # fmt: skip
    make_workspace(urls, min_side=60, max_bytes=1_000_000, retries=1)
    assert download(workspace) == {"packed": 2, "failed": 1, "failed:http_500": 1}
    assert web.count("/busy") == 2


def test_a_blocklist_takes_away_and_gives_back(web, make_workspace, tools) -> None:
    names = tools.Names(bad_example=["127.0.0.1"])
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(4)]
    copy = web.give("/copy", tools.jpeg(0))
    other = web.url("/3", "sub.bad.example").replace("sub.", "")
    rows = [*urls[:3], copy, other, {"url": urls[3], "uid": 99}]
    workspace = make_workspace(rows)
    assert download(workspace, resolver=names) == {"packed": 6}
    before = tools.images_of(workspace)
    digest = hashlib.sha1(tools.jpeg(1)).hexdigest()
    blocked = workspace.root / "blocked.txt"
    blocked.write_text(f"{urls[0]}\nbad.example\n{digest}\n99\n")
    make_workspace(rows, blocklist=["blocked.txt"])
    counts = download(workspace, resolver=names)
    assert counts == {
        "packed": 2, "refused": 4, "refused:blocked_url": 1, "refused:blocked_host": 1,
        "refused:blocked_hash": 1, "refused:blocked_uid": 1,
    }  # fmt: skip
    there = {path.relative_to(workspace.root).as_posix() for path in workspace.images_folder.rglob("*.jpg")}
    assert there == {before[urls[2]]["path"], before[copy]["path"]}
    hits = len(web.hits)
    blocked.write_text(f"{urls[0]}\n{digest}\n")
    assert download(workspace, resolver=names)["packed"] == 4
    assert len(web.hits) == hits + 2  # the two that were given back


def test_blocked_rows_are_never_asked(web, make_workspace, tools, tmp_path) -> None:
    (tmp_path / "list").write_text("uid 5\nhost 127.0.0.1")
    rows = [
        {"url": web.url("/a"), "uid": 5},
        {"url": web.url("/b"), "uid": 6},
        {"url": "http://h.invalid/", "uid": 5},
    ]
    counts = download(make_workspace(rows, blocklist=[str(tmp_path / "list")]), resolver=tools.Names())
    assert counts == {"refused": 3, "refused:blocked_host": 1, "refused:blocked_uid": 2}
    assert not web.hits


def test_another_size_of_packed_images_is_refused(web, make_workspace, tools) -> None:
    url = web.give("/a", tools.jpeg(1, 400, 200))
    workspace = make_workspace([url], resize=100)
    download(workspace)
    assert tools.images_of(workspace)[url]["width"] == 200
    make_workspace([url], resize=0)
    with pytest.raises(DownloadError, match=r"packed with resize=100, the settings say 0"):
        download(workspace)


def test_a_refused_resize_leaves_the_settings_as_they_were(web, make_workspace, tools) -> None:
    workspace = make_workspace([web.give("/a", tools.jpeg(1, 400, 200))])
    command = ["-C", str(workspace.root), "download"]
    assert CliRunner().invoke(app, [*command, "--resize", "100"]).exit_code == 0
    settings = workspace.settings_path.read_text()
    refused = CliRunner().invoke(app, [*command, "--resize", "50"])
    assert refused.exit_code == 1
    assert "--resize 50: images/ was packed with resize=100" in refused.stderr
    assert workspace.settings_path.read_text() == settings
    assert download_status(workspace).state is State.DONE
    assert CliRunner().invoke(app, [*command, "--resize", "100"]).exit_code == 0


def test_images_that_are_gone_are_asked_again(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(3)]
    workspace = make_workspace(urls)
    download(workspace)
    before = tools.images_of(workspace)
    (workspace.root / before[urls[1]]["path"]).unlink()
    assert download(workspace) == {"packed": 3}
    assert [web.count(f"/{n}") for n in range(3)] == [1, 2, 1]
    after = tools.images_of(workspace)
    assert (workspace.root / after[urls[1]]["path"]).is_file()
    assert [after[urls[n]]["path"] for n in (0, 2)] == [before[urls[n]]["path"] for n in (0, 2)]


def test_a_lost_ledger_keeps_the_packed_images(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(3)]
    workspace = make_workspace(urls)
    download(workspace)
    before = tools.images_of(workspace)
    for path in workspace.images_folder.glob("ledger.sqlite*"):
        path.unlink()
    assert download(workspace) == {"packed": 3}
    assert tools.images_of(workspace) == before


def test_folders_that_are_not_whole_go(web, make_workspace, tools) -> None:
    workspace = make_workspace([web.give("/a", tools.jpeg(1))])
    for name in ("00000", ".tmp/00007-1", "spool"):
        (workspace.images_folder / name).mkdir(parents=True)
        (workspace.images_folder / name / "000000000.jpg").write_bytes(b"half")
    (workspace.images_folder / "spool" / ".x.1.part").write_bytes(b"half")
    assert download(workspace) == {"packed": 1}
    left = sorted(
        p.relative_to(workspace.images_folder).as_posix() for p in workspace.images_folder.rglob("*.*")
    )
    assert [name for name in left if "ledger" not in name and name != ".tmp"] == [
        "00000/000000000.jpg", "00000/shard.parquet",
    ]  # fmt: skip


def test_no_matches_is_a_clear_error(make_workspace) -> None:
    workspace = make_workspace([])
    assert download(workspace) == {}
    workspace.matches_path.unlink()
    with pytest.raises(WorkspaceError, match=r"run captrawl .* match first"):
        download(workspace)
    workspace.matches_path.write_bytes(b"PAR1")
    with pytest.raises(WorkspaceError, match=r"matches\.parquet can't be read"):
        download(workspace)


def test_a_second_download_at_once_is_refused(make_workspace) -> None:
    workspace = make_workspace([])
    with workspace.locked("download"), pytest.raises(WorkspaceError, match="another process"):
        download(workspace)


def test_inside_a_running_loop(web, make_workspace, tools) -> None:
    workspace = make_workspace([web.give("/a", b"nothing")])

    async def notebook() -> dict[str, int]:
        return download(workspace)

    assert asyncio.run(notebook()) == {"dropped": 1, "dropped:not_an_image": 1}


def test_ctrl_c_keeps_what_came(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(60)]
    web.delay = 0.1
    workspace = make_workspace(urls)

    def interrupt_in_the_middle() -> None:
        while sum(web.count(f"/{n}") for n in range(60)) < 10:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_in_the_middle, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        download(workspace)
    with Ledger(workspace.ledger_path) as ledger:
        counts = ledger.counts()
    assert counts["spooled"] >= 2
    assert counts["queued"] + counts["spooled"] == 60
    web.delay = 0.0
    assert download(workspace) == {"packed": 60}
    assert all(web.count(f"/{n}") <= 2 for n in range(60))
    assert sum(web.count(f"/{n}") for n in range(60)) <= 64  # what was under way is asked again


def test_a_full_disk_is_a_clear_error_and_loses_nothing(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.encoded(tools.picture(n, 500, 500), "BMP")) for n in range(12)]
    workspace = make_workspace(urls)
    folder = workspace.images_folder
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(DownloadError, match="make room"):
            download(workspace)
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        asked = len(web.hits)
        with Ledger(workspace.ledger_path) as ledger:
            spooled = ledger.counts().get("spooled", 0)
        assert spooled >= 2
        assert download(workspace) == {"packed": 12}
        assert len(web.hits) - asked <= 12 - spooled
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(("limit", "allowed"), [(20_000, 256), (576, 256), (256, 96), (80, 8)])
def test_open_files_bound_the_requests(limit: int, allowed: int) -> None:
    assert in_flight_limit(256, limit) == allowed


def test_too_few_open_files_is_a_clear_error(make_workspace, monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (70, 70))
    with pytest.raises(DownloadError, match="open-file limit is 70"):
        download(make_workspace(["http://127.0.0.1:1025/"]))


def test_few_open_files_are_enough(web, make_workspace, tools, tmp_path) -> None:
    names = tools.Names(**{f"h{n}_example": ["127.0.0.1"] for n in range(150)})
    body = tools.encoded(tools.picture(0, 50, 50))
    web.delay = 0.01
    urls = [web.give(f"/{n}", body).replace("127.0.0.1", f"h{n}.example") for n in range(150)]
    workspace = make_workspace(urls)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 180, hard))
    try:
        counts = download(workspace, resolver=names)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert counts == {"dropped": 150, "dropped:too_small": 150}


AS_SOMEBODY = ["setpriv", "--reuid=60001", "--clear-groups"] + [
    f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")
]
"""Root may have any number of processes; somebody who may open root's files."""


@pytest.mark.parametrize("limit", ["-v 2050000", "-u 6", "-u 16"])
@pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")
def test_a_limit_of_the_machine_is_a_line_and_no_picture_is_lost(web, make_workspace, tools, limit) -> None:
    """No traceback and no crash; least of all good pictures that are undecodable from then on."""
    somebody = AS_SOMEBODY if limit.startswith("-u") else []
    if somebody and (os.geteuid() or not shutil.which("setpriv")):
        pytest.skip("a user without processes is needed, and root to become one")
    workspace = make_workspace([web.give(f"/{n}", tools.jpeg(n)) for n in range(3)])
    command = [*somebody, sys.executable, "-P", "-m", "captrawl", "download"]
    done = subprocess.run(
        ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *command],
        capture_output=True, text=True, check=False, cwd=workspace.root,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"captrawl: {NO_MEMORY}"), done.stderr
    assert "Traceback" not in done.stderr
    counts = download_status(workspace).counts
    assert counts.get("queued", 0) + counts.get("spooled", 0) == 3


def test_a_poisonous_image_is_dropped_alone(web, make_workspace, tools, monkeypatch) -> None:
    from captrawl.indexer.download import session as session
    from captrawl.indexer.pack.pool import PackSettings

    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(20)]
    bad = web.give("/poison", tools.endless_jpeg())
    monkeypatch.setattr(session, "PackSettings", lambda resize: PackSettings(resize=resize, image_seconds=1))
    workspace = make_workspace([*urls[:10], bad, *urls[10:]], max_bytes=200_000_000, deadline=60.0)
    assert download(workspace) == {"packed": 20, "dropped": 1, "dropped:decoder_death": 1}
    assert tools.images_of(workspace)[bad]["reason"] == "decoder_death"


def test_a_vast_header_is_refused_without_its_memory(web, make_workspace, tools) -> None:
    import zlib

    rows = 30_000
    packer = zlib.compressobj(1)
    raw = b"".join(packer.compress(b"\0" * (rows * 3 + 1)) for _ in range(300)) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = rows.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    body = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", raw) + chunk(b"IEND", b"")
    workspace = make_workspace([web.give("/vast.png", body)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert download(workspace) == {"dropped": 1, "dropped:too_many_pixels": 1}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; the pixels are 2.7 GB


def test_nothing_is_printed_and_nothing_heavy_is_imported(web, make_workspace, tools) -> None:
    workspace = make_workspace(
        [web.give("/a.jpg", tools.jpeg(1)), web.give("/b.png", b"\x89PNG\r\n\x1a\n" * 9)]
    )
    code = (
        "import sys\nfrom pathlib import Path\n"
        "import captrawl.indexer.download.stage as d\nfrom captrawl.workspace.workspace import Workspace\n"
        "heavy = {'aiohttp', 'img2dataset', 'wandb', 'torch', 'PIL', 'albumentations'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "counts = d.download(Workspace.open(Path(sys.argv[1])))\n"
        "assert counts == {'packed': 1, 'dropped': 1, 'dropped:not_an_image': 1}, counts\n"
        "assert not {'img2dataset', 'wandb', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(workspace.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_workers_end_with_their_parent(web, make_workspace, tools) -> None:
    """After a SIGKILL no packing worker lives on."""
    workspace = make_workspace([web.give("/a.jpg", tools.jpeg(1))])
    web.delay = 30
    code = (
        "import sys\nfrom pathlib import Path\nfrom captrawl.indexer.download.stage import download\n"
        "from captrawl.workspace.workspace import Workspace\ndownload(Workspace.open(Path(sys.argv[1])))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    found: list[str] = []
    for _ in range(200):
        time.sleep(0.1)
        found = found or children.read_text().split()
        if found and web.hits:
            break
    parent.kill()
    parent.wait()
    assert found
    for _ in range(300):
        if not any(Path(f"/proc/{child}").exists() for child in found):
            break
        time.sleep(0.1)
    assert not [child for child in found if Path(f"/proc/{child}").exists()]
    shutil.rmtree(workspace.root)
