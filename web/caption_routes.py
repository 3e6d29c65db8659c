"""The page's questions to the caption index: a page of rows, counts, and all rows as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from ..errors import QueryError
from ..records import RowId
from ..search import explore
from ..search.explore import Frequencies, Order, Totals
from ..search.query import CaptionQuery
from ..search.text import token_spans, tokens
from .explorer import Explorer, is_unsafe
from .models import WINDOW, Asked, AskedExport, AskedPage, Counts, Page, Row, Safe
from .question_route import QuestionRoute
from .streams import TYPES, stream
from .work import Work

MARKED = 4000
"""Matches are looked for in so many characters of a caption; more than a screen shows anyway."""


class CaptionRoutes:
    """The operations on the caption index."""

    def __init__(self, explorer: Explorer, work: Work) -> None:
        self._explorer, self._work = explorer, work

    def router(self) -> APIRouter:
        """The operations under their paths."""
        router = APIRouter(tags=["captions"], route_class=QuestionRoute)
        router.add_api_route("/query", self.query, summary="A page of captions, and how many there are")
        router.add_api_route("/count", self.count, summary="How many captions hold the phrases")
        router.add_api_route(
            "/export",
            self.export,
            summary="Every matching row as a file",
            response_class=StreamingResponse,
            responses={200: {"content": {kind: {"schema": _BINARY} for kind in TYPES.values()}}},
        )
        return router

    async def query(self, asked: Annotated[AskedPage, Query()]) -> Page:
        """Counts, a page of rows with their matches marked, and the cursor of the next page."""
        return await self._work.do(lambda: self._page(asked))

    async def count(self, asked: Annotated[Asked, Query()]) -> Counts:
        """The rows that match any phrase, each phrase by itself, and what safety left out."""
        query = asked.query()
        return await self._work.do(lambda: _counts(explore.totals(self._explorer.captions, query)))

    async def export(self, asked: Annotated[AskedExport, Query()]) -> StreamingResponse:
        """Streams every matching row once, as Parquet or CSV, in any order."""
        query = asked.query()
        self._work.check_exports()
        made = await self._work.do(lambda: stream(self._explorer.captions, query, asked.format))
        name = f'attachment; filename="captions.{asked.format}"'
        return StreamingResponse(
            self._work.pieces(made), media_type=TYPES[asked.format], headers={"content-disposition": name}
        )

    def _page(self, asked: AskedPage) -> Page:
        query, captions = asked.query(), self._explorer.captions
        counted = explore.frequencies(captions, query)
        skip, after = read_cursor(asked.cursor, asked.order)
        size = asked.limit if asked.order is Order.CORPUS else min(skip + asked.limit, WINDOW)
        page = explore.Page(size, asked.order, asked.seed, after)
        table = explore.found(captions, query, counted, page).slice(skip)
        return Page(
            total=counted.total,
            synonyms=dict(counted.synonyms),
            rows=self._rows(table, query),
            next=next_cursor(table, asked, skip, counted),
        )

    def _rows(self, table: pa.Table, query: CaptionQuery) -> list[Row]:
        pictures = self._explorer.pictures()
        phrases = [tokens(phrase) for phrase in phrases_of(query)]
        return [
            Row(**row_values(row, phrases), sha256=pictures.sha256_of(row["url"]))
            for row in table.to_pylist()
        ]


_BINARY = {"type": "string", "format": "binary"}


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


def _counts(counted: Totals) -> Counts:
    safety = Safe(left_out=counted.safety.left_out, unknown=counted.safety.unknown)
    return Counts(total=counted.total, synonyms=dict(counted.synonyms), safety=safety)
