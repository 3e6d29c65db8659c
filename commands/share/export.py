"""captrawl export: a sample for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.wording import counts_text
from .. import options
from .shapes import ExportJson

app = typer.Typer()


@app.command("export", cls=options.ListsChoices)
def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT", help="One of {export_formats}.", autocompletion=options.export_formats
        ),
    ],
    name: Annotated[str, typer.Option(help="The sample.", autocompletion=options.sample_names)] = "T2T500",
    json: options.Json = False,
) -> None:
    """Write a sample for other tools: images, or the licence of every URL.

    Images are copies, or read-only links to the workspace's. The same command again finds it finished.
    """
    from ...core.terminal import emit, emit_json, progress_bars
    from ...sampling.export.formats import export as run
    from ...sampling.export.formats import read_export

    options.check_choice("--to", to, options.export_formats())
    with progress_bars() as progress:
        counts = run(options.workspace_of(context), name, to, folder, progress=progress)
    finished = read_export(folder) or {}
    notes: list[str] = finished.get("notes", [])
    if json:
        return emit_json(ExportJson(folder=str(folder), counts=counts, notes=notes))
    for note in notes:
        emit(note)
    return emit(f"{folder}: {counts_text(counts)}, finished")
