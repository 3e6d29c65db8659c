"""Copies of other hosts' pictures: a URL's beginning → another one, asked once before the URL itself is.

A mirror is asked as any host is, with every check. What it hasn't, for whatever reason, is left to the next
source; a refusal of it (an opt-out header, a blocked hash) ends the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.errors import InputError
from ..ledger import Ledger
from ..outcomes import FetchJob, FetchResult, Reason, SettledCounts, UrlState, state_of

_OF_THE_ADDRESS = frozenset(
    {Reason.PRIVATE_ADDRESS, Reason.PORT, Reason.SCHEME, Reason.BLOCKED_HOST, Reason.BLOCKED_URL}
)
"""Refusals that say something of the mirror, nothing of the picture."""
_FIRST = (-(2**63), -1)


@dataclass(frozen=True, slots=True)
class MirrorRules:
    """(beginning of a URL, what stands there at the mirror), the longest beginning first."""

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, lines: Sequence[str]) -> MirrorRules:
        """The rules that ``[download] mirrors`` spells ``HOST or http(s)://PREFIX -> http(s)://PREFIX``.

        InputError where a line is none.
        """
        pairs: list[tuple[str, str]] = []
        for line in lines:
            start, arrow, target = (part.strip() for part in line.partition("->"))
            if not arrow or not start or not target.startswith(("http://", "https://")):
                raise InputError(
                    f"[download] mirrors: {line!r} must be 'HOST -> http://…' or 'http://PREFIX -> http://…'"
                )
            whole = [start] if "://" in start else [f"{scheme}://{start}/" for scheme in ("http", "https")]
            pairs += [(one, target) for one in whole]
        return cls(tuple(sorted(pairs, key=lambda pair: (-len(pair[0]), pair[0]))))

    def address(self, url: str) -> str:
        """Where the mirror has ``url``; "" where no rule is about it."""
        return next((target + url[len(start) :] for start, target in self.pairs if url.startswith(start)), "")


class MirrorQueue:
    """The queued URLs that a mirror has, at the mirror's addresses: what a Crawl leases and settles.

    A URL that the mirror was asked for in vain is queued again with the mirror's reason and address, by which
    a killed and resumed download knows not to ask it twice.
    """

    def __init__(self, ledger: Ledger, rules: MirrorRules) -> None:
        self._ledger, self._rules = ledger, rules
        self._after: tuple[int, int] | None = _FIRST
        self._addresses: dict[int, str] = {}

    def queued(self) -> int:
        """How many URLs may be asked, at most."""
        return self._ledger.queued()

    def next_due(self) -> float | None:
        """0 while there may be more to lease."""
        return None if self._after is None else 0.0

    def lease(self, limit: int) -> list[FetchJob]:
        """The next URLs that a rule is about, in priority order, marked as leased."""
        jobs: list[FetchJob] = []
        while self._after is not None and len(jobs) < limit:
            page = self._ledger.queued_page(self._after, limit)
            self._after = (page[-1][0], page[-1][1]) if page else None
            for _, id_, url, attempts, last in page:
                address = self._rules.address(url)
                if address and last != address:
                    jobs.append(FetchJob(id_, address, attempts))
        self._ledger.mark_leased([job.id for job in jobs])
        self._addresses |= {job.id: job.url for job in jobs}
        return jobs

    def release(self, ids: Sequence[int] | None = None, *, next_try: float = 0.0) -> None:
        """Leave leased URLs to the next source; a mirror that wants to be left alone isn't waited for."""
        del next_try
        self._ledger.release(ids)

    def settle(self, results: Sequence[FetchResult], *, retries: int, retry_after: float) -> SettledCounts:
        """Note what came, and what didn't as a matter for the next source."""
        del retries
        ended = [result for result in results if _ends(result)]
        rest = [result for result in results if not _ends(result)]
        self._ledger.pass_on([replace(one, final_url=self._addresses[one.id]) for one in rest])
        for result in results:
            self._addresses.pop(result.id, None)
        return self._ledger.settle(ended, retries=0, retry_after=retry_after)


def _ends(result: FetchResult) -> bool:
    """Whether the row of ``result`` needs no other source."""
    if not result.reason:
        return True
    return state_of(result.reason) is UrlState.REFUSED and result.reason not in _OF_THE_ADDRESS
