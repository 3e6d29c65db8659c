"""Until enough: classes of every rot reach N usable images or run dry, and nothing is asked twice."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from captrawl.classes.files import save_classes
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.cli import app
from captrawl.indexer.download.session import finish, open_session
from captrawl.indexer.download.stage import download, download_status
from captrawl.indexer.download.until import PoolEnd, open_rounds, rows_needed, sufficiency_of
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.ledger_pools import ClassPool
from captrawl.indexer.outcomes import Body, FetchResult, PackedFile
from captrawl.workspace import pipeline
from captrawl.workspace.settings import sample_settings, save_settings
from captrawl.workspace.settings_edits import edit_settings
from captrawl.workspace.workspace import State, Workspace
from typer.testing import CliRunner


@pytest.mark.parametrize(
    ("images", "ended", "pending", "needed"),
    [
        (0, 0, 0, 100),  # nothing is known: what is missing
        (0, 0, 30, 70),  # another class called for some already
        (100, 157, 0, 0),
        (63, 100, 0, 59),  # 37 missing at 63 %
        (63, 100, 60, 0),
        (50, 100, 0, 100),
        (10, 100, 0, 180),  # 900 at 10 %, but at most twice the missing …
        (10, 400, 0, 400),  # … or as many as were asked so far
        (0, 100, 0, 200),
        (0, 800, 0, 800),
    ],
)
def test_what_a_class_needs_next(images: int, ended: int, pending: int, needed: int) -> None:
    assert rows_needed(ClassPool(1, images, ended, 0, pending), 100) == needed


def test_at_most_twice_the_urls_are_asked_that_are_needed() -> None:
    """Pools with any rot in any order: 300 of them, asked round by round."""
    rng = random.Random(5)
    for _ in range(300):
        share, n = rng.choice([0.0, 0.1, 0.4, 0.63, 0.9, 1.0]), rng.randint(1, 60)
        rows = [rng.random() < share for _ in range(rng.randint(1, 600))]
        in_order = rng.random() < 0.3
        if in_order:
            rows.sort(reverse=rng.random() < 0.5)
        asked = rounds = 0
        while (number := rows_needed(ClassPool(1, sum(rows[:asked]), asked, 0), n)) and asked < len(rows):
            asked, rounds = min(len(rows), asked + number), rounds + 1
        enough = [place + 1 for place in range(len(rows)) if sum(rows[: place + 1]) == n]
        assert asked == len(rows) if not enough else enough[0] <= asked <= 2 * enough[0]
        assert in_order or rounds < 20


def rotten(web, tools, name: str, rows: int, rot: float) -> list[dict]:
    """URLs of a class whose every so manieth is dead, in one of several ways."""
    made = []
    for n in range(rows):
        path = f"/{name}/{n}.jpg"
        if int((n + 1) * rot) > int(n * rot):
            kind = n % 3
            url = (
                web.url(path)
                if kind == 0
                else web.give(path, b"<html>", 200)
                if kind == 1
                else web.give(path, tools.jpeg(n), X_Robots_Tag="noai")
            )
        else:
            url = web.give(path, tools.jpeg(hash_of(name) + n))
        made.append({"url": url, "synonym": name})
    return made


def hash_of(name: str) -> int:
    return sum(map(ord, name)) * 1000


def classes_of(*pools: list[dict]) -> list[dict]:
    return [{**row, "class_id": number} for number, pool in enumerate(pools) for row in pool]


def test_classes_of_every_rot_get_enough_or_run_dry(web, make_workspace, tools) -> None:
    pools = [rotten(web, tools, f"rot{rot}", 120, rot / 100) for rot in (0, 10, 50, 90, 100)]
    workspace = make_workspace(classes_of(*pools), until=20)
    counts = download(workspace)
    done = sufficiency_of(workspace.recorded("download"))
    assert done is not None
    assert done.n == 20
    ends = [(one.id, one.end) for one in done.classes]
    assert ends == [(0, "enough"), (1, "enough"), (2, "enough"), (3, "pool dry"), (4, "pool dry")]
    images = {one.id: one.images for one in done.classes}
    assert images[0] == 20
    assert (images[3], images[4]) == (12, 0)
    needed = {0: 20, 1: 22, 2: 40, 3: 120, 4: 120}
    asked = Counter(hit.target.split("/")[1] for hit in web.hits)
    for one in done.classes:
        name = pools[one.id][0]["synonym"]
        assert asked[name] == one.asked_urls
        assert needed[one.id] <= one.asked_urls <= 2 * needed[one.id]
    assert max(Counter(hit.target for hit in web.hits).values()) == 1
    assert counts["not_asked"] == 600 - sum(asked.values())
    assert "queued" not in counts
    status = download_status(workspace)
    assert (status.state, status.counts) == (State.DONE, counts)
    hits = len(web.hits)
    assert download(workspace) == counts
    assert len(web.hits) == hits
    table = tools.images_of(workspace)
    assert Counter(row["state"] for row in table.values())["queued"] == counts["not_asked"]


def test_a_row_of_two_classes_counts_for_both_and_copies_count_once(web, make_workspace, tools) -> None:
    shared = [{"url": web.give(f"/s{n}", tools.jpeg(n)), "class_id": 1, "priority": n} for n in range(10)]
    same = [{"url": web.give(f"/c{n}", tools.jpeg(99)), "class_id": 2, "priority": n} for n in range(6)]
    rest = [
        {"url": web.give(f"/r{n}", tools.jpeg(100 + n)), "class_id": 2, "priority": 50 + n} for n in range(10)
    ]
    rows = [*shared, *same, *({**row, "class_id": 2} for row in shared[4:]), *rest]
    workspace = make_workspace(rows, until=5)
    download(workspace)
    done = sufficiency_of(workspace.recorded("download"))
    assert done is not None
    assert [(one.id, one.end) for one in done.classes] == [(1, "enough"), (2, "enough")]
    assert [web.count(f"/s{n}") for n in range(5)] == [1] * 5  # class 1's first five
    # Class 2: five with the shared s4, of which four are one image; then six: two copies, s5 to s8.
    assert (done.classes[1].images, done.classes[1].asked_urls) == (6, 11)
    assert not any(hit.target.startswith("/r") for hit in web.hits)
    assert max(Counter(hit.target for hit in web.hits).values()) == 1


@pytest.mark.parametrize(("sample", "first"), [(2000, [5, 3, 8]), ("all", [0, 1, 3])])
def test_the_order_is_the_matches_or_priority_where_all_rows_are_taken(
    sample, first, make_workspace, tmp_path: Path
) -> None:
    rows = [{"url": f"http://h.invalid/{n}", "priority": n} for n in (5, 3, 8, 0, 7, 1)]
    workspace = make_workspace(rows, until=3)
    edit_settings(workspace.settings_path, {"match": {"sample": sample}})
    with open_session(workspace) as session:
        assert open_rounds(session) is not None
        assert {job.url for job in session.ledger.lease(10)} == {f"http://h.invalid/{n}" for n in first}
    with Ledger(workspace.ledger_path) as ledger:  # a process that ends here called for these all the same
        ledger.release()
        assert ledger.queued() == 3


def test_more_is_asked_when_more_is_wanted(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(12)]
    workspace = make_workspace(urls, until=2)
    assert download(workspace) == {"packed": 2, "not_asked": 10}
    make_workspace(urls, until=5)
    status = download_status(workspace)
    assert (status.state, status.reason) == (
        State.PARTIAL, "fetched until 2 images per class, the settings ask for 5 images per class",
    )  # fmt: skip
    assert download(workspace) == {"packed": 5, "not_asked": 7}
    make_workspace(urls, until=3)
    assert download_status(workspace).state is State.DONE
    make_workspace(urls)
    assert download_status(workspace).reason.endswith("the settings ask for every URL")
    assert download(workspace) == {"packed": 12}
    assert download_status(workspace).state is State.DONE
    assert len(web.hits) == 12
    make_workspace(urls, until=3)
    assert download_status(workspace).state is State.DONE


def test_a_setting_that_frees_rows_asks_no_more_than_is_needed(web, make_workspace, tools) -> None:
    urls = [web.give(f"/{n}", tools.jpeg(n)) for n in range(20)]
    workspace = make_workspace(urls, until=3, allow_private=False)
    assert download(workspace) == {"refused": 20, "refused:private_address": 20}
    make_workspace(urls, until=3)
    assert download(workspace) == {"not_asked": 17, "packed": 3}
    assert len(web.hits) == 3


def test_a_class_that_waits_for_a_host_says_so_and_goes_on_later(web, make_workspace, tools) -> None:
    names = tools.Names(slow_example=["127.0.0.1"], fine_example=["127.0.0.1"])
    busy = [web.url(f"/slow{n}", "slow.example") for n in range(4)]
    for n in range(4):
        web.give(f"/slow{n}", b"", 503, Retry_After="86400")
    fine = [web.url(f"/{n}", "fine.example") for n in range(2)]
    for n in range(2):
        web.give(f"/{n}", tools.jpeg(n))
    workspace = make_workspace([*busy, *fine], until=3)
    counts = download(workspace, resolver=names)
    done = sufficiency_of(workspace.recorded("download"))
    assert done is not None
    assert done.classes[0].end is PoolEnd.WAITING
    assert (counts["packed"], counts["queued"]) == (2, 4)
    assert download_status(workspace).state is State.PARTIAL
    for n in range(4):
        web.give(f"/slow{n}", tools.jpeg(10 + n))
    with Ledger(workspace.ledger_path) as ledger:
        ledger.database.execute("UPDATE urls SET next_try = 1 WHERE state = 'queued'")
    download(workspace, resolver=names)
    done = sufficiency_of(workspace.recorded("download"))
    assert done is not None
    assert done.classes[0].end is PoolEnd.ENOUGH


def test_a_round_looks_into_archives_first(web, make_workspace, tools, tmp_path: Path) -> None:
    urls = [web.url(f"/{n}") for n in range(20)]
    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        for n in range(0, 20, 2):
            for name, data in (
                (f"{n}.jpg", tools.jpeg(n)),
                (f"{n}.json", json.dumps({"url": urls[n]}).encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    for n in range(3, 20, 4):
        web.give(f"/{n}", tools.jpeg(n))
    workspace = make_workspace(urls, until=6, archives=[str(tmp_path / "00000.tar")])
    assert download(workspace) == {"packed": 7, "failed": 2, "failed:http_404": 2, "not_asked": 11}
    # Six first: three of the tar, one of the web, two dead; then three for the two that are missing.
    assert sorted(hit.target for hit in web.hits) == ["/1", "/3", "/5", "/7"]


RUN = (
    "import sys; from pathlib import Path\n"
    "from captrawl.indexer.download.stage import download\n"
    "from captrawl.workspace.workspace import Workspace\n"
    "if __name__ == '__main__': download(Workspace(Path(sys.argv[1])))\n"
)


def test_killed_and_resumed_it_ends_alike(web, make_workspace, tools, tmp_path: Path) -> None:
    pools = [rotten(web, tools, f"rot{rot}", 60, rot / 100) for rot in (10, 50, 100)]
    rows = classes_of(*pools)
    rows += [{**row, "class_id": 1} for row in pools[0][30:40]]
    calm = make_workspace(rows, name="calm", until=15)
    download(calm)
    expected = sorted(hit.target for hit in web.hits)
    disturbed = make_workspace(rows, name="disturbed", until=15)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    web.hits.clear()
    web.delay = 0.02
    ended: list[tuple[int, set[str]]] = []
    for hits in (10, 24):
        begun = len(web.hits)
        process = subprocess.Popen([sys.executable, str(script), str(disturbed.root)], start_new_session=True)
        while process.poll() is None and len(web.hits) < begun + hits:
            time.sleep(0.005)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with Ledger(disturbed.ledger_path) as ledger:
            rows_now = ledger.database.execute("SELECT url FROM urls WHERE state NOT IN ('queued', 'leased')")
            ended.append((len(web.hits), {url.partition("/rot")[2] for (url,) in rows_now}))
    web.delay = 0.0
    counts = download(disturbed)
    assert counts == calm.recorded("download").counts
    assert sufficiency_of(disturbed.recorded("download")) == sufficiency_of(calm.recorded("download"))
    assert sorted({hit.target for hit in web.hits}) == expected
    for hits, paths in ended:
        assert not paths & {hit.target.removeprefix("/rot") for hit in web.hits[hits:]}
    assert ended[-1][1]
    alike = [
        {url: (row["state"], row["reason"], row["sha256"]) for url, row in tools.images_of(one).items()}
        for one in (calm, disturbed)
    ]
    assert alike[0] == alike[1]


def test_the_command_names_the_classes_that_are_short(web, make_workspace, tools) -> None:
    pools = [rotten(web, tools, f"rot{rot}", 6, rot / 100) for rot in (0, 50, 100)]
    workspace = make_workspace(classes_of(*pools))
    names = [
        ClassEntry(n, name, (Synonym(name),)) for n, name in enumerate(("finch", "wren", "okapi", "lynx"))
    ]
    save_classes(tuple(names), workspace.classes_path())
    command = ["-C", str(workspace.root), "download", "--until", "4"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "until 4: 1 of 4 classes have enough", "pool dry: okapi 0, lynx 0, wren 3",
    ]  # fmt: skip
    assert workspace.settings().download.until == 4
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert told["until"] == {
        "n": 4,
        "classes": [
            {"id": 0, "name": "finch", "images": 4, "asked": 4, "end": "enough"},
            {"id": 1, "name": "wren", "images": 3, "asked": 6, "end": "pool dry"},
            {"id": 2, "name": "okapi", "images": 0, "asked": 6, "end": "pool dry"},
            {"id": 3, "name": "lynx", "images": 0, "asked": 0, "end": "pool dry"},
        ],
    }
    refused = CliRunner().invoke(app, [*command, "--plan-only"])
    assert (refused.exit_code, "--until 4 is about fetching" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("choices", "state"),
    [
        ([{"method": "Random", "n": 2}], State.DONE),
        ([{"rank": "random", "n": 1, "name": "a"}, {"method": "Random", "n": 2, "name": "b"}], State.DONE),
        ([{"method": "Random", "n": 3}], State.PARTIAL),  # more than there is
        ([{"method": "T2T-rank", "n": 2}], State.PARTIAL),
        ([{"method": "Random", "n": 2, "threshold": 0.2}], State.PARTIAL),
        ([{"method": "Random", "n": 2, "dedup": 0.9}], State.PARTIAL),
        ([{"method": "Random", "n": 2, "name": "a"}, {"n": 2, "name": "b"}], State.PARTIAL),
        ([], State.PARTIAL),
    ],
)
def test_a_run_ends_at_n_where_no_image_is_ranked(choices, state, fetched_until_two) -> None:
    workspace = fetched_until_two
    settings = workspace.settings().model_copy(update={"sample": [sample_settings(**one) for one in choices]})
    save_settings(settings, workspace.settings_path)
    save_classes((ClassEntry(0, "dog", (Synonym("dog"),)),), workspace.classes_path())
    stages = {stage.stage: stage for stage in pipeline.status(workspace)}
    assert stages["download"].state is state, stages["download"].reason


@pytest.fixture
def fetched_until_two(web, make_workspace, tools) -> Workspace:
    """A download until 2 that ended, whose settings ask for every match."""
    urls = [web.url(f"/{n}") for n in range(4)]
    workspace = make_workspace(urls)
    with open_session(workspace.overriding({"download": {"until": 2}})) as session:
        rounds = open_rounds(session)
        assert rounds is not None
        for job in session.ledger.lease(2):
            body = Body.of(b"%d" % job.id, 100, 100)
            session.ledger.settle([FetchResult(job.id, body=body)], retries=0, retry_after=0.0)
            session.ledger.pack([PackedFile(body.sha256, f"images/00000/{job.id}.jpg")])
        assert not rounds.call()
        rounds.finish()
        finish(session)
    return workspace
