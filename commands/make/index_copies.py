"""captrawl index push and index pull: a finished index to a place that others have, and from there."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.wording import counted
from .. import options
from .shapes import IndexPullJson, IndexPushJson

app = typer.Typer()
_PLACES = "a folder, s3://BUCKET/… or hf://datasets/NAME/SET"


@app.command("push", short_help="Copy a finished index to a folder, s3:// or hf://.")
def index_push(
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The folder of a caption index.")],
    to: Annotated[str, typer.Argument(metavar="PLACE", help=f"Where to: {_PLACES}.")],
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="The licence of the captions' source, for the card.")
    ],
    json: options.Json = False,
) -> None:
    """Copy a finished index: its files with hashes, a card, and Croissant metadata; resumable."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.copies.push import push

    with progress_bars() as progress:
        pushed = push(index, to, licence, progress=progress)
    manifest = pushed.manifest
    if json:
        return emit_json(
            IndexPushJson(
                rows=manifest.rows, bytes=manifest.size, files=len(manifest.files), sent=pushed.sent
            )
        )
    emit(
        f"{counted(manifest.rows, 'row')} in {counted(len(manifest.files), 'file')}, {manifest.size:,} "
        f"bytes; {pushed.sent:,} sent now"
    )
    return None


@app.command("pull", short_help="Bring an index here that somebody pushed.")
def index_pull(
    source: Annotated[str, typer.Argument(metavar="PLACE", help=f"{_PLACES}; or its http(s):// address.")],
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The new folder for it.")],
    json: options.Json = False,
) -> None:
    """Bring a pushed index into a new folder, every file checked by its hash; resumable."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.copies.pull import pull

    with progress_bars() as progress:
        pulled = pull(source, index, progress=progress)
    manifest = pulled.manifest
    if json:
        return emit_json(
            IndexPullJson(
                rows=manifest.rows, bytes=manifest.size, files=len(manifest.files), already=pulled.earlier
            )
        )
    emit(
        f"{counted(manifest.rows, 'row')} of {manifest.title}, {manifest.size:,} bytes, every file as it was "
        f"pushed; captions' licence: {manifest.licence}"
    )
    return None
