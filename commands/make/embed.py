"""captrawl embed: vectors of images and captions, and their FAISS indices."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ...core.wording import counts_text
from .. import options
from .shapes import StageCountsJson

app = typer.Typer()


@app.command("embed")
def embed(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="An open_clip model, local-dir:PATH or hf-hub:NAME.")] = "",
    pretrained: Annotated[str, typer.Option(help="The model's weights, by open_clip's tag.")] = "",
    precision: Annotated[str, typer.Option(help="float16 or float32, of the stored vectors.")] = "",
    published: Annotated[
        bool | None,
        typer.Option(
            "--published/--own", help="Take registered vectors (index vectors) for the images that have one."
        ),
    ] = None,
    part: Annotated[
        str, typer.Option(metavar="3/16", help="Only this share of the rows; without --part merges them.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Embed the usable images and their captions, and build the FAISS indices."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...workspace.pipeline import embed_all, embed_share

    share = options.whole_part(part)
    workspace = options.workspace_of(context)
    changes: dict[str, Any] = options.model_values(model, pretrained)
    if precision:
        changes["precision"] = precision
    if published is not None:
        changes["published"] = published
    with options.storing(workspace, {"model": changes}) as changed, progress_bars() as progress:
        counts = embed_share(changed, share, progress) if share else embed_all(changed, progress)
    if json:
        return emit_json(StageCountsJson(counts={stage: dict(counted) for stage, counted in counts.items()}))
    for stage, counted in counts.items():
        emit(f"{stage}: {counts_text(counted)}")
    return None
