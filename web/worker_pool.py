"""Answers of the caption index, made in processes of their own: an interpreter that counts can't serve."""

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
from .caption_pages import Question, answer
from .executor import BusyError, Work
from .explorer import Explorer
from .schemas import Asked
from .worker import ERROR, LENGTH, Served, framed

logger = logging.getLogger(__name__)


class Answers:
    """Asks at most ``processes`` processes, which start with the first question; until then, threads.

    A question that is given up ends its process; another one takes its place.
    """

    def __init__(self, explorer: Explorer, work: Work, processes: int) -> None:
        self._explorer, self._work = explorer, work
        self._missing = processes
        self._up: set[_Answerer] = set()
        self._free: asyncio.Queue[_Answerer] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ask(self, question: Question, asked: Asked) -> bytes:
        """The answer as JSON; BusyError where it takes too long, and whatever error the question has."""
        self._start()
        if self._up:
            return await self._work.within(self._by_process(pickle.dumps((question, asked))))
        return await self._work.do(lambda: answer(self._explorer, question, asked))

    async def close(self) -> None:
        """End the processes."""
        self._closed = True
        while self._up:
            self._give_up(self._up.pop())
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, *self._ending, return_exceptions=True)

    def _start(self) -> None:
        while self._missing > 0 and not self._closed:
            self._missing -= 1
            _keep(self._starting, self._begin())

    def _give_up(self, answerer: _Answerer) -> None:
        """Let another one take its place."""
        self._up.discard(answerer)
        self._missing += 1
        _keep(self._ending, answerer.end())
        self._start()

    async def _begin(self) -> None:
        """Start a process, which is asked as soon as it is ready."""
        workspace = self._explorer.workspace.root.resolve() if self._explorer.has_workspace else None
        try:
            answerer = await _Answerer.start(Served(self._explorer.location, workspace))
        except (OSError, EOFError, CaptrawlError) as error:
            logger.warning("a process that answers questions didn't start (%s); threads do it", error)
            return
        self._up.add(answerer)
        self._free.put_nowait(answerer)

    async def _by_process(self, question: bytes) -> bytes:
        answerer = await self._free.get()
        whole = False
        try:
            reply = await answerer.ask(question)
            whole = True
        except (OSError, EOFError) as error:
            raise BusyError("the process that looked for the answer was ended; ask again") from error
        finally:
            if whole:
                self._free.put_nowait(answerer)
            else:
                self._give_up(answerer)
        return _checked(reply)


@dataclass(frozen=True, eq=False, slots=True)
class _Answerer:
    """A process that is ready."""

    process: Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    @classmethod
    async def start(cls, served: Served) -> _Answerer:
        """A new one; OSError, EOFError or CaptrawlError where it can't serve."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", f"{__package__}.worker", stdin=PIPE, stdout=PIPE,
            start_new_session=True,  # a Ctrl-C is the server's
        )  # fmt: skip
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        answerer = cls(process, process.stdin, process.stdout)
        try:
            _checked(await answerer.ask(pickle.dumps(served)))
        except BaseException:
            await answerer.end()
            raise
        return answerer

    async def ask(self, question: bytes) -> bytes:
        """The answer's frame."""
        self.questions.write(framed(question))
        await self.questions.drain()
        return await self.answers.readexactly(*LENGTH.unpack(await self.answers.readexactly(LENGTH.size)))

    async def end(self) -> None:
        """End it, whatever it does."""
        if self.process.returncode is None:
            self.process.kill()
        self.questions.close()
        await self.process.wait()


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Begin ``work``, and hold it among ``tasks`` until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _checked(reply: bytes) -> bytes:
    """What was answered; the error, where it was one."""
    if reply[:1] == ERROR:
        raise pickle.loads(reply[1:])  # noqa: S301 our own process's
    return reply[1:]
