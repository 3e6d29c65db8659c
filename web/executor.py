"""Questions with a time limit each, run in a bounded pool of threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from .middleware import Limits

_Answer = TypeVar("_Answer")


class BusyError(Exception):
    """The answer took too long, or too much is asked at once; its text says so."""


@dataclass(slots=True)
class Work:
    """The threads of one server. A question that is given up keeps its thread until it ends."""

    limits: Limits
    _questions: ThreadPoolExecutor = field(init=False)
    _exports: ThreadPoolExecutor = field(init=False)
    _exporting: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._questions = ThreadPoolExecutor(self.limits.queries, "web")
        self._exports = ThreadPoolExecutor(self.limits.exports, "export")

    async def do(self, question: Callable[[], _Answer], *, model: bool = False) -> _Answer:
        """What ``question()`` gives, in a thread; BusyError as :meth:`within`."""
        return await self.within(
            asyncio.get_running_loop().run_in_executor(self._questions, question), model=model
        )

    async def within(self, answer: Awaitable[_Answer], *, model: bool = False) -> _Answer:
        """The answer; BusyError where it takes too long. ``model``: it may load a model."""
        seconds, what = self.limits.query_seconds, "ask for less"
        if model:
            seconds, what = self.limits.model_seconds, "the model may still be loading; ask again"
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise BusyError(f"this took longer than {seconds:g} seconds and was given up; {what}") from error

    def check_exports(self) -> None:
        """BusyError where as many downloads run as may."""
        if self._exporting >= self.limits.exports:
            raise BusyError(f"{self._exporting} downloads are running already; wait for one of them to end")

    async def pieces(self, made: Iterator[bytes]) -> AsyncIterator[bytes]:
        """``made``, drawn from a thread of its own, no faster than it is sent."""
        self._exporting += 1
        try:
            while (
                piece := await asyncio.get_running_loop().run_in_executor(self._exports, next, made, None)
            ) is not None:
                yield piece
        finally:
            self._exporting -= 1

    def close(self) -> None:
        """Let the threads end."""
        for pool in (self._questions, self._exports):
            pool.shutdown(wait=False, cancel_futures=True)
