"""captrawl report: one page, its charts and its numbers."""

from __future__ import annotations

import typer

from .. import options
from .shapes import ReportJson

app = typer.Typer()


@app.command("report")
def report(context: typer.Context, json: options.Json = False) -> None:
    """Write the report: one page on what was matched, downloaded and kept, its plots and its numbers."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...core.wording import counts_text
    from ...sampling.report.stage import page_path, read_numbers
    from ...sampling.report.stage import report as make

    workspace = options.workspace_of(context)
    with progress_bars() as progress:
        counts = make(workspace, progress=progress)
    if json:
        emit_json({**ReportJson(path=str(page_path(workspace)), counts=counts), **read_numbers(workspace)})
        return
    emit(f"report: {counts_text(counts)}")
    emit(str(page_path(workspace)))
