"""The answers about the caption index: a page of rows, counts, and what the rows are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..core.errors import QueryError
from ..core.records import RowId
from ..core.text import token_spans, tokens
from ..search import api
from ..search.api import Frequencies, Order
from ..search.facets import facets
from ..search.query import CaptionQuery
from .explorer import Explorer, is_unsafe
from .schemas import (
    WINDOW,
    CaptionPage,
    CaptionParameters,
    CaptionRow,
    Counts,
    FacetParameters,
    FacetsAnswer,
    FacetValue,
    PageParameters,
    SafetyCounts,
)

MARKED = 4000
"""Characters of a caption in which matches are marked: more than a screen shows."""


def answer(explorer: Explorer, question: CaptionParameters) -> bytes:
    """The answer as JSON: a CaptionPage to PageParameters, FacetsAnswer to FacetParameters, else Counts."""
    if isinstance(question, PageParameters):
        value = page(explorer, question)
    elif isinstance(question, FacetParameters):
        value = facets_of(explorer, question)
    else:
        value = counts(explorer, question)
    return value.model_dump_json().encode()


def page(explorer: Explorer, question: PageParameters) -> CaptionPage:
    """Counts, a page of rows with their matches marked, and the cursor of the next page."""
    query, captions = question.query(), explorer.captions
    totals = api.frequencies(captions, query)
    skip, after = read_cursor(question.cursor, question.order)
    size = question.limit if question.order is Order.CORPUS else min(skip + question.limit, WINDOW)
    rows = api.PageOfRows(size, question.order, question.seed, after)
    table = api.rows_of_page(captions, query, totals, rows).slice(skip)
    return CaptionPage(
        total=totals.total,
        synonyms=dict(totals.synonyms),
        rows=_rows(explorer, table, query),
        next=next_cursor(table, question, skip, totals),
    )


def facets_of(explorer: Explorer, question: FacetParameters) -> FacetsAnswer:
    """What the rows are like."""
    of_rows = facets(explorer.captions, question.query())
    values = {
        name: [FacetValue(value=value, rows=rows) for value, rows in getattr(of_rows, name)]
        for name in FacetsAnswer.model_fields
        if name != "rows"
    }
    return FacetsAnswer(rows=of_rows.rows, **values)


def counts(explorer: Explorer, question: CaptionParameters) -> Counts:
    """The rows that match any phrase, each phrase by itself, and what safety left out."""
    totals = api.count(explorer.captions, question.query())
    safety = SafetyCounts(left_out=totals.safety.left_out, unknown=totals.safety.unknown)
    return Counts(total=totals.total, synonyms=dict(totals.synonyms), safety=safety)


def phrases_of(query: CaptionQuery) -> list[str]:
    """What is marked in a caption: the synonyms and the prefix."""
    return [*query.synonyms, *([query.prefix] if query.prefix else [])]


def row_values(row: dict[str, Any], phrases: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The fields of CaptionRow, but for its image, of a line of CREDITED_SCHEMA; ``phrases`` are tokens."""
    names = ("url", "caption", "synonym", "width", "height", "similarity", "nsfw", "punsafe", "licence",
             "language", "file", "row")  # fmt: skip
    caption = (row["caption"] or "")[:MARKED]
    return {
        **{name: row[name] for name in names},
        "uid": str(row["uid"]),
        "marks": token_spans(caption, phrases) if phrases and caption else [],
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


def next_cursor(table: pa.Table, question: PageParameters, skip: int, totals: Frequencies) -> str | None:
    """The cursor behind the rows of ``table``, None at the end (or at the window's)."""
    if table.num_rows < question.limit:
        return None
    if question.order is Order.CORPUS:
        last = table.slice(table.num_rows - 1).select(["file", "row"]).to_pylist()[0]
        return f"row:{last['row']}:{last['file']}"
    done = skip + table.num_rows
    return f"skip:{done}" if done < min(totals.total, WINDOW) else None


def _rows(explorer: Explorer, table: pa.Table, query: CaptionQuery) -> list[CaptionRow]:
    pictures = explorer.pictures()
    phrases = [tokens(phrase) for phrase in phrases_of(query)]
    return [
        CaptionRow(**row_values(row, phrases), sha256=pictures.sha256_of(row["url"]))
        for row in table.to_pylist()
    ]
