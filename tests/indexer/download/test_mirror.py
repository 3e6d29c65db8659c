"""Mirrors: asked once, before the URL itself, and by the same rules."""

from __future__ import annotations

import pytest
from captrawl.core.errors import InputError, SettingsError
from captrawl.indexer.download.mirror import MirrorQueue, MirrorRules
from captrawl.indexer.download.stage import download
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.outcomes import FetchResult
from captrawl.workspace.settings import parse_settings


def consents(workspace) -> dict[str, str]:
    with Ledger(workspace.ledger_path) as ledger:
        return dict(ledger.database.execute("SELECT url, consent FROM urls"))


def test_a_mirror_is_asked_once_and_the_web_for_the_rest(web, make_workspace, tools) -> None:
    for name in ("a", "b", "c", "d"):
        web.give(f"/w/{name}.jpg", tools.jpeg(1))
    web.give("/m/a.jpg", tools.jpeg(2))
    web.give("/m/b.jpg", status=503)
    web.give("/m/c.jpg", tools.jpeg(3), X_Robots_Tag="noai")
    web.give("/w/e/x.jpg", tools.jpeg(4))
    web.give("/n/x.jpg", tools.jpeg(5))
    web.give("/other.jpg", tools.jpeg(6))
    urls = [web.url(f"/w/{name}") for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e/x.jpg")]
    rules = [f"{web.url('/w/')} -> {web.url('/m/')}", f"{web.url('/w/e/')}->{web.url('/n/')}"]
    workspace = make_workspace([*urls, web.url("/other.jpg")], mirrors=rules)
    counts = {"packed": 5, "refused": 1, "refused:x_robots_tag": 1}
    assert download(workspace) == counts
    assert sorted(hit.target for hit in web.hits) == sorted(
        ["/m/a.jpg", "/m/b.jpg", "/w/b.jpg", "/m/c.jpg", "/m/d.jpg", "/w/d.jpg", "/n/x.jpg", "/other.jpg"]
    )
    assert download(workspace) == counts
    assert len(web.hits) == 8


def test_a_vouched_mirror_may_be_private_and_isnt_asked_for_consent(web, make_workspace, tools) -> None:
    web.give("/m/a.jpg", tools.jpeg(2), X_Robots_Tag="noai")
    web.give("/m/b.jpg", status=404)
    urls = ["http://img.invalid/a.jpg", web.url("/w/b.jpg")]
    rules = [f"img.invalid -> {web.url('/m/')}", f"127.0.0.1:{web.port} -> {web.url('/m/')}"]
    workspace = make_workspace(urls, mirrors=rules, mirror_owner="our library", allow_private=False)
    assert download(workspace) == {"packed": 1, "refused": 1, "refused:private_address": 1}
    assert consents(workspace)[urls[0]] == "unchecked: mirror of our library"
    assert [hit.target for hit in web.hits] == ["/m/a.jpg", "/m/w/b.jpg"]


def test_a_private_mirror_without_an_owner_is_left_alone(web, make_workspace, tools) -> None:
    web.give("/m/a.jpg", tools.jpeg(2))
    rules = [f"img.invalid -> {web.url('/m/')}"]
    workspace = make_workspace(["http://img.invalid/a.jpg"], mirrors=rules, allow_private=False, retries=0)
    counts = download(workspace, resolver=tools.Names())
    assert counts == {"failed": 1, "failed:dns": 1}
    assert not web.hits


def test_without_the_web_the_mirrors_reason_stands(web, make_workspace, tools) -> None:
    rules = [f"img.invalid -> {web.url('/m/')}"]
    urls = ["http://img.invalid/a.jpg", "http://elsewhere.invalid/b.jpg"]
    workspace = make_workspace(urls, mirrors=rules, sources=["mirror"])
    counts = {"failed": 2, "failed:http_404": 1, "failed:no_source": 1}
    assert download(workspace) == counts
    assert download(workspace) == counts
    assert web.count("/m/a.jpg") == 1


def test_what_was_asked_in_vain_is_not_asked_again_after_a_kill(tmp_path) -> None:
    rules = MirrorRules.of(["img.invalid -> http://mirror.invalid/"])
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with ledger.transaction():
            ledger.enqueue([(f"http://img.invalid/{n}", n % 7, 1, 0) for n in range(40)])
            ledger.enqueue([("http://other.invalid/", 0, 1, 0)])
            ledger.note(generation="1")
        queue = MirrorQueue(ledger, rules)
        jobs = queue.lease(15) + queue.lease(15) + queue.lease(15)
        assert sorted(job.url for job in jobs) == sorted(f"http://mirror.invalid/{n}" for n in range(40))
        assert (queue.lease(15), queue.next_due()) == ([], None)
        queue.settle([FetchResult(job.id, "http_404") for job in jobs[:30]], retries=1, retry_after=1.0)
        ledger.release()  # as the next process does
        again = MirrorQueue(ledger, rules).lease(100)
        assert sorted(job.id for job in again) == sorted(job.id for job in jobs[30:])
        assert ledger.counts() == {"queued": 41}


@pytest.mark.parametrize("line", ["img.invalid", "img.invalid -> ftp://x/", "-> http://x/", "a -> b"])
def test_a_rule_that_is_none_is_an_error(line) -> None:
    with pytest.raises(InputError, match="must be 'HOST"):
        MirrorRules.of([line])


@pytest.mark.parametrize(
    ("sources", "words"),
    [(["web", "mirror"], "'mirror' before 'web'"), (["web", "web"], "each source once"), ([], "at least 1")],
)
def test_an_order_that_cannot_be_is_an_error(sources, words) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_settings({"captions": {"index": "x"}, "download": {"sources": sources}}, "captrawl.toml")
