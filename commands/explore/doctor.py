"""captrawl doctor: what users trip over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from .shapes import CheckJson, DoctorJson

app = typer.Typer()


@app.command("doctor")
def doctor(
    context: typer.Context,
    index: Annotated[
        str, typer.Option(help="A caption index to open; the workspace's where not given.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Check what users trip over: extras, device, model, disk, open-file limit, index."""
    from ...core.terminal import emit_json, out, table
    from ...workspace.doctor import Verdict, examine

    directory: Path = context.obj
    findings = examine(directory, index=index)
    if json:
        emit_json(
            DoctorJson(
                checks=[CheckJson(check=f.check, verdict=f.verdict.value, text=f.text) for f in findings]
            )
        )
    else:
        marks = {Verdict.GOOD: "ok", Verdict.WARNING: "warning", Verdict.BAD: "problem"}
        cells = [(f.check, marks[f.verdict], f.text) for f in findings]
        out().print(table("", [("check", "left"), ("", "left"), ("", "left")], cells))
    if any(f.verdict is Verdict.BAD for f in findings):
        raise typer.Exit(1)
