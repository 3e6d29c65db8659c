"""Questions to the caption index, answered in processes: as threads do, and whatever befalls a process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from captrawl.core.errors import QueryError
from captrawl.search.captions import open_captions
from captrawl.web.caption_pages import answer
from captrawl.web.executor import BusyError, Executor
from captrawl.web.explorer import Explorer
from captrawl.web.middleware import Limits
from captrawl.web.schemas import CaptionParameters, PageParameters
from captrawl.web.worker_pool import WorkerPool

CATS = CaptionParameters(phrase=["tabby cat"])
QUESTIONS: list[CaptionParameters] = [
    CATS,
    CaptionParameters(phrase=["golden retriever", "tabby cat"], exclude=["red"], safety="off"),
    PageParameters(phrase=["golden retriever"]),
    PageParameters(phrase=["golden retriever", "tabby cat"], order="random", seed=3, limit=7),
    PageParameters(phrase=["golden retriever"], order="corpus", limit=50),
    PageParameters(phrase=["no such phrase"]),
]


@pytest.fixture
def explorer(site: Any) -> Iterator[Explorer]:
    with open_captions(site.index) as captions:
        yield Explorer(captions, str(site.index), site.workspace)


@contextlib.asynccontextmanager
async def started(explorer: Explorer, processes: int = 1, **limits: float) -> AsyncIterator[WorkerPool]:
    """Workers whose processes are up."""
    executor = Executor(Limits(**limits))
    workers = WorkerPool(explorer, executor, processes)
    try:
        assert await workers.answer(CATS) == answer(explorer, CATS)
        await replaced(workers)
        yield workers
    finally:
        await workers.close()
        executor.close()


async def replaced(workers: WorkerPool) -> None:
    await asyncio.gather(*workers._starting, *workers._ending)


def pids(workers: WorkerPool) -> list[int]:
    return [worker.process.pid for worker in workers._workers]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 120))


def test_processes_answer_as_threads_do(explorer: Explorer) -> None:
    async def test() -> None:
        async with started(explorer, processes=2) as workers:
            assert len(pids(workers)) == 2
            asked = QUESTIONS * 3
            given = await asyncio.gather(*(workers.answer(one) for one in asked))
            assert given == [answer(explorer, one) for one in asked]
            assert len({*pids(workers)}) == 2
        assert not any(map(psutil.pid_exists, pids(workers)))

    run(test)


def test_a_question_that_cannot_be_asked_raises_its_own_error(explorer: Explorer) -> None:
    async def test() -> None:
        async with started(explorer) as workers:
            before = pids(workers)
            for wrong in ({"phrase": ["!!"]}, {"phrase": ["cat"], "cursor": "nonsense"}):
                with pytest.raises(QueryError) as by_process:
                    await workers.answer(PageParameters(**wrong))
                with pytest.raises(QueryError) as here:
                    answer(explorer, PageParameters(**wrong))
                assert str(by_process.value) == str(here.value)
            assert pids(workers) == before

    run(test)


def test_a_question_that_is_given_up_ends_its_process(explorer: Explorer) -> None:
    async def test() -> None:
        async with started(explorer, query_seconds=5.0) as workers:
            [stuck] = pids(workers)
            os.kill(stuck, signal.SIGSTOP)
            with pytest.raises(BusyError, match="longer than 5 seconds"):
                await workers.answer(CATS)
            await replaced(workers)
            assert not psutil.pid_exists(stuck)
            assert len(pids(workers)) == 1
            assert await workers.answer(CATS) == answer(explorer, CATS)

    run(test)


def test_a_process_that_is_killed_is_replaced(explorer: Explorer) -> None:
    async def test() -> None:
        async with started(explorer) as workers:
            [killed] = pids(workers)
            os.kill(killed, signal.SIGSTOP)
            waiting = [asyncio.create_task(workers.answer(CATS)) for _ in range(2)]
            await asyncio.sleep(0.1)
            os.kill(killed, signal.SIGKILL)
            with pytest.raises(BusyError, match="ask again"):
                await waiting[0]
            assert await waiting[1] == answer(explorer, CATS)
            assert killed not in pids(workers)

    run(test)


def test_threads_answer_where_no_process_starts(
    explorer: Explorer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = Explorer(explorer.captions, str(tmp_path / "gone"), None)

    async def test() -> None:
        async with started(elsewhere) as workers:
            assert pids(workers) == []
            assert await workers.answer(CATS) == answer(explorer, CATS)

    with caplog.at_level(logging.WARNING):
        run(test)
    assert len(caplog.records) == 1
    assert "no caption index at" in caplog.text


def running(process: psutil.Process) -> bool:
    """An orphan that ended may stay as a zombie, where nobody reaps it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_their_server(own_site: Any, tmp_path: Path, end: signal.Signals) -> None:
    """Here of a workspace whose index is given relative to it, from another folder."""
    settings = own_site.workspace.settings_path
    settings.write_text(re.sub('(?m)^index = ".*"$', 'index = "../captions"', settings.read_text()))
    command = [sys.executable, "-m", "captrawl", "-C", "birds", "serve", "--port", "0"]
    folder = own_site.folder
    with (
        (tmp_path / "err").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder) as server,
    ):
        url = re.search(r"http://\S+/", server.stdout.readline())[0]
        httpx.get(f"{url}api/count?phrase=cat", timeout=60).raise_for_status()
        while not (processes := psutil.Process(server.pid).children()):
            time.sleep(0.05)
        server.send_signal(end)
        server.wait(30)
    for _ in range(300):
        if not any(map(running, processes)):
            break
        time.sleep(0.1)
    assert not any(map(running, processes))
    assert (tmp_path / "err").read_text() == ""
