"""The page's questions to the caption index: a page of rows, counts, and all rows as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from .caption_pages import Question
from .executor import Work
from .explorer import Explorer
from .question_route import QuestionRoute
from .schemas import Asked, AskedExport, AskedPage, Counts, Page
from .streams import TYPES, stream
from .worker_pool import Answers


class CaptionRoutes:
    """The operations on the caption index."""

    def __init__(self, explorer: Explorer, work: Work, answers: Answers) -> None:
        self._explorer, self._work, self._answers = explorer, work, answers

    def router(self) -> APIRouter:
        """The operations under their paths."""
        router = APIRouter(tags=["captions"], route_class=QuestionRoute)
        router.add_api_route(
            "/query",
            self.query,
            response_model=Page,
            summary="A page of captions, and how many there are",
        )
        router.add_api_route(
            "/count", self.count, response_model=Counts, summary="How many captions hold the phrases"
        )
        router.add_api_route(
            "/export",
            self.export,
            summary="Every matching row as a file",
            response_class=StreamingResponse,
            responses={200: {"content": {kind: {"schema": _BINARY} for kind in TYPES.values()}}},
        )
        return router

    async def query(self, asked: Annotated[AskedPage, Query()]) -> Response:
        """Counts, a page of rows with their matches marked, and the cursor of the next page."""
        return _json(await self._answers.ask(Question.PAGE, asked))

    async def count(self, asked: Annotated[Asked, Query()]) -> Response:
        """The rows that match any phrase, each phrase by itself, and what safety left out."""
        return _json(await self._answers.ask(Question.COUNTS, asked))

    async def export(self, asked: Annotated[AskedExport, Query()]) -> StreamingResponse:
        """Streams every matching row once, as Parquet or CSV, in any order."""
        query = asked.query()
        self._work.check_exports()
        made = await self._work.do(lambda: stream(self._explorer.captions, query, asked.format))
        name = f'attachment; filename="captions.{asked.format}"'
        return StreamingResponse(
            self._work.pieces(made), media_type=TYPES[asked.format], headers={"content-disposition": name}
        )


_BINARY = {"type": "string", "format": "binary"}


def _json(answer: bytes) -> Response:
    return Response(answer, media_type="application/json")
