"""Commands on images: download, embed, similar."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import DownloadError, UsageError
from . import options
from .ask import row_json
from .counts import counts_text

if TYPE_CHECKING:
    from ..workspace.workspace import Workspace

app = typer.Typer()


@app.command("download", short_help="Fetch the matched images and pack them into images/.")
def download(
    context: typer.Context,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch from private and loopback addresses too.")
    ] = False,
    resize: Annotated[
        int | None, typer.Option(help="Shorter side in pixels; 0 = original size.", min=0)
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Only write urls.parquet, fetch nothing.")
    ] = False,
    adopt: Annotated[
        Path | None, typer.Option(help="Take over the output of img2dataset, or another workspace's images.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Fetch the matched images and pack them into images/, politely and resumably."""
    from ..core.terminal import emit, emit_json, progress_bars
    from ..indexer.download import stage

    workspace = options.workspace_of(context)
    if plan_only and adopt:
        raise UsageError("--plan-only and --adopt contradict each other; give one of them")
    if resize is not None:
        _resize(workspace, resize)
    if allow_private:
        options.allow_private(workspace)
    if plan_only:
        options.caution(workspace)
        plan = str(stage.plan_only(workspace))
        return emit_json({"plan": plan}) if json else emit(plan)
    if workspace.matches_path.exists():
        options.caution(workspace)
    with progress_bars() as progress:
        fetch = partial(stage.adopt, folder=adopt) if adopt else stage.download
        counts = fetch(workspace, progress=progress)
    return emit_json({"counts": counts}) if json else emit(f"download: {counts_text(counts)}")


def _resize(workspace: Workspace, resize: int) -> None:
    """Note --resize, unless the packed images have another size: `run` would be refused from then on."""
    from ..indexer.download.session import packed_otherwise
    from ..indexer.ledger import Ledger

    if workspace.ledger_path.is_file():
        with Ledger(workspace.ledger_path) as ledger:
            packed = packed_otherwise(ledger, resize)
        if packed is not None:
            raise DownloadError(
                f"--resize {resize}: images/ was packed with resize={packed}; leave the option out, or move "
                "images/ away to download everything again"
            )
    options.change_settings(workspace, "download", {"resize": resize})


@app.command("embed", short_help="Embed images and captions, build the FAISS indices.")
def embed(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="An open_clip model, local-dir:PATH or hf-hub:NAME.")] = "",
    pretrained: Annotated[str, typer.Option(help="The model's weights, by open_clip's tag.")] = "",
    precision: Annotated[str, typer.Option(help="float16 or float32, of the stored vectors.")] = "",
    json: options.Json = False,
) -> None:
    """Embed the usable images and their captions, and build the FAISS indices."""
    from ..core.terminal import emit, emit_json, progress_bars
    from ..workspace.pipeline import embed_all

    workspace = options.workspace_of(context)
    changes: dict[str, Any] = options.model_values(model, pretrained)
    if precision:
        changes["precision"] = precision
    with options.trying_model(workspace, changes), progress_bars() as progress:
        counts = embed_all(workspace, progress)
    if json:
        return emit_json({"counts": {stage: dict(counted) for stage, counted in counts.items()}})
    for stage, counted in counts.items():
        emit(f"{stage}: {counts_text(counted)}")
    return None


@app.command("similar", short_help="Show the images or captions nearest to a text or image.")
def similar(
    context: typer.Context,
    text: Annotated[str, typer.Option(help="What to look for, in words.")] = "",
    image: Annotated[Path | None, typer.Option(help="What to look for, as an image file.")] = None,
    where: Annotated[str, typer.Option("--in", help="images or captions.")] = "images",
    class_name: Annotated[str, typer.Option("--class", help="Only this class's pool: its name or id.")] = "",
    k: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 20,
    json: options.Json = False,
) -> None:
    """Show the images or captions nearest to a text or an image."""
    from ..core.terminal import emit_json, highlighted, out, table
    from ..search.vectors.similar import similar as run

    workspace = options.workspace_of(context)
    if bool(text) == (image is not None):
        raise UsageError("give either --text or --image")
    if where not in ("images", "captions"):
        raise UsageError(f"--in {where}: choose images or captions")
    found = run(workspace, text=text, image=image, where=where, class_name=class_name, k=k)
    rows = found.to_pylist()
    if json:
        emit_json({"rows": [_similar_json(row) for row in rows]})
        return
    cells = [(f"{row['score']:.4f}", highlighted(row["caption"] or ""), row["path"]) for row in rows]
    out().print(table("", [("score", "right"), ("caption", "left"), ("path", "left")], cells))


def _similar_json(row: dict[str, Any]) -> dict[str, Any]:
    return {**row_json(row), "score": row["score"], "path": row["path"]}
