"""Worker processes that answer questions about the caption index.

Counting keeps Python's global interpreter lock, so a server that counted in its own threads couldn't answer
other requests meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from ..core.errors import CaptrawlError
from .caption_pages import answer
from .executor import BusyError, Executor
from .explorer import Explorer
from .schemas import CaptionParameters
from .worker import ERROR, LENGTH, Sources, framed

logger = logging.getLogger(__name__)


class WorkerPool:
    """At most ``processes`` workers, which start with the first question; until then, threads answer.

    A question that takes too long ends its worker, and a new one is started.
    """

    def __init__(self, explorer: Explorer, executor: Executor, processes: int) -> None:
        self._explorer, self._executor = explorer, executor
        self._missing = processes
        self._workers: set[_AnswerProcess] = set()
        self._free: asyncio.Queue[_AnswerProcess] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def answer(self, question: CaptionParameters) -> bytes:
        """The answer as JSON; BusyError where it takes too long, and whatever error the question raises."""
        self._start_missing()
        if self._workers:
            return await self._executor.within(self._by_worker(pickle.dumps(question)))
        return await self._executor.run(lambda: answer(self._explorer, question))

    async def close(self) -> None:
        """End the workers."""
        self._closed = True
        while self._workers:
            self._discard(self._workers.pop())
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, *self._ending, return_exceptions=True)

    def _start_missing(self) -> None:
        while self._missing > 0 and not self._closed:
            self._missing -= 1
            _begin(self._starting, self._start())

    def _discard(self, worker: _AnswerProcess) -> None:
        """End ``worker`` and start another in its place."""
        self._workers.discard(worker)
        self._missing += 1
        _begin(self._ending, worker.end())
        self._start_missing()

    async def _start(self) -> None:
        workspace = self._explorer.workspace.root.resolve() if self._explorer.has_workspace else None
        try:
            worker = await _AnswerProcess.start(Sources(self._explorer.location, workspace))
        except (OSError, EOFError, CaptrawlError) as error:
            logger.warning("a worker process didn't start (%s); threads answer instead", error)
            return
        self._workers.add(worker)
        self._free.put_nowait(worker)

    async def _by_worker(self, question: bytes) -> bytes:
        worker = await self._free.get()
        answered = False
        try:
            reply = await worker.ask(question)
            answered = True
        except (OSError, EOFError) as error:
            raise BusyError("the process that looked for the answer was ended; ask again") from error
        finally:
            if answered:
                self._free.put_nowait(worker)
            else:
                self._discard(worker)
        return _unpacked(reply)


@dataclass(frozen=True, eq=False, slots=True)
class _AnswerProcess:
    """A process that is ready."""

    process: Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    @classmethod
    async def start(cls, sources: Sources) -> _AnswerProcess:
        """A new one; OSError, EOFError or CaptrawlError where it can't open ``sources``."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", f"{__package__}.worker", stdin=PIPE, stdout=PIPE,
            start_new_session=True,  # a Ctrl-C is the server's
        )  # fmt: skip
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        worker = cls(process, process.stdin, process.stdout)
        try:
            _unpacked(await worker.ask(pickle.dumps(sources)))
        except BaseException:
            await worker.end()
            raise
        return worker

    async def ask(self, question: bytes) -> bytes:
        """The answer as it was sent."""
        self.questions.write(framed(question))
        await self.questions.drain()
        return await self.answers.readexactly(*LENGTH.unpack(await self.answers.readexactly(LENGTH.size)))

    async def end(self) -> None:
        """Kill the process."""
        if self.process.returncode is None:
            self.process.kill()
        self.questions.close()
        await self.process.wait()


def _begin(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Begin ``work`` as one of ``tasks``, which refer to it until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _unpacked(reply: bytes) -> bytes:
    """The JSON of a reply; raises the error where it is one."""
    if reply[:1] == ERROR:
        raise pickle.loads(reply[1:])  # noqa: S301 our own process's
    return reply[1:]
