"""captrawl similar: the images or captions nearest to a text or an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from ...core.errors import UsageError
from .. import options
from ..results import row_json
from .shapes import NearRowJson, SimilarJson

app = typer.Typer()


@app.command("similar")
def similar(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD...", help="The same as --text.")] = None,
    text: Annotated[str, typer.Option(help="What to look for, in words.")] = "",
    image: Annotated[Path | None, typer.Option(help="What to look for, as an image file.")] = None,
    where: Annotated[
        str, typer.Option("--in", help="images or captions.", autocompletion=options.places)
    ] = "images",
    class_name: Annotated[
        str,
        typer.Option(
            "--class", help="Only this class's pool: its name or id.", autocompletion=options.class_names
        ),
    ] = "",
    k: Annotated[int, typer.Option("-k", help="How many pictures.", min=1)] = 20,
    json: options.Json = False,
) -> None:
    """Show the images or captions nearest to a text or an image.

    A picture that stands under several URLs or captions is one line, with all its captions.
    """
    from rich.text import Text

    from ...core.terminal import emit_json, highlighted, out, table
    from ...search.vectors.similar import similar as run

    workspace = options.workspace_of(context)
    if words and (text or image):
        raise UsageError(f"{' '.join(words)!r} stands beside --text or --image; give one of them")
    text = text or " ".join(words or ())
    if bool(text) == (image is not None):
        raise UsageError("give either --text or --image")
    if where not in ("images", "captions"):
        raise UsageError(f"--in {where}: choose images or captions")
    rows = run(workspace, text=text, image=image, where=where, class_name=class_name, k=k).to_pylist()
    if json:
        emit_json(SimilarJson(rows=[cast("NearRowJson", row_json(row)) for row in rows]))
        return
    cells = [
        (f"{row['score']:.4f}", Text("\n").join(map(highlighted, row["captions"])), row["path"])
        for row in rows
    ]
    out().print(table("", [("score", "right"), ("captions", "left"), ("path", "left")], cells))
