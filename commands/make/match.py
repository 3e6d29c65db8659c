"""captrawl match: find the rows whose captions name a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import UsageError
from ...core.wording import counted
from .. import options
from ..results import CountsJson, counts_text
from .shapes import ComparedClassJson, CompareJson

if TYPE_CHECKING:
    from ...workspace.workspace import Workspace

app = typer.Typer()


@app.command("match", short_help="Find the rows whose captions name a class.")
def match(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every matching row.")] = False,
    sample: Annotated[int | None, typer.Option(help="Rows a class, uniformly.", min=1)] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="METRICS.json", help="Only show our totals beside the file's actual_freq."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Find the rows whose captions contain a class's synonyms → matches.parquet."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.match_stage import match as run

    workspace = options.workspace_of(context)
    if compare:
        return _compare(workspace, compare, json)
    if everything and sample is not None:
        raise UsageError(f"--all and --sample {sample} contradict each other; give one of them")
    size = {"sample": "all"} if everything else {"sample": sample} if sample is not None else {}
    with options.storing(workspace, {"match": size}) as changed, progress_bars() as progress:
        counts = run(changed, progress=progress)
    if json:
        return emit_json(CountsJson(counts=counts))
    return emit(f"match: {counts_text(counts)}")


def _compare(workspace: Workspace, metrics: Path, json: bool) -> None:
    from ...core.terminal import emit, emit_json, number, out, table
    from ...swat.comparing import compare

    lines = compare(workspace, metrics)
    if json:
        compared = [
            ComparedClassJson(id=x.id, name=x.name, total=x.total, actual_freq=x.theirs) for x in lines
        ]
        emit_json(CompareJson(classes=compared))
        return
    columns = [
        ("id", "right"),
        ("class", "left"),
        ("total", "right"),
        ("actual_freq", "right"),
        ("ratio", "right"),
    ]
    cells = [(x.id, x.name, x.total, x.theirs, x.ratio_text) for x in lines]
    out().print(table("our total against the file's actual_freq", columns, cells))
    equal = sum(line.total == line.theirs for line in lines)
    emit(f"{number(equal)} of {counted(len(lines), 'class')} equal")
