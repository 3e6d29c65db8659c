"""What auto takes without shots: cleaning's order, as many images as a mixture of its scores lets pass."""

from __future__ import annotations

from ..methods import Method, compose
from .trials import Chosen


def without_shots(n: int, *, confirmed: bool) -> Chosen:
    """The choice of at most ``n`` per class by texts, and by what was ``confirmed`` by hand where any was.

    Nothing compares it with other choices.
    """
    score = "clean" if confirmed else "clean-text"
    method: Method = compose(score, [f"{score}>=mix"])
    return Chosen(method, n, {}, accuracy=None, alone=None)
