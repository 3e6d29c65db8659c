"""How many of a corpus's links still gave an image when somebody counted, with who and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Survival:
    """The share of URLs that give a usable image, and where that is from."""

    share: float
    source: str


_CC12M = Survival(0.637, "a public count of CC12M, 2026")

SURVIVALS: dict[str, Survival] = {
    "laion400m": Survival(0.77, "LAION-400M with one retry, img2dataset issue 361, 2023"),
    "coyo700m": Survival(0.85, "COYO-700M's own download notes, 2022"),
    "commonpool": Survival(0.774, "10,000 rows of DataComp small, img2dataset's statistics on the hub, 2024"),
    "cc12m": _CC12M,
}
"""By corpus preset. Links die: a count of years ago is an upper bound."""

ANY = Survival(_CC12M.share, f"no count of this corpus; {_CC12M.source}")
"""For other corpora: the newest count there is."""

_ALIASES = {"coyo": "coyo700m", "datacomp": "commonpool", "laion400": "laion400m"}


def survival_of(corpora: Iterable[str]) -> Survival:
    """The survival to expect of rows of ``corpora``, names that users gave them; the lowest of several."""
    counts = [_of(name) for name in corpora]
    return min(counts, key=lambda one: one.share, default=ANY)


def _of(name: str) -> Survival:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    names = {**{preset: preset for preset in SURVIVALS}, **_ALIASES}
    return next((SURVIVALS[preset] for part, preset in names.items() if part in plain), ANY)
