"""The ledger's URLs by class: how many images a class has, and which URLs are asked for it next.

A URL that no class needs yet is *shelved*: its ``wanted`` is negative, so it is neither leased nor due. What
was called for and didn't end stays called for, however the process ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from . import ledger_sql as sql
from .ledger import Ledger


@dataclass(frozen=True, slots=True)
class ClassPool:
    """How the URLs of one class stand; an image under several of them counts once."""

    id: int
    images: int
    ended: int
    """URLs that were asked to their end, or judged without."""
    postponed: int
    """URLs whose hosts asked to be left alone for longer than a run waits."""
    pending: int = 0
    """URLs called for and not asked yet, by this class or by another that has them too."""


Need = Callable[[ClassPool], int]
"""How many more URLs a class needs now."""


class LedgerPools:
    """The classes of an open ledger's URLs; one for each connection.

    ``matches`` are batches of (class id, place in the class's order, url); of a URL's places in a class the
    first counts.
    """

    def __init__(self, ledger: Ledger, matches: Iterable[Iterable[tuple[int, int, str]]]) -> None:
        self._ledger = ledger
        with ledger.transaction() as database:
            database.execute(sql.POOLS)
            for batch in matches:
                database.executemany(sql.ADD_POOL, batch)

    def pools(self, due: float) -> Iterator[ClassPool]:
        """The classes that have URLs, by id; those asked after ``due`` (seconds since 1970) are postponed."""
        for id_, *numbers in self._ledger.database.execute(sql.CLASS_POOLS, (due,)).fetchall():
            yield ClassPool(id_, *map(int, numbers))

    def call(self, need: Need, due: float) -> int:
        """Call for as many shelved URLs of each class as ``need`` says, in its order; how many in all.

        All of a call is noted, or nothing of it.
        """
        generation = self._ledger.generation
        with self._ledger.transaction() as database:
            called = 0
            for pool in self.pools(due):
                pending = database.execute(sql.PENDING, (pool.id, generation, due)).fetchone()[0]
                number = need(replace(pool, pending=pending))
                if number > 0:
                    called += database.execute(sql.CALL, (pool.id, -generation, due, number)).rowcount
        return called

    def shelve(self, notes: Mapping[str, str], *, but: Iterable[int] = ()) -> None:
        """Shelve every queued URL, those of the classes ``but`` left out; ``notes`` are kept with it."""
        generation = self._ledger.generation
        with self._ledger.transaction() as database:
            database.execute(sql.SHELVE, (generation,))
            for id_ in but:
                database.execute(sql.CALL, (id_, -generation, float("inf"), -1))
            self._ledger.note(**notes)


def unshelve(ledger: Ledger, notes: Mapping[str, str]) -> None:
    """Call for every URL that the matches have; ``notes`` are kept with it."""
    with ledger.transaction() as database:
        database.execute(sql.SHELVE, (-ledger.generation,))
        ledger.note(**notes)
