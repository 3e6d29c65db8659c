"""Until enough: the next URLs of each class that is short of images, round by round.

A round asks, for each class, as many URLs as its survival so far says are needed; when all of them have ended
and are packed, the next one counts again. What a round asks depends on what the ledger holds alone, so that a
killed and resumed download asks what an undisturbed one does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...core.files import digest
from ...workspace.workspace import StageRecord
from ..ledger_pools import ClassPool, LedgerPools, unshelve
from .crawl import LONGEST_PAUSE
from .enqueue import matched_rows
from .session import UNTIL_NOTE, DownloadSession

_ROUND = "round"


class PoolEnd(StrEnum):
    """How a class's pool stands after a download until enough."""

    ENOUGH = "enough"
    DRY = "pool dry"
    WAITING = "waiting"
    """For hosts that asked to be left alone for longer than a run waits."""


@dataclass(frozen=True, slots=True)
class ClassImages:
    """What a download until enough left of a class: distinct images, and URLs asked to their end."""

    id: int
    images: int
    asked_urls: int
    end: PoolEnd


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """How a download until ``n`` images per class ended; classes without any URL aren't among ``classes``."""

    n: int
    classes: tuple[ClassImages, ...]


def rows_needed(pool: ClassPool, n: int) -> int:
    """URLs to ask for ``pool`` now, so that it gets to ``n`` images.

    The missing images over the share of its URLs that gave one so far (all, before any ended). Where that
    says much, no more than would double what was asked: in the end at most twice the URLs are asked
    that were needed.
    """
    missing = n - pool.images
    if missing <= 0:
        return 0
    most = max(2 * missing, pool.ended)
    if not pool.ended:
        number = missing
    elif pool.images:
        number = min(math.ceil(missing * pool.ended / pool.images), most)
    else:
        number = most
    return max(0, number - pool.pending)


class Rounds:
    """The rounds of one download until enough; :meth:`call` before each, :meth:`finish` after the last."""

    def __init__(self, session: DownloadSession) -> None:
        self._ledger, self._n = session.ledger, session.settings.until
        self._pools = LedgerPools(session.ledger, _places(session))
        values = [self._n, dict(session.inputs), session.settings.allow_private, self._ledger.generation]
        mark = digest(values)
        if self._ledger.meta(_ROUND) != mark:  # else a round of these values goes on
            self._pools.shelve({_ROUND: mark, UNTIL_NOTE: ""})
        if not self._ledger.queued() and not self._ledger.spooled():
            self.call()

    def call(self) -> bool:
        """Call for the next round's URLs; False where no class needs any, or has any left."""
        return self._pools.call(lambda pool: rows_needed(pool, self._n), time.time() + LONGEST_PAUSE) > 0

    def finish(self) -> None:
        """Shelve what is left but for what a class that is short waits for, and note how each class ended."""
        classes = [
            ClassImages(pool.id, pool.images, pool.ended, self._end_of(pool))
            for pool in self._pools.pools(time.time() + LONGEST_PAUSE)
        ]
        note = {"n": self._n, "classes": [[one.id, one.images, one.asked_urls, one.end] for one in classes]}
        waiting = [one.id for one in classes if one.end is PoolEnd.WAITING]
        self._pools.shelve({UNTIL_NOTE: json.dumps(note)}, but=waiting)

    def _end_of(self, pool: ClassPool) -> PoolEnd:
        if pool.images >= self._n:
            return PoolEnd.ENOUGH
        return PoolEnd.WAITING if pool.postponed else PoolEnd.DRY


def open_rounds(session: DownloadSession) -> Rounds | None:
    """The rounds that [download] until asks for; None, and every URL is asked, where it is 0."""
    if session.settings.until:
        return Rounds(session)
    unshelve(session.ledger, {_ROUND: "", UNTIL_NOTE: ""})
    return None


def sufficiency_of(record: StageRecord | None) -> Sufficiency | None:
    """How the recorded download ended for each class; None where it asked for everything."""
    note = record.details.get(UNTIL_NOTE) if record else None
    if note is None:
        return None
    classes = (
        ClassImages(id_, images, asked_urls, PoolEnd(end)) for id_, images, asked_urls, end in note["classes"]
    )
    return Sufficiency(note["n"], tuple(classes))


def shortfall(record: StageRecord, n: int) -> str:
    """Why the recorded download isn't one until ``n`` (0: of everything); "" where it is, or asked more."""
    done = sufficiency_of(record)
    if done is None or 0 < n <= done.n:
        return ""
    target = f"{n:,} images per class" if n else "every URL"
    return f"fetched until {done.n:,} images per class, the settings ask for {target}"


def _places(session: DownloadSession) -> Iterator[Iterator[tuple[int, int, str]]]:
    """(class id, place, url) of the matches: in their order, or by priority where it is the files'."""
    path = session.workspace.matches_path
    match = session.workspace.settings().match
    if match.sample == "all" and not match.rank:  # in the order of the corpus's files
        yield from matched_rows(path, ["class_id", "priority", "url"])
        return
    place = 0
    for batch in matched_rows(path, ["class_id", "url"]):
        rows = list(batch)
        yield ((class_id, place + at, url) for at, (class_id, url) in enumerate(rows))
        place += len(rows)
