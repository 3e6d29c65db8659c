"""captrawl import swat: a workspace from what SWAT left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.wording import counts_text
from .. import options
from ..results import CountsJson

app = typer.Typer()
import_app = typer.Typer(help="Make a workspace of what other tools left.", no_args_is_help=True)
app.add_typer(import_app, name="import")


@import_app.callback()
def import_() -> None:
    """Make a workspace of what other tools left."""


@import_app.command("swat", short_help="Make a workspace of SWAT's files.")
def import_swat(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER_OR_FILE", help="SWAT's $RETRIEVED/NAME folder, or one file.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The workspace to make.")],
    classes: Annotated[
        Path | None, typer.Option(help="The metrics JSON, or their folder, where it lies elsewhere.")
    ] = None,
    sampling: Annotated[
        str, typer.Option(metavar="all|random|few|ranked", help="Which, where the folder contains several.")
    ] = "",
    model: Annotated[str, typer.Option(help="The model of a _mined.pth that isn't one of SWAT's four.")] = "",
    prefix: Annotated[
        str | None,
        typer.Option(help="Which matched captions, where the folder contains several; '' is none."),
    ] = None,
    tag: Annotated[str, typer.Option(help="The tag that SWAT's --tag put into its files' names.")] = "",
    json: options.Json = False,
) -> None:
    """Make a workspace of SWAT's files: matches, images (linked), embeddings."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...swat.importing import SwatChoices
    from ...swat.importing import import_swat as run

    options.caution_always()
    with progress_bars() as progress:
        counts = run(source, to, SwatChoices(classes, sampling, model, prefix, tag), progress=progress)
    options.warn_of_blank(to)
    if json:
        return emit_json(CountsJson(counts=counts))
    emit(f"import: {counts_text(counts)}")
    emit(f"{to}: next, captrawl -C {to} status, then captrawl -C {to} run")
    return None
