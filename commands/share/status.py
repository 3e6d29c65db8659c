"""captrawl status: how every stage stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ...core.wording import counts_text
from .. import options
from ..results import status_json
from .shapes import ChangeJson, StatusJson

if TYPE_CHECKING:
    from ...workspace.checksums import FileChange
    from ...workspace.workspace import Workspace

app = typer.Typer()


@app.command("status")
def status(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every artefact again and say what changed since.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show how every stage stands."""
    from ...core.terminal import emit_json, out, table
    from ...workspace import pipeline

    workspace = options.workspace_of(context)
    states = pipeline.status(workspace)
    changes = _verified(workspace) if verify else []
    if json:
        answer = StatusJson(stages=[status_json(state) for state in states])
        if verify:
            answer["changes"] = [
                ChangeJson(stage=v.stage, path=v.path, change=v.change.value) for v in changes
            ]
        emit_json(answer)
        raise typer.Exit(1 if changes else 0)
    cells = [(s.stage, s.state.value, counts_text(s.counts), s.reason) for s in states]
    columns = [("stage", "left"), ("state", "left"), ("counts", "left"), ("reason", "left")]
    out().print(table("", columns, cells))
    if verify:
        _show(workspace, changes)


def _verified(workspace: Workspace) -> list[FileChange]:
    from ...core.terminal import progress_bars
    from ...workspace import pipeline

    with progress_bars() as progress:
        return pipeline.verify(workspace, progress)


def _show(workspace: Workspace, changes: list[FileChange]) -> None:
    """The changes, or that there are none; exit code 1 where there are."""
    from ...core.terminal import emit, number, out, table

    recorded = sum(len(paths) for paths in workspace.recorded_hashes().values())
    if not changes:
        emit(f"verified: {number(recorded)} artefacts are as their stages left them")
        return
    cells = [(v.stage, v.change.value, v.path) for v in changes]
    out().print(table("changed since", [("stage", "left"), ("", "left"), ("artefact", "left")], cells))
    raise typer.Exit(1)
