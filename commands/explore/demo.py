"""captrawl demo: the whole job on a small web that is drawn here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options
from .shapes import DemoClassJson, DemoJson

if TYPE_CHECKING:
    from ...demo.run import ClassResult

app = typer.Typer()


@app.command("demo")
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace to make.")] = Path(
        "captrawl-demo"
    ),
    captions: Annotated[str, typer.Option(metavar="INDEX", help="The caption index to use.")] = "",
    json: options.Json = False,
) -> None:
    """Run the whole job on a small web that is drawn here; no network."""
    from ...core.terminal import emit, emit_json, out, progress_bars, say, table
    from ...demo.run import run_demo
    from ..results import StageLines

    lines = StageLines(say)
    with progress_bars() as progress:
        result = run_demo(
            directory,
            captions=captions,
            progress=progress,
            done=lines.add,
        )
    rows = [*result.classes, result.total]
    if json:
        emit_json(DemoJson(samples=list(result.samples), classes=[_demo_json(line) for line in rows]))
        return
    reasons = sorted(
        {reason for line in rows for reason in line.failed}, key=lambda r: -result.total.failed[r]
    )
    columns = [("class", "left"), ("matched", "right"), ("downloaded", "right"), ("failed", "right")]
    shares = ["raw", *result.samples]
    columns += [(name, "right") for name in shares]
    cells = [
        [
            line.name,
            line.matched,
            line.downloaded,
            sum(line.failed.values()),
            *(_percent(line.shares[name].precision) for name in shares),
        ]
        for line in rows
    ]
    out().print(
        table(
            "precision against the known truth, of matches with an image and of each sample", columns, cells
        )
    )
    emit("failed: " + ", ".join(f"{reason} {result.total.failed[reason]}" for reason in reasons))
    extra = "" if find_spec("uvicorn") else " (with the extra web: pip install 'captrawl[web]')"
    emit(
        f"the workspace is {result.folder}: look at report/index.html there, "
        f"or captrawl -C {directory} serve{extra}"
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _demo_json(line: ClassResult) -> DemoClassJson:
    return {
        "name": line.name,
        "matched": line.matched,
        "downloaded": line.downloaded,
        "failed": dict(line.failed),
        "precision": {name: share.precision for name, share in line.shares.items()},
    }
