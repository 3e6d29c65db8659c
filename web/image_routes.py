"""The page's questions to the vectors, and the workspace's images."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Path, Query, Request, Response

from ..classes.files import load_classes
from ..core.errors import InputError, QueryError
from ..core.text import tokens
from ..search.vectors.similar import SearchIn
from .caption_pages import row_values
from .executor import Executor
from .explorer import Explorer
from .files import NotServedError, picture, read_inside
from .middleware import Limits
from .schemas import Sha256, SimilarParameters, SimilarRow, SimilarRows, UploadParameters
from .uploads import one_upload, read_upload

MAX_FILE = 100_000_000
THUMBNAIL = 320
UPLOAD = "/similar/image"
_BINARY = {"schema": {"type": "string", "format": "binary"}}


class ImageRoutes:
    """The operations on vectors and images."""

    def __init__(self, explorer: Explorer, executor: Executor, limits: Limits) -> None:
        self._explorer, self._executor, self._limits = explorer, executor, limits

    def router(self) -> APIRouter:
        """The operations under their paths."""
        router = APIRouter(tags=["images"])
        router.add_api_route("/similar", self.similar, summary="What is near a text, or near another row")
        router.add_api_route(
            UPLOAD,
            self.similar_to_upload,
            methods=["POST"],
            summary="What is near an image",
            openapi_extra={
                "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}
            },
        )
        router.add_api_route(
            "/images/{sha256}",
            self.image,
            summary="An image of the workspace",
            response_class=Response,
            responses={200: {"content": {"image/jpeg": _BINARY, "image/png": _BINARY}}},
        )
        return router

    async def similar(self, question: Annotated[SimilarParameters, Query()]) -> SimilarRows:
        """The images or captions of the workspace nearest to a text or to a row's image or caption."""
        if bool(question.text.strip()) == (question.uid is not None):
            raise QueryError("give a text or a uid to look for, and just one of them")
        return await self._executor.run(lambda: self._near(question), model=True)

    async def similar_to_upload(
        self, request: Request, question: Annotated[UploadParameters, Query()]
    ) -> SimilarRows:
        """The images or captions of the workspace nearest to the image in the body."""
        data = await request.body()

        def near() -> SimilarRows:
            similarity, scope = self._explorer.similarity(), self._scope(question)
            with one_upload():
                table = similarity.by_image(read_upload(data, self._limits.pixels), scope)
            return self._similar_rows(table)

        return await self._executor.run(near, model=True)

    async def image(
        self,
        sha256: Annotated[Sha256, Path()],
        size: Annotated[str, Query(pattern="^(thumbnail|full)$")] = "thumbnail",
    ) -> Response:
        """The image with this sha256, scaled down or as it lies in the workspace."""
        side = THUMBNAIL if size == "thumbnail" else 0

        def read() -> tuple[bytes, str]:
            path = self._explorer.pictures().path_of(sha256)
            if path is None:
                raise NotServedError(f"the workspace has no image {sha256}")
            root = self._explorer.workspace.root
            if not path.startswith("images/"):
                raise NotServedError(f"{path!r:.200} isn't in the workspace's images/")
            data = read_inside(root, path, MAX_FILE)
            return picture(data, side=side, max_pixels=self._limits.pixels)

        data, kind = await self._executor.run(read)
        headers = {
            "cache-control": "private, max-age=86400",
            "content-security-policy": "default-src 'none'; sandbox",
            "content-disposition": "inline",
        }
        return Response(data, media_type=kind, headers=headers)

    def _near(self, question: SimilarParameters) -> SimilarRows:
        similarity, scope = self._explorer.similarity(), self._scope(question)
        if question.uid is None:
            return self._similar_rows(similarity.by_text(question.text, scope))
        by = "images" if question.by == "image" else "captions"
        return self._similar_rows(similarity.by_row(uid_of(question.uid), by, scope))

    def _scope(self, question: SimilarParameters | UploadParameters) -> SearchIn:
        if question.class_id is None:
            return SearchIn(question.where, None, question.k)
        ids = {entry.id for entry in load_classes(self._explorer.workspace.classes_path())}
        if int(question.class_id) not in ids:
            raise InputError(f"there is no class {question.class_id}")
        return SearchIn(question.where, int(question.class_id), question.k)

    def _similar_rows(self, table: pa.Table) -> SimilarRows:
        names = {entry.id: entry.name for entry in load_classes(self._explorer.workspace.classes_path())}
        pictures = self._explorer.pictures()

        def similar_row(row: dict[str, Any]) -> SimilarRow:
            return SimilarRow(
                **row_values(row, [tokens(row["synonym"])]),
                sha256=pictures.sha256_of(row["url"]),
                captions=row["captions"],
                score=row["score"],
                class_id=str(row["class_id"]),
                class_name=names.get(row["class_id"]),
            )

        return SimilarRows(rows=[similar_row(row) for row in table.to_pylist()])


def uid_of(text: str) -> int:
    """A uid's decimal text as a number; QueryError where it has more than 64 bits."""
    uid = int(text)
    if not -(2**63) <= uid < 2**63:
        raise QueryError(f"the uid {text} isn't a signed 64-bit number")
    return uid
