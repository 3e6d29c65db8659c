"""A download asks every site once what it says as a whole, obeys, and keeps the answer."""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any

import pytest
from captrawl.indexer.download.stage import download
from captrawl.workspace.workspace import Workspace

NO = b"User-agent: *\nDisallow: /private\nContent-Signal: search=yes\n"


def rows(workspace: Workspace) -> dict[str, tuple[Any, ...]]:
    with sqlite3.connect(workspace.ledger_path) as database:
        answer = database.execute("SELECT url, state, reason, consent FROM urls").fetchall()
    return {url: rest for url, *rest in answer}


def site(workspace: Workspace) -> list[tuple[Any, ...]]:
    with sqlite3.connect(workspace.ledger_path) as database:
        return database.execute("SELECT status, robots, tdmrep FROM sites").fetchall()


def test_what_robots_forbids_is_never_asked(web: Any, make_workspace: Any, tools: Any) -> None:
    web.give("/robots.txt", NO)
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(6)]
    private = web.give("/private/a.jpg", tools.jpeg(9))
    workspace = make_workspace([*urls, private])
    assert download(workspace)["packed"] == 6
    assert web.count("/private/a.jpg") == 0
    assert web.count("/robots.txt") == web.count("/.well-known/tdmrep.json") == 1
    state, reason, consent = rows(workspace)[private]
    assert (state, reason) == ("refused", "robots_txt")
    assert "*: disallow: /private" in consent
    assert site(workspace) == [(200, NO.decode(), "")]
    download(workspace)
    assert web.count("/robots.txt") == 1, "a day's answer serves the next run too"


@pytest.mark.parametrize(
    ("status", "packed", "reason"),
    [(404, 1, None), (403, 1, None), (500, 0, "robots_unreachable"), (429, 0, "robots_unreachable")],
)
def test_a_robots_that_is_not_there(
    web: Any, make_workspace: Any, tools: Any, status: int, packed: int, reason: str | None
) -> None:
    web.give("/robots.txt", b"User-agent: *\nDisallow: /", status)
    url = web.give("/a.jpg", tools.jpeg())
    workspace = make_workspace([url], retries=0)
    assert download(workspace).get("packed", 0) == packed
    assert web.count("/a.jpg") == packed
    assert rows(workspace)[url][1] == reason


def test_a_site_that_asks_for_a_pause_in_place_of_robots_gets_it(
    web: Any, make_workspace: Any, tools: Any
) -> None:
    web.give("/robots.txt", status=503, Retry_After="7200")
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(8)]
    workspace = make_workspace(urls, retries=1)
    assert download(workspace) == {"queued": 8}, "longer than a run waits"
    assert (web.count("/robots.txt"), web.hits) == (1, [])


def gaps(web: Any) -> list[float]:
    times = sorted(hit.at for hit in web.hits)
    return [after - before for before, after in itertools.pairwise(times)]


def test_a_host_is_asked_as_fast_as_its_robots_says(web: Any, make_workspace: Any, tools: Any) -> None:
    web.give("/robots.txt", b"User-agent: *\nCrawl-delay: 0.3")
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(6)]
    web.give("/moved.jpg", status=302, Location="/0.jpg")
    assert download(make_workspace([*urls, web.url("/moved.jpg")])) == {"packed": 7}
    assert len(web.hits) == 8
    assert min(gaps(web)) >= 0.15  # as they came, which isn't as they were sent
    assert sum(gaps(web)) >= 7 * 0.29
    assert min(hit.at for hit in web.hits) - max(hit.at for hit in web.site_hits) >= 0.2
    web.hits.clear()
    more = [web.give(f"/more{n}.jpg", tools.jpeg(10 + n)) for n in range(6)]
    unheard = make_workspace([*urls, *more], honour=["x-robots-tag"])
    assert download(unheard)["packed"] == 12
    assert sum(gaps(web)) < 0.3 * 5


def test_a_host_of_one_picture_an_hour_is_left_to_other_runs(
    web: Any, make_workspace: Any, tools: Any
) -> None:
    web.give("/robots.txt", b"User-agent: *\nRequest-rate: 1/1h")
    workspace = make_workspace([web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(5)], retries=1)
    assert download(workspace) == {"queued": 5}
    assert not web.hits


def test_a_host_that_has_too_many_requests_is_asked_half_as_fast(
    web: Any, make_workspace: Any, tools: Any
) -> None:
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(6)]
    for n in (1, 2):
        web.handle(f"/{n}.jpg", tools.whole(b"", 429), tools.whole(tools.jpeg(n)))
    workspace = make_workspace(urls, retries=1, retry_after=0.1, threads=1)
    assert download(workspace) == {"packed": 6}
    times = [hit.at for hit in web.hits]
    first, second = [place for place, hit in enumerate(web.hits) if hit.target in {"/1.jpg", "/2.jpg"}][:2]
    assert times[first + 1] - times[first] >= 0.9
    assert times[second + 1] - times[second] >= 1.9
    assert times[-1] - times[-2] < 0.9


@pytest.mark.parametrize(("hops", "packed"), [(5, 0), (6, 1)])
def test_redirects_of_robots_are_followed_five_times(
    web: Any, make_workspace: Any, tools: Any, hops: int, packed: int
) -> None:
    names = ["/robots.txt", *(f"/r{n}" for n in range(1, hops + 1))]
    for name, following in itertools.pairwise(names):
        web.give(name, status=302, Location=following)
    web.give(names[-1], b"User-agent: *\nDisallow: /")
    workspace = make_workspace([web.give("/a.jpg", tools.jpeg())])
    assert download(workspace).get("packed", 0) == packed


def test_a_redirect_to_a_site_that_forbids_it(web: Any, make_workspace: Any, tools: Any) -> None:
    other = f"http://localhost:{web.port}"
    web.give("/robots.txt", b"User-agent: *\nDisallow: /there")
    start = web.give("/a.jpg", status=302, Location=f"{other}/there/a.jpg")
    web.give("/there/a.jpg", tools.jpeg())
    workspace = make_workspace([start])
    download(workspace)
    assert web.count("/there/a.jpg") == 0
    assert rows(workspace)[start][:2] == ["refused", "robots_txt"]
    assert len(site(workspace)) == 2


def test_tdmrep_reserves_and_a_signal_can_be_turned_off(web: Any, make_workspace: Any, tools: Any) -> None:
    web.give("/.well-known/tdmrep.json", b'[{"location": "/", "tdm-reservation": 1}]')
    url = web.give("/a.jpg", tools.jpeg())
    workspace = make_workspace([url])
    download(workspace)
    state, reason, consent = rows(workspace)[url]
    assert (state, reason, consent[:11]) == ("refused", "tdm_reservation", "tdmrep.json")
    assert web.count("/a.jpg") == 0
    others = ["robots-txt", "content-signal", "content-usage", "x-robots-tag"]
    workspace = make_workspace([url], honour=others)
    assert download(workspace)["packed"] == 1, "what only that signal refused is asked now"
    lock = (workspace.root / "captrawl.lock.json").read_text()
    assert '"honour"' in lock, "and what is honoured stands in the lock file"


def test_nothing_is_asked_of_a_site_whose_word_is_not_honoured(
    web: Any, make_workspace: Any, tools: Any
) -> None:
    workspace = make_workspace([web.give("/a.jpg", tools.jpeg())], honour=["x-robots-tag"])
    assert download(workspace)["packed"] == 1
    assert ([hit.target for hit in web.hits], web.site_hits) == (["/a.jpg"], [])
