"""Words that part captions near a class prompt from captions far from it: a prefix, or exclusions.

Log-odds of a word's presence in near against far captions, with half a caption added to each cell (Haldane
and Anscombe), over its standard error: large positive values speak for a prefix, negative ones for an
exclusion.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...core.text import tokens
from .names import STOP_WORDS

SHORTEST_WORD = 3
FEWEST = 5
"""Captions of the side a word speaks for that must hold it."""
SURE = 2.0
"""Standard errors the log-odds must be away from 0."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A word with its log-odds, those over their standard error (z), and the captions that hold it."""

    word: str
    log_odds: float
    z: float
    near: int
    far: int


def listed(proposals: Sequence[Proposal]) -> str:
    """Words with the near and far captions that hold them: ``fish (12:3), lake (9:1)``."""
    return ", ".join(f"{one.word} ({one.near}:{one.far})" for one in proposals)


def propose(
    near: Sequence[str], far: Sequence[str], *, ignore: Collection[str] = (), most: int = 3
) -> tuple[list[Proposal], list[Proposal]]:
    """(words for a prefix, words to exclude) of captions ``near`` the class prompt and ``far`` from it.

    At most ``most`` of each, the surest first, then by word; without ``ignore``, stop words, numbers and
    words under three letters.
    """
    counts = [Counter(word for caption in side for word in set(tokens(caption))) for side in (near, far)]
    proposals = [
        proposal
        for word in counts[0].keys() | counts[1].keys()
        if _telling(word) and word not in ignore
        for proposal in [_weighed(word, counts[0][word], len(near), counts[1][word], len(far))]
        if abs(proposal.z) >= SURE and max(proposal.near, proposal.far) >= FEWEST
    ]
    proposals.sort(key=lambda proposal: (-abs(proposal.z), proposal.word))
    return [p for p in proposals if p.z > 0][:most], [p for p in proposals if p.z < 0][:most]


def _telling(word: str) -> bool:
    return len(word) >= SHORTEST_WORD and not word.isdecimal() and word not in STOP_WORDS


def _weighed(word: str, a: int, near: int, b: int, far: int) -> Proposal:
    cells = (a + 0.5, near - a + 0.5, b + 0.5, far - b + 0.5)
    log_odds = math.log(cells[0] * cells[3] / (cells[1] * cells[2]))
    return Proposal(word, log_odds, log_odds / math.sqrt(sum(1 / cell for cell in cells)), a, b)
