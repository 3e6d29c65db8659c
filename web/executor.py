"""A bounded pool of threads that run what takes long, with a time limit for every answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from .middleware import Limits

_Answer = TypeVar("_Answer")


class BusyError(Exception):
    """An answer took too long, or too many downloads run; its text says which."""


@dataclass(slots=True)
class Executor:
    """The threads of one server. After a time limit a thread still runs to its end."""

    limits: Limits
    _questions: ThreadPoolExecutor = field(init=False)
    _exports: ThreadPoolExecutor = field(init=False)
    _exporting: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._questions = ThreadPoolExecutor(self.limits.queries, "web")
        self._exports = ThreadPoolExecutor(self.limits.exports, "export")

    async def run(self, function: Callable[[], _Answer], *, model: bool = False) -> _Answer:
        """The result of ``function()``, run in a thread; BusyError as :meth:`within`."""
        loop = asyncio.get_running_loop()
        return await self.within(loop.run_in_executor(self._questions, function), model=model)

    async def within(self, answer: Awaitable[_Answer], *, model: bool = False) -> _Answer:
        """The answer; BusyError where it takes too long. ``model``: it may load a model."""
        seconds, advice = self.limits.query_seconds, "ask for less"
        if model:
            seconds, advice = self.limits.model_seconds, "the model may still be loading; ask again"
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise BusyError(
                f"this took longer than {seconds:g} seconds and was given up; {advice}"
            ) from error

    def check_exports(self) -> None:
        """BusyError where as many downloads run as may."""
        if self._exporting >= self.limits.exports:
            raise BusyError(f"{self._exporting} downloads are running already; wait for one of them to end")

    async def pieces(self, data: Iterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of ``data``, each made in a thread once the one before was sent."""
        loop = asyncio.get_running_loop()
        self._exporting += 1
        try:
            while (piece := await loop.run_in_executor(self._exports, next, data, None)) is not None:
                yield piece
        finally:
            self._exporting -= 1

    def close(self) -> None:
        """Start nothing more."""
        for pool in (self._questions, self._exports):
            pool.shutdown(wait=False, cancel_futures=True)
