"""A download in parts is the undivided one: a host is one part's, rows end alike, nothing is asked twice."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError, WorkspaceError
from captrawl.indexer.download.parts import downloaded_parts
from captrawl.indexer.download.stage import download, download_part, download_status
from captrawl.indexer.ledger import Ledger
from captrawl.workspace.parts import StagePart
from captrawl.workspace.workspace import State, Workspace

HOSTS = [f"h{n}.test" for n in range(12)]
PARTS = 3


@pytest.fixture
def names(tools: Any) -> Any:
    return tools.Names(**{host.replace(".", "_"): ["127.0.0.1"] for host in HOSTS})


def urls_of(web: Any, tools: Any) -> list[Any]:
    urls: list[Any] = [None, "not a url"]
    for number, host in enumerate(HOSTS):
        for place in range(4):
            web.give(f"/{number}/{place}.jpg", tools.jpeg(10 * number + place))
            urls.append(web.url(f"/{number}/{place}.jpg", host))
        web.give(f"/{number}/no.jpg", tools.jpeg(5), X_Robots_Tag="noai")
        web.give(f"/{number}/tiny.jpg", tools.jpeg(6, width=20, height=20))
        web.give(f"/{number}/same.jpg", tools.jpeg(999))
        urls += [web.url(f"/{number}/{name}.jpg", host) for name in ("no", "tiny", "same", "gone")]
        target = web.url(f"/{(number + 1) % 12}/0.jpg", HOSTS[(number + 1) % 12])
        web.give(f"/{number}/moved.jpg", status=302, Location=target)
        urls.append(web.url(f"/{number}/moved.jpg", host))
    return urls


def ledger(workspace: Workspace) -> list[tuple[Any, ...]]:
    with sqlite3.connect(workspace.ledger_path) as database:
        return database.execute(
            "SELECT url, state, reason, status, final_url, consent, sha256, md5, bytes, width, height "
            "FROM urls ORDER BY url"
        ).fetchall()


def images(workspace: Workspace) -> list[dict[str, Any]]:
    rows = pq.read_table(workspace.images_path).to_pylist()
    for row in rows:
        path = row.pop("path")
        assert (path is not None) is (row["state"] == "packed")
        assert path is None or (workspace.root / path).is_file()
    return rows


def stop_behind_each_step(workspace: Workspace, names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge, stopped behind every kind of change to the ledger in turn."""
    for name in ("settle", "pack", "inherit"):
        step = getattr(Ledger, name)

        def stopped(*arguments: Any, step: Any = step, **options: Any) -> None:
            step(*arguments, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Ledger, name, stopped)
            with pytest.raises(KeyboardInterrupt):
                download(workspace, resolver=names)


def test_the_union_is_the_undivided_download(
    web: Any, make_workspace: Any, tools: Any, names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = urls_of(web, tools)
    whole = make_workspace(urls, name="whole", retries=0)
    counts = download(whole, resolver=names)
    assert counts["packed"] == 12 * 6, "four, the shared one, and the one that moved"
    web.hits.clear()

    divided = make_workspace(urls, name="divided", retries=0)
    asked: dict[str, set[int]] = defaultdict(set)
    for number in range(1, PARTS + 1):
        before = len(web.hits)
        download_part(divided, StagePart(number, PARTS), resolver=names)
        for hit in web.hits[before:]:
            asked[hit.headers["host"]].add(number)
        assert downloaded_parts(divided, PARTS) == set(range(1, number + 1))
    assert len(asked) == 12
    assert all(len(parts) == 1 for parts in asked.values()), "a host is one part's"
    assert len({min(parts) for parts in asked.values()}) == PARTS
    assert not divided.ledger_path.exists(), "no part writes the workspace's own ledger"

    before = len(web.hits)
    stop_behind_each_step(divided, names, monkeypatch)
    assert len(web.hits) == before
    assert download(divided, resolver=names) == counts
    assert ledger(divided) == ledger(whole)
    assert images(divided) == images(whole)
    assert download_status(divided).state is State.DONE
    moved = {hit.target.rpartition("/")[2] for hit in web.hits[before:]}
    assert moved == {"moved.jpg", "0.jpg"}, "the merge asks what crosses from one part's host to another's"
    assert not (divided.root / "parts" / "download").exists()
    before = len(web.hits)
    assert download(divided, resolver=names) == counts
    assert len(web.hits) == before


def test_a_merge_waits_for_every_part(web: Any, make_workspace: Any, tools: Any, names: Any) -> None:
    urls = urls_of(web, tools)
    workspace = make_workspace(urls, retries=0)
    download_part(workspace, StagePart(2, 3), resolver=names)
    with pytest.raises(WorkspaceError, match=r"lacks part 1, 3 of 3; run captrawl download --part 1/3"):
        download(workspace, resolver=names)
    with pytest.raises(InputError, match=r"contains parts of 3"):
        download_part(workspace, StagePart(1, 4), resolver=names)
    hits = len(web.hits)
    download_part(workspace, StagePart(2, 3), resolver=names)
    assert len(web.hits) == hits, "what a part has got isn't asked again"
    make_workspace(urls[:40], retries=0)
    assert downloaded_parts(workspace, 3) == set(), "of other matches"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"until": 5}, r"until = 5 counts"), ({"mirrors": ["h1.test -> http://127.0.0.1/"]}, "mirror_owner")],
)
def test_what_cannot_be_divided(make_workspace: Any, settings: dict[str, Any], words: str) -> None:
    workspace = make_workspace(["http://h1.test/a.jpg"], **settings)
    with pytest.raises(InputError, match=words):
        download_part(workspace, StagePart(1, 2))


def test_purge_waits_for_the_merge(web: Any, make_workspace: Any, tools: Any) -> None:
    from captrawl.purge.run import purge

    workspace = make_workspace([web.give("/a.jpg", tools.jpeg())])
    workspace.root.joinpath("parts", "download", "001-of-002").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=r"parts that aren't merged"):
        purge(workspace, None)
