"""Contact sheets: pictures with scores and captions below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .examples import Picked
from .markup import Html, foreign, join, tag
from .thumbnails import Thumbnails

CAPTION = 140


def sheet(rows: Sequence[Picked], thumbnails: Thumbnails, *, names: Mapping[int, str] | None = None) -> Html:
    """A grid of pictures; with ``names`` (by class id) each says its class too."""
    return tag("div", *(_figure(row, thumbnails, names) for row in rows), class_="sheet")


def _figure(row: Picked, thumbnails: Thumbnails, names: Mapping[int, str] | None) -> Html:
    uri = thumbnails.uri(row.path) if row.path else None
    caption = foreign(row.caption or "(no caption)", CAPTION)
    picture = tag("span", "no picture here")
    if uri:
        picture = tag("img", src=uri, alt="", loading="lazy", decoding="async")
    lines: list[Html] = []
    if row.scores:
        told = [tag("span", f"{score} {value:.3f}".replace("-", "\u2212")) for score, value in row.scores[:2]]
        lines.append(tag("b", join(told, " ")))
    if names is not None:
        lines.append(tag("div", foreign(names.get(row.class_id, str(row.class_id)), 60)))
    lines.append(tag("div", caption, class_="caption"))
    return tag("figure", tag("div", picture, class_="frame"), tag("figcaption", *lines))
