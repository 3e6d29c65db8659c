"""captrawl match: find the rows whose captions name a class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.wording import counted, counts_text
from .. import options
from ..results import CountsJson
from .shapes import ComparedClassJson, CompareJson

if TYPE_CHECKING:
    from ...workspace.workspace import Workspace

app = typer.Typer()
RANKS = ("T2T", "T2I", "I2I", "none")
SHOWN = 5
"""Phrases that stand around another class's, said one by one."""


@app.command("match")
def match(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every matching row.")] = False,
    sample: Annotated[int | None, typer.Option(help="Rows per class, uniformly.", min=1)] = None,
    longest: Annotated[
        bool | None,
        typer.Option(
            "--longest/--every", help="A caption is the class's whose phrase stands around the others'."
        ),
    ] = None,
    rank: Annotated[
        str,
        typer.Option(
            help="Order each class's rows before any image is fetched: T2T, T2I or I2I; none: don't.",
            autocompletion=lambda: [*RANKS],
        ),
    ] = "",
    top: Annotated[
        int | None, typer.Option(help="With --rank: rows per class that stay; 0 = all.", min=0)
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="METRICS.json", help="Only show our totals beside the file's actual_freq."),
    ] = None,
    part: Annotated[
        str, typer.Option(metavar="3/16", help="Only this share of the classes; without --part joins them.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Find the rows whose captions contain a class's synonyms → matches.parquet."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...workspace import pipeline

    workspace = options.workspace_of(context)
    if compare:
        return _compare(workspace, compare, json)
    if everything and sample is not None:
        raise UsageError(f"--all and --sample {sample} contradict each other; give one of them")
    share = options.whole_part(part)
    stored: dict[str, Any] = {"longest": longest} if longest is not None else {}
    if everything or sample is not None:
        stored["sample"] = "all" if everything else sample
    if rank:
        options.check_choice("--rank", rank, RANKS)
        stored["rank"] = "" if rank == "none" else rank
    if top is not None:
        stored["top"] = top
    with options.storing(workspace, {"match": stored}) as changed, progress_bars() as progress:
        run = partial(pipeline.match_share, part=share) if share else pipeline.match
        counts = run(changed, progress=progress)
    if json:
        return emit_json(CountsJson(counts=counts))
    emit(f"match: {counts_text(counts)}")
    return None if share or workspace.settings().match.longest else _say_nested(workspace)


def _say_nested(workspace: Workspace) -> None:
    """Warn where captions of one class have a longer phrase of another's: the most frequent first."""
    from ...classes.files import load_classes
    from ...classes.nested import nested_phrases
    from ...core.terminal import number, say

    pairs = [pair for pair in nested_phrases(load_classes(workspace.classes_path())) if pair.rows]
    pairs.sort(key=lambda pair: -(pair.rows or 0))
    for pair in pairs[:SHOWN]:
        say(
            f"warning: {counted(pair.rows or 0, 'caption')} with {pair.outer!r} of class {pair.other.id} "
            f"({pair.other.name}) match class {pair.entry.id} ({pair.entry.name}) too, by {pair.inner!r}"
        )
    if pairs:
        rest = f"{number(len(pairs) - SHOWN)} more such phrases; " if len(pairs) > SHOWN else ""
        say(f"{rest}captrawl match --longest gives such captions to the class of the longer phrase")


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
