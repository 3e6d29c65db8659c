"""Commands on all stages of a workspace: run, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .counts import counts_text

if TYPE_CHECKING:
    from ..workspace.checksums import Verdict
    from ..workspace.workspace import StageStatus, Workspace

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
    from ..core.terminal import emit, emit_json, progress_bars
    from ..workspace import pipeline

    workspace = options.workspace_of(context)
    if allow_private:
        options.allow_private(workspace)
    pipeline.check(workspace)
    options.caution(workspace)

    def done(stage: StageStatus) -> None:
        if not json:
            emit(f"{stage.stage}: {counts_text(stage.counts)}")

    with progress_bars() as progress:
        ended = pipeline.run(workspace, progress=progress, done=done)
    if json:
        emit_json({"stages": [_status_json(stage) for stage in ended]})


@app.command("status")
def status(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every artefact again and say what changed since.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show how every stage stands."""
    from ..core.terminal import emit_json, out, table
    from ..workspace import pipeline

    workspace = options.workspace_of(context)
    states = pipeline.status(workspace)
    verdicts = _verified(workspace) if verify else []
    if json:
        lines = [_status_json(state) for state in states]
        changes = [{"stage": v.stage, "path": v.path, "change": v.change.value} for v in verdicts]
        emit_json({"stages": lines, **({"changes": changes} if verify else {})})
        raise typer.Exit(1 if verdicts else 0)
    cells = [(s.stage, s.state.value, counts_text(s.counts), s.reason) for s in states]
    columns = [("stage", "left"), ("state", "left"), ("counts", "left"), ("reason", "left")]
    out().print(table("", columns, cells))
    if verify:
        _show(workspace, verdicts)


def _status_json(stage: StageStatus) -> dict[str, object]:
    return {
        "stage": stage.stage,
        "state": stage.state.value,
        "counts": dict(stage.counts),
        "reason": stage.reason,
    }


def _verified(workspace: Workspace) -> list[Verdict]:
    from ..core.terminal import progress_bars
    from ..workspace.checksums import verify

    with progress_bars() as progress:
        return verify(workspace.root, workspace.recorded_hashes(), progress=progress)


def _show(workspace: Workspace, verdicts: list[Verdict]) -> None:
    """The changes, or that there are none; exit code 1 where there are."""
    from ..core.terminal import emit, number, out, table

    recorded = sum(len(paths) for paths in workspace.recorded_hashes().values())
    if not verdicts:
        emit(f"verified: {number(recorded)} artefacts are as their stages left them")
        return
    cells = [(v.stage, v.change.value, v.path) for v in verdicts]
    out().print(table("changed since", [("stage", "left"), ("", "left"), ("artefact", "left")], cells))
    raise typer.Exit(1)
