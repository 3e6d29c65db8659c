"""Commands that choose: sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .task import counts_text

app = typer.Typer()


@app.command("sample")
def sample(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The sample's name; its files are samples/NAME.*")] = "T2T500",
    method: Annotated[str, typer.Option(help="A method by name; T2T-rank where nothing is given.")] = "",
    n: Annotated[int, typer.Option("-n", help="Images a class.", min=1)] = 500,
    rank: Annotated[str, typer.Option(help="The score to order by, instead of a method.")] = "",
    keep: Annotated[
        list[str] | None, typer.Option(help="A condition such as 'T2I>=0.25'; repeatable.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="The method's threshold, where it has one.")] = None,
    dedup: Annotated[float | None, typer.Option(help="Drop images nearer than this to one kept.")] = None,
    zeroshot: Annotated[
        bool, typer.Option("--zeroshot", help="The nearest class must be the own one.")
    ] = False,
    leak_guard: Annotated[
        Path | None, typer.Option(metavar="LIST", help="Test images: near copies of them are dropped.")
    ] = None,
    referee: Annotated[
        str, typer.Option(metavar="margin|drop", help="Of images in several classes' pools.")
    ] = "",
    tail: Annotated[
        bool, typer.Option("--tail", help="Conditions only where candidates are fewer than n.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of random orders.")] = 0,
) -> None:
    """Choose each class's images and write the training list."""
    from ..sampling.sample import draw
    from ..settings import sample_settings
    from ..terminal import emit, progress_bars

    workspace = options.workspace_of(context)
    spec = sample_settings(
        name=name,
        method=method,
        n=n,
        rank=rank,
        keep=keep or [],
        threshold=threshold,
        dedup=dedup,
        zeroshot=zeroshot,
        leak_guard=str(leak_guard.resolve()) if leak_guard else "",
        referee=referee,
        tail=tail,
        seed=seed,
    )
    with progress_bars() as progress:
        counts = draw(workspace, spec, progress=progress)
    options.save_sample(workspace, spec)  # only what could be drawn: run and status go by the settings
    emit(f"sample {name}: {counts_text(counts)}")
    emit(str(workspace.samples_folder / f"{name}.txt"))
