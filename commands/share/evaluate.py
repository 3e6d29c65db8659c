"""captrawl evaluate: which sample is worth training on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.wording import counted
from .. import options

if TYPE_CHECKING:
    from ...sampling.evaluate import Difference, Evaluation

app = typer.Typer()


@app.command("evaluate")
def evaluate(
    context: typer.Context,
    labelled: Annotated[
        Path, typer.Option(metavar="LIST", help="'path label flag' lines, or an ImageFolder.")
    ],
    root: Annotated[Path | None, typer.Option(help="The folder that the list's paths start from.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this sample; repeatable.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Say which sample is worth training on: zero-shot and linear-probe accuracy on labelled images."""
    from dataclasses import asdict

    from ...core.terminal import emit_json, progress_bars
    from ...sampling.evaluate import evaluate as run

    workspace = options.workspace_of(context)
    start = root or (labelled if labelled.is_dir() else labelled.parent)
    with progress_bars() as progress:
        evaluation = run(workspace, labelled, start, samples=name or (), progress=progress)
    if json:
        emit_json(asdict(evaluation))
    else:
        _show_evaluation(evaluation)


def _show_evaluation(evaluation: Evaluation) -> None:
    from ...core.terminal import emit, out, table

    shots = any(line.name == "shots" for line in evaluation.lines)
    cells = [
        (
            line.name,
            f"{line.images:,}",
            f"{line.classes:,}",
            f"{100 * line.accuracy:.1f} ({100 * line.low:.1f}–{100 * line.high:.1f})",
            _difference(line.to_best, "best"),
            *([_difference(line.to_shots, "")] if shots else []),
        )
        for line in evaluation.lines
    ]
    right = ["images", "classes", "accuracy, %", "to the best"]
    right += ["to the shots"] if shots else []
    columns = [("trained on", "left"), *((name, "right") for name in right)]
    labelled = f"{counted(evaluation.labelled, 'labelled image')} of {counted(evaluation.classes, 'class')}"
    out().print(table(f"accuracy on {labelled}", columns, cells))
    emit("95 % intervals are over the labelled images; differences are in points, on the same images.")


def _difference(difference: Difference | None, otherwise: str) -> str:
    if difference is None:
        return otherwise
    return f"{100 * difference.value:+.1f} ± {50 * (difference.high - difference.low):.1f}"
