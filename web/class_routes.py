"""The page's view of the workspace's classes, and the marks that a user sets there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from ..sampling.marks import Mark, set_marks
from .class_pools import ClassPools
from .executor import Executor
from .explorer import Explorer
from .files import NotServedError
from .image_routes import uid_of
from .preview import SamplePreview
from .schemas import (
    Classes,
    ClassId,
    ClassPage,
    Doubtful,
    DoubtParameters,
    MarkCounts,
    MarkRequest,
    MarksCounts,
    MarksRequest,
    PoolPage,
    PoolParameters,
    Preview,
    PreviewParameters,
    Uid,
)

Id = Annotated[ClassId, Path()]


class ClassRoutes:
    """The operations on classes."""

    def __init__(self, explorer: Explorer, executor: Executor) -> None:
        self._explorer, self._executor = explorer, executor
        self._pools, self._preview = ClassPools(explorer), SamplePreview(explorer)

    def router(self) -> APIRouter:
        """The operations under their paths."""
        router = APIRouter(prefix="/classes", tags=["classes"])
        router.add_api_route("", self.classes, summary="The classes of the workspace")
        router.add_api_route("/{class_id}", self.class_page, summary="A class, its synonyms and samples")
        router.add_api_route("/{class_id}/pool", self.pool, summary="A class's pool with its scores")
        router.add_api_route(
            "/{class_id}/preview", self.preview, summary="What a sample with other thresholds would keep"
        )
        router.add_api_route(
            "/{class_id}/doubtful", self.doubtful, summary="The rows whose mark would teach most"
        )
        router.add_api_route(
            "/{class_id}/marks", self.marks, methods=["PUT"], summary="Reject or confirm several images"
        )
        router.add_api_route(
            "/{class_id}/marks/{uid}", self.mark, methods=["PUT"], summary="Reject or confirm an image"
        )
        return router

    async def classes(self) -> Classes:
        """Every class with its counts, by id."""
        return await self._executor.run(lambda: Classes(classes=self._pools.lines()))

    async def class_page(self, class_id: Id) -> ClassPage:
        """A class, how its synonyms share its pool, and the samples that were drawn."""
        return await self._executor.run(lambda: self._pools.page(int(class_id)))

    async def pool(self, class_id: Id, part: Annotated[PoolParameters, Query()]) -> PoolPage:
        """The rows of the pool with the scores of a sample: its kept rows by rank, then the others."""
        return await self._executor.run(
            lambda: self._pools.pool(int(class_id), part.sample, part.offset, part.limit)
        )

    async def preview(self, class_id: Id, question: Annotated[PreviewParameters, Query()]) -> Preview:
        """What a sample keeps of the class with this order and these conditions, and the command for it."""

        def preview() -> Preview:
            return self._preview.of(self._pools.entry(int(class_id)).id, question)

        return await self._executor.run(preview, model=True)

    async def doubtful(self, class_id: Id, question: Annotated[DoubtParameters, Query()]) -> Doubtful:
        """The rows that the probe on shots and marks knows least of, without those like a marked one."""

        def doubtful() -> Doubtful:
            return self._preview.doubtful(self._pools.entry(int(class_id)).id, question)

        return await self._executor.run(doubtful, model=True)

    async def mark(self, class_id: Id, uid: Annotated[Uid, Path()], request: MarkRequest) -> MarkCounts:
        """Store what the user says of an image in this class; `captrawl sample` honours it."""
        counts = await self.marks(class_id, MarksRequest(marks={uid: request.mark}))
        return MarkCounts(mark=request.mark, confirmed=counts.confirmed, rejected=counts.rejected)

    async def marks(self, class_id: Id, request: MarksRequest) -> MarksCounts:
        """Store what the user says of images in this class, all of it or nothing."""

        def store() -> MarksCounts:
            entry = self._pools.entry(int(class_id))
            changes = {uid_of(uid): Mark(mark) if mark else None for uid, mark in request.marks.items()}
            if missing := self._pools.missing(entry.id, changes):
                raise NotServedError(f"class {class_id} has no row with the uid {missing[0]}")
            marks = set_marks(self._explorer.workspace, entry.id, changes)
            return MarksCounts(
                confirmed=len(marks.uids(entry.id, Mark.CONFIRMED)),
                rejected=len(marks.uids(entry.id, Mark.REJECTED)),
                stale=bool(request.sample) and self._pools.is_stale(request.sample, marks),
            )

        return await self._executor.run(store)
