"""captrawl serve: the exploration page."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import InputError, import_failure
from ...core.startup import settle_without_pandas

app = typer.Typer()

_MOST_PROCESSES = 4
"""That answer questions, where there are so many cores; each takes some 100 MB."""


@app.command("serve")
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than loopback let others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 = a free one.", min=0, max=65535)] = 8000,
    index: Annotated[
        str, typer.Option(metavar="INDEX", help="A caption index; the workspace's where not given.")
    ] = "",
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name this server is called by; repeatable.")
    ] = None,
) -> None:
    """Explore an index and the workspace on a web page of this machine."""
    from ...core.parallel import cores
    from ...core.terminal import emit, say
    from ...indexer.match_stage import index_location
    from ...indexer.opening import open_index
    from ...workspace.workspace import Workspace

    settle_without_pandas()
    try:
        from ...web import serve as server
        from ...web.app import Serving, create_app
        from ...web.middleware import AllowedHosts, is_loopback
    except ImportError as error:
        raise import_failure(error, "captrawl serve", "web") from error
    directory: Path = context.obj
    workspace = Workspace.open(directory) if _is_workspace(directory, index) else None
    location = index or (index_location(workspace) if workspace else "")
    with contextlib.closing(server.listen(host, port)) as listener, open_index(location) as captions:
        serving = Serving(
            AllowedHosts.serving(host, allow_host or ()), processes=min(cores(), _MOST_PROCESSES)
        )
        page = create_app(captions, location, workspace=workspace, serving=serving)
        if not is_loopback(host):
            say(f"everyone who can reach {host} can look at this index and mark images")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(page, listener, lambda: emit(f"{server.address_of(listener)} (Ctrl-C ends it)"))


def _is_workspace(directory: Path, index: str) -> bool:
    """Whether there is a workspace to serve; InputError where there is neither that nor an index."""
    from ...workspace.workspace import Workspace

    if Workspace(directory).settings_path.is_file():
        return True
    if not index:
        raise InputError(
            f"{directory.resolve()} isn't a workspace, so there is nothing to serve; name a workspace with "
            "captrawl -C DIR serve, or a caption index with --index"
        )
    return False
