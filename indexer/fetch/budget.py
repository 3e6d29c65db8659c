"""How many bytes of bodies may be in memory at once."""

from __future__ import annotations

import asyncio
import time

TOTAL = 256_000_000


class Budget:
    """A number of bytes shared by all bodies in flight.

    When it is spent, one body at a time may overdraw it, so that bodies that grow can't block each other for
    good; the overdraft is at most one body's size limit.
    """

    def __init__(self, total: int = TOTAL) -> None:
        self.free = total
        self.favoured: Share | None = None
        self.waiters: set[asyncio.Future[None]] = set()


class Share:
    """One body's part of a budget; give it back with :meth:`close`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    async def grow(self, size: int) -> float:
        """Hold at least ``size`` bytes; the seconds waited for them."""
        need = size - self.held
        if need <= 0:
            return 0.0
        started = time.monotonic()
        budget = self._budget
        while need > budget.free and budget.favoured is not self:
            if budget.favoured is None:
                budget.favoured = self
                break
            turn = asyncio.get_running_loop().create_future()
            budget.waiters.add(turn)
            try:
                await turn
            finally:
                budget.waiters.discard(turn)
        budget.free -= need
        self.held = size
        return time.monotonic() - started

    def close(self) -> None:
        """Give everything back."""
        budget = self._budget
        budget.free += self.held
        self.held = 0
        if budget.favoured is self:
            budget.favoured = None
        for turn in budget.waiters:
            if not turn.done():
                turn.set_result(None)
