"""The exploration page's server: one FastAPI app over a caption index and, perhaps, a workspace."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..core.errors import (
    CaptionIndexError,
    CaptrawlError,
    InputError,
    MissingExtraError,
    ModelError,
    ServerError,
    WorkspaceError,
)
from ..core.version import __version__
from ..sampling.methods import Score
from ..search.captions import CaptionIndex
from ..workspace.workspace import Workspace
from .caption_routes import CaptionRoutes
from .class_pools import ClassPools
from .class_routes import ClassRoutes
from .executor import BusyError, Executor
from .explorer import Explorer
from .files import NotServedError, Static, static_files
from .image_routes import UPLOAD, ImageRoutes
from .middleware import AllowedHosts, Guard, Limits
from .schemas import PROBLEMS, WINDOW, Session
from .uploads import UnusableUploadError
from .worker_pool import WorkerPool

STATUS: dict[type[Exception], int] = {
    NotServedError: 404,
    UnusableUploadError: 415,
    InputError: 422,
    WorkspaceError: 409,
    ModelError: 409,
    MissingExtraError: 409,
    ServerError: 503,
    CaptionIndexError: 409,
    BusyError: 503,
    CaptrawlError: 409,
}
"""Errors that a user can cause → the answer's status; the first that fits. Anything else is a bug: 500."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server is guarded; the token is drawn anew for every server."""

    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    limits: Limits = field(default_factory=Limits)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    processes: int = 0
    """Worker processes for questions about the caption index; with none, threads of the server answer."""


def create_app(
    captions: CaptionIndex,
    location: str,
    *,
    workspace: Workspace | None = None,
    serving: Serving | None = None,
) -> FastAPI:
    """The app over an open index (which stays the caller's to close) and a workspace.

    ``location`` is what the page calls the index, and where the processes of ``serving`` open it.
    """
    serving = serving or Serving()
    explorer = Explorer(captions, location, workspace)
    executor = Executor(serving.limits)
    workers = WorkerPool(explorer, executor, serving.processes)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await workers.close()
        executor.close()

    app = FastAPI(
        title="captrawl",
        version=__version__,
        summary="Explore a caption index and a workspace.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    api = APIRouter(prefix="/api", responses=PROBLEMS)
    api.add_api_route(
        "/session", _session(explorer, executor, serving), tags=["session"], response_model=Session
    )
    api.include_router(CaptionRoutes(explorer, executor, workers).router())
    api.include_router(ImageRoutes(explorer, executor, serving.limits).router())
    api.include_router(ClassRoutes(explorer, executor).router())
    app.include_router(api)
    _serve_page(app)
    _answer_errors(app)
    uploads = frozenset({f"/api{UPLOAD}"})
    app.add_middleware(
        Guard, hosts=serving.hosts, token=serving.token, limits=serving.limits, uploads=uploads
    )
    return app


def _session(
    explorer: Explorer, executor: Executor, serving: Serving
) -> Callable[[], Coroutine[None, None, Session]]:
    pools = ClassPools(explorer)

    def read() -> Session:
        from ..search.vectors.models import model_of

        workspace = explorer.workspace if explorer.has_workspace else None
        model = model_of(workspace) if workspace else None
        has_vectors = bool(
            workspace and model and (workspace.vectors_folder(model.slug) / "index.json").is_file()
        )
        return Session(
            version=__version__,
            token=serving.token,
            index=explorer.location,
            rows=explorer.captions.rows(),
            files=len(explorer.captions.files()),
            workspace=str(workspace.root) if workspace else None,
            model=str(model) if model else None,
            similar=has_vectors,
            samples=pools.samples() if workspace else [],
            scores=[score.value for score in Score],
            window=WINDOW,
            examples=pools.examples() if workspace else [],
        )

    async def session() -> Session:
        """What is served, and the token that writes need."""
        return await executor.run(read)

    return session


def _serve_page(app: FastAPI) -> None:
    files = static_files()

    def answer(request: Request, file: Static | None) -> Response:
        if file is None:
            raise HTTPException(404, "there is no such file")
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.data, media_type=file.kind, headers=headers)

    async def page(request: Request) -> Response:
        return answer(request, files["index.html"])

    async def static(request: Request, name: str) -> Response:
        return answer(request, files.get(name))

    app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/static/{name}", static, include_in_schema=False)


def _answer_errors(app: FastAPI) -> None:
    """Every error as {"error": "…"}."""

    def problem(status: int, text: str) -> JSONResponse:
        headers = {"retry-after": "5"} if status == 503 else None
        return JSONResponse({"error": text}, status, headers)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        errors = error.errors() if isinstance(error, RequestValidationError) else []
        texts = [f"{'.'.join(map(str, e['loc'][1:])) or 'the request'}: {e['msg']}" for e in errors[:3]]
        return problem(422, "; ".join(texts)[:500])

    async def http(_: Request, error: Exception) -> JSONResponse:
        status, text = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        answer = problem(status, str(text))
        answer.headers.update(getattr(error, "headers", None) or {})
        return answer

    async def ours(_: Request, error: Exception) -> JSONResponse:
        status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
        return problem(status, str(error))

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(CaptrawlError, ours)
    app.add_exception_handler(BusyError, ours)
