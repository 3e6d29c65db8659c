"""Text on the report's page: of others, made harmless; numbers as people read them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from ...core.text import matching_spans
from ...search.synonyms.review import ShownCaption
from ..evaluate import Difference

if TYPE_CHECKING:
    from markupsafe import Markup

JOINERS = "\u200c\u200d"  # part of ordinary writing and of emoji
LONGEST_CAPTION = 300
"""Characters of a reviewed caption that are shown, some of them before the phrase."""


def share(part: int, whole: int, decimals: int = 0) -> str:
    """A part of the whole in percent, – where that is nothing."""
    return f"{part / whole:.{decimals}%}" if whole else "–"


def number(value: float, decimals: int = 2) -> str:
    """A number with a typographic minus."""
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def points(difference: Difference | None) -> str:
    """A difference of accuracies and its interval in points; "" for none."""
    if difference is None:
        return ""
    points = (100 * value for value in (difference.value, difference.low, difference.high))
    value, low, high = (f"{point:+.1f}".replace("-", "\N{MINUS SIGN}") for point in points)
    return f"{value} ({low} to {high})"


def short(text: str, most: int) -> str:
    """``text`` on one line, at most ``most`` characters of it."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def foreign(text: str | None, most: int = 200) -> Markup:
    """Text from outside on one line, at most ``most`` characters of it, apart from the page's direction."""
    from markupsafe import Markup

    return Markup("<bdi>{}</bdi>").format(legible(short(text or "", most)))


def marked(sampled: ShownCaption, phrase: str) -> Markup:
    """The caption with the phrase marked; of a long one the part around it."""
    from markupsafe import Markup

    text = legible(" ".join(sampled.caption.split()))
    spans = matching_spans(text, [phrase])
    begin = max(min(spans[0][0] - LONGEST_CAPTION // 4, len(text) - LONGEST_CAPTION), 0) if spans else 0
    stop = begin + LONGEST_CAPTION
    parts: list[str] = ["…"] if begin else []
    place = begin
    for start, end in spans:
        parts += [
            text[place : min(start, stop)],
            Markup("<mark>{}</mark>").format(text[start : min(end, stop)]),
        ]
        place = max(place, min(end, stop))
    parts += [text[place:stop], "…" if stop < len(text) else ""]
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


def legible(value: Any) -> Any:
    """Text that isn't markup with controls and bidirectional overrides as ``�``; jinja2 escapes it then."""
    if not isinstance(value, str) or hasattr(value, "__html__") or (value.isascii() and value.isprintable()):
        return value
    return "".join(c if c.isprintable() or c in "\n" + JOINERS else _visible(c) for c in value)


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    return " " if kind in ("Zs", "Zl", "Zp") else "\N{REPLACEMENT CHARACTER}" if kind != "Cn" else character
