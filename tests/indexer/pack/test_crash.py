"""SIGKILL at random moments of a download: the rerun ends where an undisturbed run ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from captrawl.indexer.download.stage import download
from captrawl.indexer.ledger import Ledger
from captrawl.workspace.workspace import Workspace

KILLS = 12
CODE = (
    "import sys\nfrom pathlib import Path\nfrom captrawl.indexer.pack import queue\n"
    "from captrawl.indexer.download.stage import download\n"
    "from captrawl.workspace.workspace import Workspace\n"
    "queue.A_SHARD = 25\n"  # many small folders: more commits to be killed in
    "download(Workspace.open(Path(sys.argv[1])))\n"
)
KEPT = ("state", "reason", "status", "width", "height", "sha256", "md5")


def outcome(workspace: Workspace, tools) -> dict[str, tuple]:
    return {url: tuple(row[name] for name in KEPT) for url, row in tools.images_of(workspace).items()}


def test_killed_at_random_and_resumed(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n % 150, 200 + n % 7, 150)) for n in range(200)]
    urls += [web.give(f"/cut{n}", tools.jpeg(n)[:-50]) for n in range(5)]
    urls += [web.give(f"/noai{n}", tools.jpeg(n), X_Robots_Tag="noai") for n in range(5)]
    urls += [web.url(f"/gone{n}") for n in range(20)]
    urls += [web.give(f"/busy{n}", b"", 500) for n in range(3)]
    urls += [web.give(f"/to{n}", status=302, Location=f"/{n}.jpg") for n in range(20)]
    random.Random(1).shuffle(urls)
    quiet = make_workspace(urls, name="quiet")
    started = time.monotonic()
    counts = download(quiet)
    lasted = time.monotonic() - started
    assert counts == {
        "packed": 163, "failed": 23, "failed:http_404": 20, "failed:http_500": 3, "refused": 5,
        "refused:x_robots_tag": 5, "dropped": 62, "dropped:truncated": 5, "dropped:duplicate": 57,
    }  # fmt: skip
    web.hits.clear()

    killed = make_workspace(urls, name="killed")
    rng = random.Random(os.environ.get("CAPTRAWL_SEED", "7"))
    alive = 0
    web.delay = 0.005
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(killed.root)], stderr=subprocess.PIPE, text=True
        )
        try:
            process.wait(0.5 + rng.random() * max(2.0, lasted))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        alive += process.returncode == 0
    web.delay = 0.0
    assert alive < KILLS, "no run was killed: the moments are too late"
    assert download(killed) == counts
    assert outcome(killed, tools) == outcome(quiet, tools)

    images = tools.images_of(killed)
    paths = {row["sha256"]: row["path"] for row in images.values() if row["path"]}
    assert len(set(paths.values())) == len(paths)
    there = {p.relative_to(killed.root).as_posix() for p in killed.images_folder.rglob("*.jpg")}
    assert there == set(paths.values())
    by_hash = {row["sha256"]: row["path"] for row in tools.images_of(quiet).values() if row["path"]}
    for sha256, path in paths.items():
        assert (killed.root / path).read_bytes() == (quiet.root / by_hash[sha256]).read_bytes()
    assert not any((killed.images_folder / "spool").iterdir())
    # Only what was under way or not yet noted at a kill was asked again.
    asked = {}
    for hit in web.hits:
        asked[hit.target] = asked.get(hit.target, 0) + 1
    again = sum(count - 1 for target, count in asked.items() if target.startswith(("/gone", "/noai")))
    assert again <= 25 * KILLS


def test_killed_between_the_rename_and_the_ledger(web, make_workspace, tools) -> None:
    """A whole folder that the ledger doesn't know is adopted, not packed again."""
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(4)]
    workspace = make_workspace(urls)
    download(workspace)
    before = tools.images_of(workspace)
    stamps = {path: path.stat().st_mtime_ns for path in workspace.images_folder.rglob("*.jpg")}
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction() as database:
        database.execute("UPDATE files SET state = 'spooled', path = NULL, width = NULL, height = NULL")
        database.execute("UPDATE urls SET state = 'spooled'")
    for n in range(4):
        name = before[urls[n]]["sha256"]
        (workspace.images_folder / "spool" / name).write_bytes(tools.jpeg(n))
    hits = len(web.hits)
    assert download(workspace) == {"packed": 4}
    assert tools.images_of(workspace) == before
    assert {path: path.stat().st_mtime_ns for path in workspace.images_folder.rglob("*.jpg")} == stamps
    assert len(web.hits) == hits
    assert not any((workspace.images_folder / "spool").iterdir())


def test_killed_before_packing(web, make_workspace, tools) -> None:
    """What is spooled is packed without being asked for again; what is leased is asked."""
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(4)]
    workspace = make_workspace(urls)
    download(workspace)
    before = tools.images_of(workspace)
    with Ledger(workspace.ledger_path) as ledger, ledger.transaction() as database:
        database.execute("UPDATE files SET state = 'spooled', path = NULL")
        database.execute("UPDATE urls SET state = 'spooled'")
        database.execute("UPDATE urls SET state = 'leased', sha256 = NULL WHERE url = ?", (urls[3],))
    for path in (workspace.images_folder / "00000").iterdir():
        path.unlink()
    for n in range(3):
        (workspace.images_folder / "spool" / before[urls[n]]["sha256"]).write_bytes(tools.jpeg(n))
    assert download(workspace) == {"packed": 4}
    assert [web.count(f"/{n}.jpg") for n in range(4)] == [1, 1, 1, 2]
    after = tools.images_of(workspace)
    for url in urls:
        assert [after[url][name] for name in KEPT] == [before[url][name] for name in KEPT]
