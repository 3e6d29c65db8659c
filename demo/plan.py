"""The plan of the drawn web: every row of its corpus, what its link answers, and what its picture shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from .captions import caption_beside, caption_elsewhere, caption_of
from .drawings.catalogue import DRAWINGS
from .words import CLASSES, DemoClass


class Kind(StrEnum):
    """What a link answers."""

    PICTURE = "picture"
    MOVED = "moved"  # two redirects, then the picture
    FLAKY = "flaky"  # 503 at first, then the picture
    GONE = "gone"  # 404
    REMOVED = "removed"  # 410
    FORBIDDEN = "forbidden"  # 403
    ERROR = "error"  # 500, always
    LOOP = "loop"  # redirects that never end
    HTML = "html"  # a page where a picture was
    CUT = "cut"  # the connection closes in mid-picture
    BROKEN = "broken"  # half a JPEG, sent as if whole
    SMALL = "small"  # 48 pixels
    REFUSED = "refused"  # X-Robots-Tag: noai
    SLOW = "slow"  # a byte now and then, until nobody waits any more


REASONS: dict[Kind, str] = {
    Kind.PICTURE: "",
    Kind.MOVED: "",
    Kind.FLAKY: "",
    Kind.GONE: "http_404",
    Kind.REMOVED: "http_410",
    Kind.FORBIDDEN: "http_403",
    Kind.ERROR: "http_500",
    Kind.LOOP: "redirects",
    Kind.HTML: "not_an_image",
    Kind.CUT: "connection_lost",
    Kind.BROKEN: "truncated",
    Kind.SMALL: "too_small",
    Kind.REFUSED: "x_robots_tag",
    Kind.SLOW: "timeout",
}
"""The reason a download ends with, "" where an image comes."""

SHARES: dict[Kind, float] = {
    Kind.PICTURE: 0.72,
    Kind.MOVED: 0.03,
    Kind.FLAKY: 0.02,
    Kind.GONE: 0.09,
    Kind.REMOVED: 0.02,
    Kind.FORBIDDEN: 0.02,
    Kind.ERROR: 0.01,
    Kind.LOOP: 0.01,
    Kind.HTML: 0.025,
    Kind.CUT: 0.005,
    Kind.BROKEN: 0.015,
    Kind.SMALL: 0.015,
    Kind.REFUSED: 0.02,
}
"""How links answer, one by one by chance; two SLOW ones are put in besides."""

PLACEHOLDERS = 3
SAFE = "UNLIKELY"
UNRELATED, MISSING = "", "placeholder"
"""What a picture shows where it is no drawing: nobody asked, or a notice that it is gone."""


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A row of the corpus. ``path`` is the link's, "" for a row without a URL; ``picture`` numbers the file
    behind it (rows may share it), and ``drawing`` is the truth: what that file shows.
    """

    caption: str | None
    path: str
    kind: Kind
    drawing: str
    picture: int
    nsfw: str = SAFE


def plan(seed: int, rows_per_class: int, captions: int) -> list[DrawnRow]:
    """All rows in the corpus's order; the same for the same arguments. A class has at least 8 rows.

    Of a class's rows, 52 % show what they say, 6 % show something else, 6 % a placeholder, 36 % hold the
    phrase but mean something else. Links that share a picture, and rows that share a link, are among them.
    """
    rng = np.random.default_rng([seed, rows_per_class, captions])
    rows = [row for entry in CLASSES for row in _shared(rng, list(_about(rng, entry, rows_per_class)))]
    numbers: dict[tuple[int, str], int] = {}
    rows = [
        replace(row, picture=numbers.setdefault((row.picture, row.drawing), PLACEHOLDERS + len(numbers)))
        if row.drawing != MISSING
        else row
        for row in rows
    ]
    links = Counter(row.path for row in rows)
    single = [at for at, row in enumerate(rows) if links[row.path] == 1 and row.nsfw == SAFE]
    for place, at in enumerate(rng.choice(single, 2, replace=False)):
        rows[at] = replace(rows[at], kind=Kind.SLOW, path=f"/slow/{place}.jpg")
    rows += [_unrelated(rng, number) for number in range(max(captions - len(rows), 0))]
    return [rows[i] for i in rng.permutation(len(rows))]


def _about(rng: np.random.Generator, entry: DemoClass, count: int) -> Iterator[DrawnRow]:
    """``count`` rows whose captions hold a synonym of ``entry``; picture numbers are only distinct here."""
    sense = rng.permutation(np.linspace(0, 1, count, endpoint=False))
    for share in sense:
        kind = Kind(rng.choice([k.value for k in SHARES], p=list(SHARES.values())))
        caption, drawing = caption_of(rng, entry.drawing, entry.synonyms), entry.drawing
        number = int(rng.integers(1 << 40))
        path = f"/{rng.choice(['img', 'media', 'p', 'uploads'])}/{number:010x}.jpg"
        if share >= 0.64:
            caption, drawing = caption_beside(rng, entry)
        elif share >= 0.58:
            drawing, number, kind = MISSING, int(rng.integers(PLACEHOLDERS)), Kind.PICTURE
        elif share >= 0.52:
            drawing = str(rng.choice([name for name in DRAWINGS if name != entry.drawing]))
        yield DrawnRow(caption, path, kind, drawing, number)


def _shared(rng: np.random.Generator, rows: list[DrawnRow]) -> list[DrawnRow]:
    """``rows`` and four: a picture under another link too, a link told of twice, an unsafe tag, no link."""
    pictures = [replace(row, kind=Kind.PICTURE) for row in rows if row.drawing != MISSING]
    kinds = {row.path: row.kind for row in rows}
    copy, repeat, unsafe, unlinked = (pictures[int(i)] for i in rng.choice(len(pictures), 4, replace=False))
    return [
        *rows,
        replace(copy, path=f"/mirror{copy.path}"),
        replace(repeat, kind=kinds[repeat.path], caption=f"{repeat.caption} (repost)"),
        replace(unsafe, path=f"/adult{unsafe.path}", nsfw="NSFW"),
        replace(unlinked, path=""),
    ]


def _unrelated(rng: np.random.Generator, number: int) -> DrawnRow:
    """A row of the rest of the web; its link is dead, and nobody should ask it."""
    caption = None if rng.random() < 0.003 else caption_elsewhere(rng)
    path = "" if rng.random() < 0.01 else f"/rest/{number:06d}.jpg"
    return DrawnRow(caption, path, Kind.GONE, UNRELATED, -1)
