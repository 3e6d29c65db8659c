"""The page's questions to the caption index: a page of rows, counts, and all rows as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from .executor import Executor
from .explorer import Explorer
from .question_route import QuestionRoute
from .schemas import (
    CaptionPage,
    CaptionParameters,
    Counts,
    ExportParameters,
    FacetParameters,
    FacetsAnswer,
    PageParameters,
)
from .streams import TYPES, stream
from .worker_pool import WorkerPool


class CaptionRoutes:
    """The operations on the caption index."""

    def __init__(self, explorer: Explorer, executor: Executor, workers: WorkerPool) -> None:
        self._explorer, self._executor, self._workers = explorer, executor, workers

    def router(self) -> APIRouter:
        """The operations under their paths."""
        router = APIRouter(tags=["captions"], route_class=QuestionRoute)
        router.add_api_route(
            "/query",
            self.query,
            response_model=CaptionPage,
            summary="A page of captions, and how many there are",
        )
        router.add_api_route(
            "/count", self.count, response_model=Counts, summary="How many captions contain the phrases"
        )
        router.add_api_route(
            "/facets",
            self.facets,
            response_model=FacetsAnswer,
            summary="What the rows of a question are like",
        )
        router.add_api_route(
            "/export",
            self.export,
            summary="Every matching row as a file",
            response_class=StreamingResponse,
            responses={200: {"content": {kind: {"schema": _BINARY} for kind in TYPES.values()}}},
        )
        return router

    async def query(self, question: Annotated[PageParameters, Query()]) -> Response:
        """Counts, a page of rows with their matches marked, and the cursor of the next page."""
        return Response(await self._workers.answer(question), media_type="application/json")

    async def count(self, question: Annotated[CaptionParameters, Query()]) -> Response:
        """The rows that match any phrase, each phrase by itself, and what safety left out."""
        return Response(await self._workers.answer(question), media_type="application/json")

    async def facets(self, question: Annotated[FacetParameters, Query()]) -> Response:
        """Hosts, licences, languages, sizes, similarities and longer phrases, of 1,000 rows at most."""
        return Response(await self._workers.answer(question), media_type="application/json")

    async def export(self, question: Annotated[ExportParameters, Query()]) -> StreamingResponse:
        """Streams every matching row once, as Parquet or CSV, in any order."""
        query, kind = question.query(), question.format
        self._executor.check_exports()
        data = await self._executor.run(lambda: stream(self._explorer.captions, query, kind))
        name = f'attachment; filename="captions.{kind}"'
        return StreamingResponse(
            self._executor.pieces(data), media_type=TYPES[kind], headers={"content-disposition": name}
        )


_BINARY = {"type": "string", "format": "binary"}
