"""captrawl run: every stage that isn't done."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..results import StageLines, status_json

app = typer.Typer()


@app.command("run", short_help="Do every stage that isn't done.")
def run(
    context: typer.Context,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch from private and loopback addresses too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Do every stage that isn't done: match, download, embed, vectors, samples, report.

    A model that isn't there, or a sample that needs shots and has none, ends it before any work.
    """
    from ...core.terminal import emit, emit_json, progress_bars
    from ...workspace import pipeline

    workspace = options.workspace_of(context)
    if allow_private:
        workspace = options.allowing_private(workspace)
    pipeline.check(workspace)
    options.caution(workspace)

    lines = StageLines(emit if not json else None)
    with progress_bars() as progress:
        ended = pipeline.run(workspace, progress=progress, done=lines.add)
    if json:
        emit_json({"stages": [status_json(stage) for stage in ended]})
