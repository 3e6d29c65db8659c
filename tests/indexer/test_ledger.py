"""The ledger, the hosts and the memory budget, each alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import DownloadError, WorkspaceError
from captrawl.indexer.download.enqueue import enqueue_matches, matches_digest
from captrawl.indexer.fetch.body import MemoryBudget, MemoryShare
from captrawl.indexer.fetch.host_queue import HostQueue
from captrawl.indexer.ledger import Ledger
from captrawl.indexer.outcomes import (
    STATES,
    Body,
    FetchJob,
    FetchResult,
    PackedFile,
    Reason,
    UrlState,
    is_transient,
    state_of,
)


@pytest.fixture
def ledger(tmp_path, tools):
    """Three URLs, in priority order b, c, a."""
    rows = [
        {"url": "a", "priority": 9},
        {"url": "b", "priority": -9},
        {"url": "c"},
        {"url": "b", "priority": 99},
    ]
    pq.write_table(tools.match_table(rows), tmp_path / "matches.parquet")
    with Ledger(tmp_path / "images" / "ledger.sqlite") as made:
        enqueue_matches(made, tmp_path / "matches.parquet", digest="1", blocked_uids=frozenset())
        yield made


def body(name: str = "s") -> Body:
    return Body(name * 64, "1", "m", 10, 100, 90)


def rows(ledger: Ledger, columns: str) -> dict[str, tuple]:
    return {row[0]: row[1:] for row in ledger.database.execute(f"SELECT url, {columns} FROM urls")}


def test_leases_come_in_priority_order_and_once(ledger: Ledger) -> None:
    assert [asked.url for asked in ledger.lease(2)] == ["b", "c"]
    assert [asked.url for asked in ledger.lease(5)] == ["a"]
    assert ledger.lease(5) == []
    assert ledger.counts() == {"queued": 3}
    ledger.release()
    assert ledger.queued() == 3
    leased = ledger.lease(5)
    ledger.release([leased[0].id], next_try=time.time() + 50)
    assert ledger.lease(5) == []
    assert 49 < (ledger.next_due() or 0) - time.time() <= 50


def test_transient_failures_come_back_while_attempts_last(ledger: Ledger) -> None:
    for attempt in (1, 2):
        (asked,) = ledger.lease(1, until=time.time() + 10**6)
        assert (asked.url, asked.attempts) == ("b", attempt - 1)
        settled = ledger.settle(
            [FetchResult(asked.id, "timeout", wait=5.0 * attempt)], retries=1, retry_after=7
        )
        assert settled.again == (attempt == 1)
        state, reason, attempts, next_try = rows(ledger, "state, reason, attempts, next_try")["b"]
        assert (reason, attempts) == ("timeout", attempt)
        if attempt == 1:
            assert state == "queued"
            assert 6 < next_try - time.time() <= 7
            assert [a.url for a in ledger.lease(1)] == ["c"]
    assert rows(ledger, "state")["b"] == ("failed",)
    assert ledger.counts() == {"failed": 1, "failed:timeout": 1, "queued": 2}


def test_one_file_for_all_urls_of_the_same_bytes(ledger: Ledger) -> None:
    first, second, third = ledger.lease(3)
    settled = ledger.settle(
        [FetchResult(first.id, body=body()), FetchResult(second.id, body=body())], retries=0, retry_after=0
    )
    assert settled.spooled == [("s" * 64, 10)] * 2
    assert ledger.spooled() == [("s" * 64, 10)]
    ledger.pack([PackedFile("s" * 64, "images/00000/x.jpg", 100, 90)])
    late = ledger.settle([FetchResult(third.id, body=body())], retries=0, retry_after=0)
    assert (late.spooled, late.needless) == ([], ["s" * 64])
    assert ledger.counts() == {"packed": 3}
    assert ledger.paths() == [("s" * 64, "images/00000/x.jpg")]


def test_what_was_dropped_is_dropped_at_once_the_next_time(ledger: Ledger) -> None:
    first, second, _ = ledger.lease(3)
    ledger.settle([FetchResult(first.id, body=body())], retries=0, retry_after=0)
    ledger.pack([PackedFile("s" * 64, reason="decoder_death")])
    again = ledger.settle([FetchResult(second.id, body=body())], retries=0, retry_after=0)
    assert again.needless == ["s" * 64]
    assert ledger.counts() == {"dropped": 2, "dropped:decoder_death": 2, "queued": 1}


def test_a_failed_transaction_changes_nothing(ledger: Ledger) -> None:
    asked = ledger.lease(1)[0]
    with pytest.raises(ValueError, match="neither a body nor a reason"):
        ledger.settle([FetchResult(asked.id, "dns"), FetchResult(asked.id)], retries=0, retry_after=0)
    assert rows(ledger, "state, attempts")["b"] == ("leased", 0)


def test_taking_in_again(ledger: Ledger, tmp_path, tools) -> None:
    path = tmp_path / "matches.parquet"
    ledger.settle([FetchResult(ledger.lease(1)[0].id, "dns")], retries=0, retry_after=0)
    changed = [{"url": "b"}, {"url": "d", "uid": 7}, {"url": None, "row": 3}, {"url": None, "row": 3}]
    pq.write_table(tools.match_table(changed), path)
    enqueue_matches(ledger, path, digest="1", blocked_uids=frozenset())
    assert ledger.counts() == {"failed": 1, "failed:dns": 1, "queued": 2}
    enqueue_matches(ledger, path, digest="2", blocked_uids=frozenset({7}))
    assert ledger.counts() == {"failed": 1, "failed:dns": 1, "queued": 1, "no_url": 1}
    assert rows(ledger, "wanted, blocked") == {"a": (1, 0), "b": (2, 0), "c": (1, 0), "d": (2, 2)}


def test_the_digest_is_of_the_values(tmp_path, tools) -> None:
    def digest(*urls: str | None, group: int = 100) -> str:
        path = tmp_path / "m.parquet"
        pq.write_table(tools.match_table([{"url": url} for url in urls]), path, row_group_size=group)
        return matches_digest(path)

    assert digest("a", "b", None) == digest("a", "b", None)
    assert (
        len({digest("a", "b"), digest("ab", ""), digest("a", None), digest("a", "b", None), digest("b", "a")})
        == 5
    )


def test_another_format_is_refused(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.note(format="2")
        ledger.database.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    with pytest.raises(DownloadError, match="has format 2, this captrawl reads 1"):
        Ledger(path)


def used(path: Path, *, read_only: bool) -> None:
    """Ask and, unless ``read_only``, write whatever a download does."""
    with Ledger(path, read_only=read_only) as ledger:
        ledger.counts()
        list(ledger.identities())
        list(ledger.packed_images())
        ledger.find("http://127.0.0.1/7.jpg")
        if read_only:
            return
        ledger.release()
        ledger.follow_clock()
        with ledger.transaction():
            ledger.requeue_transient(5)
            ledger.enqueue([(f"http://127.0.0.1/{number}.jpg", 0, 1, 0) for number in range(0, 900, 7)])
        jobs = ledger.lease(100)
        ledger.settle([FetchResult(job.id, reason="timeout") for job in jobs], retries=3, retry_after=0)
        ledger.export(path.with_name("images.parquet"))


@pytest.fixture(scope="module")
def whole_ledger(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "ledger.sqlite"
    with Ledger(path) as ledger:
        with ledger.transaction():
            ledger.note(generation="1", no_url="3")
            ledger.enqueue([(f"http://127.0.0.1/{number}.jpg", 0, 1, 0) for number in range(600)])
        jobs = ledger.lease(400)
        results = [FetchResult(job.id, body=body(f"{job.id:02x}"[-1])) for job in jobs[:200]]
        results += [FetchResult(job.id, reason="http_503") for job in jobs[200:]]
        ledger.settle(results, retries=3, retry_after=0)
        ledger.pack([PackedFile(sha256, f"images/00000/{sha256[0]}.jpg") for sha256, _ in ledger.spooled()])
    used(path, read_only=False)
    return path.read_bytes()


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("damage", ["cut", "bits", "pages", "foreign"])
def test_a_damaged_file_is_named(damage: str, read_only: bool, whole_ledger: bytes, tmp_path: Path) -> None:
    """Twenty of each; a flipped bit that SQLite can't see is a value like another."""
    random = Random(f"{damage}{read_only}")
    refusals: list[tuple[Path, str]] = []
    for number in range(20):
        content = bytearray(whole_ledger)
        if damage == "cut":
            del content[random.randrange(1, len(content)) :]
        elif damage == "bits":
            for at in random.choices(range(len(content)), k=20):
                content[at] ^= 1 << random.randrange(8)
        elif damage == "pages":
            at = random.randrange(len(content) // 4096) * 4096
            content[at : at + 4096] = random.randbytes(4096)
        else:
            content = bytearray(b"no database" * 1000)
        path = tmp_path / str(number) / "ledger.sqlite"
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            used(path, read_only=read_only)
        except WorkspaceError as error:
            refusals.append((path, str(error)))
    assert len(refusals) >= 5
    for path, refusal in refusals:
        assert refusal.startswith(f"the ledger {path} is damaged (")
        assert "\n" not in refusal


def test_an_empty_file_is_an_empty_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    used(path, read_only=True)
    used(path, read_only=False)


def test_every_reason_has_a_state() -> None:
    assert set(STATES) == set(Reason)
    assert set(STATES.values()) == {UrlState.FAILED, UrlState.REFUSED, UrlState.DROPPED}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524])
def test_statuses_that_may_pass(status: int) -> None:
    assert is_transient(f"http_{status}")
    assert state_of(f"http_{status}") is UrlState.FAILED


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 405, 406, 410, 415, 451, 501, 505, 525])
def test_statuses_that_stay(status: int) -> None:
    assert not is_transient(f"http_{status}")


def test_reasons_that_may_pass() -> None:
    assert {reason for reason in Reason if is_transient(reason)} == {
        Reason.DNS_BUSY, Reason.CONNECT, Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.SILENT_HOST,
        Reason.ROBOTS_UNREACHABLE,
    }  # fmt: skip


def test_hosts_take_turns() -> None:
    hosts = HostQueue()
    for number, host in enumerate("aaaabbc"):
        hosts.add(host, FetchJob(number, "", 0))
    taken = [hosts.take() for _ in range(6)]
    assert [(host, asked.id) for host, asked in filter(None, taken)] == [
        ("a", 0), ("a", 1), ("b", 4), ("b", 5), ("c", 6),
    ]  # fmt: skip
    assert (taken[5], hosts.size) == (None, 2)
    assert hosts.wanted("a")
    assert not hosts.wanted("b")
    hosts.leave("a")
    host, asked = hosts.take() or ("", None)
    assert (host, asked and asked.id) == ("a", 2)


def test_a_pause_holds_and_ends() -> None:
    hosts = HostQueue()
    hosts.add("a", FetchJob(1, "", 0))
    hosts.pause("a", 0.1)
    hosts.add("a", FetchJob(2, "", 0))
    assert hosts.take() is None
    assert 0 < hosts.pause_left("a") <= 0.1
    time.sleep(0.12)
    assert [(hosts.take() or ("", FetchJob(0, "", 0)))[1].id for _ in range(2)] == [1, 2]
    hosts.add("a", FetchJob(3, "", 0))
    hosts.pause("a", 1000)
    assert hosts.drain(2000) == []
    ((seconds, items),) = hosts.drain(500)
    assert [asked.id for asked in items] == [3]
    assert 900 < seconds <= 1000
    assert hosts.size == 0


def test_a_silent_host_waits_for_a_probe() -> None:
    hosts = HostQueue()
    for number in range(9):
        hosts.add("a", FetchJob(number, "", 0))
    for _ in range(4):
        assert hosts.take() is not None
        hosts.note("a", answered=False)
        hosts.leave("a")
    assert hosts.take() is not None
    hosts.note("a", answered=False)
    hosts.leave("a")
    assert (hosts.take(), hosts.size, hosts.silent_size, hosts.give_up()) == (None, 4, 4, [])
    host, job = hosts.take_probe() or ("", None)
    assert (host, job and job.id, hosts.take_probe(), hosts.give_up()) == ("a", 5, None, [])
    hosts.note("a", answered=True)
    hosts.leave("a")
    assert (hosts.take() or ("", FetchJob(0, "", 0)))[1].id == 6
    for _ in range(5):
        hosts.note("a", answered=False)
    hosts.leave("a")
    assert hosts.take_probe() is not None
    hosts.note("a", answered=False)
    hosts.leave("a")
    assert [job.id for job in hosts.give_up()] == [8]
    assert (hosts.size, hosts.silent_size) == (0, 0)


def test_a_probe_is_what_was_asked_most_often() -> None:
    hosts = HostQueue()
    for number, attempts in enumerate((0, 0, 1, 0)):
        hosts.add("a", FetchJob(number, "", attempts))
    for _ in range(5):
        hosts.note("a", answered=False)
    assert (hosts.take_probe() or ("", None))[1] == FetchJob(2, "", 1)
    hosts.leave("a")
    assert [job.id for job in hosts.give_up()] == [0, 1, 3]


def test_waits_follow_a_clock_that_is_put_back(ledger: Ledger, monkeypatch) -> None:
    day = 86_400.0
    now = time.time()
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: now + day)
        (job,) = ledger.lease(1)
        ledger.settle([FetchResult(job.id, "timeout")], retries=1, retry_after=60)
        (other,) = ledger.lease(1)
        ledger.settle([FetchResult(other.id, "timeout", wait=2 * day)], retries=1, retry_after=60)
    ledger.follow_clock()
    waits = {url: row[0] - now for url, row in rows(ledger, "next_try").items()}
    assert waits["b"] == pytest.approx(60, abs=5)
    assert waits["c"] == pytest.approx(2 * day, abs=5)
    ledger.follow_clock()
    assert rows(ledger, "next_try")["b"][0] - now == pytest.approx(60, abs=5)


def test_redirects_come_before_new_urls() -> None:
    async def main() -> list[str]:
        hosts = HostQueue(per_host=1)
        hosts.add("a", FetchJob(1, "", 0))
        hosts.add("a", FetchJob(2, "", 0))
        order: list[str] = []
        assert hosts.take() is not None

        async def hop(name: str) -> None:
            await hosts.enter("a")
            order.append(name)

        first, second = asyncio.create_task(hop("hop")), asyncio.create_task(hop("cancelled"))
        await asyncio.sleep(0)
        second.cancel()
        assert hosts.take() is None
        hosts.leave("a")
        await first
        assert hosts.take() is None
        hosts.leave("a")
        taken = hosts.take()
        order.append(str(taken and taken[1].id))
        hosts.leave("a")
        assert not hosts._active
        return order

    assert asyncio.run(main()) == ["hop", "2"]


def test_a_budget_bounds_and_never_blocks_for_good() -> None:
    async def main() -> None:
        budget = MemoryBudget(100)
        most = 0

        async def grow(steps: list[int]) -> None:
            nonlocal most
            share = MemoryShare(budget)
            for size in steps:
                await share.grow(size)
                most = max(most, 100 - budget.free)
                await asyncio.sleep(0)
            share.close()

        await asyncio.wait_for(asyncio.gather(*(grow([30, 60, 90]) for _ in range(20))), 5)
        assert budget.free == 100
        assert budget.favoured is None
        assert not budget.waiters
        assert 90 <= most <= 190

    asyncio.run(main())
