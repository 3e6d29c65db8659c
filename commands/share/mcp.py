"""captrawl mcp: tools for an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options

app = typer.Typer()


@app.command("mcp")
def mcp(
    context: typer.Context,
    index: options.WorkspaceIndex = "",
    write: Annotated[
        bool, typer.Option("--write", help="Offer the tools that draw samples and mark images too.")
    ] = False,
) -> None:
    """Let an agent look at an index and the workspace: a Model Context Protocol server on stdin and stdout.

    Tools: query, count, classes, status, sample, similar; they only read. With --write also draw_sample and
    mark. Nothing is ever fetched.
    """
    from ...indexer.opening import open_index
    from ...library.agent import AgentTools
    from ...library.mcp_server import serve_tools
    from ...library.workspace import TaskWorkspace

    directory: Path = context.obj
    location = options.index_of(context, index)
    workspace = TaskWorkspace(directory) if (directory / "captrawl.toml").is_file() else None
    with open_index(location) as captions:
        serve_tools(AgentTools(captions, workspace), write=write)
