"""captrawl index vectors: register vectors that were published beside a corpus."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.wording import counted
from .. import options
from .shapes import IndexVectorsJson

app = typer.Typer()


@app.command("vectors", short_help="Register published vectors, to rank before download.")
def index_vectors(
    folder: Annotated[
        str,
        typer.Argument(metavar="FOLDER", help="Vectors (.npy, .npz, Parquet) with their metadata Parquet."),
    ],
    model: Annotated[
        str,
        typer.Option(metavar="NAME/TAG", help="The model that made them; or NAME, with --pretrained TAG."),
    ],
    index: options.Index,
    pretrained: Annotated[str, typer.Option(help="The model's weights, by open_clip's tag.")] = "",
    images: Annotated[
        str, typer.Option(metavar="NAME", help="The array or column of the images' vectors, of several.")
    ] = "",
    captions: Annotated[
        str, typer.Option(metavar="NAME", help="The array or column of the captions' vectors, of several.")
    ] = "",
    unnormalised: Annotated[
        bool, typer.Option("--unnormalised", help="Their lengths aren't 1: divide by them while reading.")
    ] = False,
    to: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where to keep the registration of a server's index.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Register published vectors of a corpus, so that match --rank orders pools before any image is fetched.

    Nothing is copied: the vectors are read where they lie. A row's vector is found by its file and row where
    the metadata Parquet is what was indexed, else by its uid.
    """
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.published.layout import CAPTIONS, IMAGES
    from ...indexer.published.register import VectorSource, register

    names = {kind: name for kind, name in ((IMAGES, images), (CAPTIONS, captions)) if name}
    source = VectorSource(folder, options.model_named(model, pretrained), not unnormalised, names)
    with progress_bars() as progress:
        counts = register(index, source, to=to, progress=progress)
    if json:
        return emit_json(
            IndexVectorsJson(
                files=counts.files,
                rows=counts.rows,
                unindexed=counts.unindexed,
                address="uid" if counts.by_uid else "row",
                folder=str(counts.folder),
            )
        )
    how = "uid" if counts.by_uid else "file and row"
    emit(
        f"vectors of {counted(counts.rows, 'row')} in {counted(counts.files, 'file')} registered, found by "
        f"{how}; captrawl match --rank T2I --top 2000 reads those of the pools alone"
    )
    return None
