"""What the page's questions to the caption index are answered with: a page of rows, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import pyarrow as pa

from ..core.errors import QueryError
from ..core.records import RowId
from ..core.text import token_spans, tokens
from ..search import api as explore
from ..search.api import Frequencies, Order
from ..search.query import CaptionQuery
from .explorer import Explorer, is_unsafe
from .schemas import WINDOW, Asked, AskedPage, Counts, Page, Row, Safe

MARKED = 4000
"""Matches are looked for in so many characters of a caption; more than a screen shows anyway."""


class Question(StrEnum):
    """What is asked: a page (of an AskedPage), or only counts."""

    PAGE = "page"
    COUNTS = "counts"


def answer(explorer: Explorer, question: Question, asked: Asked) -> bytes:
    """The answer, a Page or Counts, as JSON."""
    if question is Question.PAGE and isinstance(asked, AskedPage):
        return page(explorer, asked).model_dump_json().encode()
    return counts(explorer, asked).model_dump_json().encode()


def page(explorer: Explorer, asked: AskedPage) -> Page:
    """Counts, a page of rows with their matches marked, and the cursor of the next page."""
    query, captions = asked.query(), explorer.captions
    counted = explore.frequencies(captions, query)
    skip, after = read_cursor(asked.cursor, asked.order)
    size = asked.limit if asked.order is Order.CORPUS else min(skip + asked.limit, WINDOW)
    wanted = explore.Page(size, asked.order, asked.seed, after)
    table = explore.found(captions, query, counted, wanted).slice(skip)
    return Page(
        total=counted.total,
        synonyms=dict(counted.synonyms),
        rows=_rows(explorer, table, query),
        next=next_cursor(table, asked, skip, counted),
    )


def counts(explorer: Explorer, asked: Asked) -> Counts:
    """The rows that match any phrase, each phrase by itself, and what safety left out."""
    counted = explore.totals(explorer.captions, asked.query())
    safety = Safe(left_out=counted.safety.left_out, unknown=counted.safety.unknown)
    return Counts(total=counted.total, synonyms=dict(counted.synonyms), safety=safety)


def phrases_of(query: CaptionQuery) -> list[str]:
    """What is marked in a caption: the synonyms and the prefix."""
    return [*query.synonyms, *([query.prefix] if query.prefix else [])]


def row_values(row: dict[str, Any], phrases: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The fields of models.Row, but for its image, of a line of FOUND_SCHEMA; ``phrases`` are tokens."""
    names = ("url", "caption", "synonym", "width", "height", "similarity", "nsfw", "punsafe", "licence",
             "language", "file", "row")  # fmt: skip
    shown = (row["caption"] or "")[:MARKED]
    return {
        **{name: row[name] for name in names},
        "uid": str(row["uid"]),
        "marks": token_spans(shown, phrases) if phrases and shown else [],
        "unsafe": is_unsafe(row["nsfw"], row["punsafe"]),
    }


def read_cursor(cursor: str, order: Order) -> tuple[int, RowId | None]:
    """How many rows to skip, or the row to go on behind; QueryError where ``cursor`` isn't of this order."""
    if not cursor:
        return 0, None
    kind, _, rest = cursor.partition(":")
    number, _, file = rest.partition(":")
    if number.isascii() and number.isdecimal() and len(number) <= 18:
        if kind == "row" and file and order is Order.CORPUS:
            return 0, RowId(file, int(number))
        if kind == "skip" and not file and order is not Order.CORPUS and int(number) < WINDOW:
            return int(number), None
    raise QueryError(f"the cursor {cursor!r:.100} isn't the `next` of a page in this order")


def next_cursor(table: pa.Table, asked: AskedPage, skip: int, counted: Frequencies) -> str | None:
    """The cursor behind the rows of ``table``, None at the end (or at the window's)."""
    if table.num_rows < asked.limit:
        return None
    if asked.order is Order.CORPUS:
        last = table.slice(table.num_rows - 1).select(["file", "row"]).to_pylist()[0]
        return f"row:{last['row']}:{last['file']}"
    done = skip + table.num_rows
    return f"skip:{done}" if done < min(counted.total, WINDOW) else None


def _rows(explorer: Explorer, table: pa.Table, query: CaptionQuery) -> list[Row]:
    pictures = explorer.pictures()
    phrases = [tokens(phrase) for phrase in phrases_of(query)]
    return [
        Row(**row_values(row, phrases), sha256=pictures.sha256_of(row["url"])) for row in table.to_pylist()
    ]
