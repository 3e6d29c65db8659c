"""What is kept of a pool and why the rest is not: conditions, leaks, agreement, uniqueness, near duplicates.

Every filter gives booleans over the pool's rows, in their order; ``choose`` applies them in the order of
docs/sampling.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..core.row_ids import GOLDEN, splitmix
from ..search.vectors.exact import DECIMALS, rounded
from .methods import Condition, Method
from .orders.diversity import diverse
from .scores import Scores

A_LOT = 0.2
"""Of a class's rows: where a cosine takes more for copies of others, the user is warned."""
BLOCK = 512


class DropReason(StrEnum):
    """Why a row isn't in the sample; a failed condition has its own text, such as ``T2I<0.25``."""

    NO_IMAGE = "no_image"
    NOT_EMBEDDED = "not_embedded"
    NO_SCORE = "no_score"
    BLANK_IN_PATH = "blank_in_path"
    LEAK = "leak"
    ZEROSHOT = "zeroshot"
    OTHER_CLASS = "other_class"
    SAME_UID = "same_uid"
    SAME_URL = "same_url"
    SAME_IMAGE = "same_image"
    NEAR_DUPLICATE = "near_duplicate"
    BEYOND_N = "beyond_n"
    REJECTED = "rejected"


MEANINGS: Mapping[str, str] = {
    DropReason.NO_IMAGE: "no usable image; see Download",
    DropReason.NOT_EMBEDDED: "its image has no vectors",
    DropReason.NO_SCORE: "the score is missing",
    DropReason.BLANK_IN_PATH: "the path contains a space",
    DropReason.LEAK: "a copy of a test image",
    DropReason.ZEROSHOT: "another class's prompt is nearer",
    DropReason.OTHER_CLASS: "of several classes' pools; the referee gave it to another or to none",
    DropReason.SAME_UID: "the row repeats a better ranked one",
    DropReason.SAME_URL: "the URL repeats a better ranked one",
    DropReason.SAME_IMAGE: "the image file repeats a better ranked one",
    DropReason.NEAR_DUPLICATE: "nearly the same image as a better ranked one",
    DropReason.BEYOND_N: "the list was full",
    DropReason.REJECTED: "a person rejected it",
}
"""What the reasons mean, for people; a failed condition speaks for itself."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The embedded rows of one class's pool; arrays are aligned.

    ``identity`` is (rows, 3) int64: codes, equal where uid, URL and sha256 are; ``position`` the rows' places
    by (uid, file, row), which settles equal scores; ``images`` (rows, d) float32 unit vectors,
    (rows, 0) where no step needs them.
    """

    scores: Scores
    priority: NDArray[np.int64]
    position: NDArray[np.int64]
    identity: NDArray[np.int64]
    images: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Steps:
    """What is asked besides the method. ``prompts`` (classes, d) are unit vectors.

    ``leaking`` (rows,) True: a copy of a test image. ``copies``: which rows are copies of which others, in
    the place of ``dedup``. ``prompts`` None: no zero-shot agreement; ``own`` is the class's row in it.
    ``keep`` (rows,) False: the referee gave the image to another class. ``rejected`` and ``confirmed``
    (rows,): what the user said by hand. ``diverse``: what orders.diversity takes. ``repeats``: several rows
    of one picture may stay.
    """

    n: int
    seed: int = 0
    tail: bool = False
    dedup: float | None = None
    leaking: NDArray[np.bool_] | None = None
    copies: Mapping[int, Collection[int]] | None = None
    prompts: NDArray[np.float32] | None = None
    own: int = 0
    keep: NDArray[np.bool_] | None = None
    rejected: NDArray[np.bool_] | None = None
    confirmed: NDArray[np.bool_] | None = None
    repeats: bool = False
    diverse: float | str | None = None

    @property
    def need_images(self) -> bool:
        """Whether any step looks at the image vectors."""
        steps = (self.dedup, self.prompts, self.diverse)
        return any(step is not None for step in steps)


@dataclass(frozen=True, slots=True)
class Choice:
    """``kept``: rows in rank order; ``reasons`` (rows,): why a row was dropped, "" where it is kept."""

    kept: NDArray[np.int64]
    reasons: list[str]


class Verdicts:
    """Why each row was dropped: the first reason given stays."""

    def __init__(self, rows: int) -> None:
        self._codes = np.zeros(rows, dtype=np.int16)
        self._names = [""]

    @property
    def left(self) -> NDArray[np.int64]:
        """The rows not dropped so far, ascending."""
        return np.flatnonzero(self._codes == 0)

    def drop(self, rows: NDArray[np.int64], reason: str) -> None:
        """Drop ``rows``, none of which was dropped before."""
        if reason not in self._names:
            self._names.append(reason)
        self._codes[rows] = self._names.index(reason)

    def drop_where(self, dropped: NDArray[np.bool_], reason: str) -> None:
        """Drop the rows where ``dropped`` (rows,) holds and that are left."""
        self.drop(np.flatnonzero(dropped & (self._codes == 0)), reason)

    def reasons(self) -> list[str]:
        """The reason of every row, "" where it is left."""
        return [self._names[code] for code in self._codes.tolist()]


def choose(candidates: Candidates, method: Method, steps: Steps) -> Choice:
    """Conditions → leak guard → zero-shot → referee → order → uniqueness → near duplicates
    → diversity → first n.

    What the user rejected, and every copy of its image, goes before all of that. What the user confirmed
    meets no condition, agreement or referee, and comes first in the order.
    """
    rows = len(candidates.scores)
    verdicts = Verdicts(rows)
    conditions = method.conditions if not steps.tail or rows < steps.n else ()
    confirmed = np.zeros(rows, dtype=bool) if steps.confirmed is None else steps.confirmed
    if steps.rejected is not None:
        images = candidates.identity[:, -1]
        verdicts.drop_where(np.isin(images, images[steps.rejected]) & ~confirmed, DropReason.REJECTED)
    _apply(conditions, method, candidates.scores, verdicts, spared=confirmed)
    if steps.leaking is not None:
        verdicts.drop_where(steps.leaking, DropReason.LEAK)
    if steps.prompts is not None:
        left = verdicts.left[~confirmed[verdicts.left]]
        verdicts.drop(left[~agreeing(candidates.images[left], steps.prompts, steps.own)], DropReason.ZEROSHOT)
    if steps.keep is not None:
        verdicts.drop_where(~steps.keep & ~confirmed, DropReason.OTHER_CLASS)
    left = verdicts.left
    ranked = left[ranking(candidates, method, steps.seed, left)]
    ranked = np.concatenate([ranked[confirmed[ranked]], ranked[~confirmed[ranked]]])
    if not steps.repeats:
        ranked = unique(ranked, candidates.identity, verdicts)
    if steps.dedup is not None:
        ranked = distinct(candidates.images, ranked, steps.dedup, n=steps.n, verdicts=verdicts)
    if steps.copies is not None:
        ranked = without_copies(ranked, steps.copies, verdicts)
    if steps.diverse is not None:
        first = int(confirmed[ranked].sum())
        taken = diverse(candidates.images[ranked], steps.n, steps.diverse, first=first)
        ranked = np.concatenate([ranked[taken], np.delete(ranked, taken)])
    verdicts.drop(ranked[steps.n :], DropReason.BEYOND_N)
    return Choice(ranked[: steps.n], verdicts.reasons())


def _apply(
    conditions: Sequence[Condition],
    method: Method,
    scores: Scores,
    verdicts: Verdicts,
    *,
    spared: NDArray[np.bool_],
) -> None:
    """Drop the rows that lack the score of the order, then those that fail a condition or lack its score.

    ``spared`` (rows,) are left alone.
    """
    if method.order is not None:
        verdicts.drop_where(np.isnan(scores.of(method.order)) & ~spared, DropReason.NO_SCORE)
    for condition in conditions:
        values = scores.of(condition.score)
        verdicts.drop_where(np.isnan(values) & ~spared, DropReason.NO_SCORE)
        verdicts.drop_where(~condition.met(values) & ~spared, condition.failure)


def ranking(candidates: Candidates, method: Method, seed: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of ``rows`` (places in it): score descending or seeded hash, then uid, file and row."""
    position = candidates.position[rows]
    if method.order is None:
        return np.lexsort((position, shuffle_keys(candidates.priority[rows], seed)))
    return np.lexsort((position, -candidates.scores.of(method.order)[rows]))


def shuffle_keys(priority: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A fresh uniform key of each (priority, seed): a pool is an arc of the priority circle, this is not."""
    start = splitmix(np.array([seed % 2**64], dtype=np.uint64) + GOLDEN)
    return splitmix((priority.astype(np.uint64) ^ start) + GOLDEN)


def agreeing(images: NDArray[np.float32], prompts: NDArray[np.float32], own: int) -> NDArray[np.bool_]:
    """Which images have their own class's prompt among the nearest (classes of one name tie and agree)."""
    nearest = rounded(images @ prompts.T)
    usable = np.where(np.isnan(nearest), -np.inf, nearest)
    return nearest[:, own] >= usable.max(axis=1, initial=-np.inf)


def unique(ranked: NDArray[np.int64], identity: NDArray[np.int64], verdicts: Verdicts) -> NDArray[np.int64]:
    """``ranked`` without the rows that share a uid, URL or sha256 with a better-ranked row that stays."""
    repeated = np.zeros(len(ranked), dtype=bool)
    for column in range(identity.shape[1]):
        _, inverse, counts = np.unique(identity[ranked, column], return_inverse=True, return_counts=True)
        repeated |= counts[inverse] > 1
    codes_of: tuple[set[int], ...] = tuple(set() for _ in UNIQUE)
    gone = np.zeros(len(ranked), dtype=bool)
    for place in np.flatnonzero(repeated).tolist():
        codes: list[int] = identity[ranked[place]].tolist()
        reasons = [
            reason
            for reason, code, codes_so_far in zip(UNIQUE, codes, codes_of, strict=True)
            if code in codes_so_far
        ]
        if reasons:
            verdicts.drop(ranked[place : place + 1], reasons[0])
            gone[place] = True
            continue
        for code, codes_so_far in zip(codes, codes_of, strict=True):
            codes_so_far.add(code)
    return ranked[~gone]


UNIQUE = (DropReason.SAME_UID, DropReason.SAME_URL, DropReason.SAME_IMAGE)


def distinct(
    images: NDArray[np.float32],
    ranked: NDArray[np.int64],
    threshold: float,
    *,
    n: int,
    verdicts: Verdicts,
) -> NDArray[np.int64]:
    """``ranked`` without images strictly nearer than ``threshold`` to a better-ranked one that stays.

    Greedy, block by block, until ``n`` stay; what comes after them is given back unjudged.
    """
    kept: list[int] = []
    vectors = np.empty((min(n, len(ranked)), images.shape[1]), dtype=np.float32)
    for start in range(0, len(ranked), BLOCK):
        block = ranked[start : start + BLOCK]
        here = images[block]
        near = np.logical_or.reduce(_near(here, vectors[: len(kept)], threshold), axis=1)
        among = _near(here, here, threshold)
        for place, row in enumerate(block.tolist()):
            if len(kept) == n:
                return np.concatenate([np.array(kept, dtype=np.int64), ranked[start + place :]])
            if near[place]:
                verdicts.drop(block[place : place + 1], DropReason.NEAR_DUPLICATE)
                continue
            vectors[len(kept)] = here[place]
            kept.append(row)
            near |= among[place]
    return np.array(kept, dtype=np.int64)


def without_copies(
    ranked: NDArray[np.int64], copies: Mapping[int, Collection[int]], verdicts: Verdicts
) -> NDArray[np.int64]:
    """``ranked`` without the copies of a better-ranked row that stays."""
    stay: set[int] = set()
    for row in ranked.tolist():
        if stay.isdisjoint(copies.get(row, ())):
            stay.add(row)
    there = np.isin(ranked, list(stay))
    verdicts.drop(ranked[~there], DropReason.NEAR_DUPLICATE)
    return ranked[there]


def _near(left: NDArray[np.float32], right: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Whether each pair's product, at 6 decimals, is above ``threshold``; only close calls are rounded."""
    cosines = left @ right.T
    near = cosines > threshold
    edge = np.abs(cosines - threshold) < 10**-DECIMALS
    near[edge] = rounded(cosines[edge]) > threshold
    return near
