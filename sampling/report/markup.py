"""HTML made of tags: whatever isn't markup already is escaped, so that hostile text stays text."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


VOID = frozenset({"img", "meta", "br", "rect", "line"})
"""Elements without content (those of SVG close themselves)."""
JOINERS = "\u200c\u200d"  # part of ordinary writing and of emoji


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """An element; children that aren't Html are escaped, attributes always.

    A trailing underscore of an attribute's name is cut and others become hyphens; None leaves it out, and ""
    gives it no value.
    """
    given = "".join(
        f" {key.removesuffix('_').replace('_', '-')}" + (f'="{_escaped(str(value))}"' if value != "" else "")
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str], between: str = "") -> Html:
    """The children after one another, escaped where they aren't Html."""
    return Html(between.join(c if isinstance(c, Html) else _escaped(c) for c in children))


def foreign(text: str | None, most: int = 200) -> Html:
    """Text from outside on one line, at most ``most`` characters of it, apart from the page's direction."""
    flat = " ".join((text or "").split())
    return tag("bdi", flat if len(flat) <= most else flat[: most - 1] + "…")


def _escaped(text: str) -> str:
    """``text`` with HTML's characters escaped, and controls and bidirectional overrides as ``�``."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if c.isprintable() or c in "\n" + JOINERS else _shown(c) for c in text)
    return html.escape(text)


def _shown(character: str) -> str:
    kind = unicodedata.category(character)
    return " " if kind in ("Zs", "Zl", "Zp") else "\N{REPLACEMENT CHARACTER}" if kind != "Cn" else character
