"""captrawl descriptors: the hashes of a test set, to be shared without its images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from .shapes import DescriptorsJson

app = typer.Typer()


@app.command("descriptors")
def descriptors(
    source: Annotated[Path, typer.Argument(metavar="LIST", help="A `path label flag` list, or a folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write (.parquet).")],
    root: Annotated[
        Path | None, typer.Option(help="The folder that the list's paths start from; else the list's own.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write the picture hashes of test images: --leak-guard takes the file in their place."""
    from ...core.terminal import emit, emit_json
    from ...core.wording import counted
    from ...sampling.copies.descriptors import save_descriptors
    from ...sampling.shots import read_labelled

    images = read_labelled(source, root or source.parent, None).paths
    save_descriptors(images, output)
    if json:
        return emit_json(DescriptorsJson(images=len(images), path=str(output)))
    return emit(f"{output}: the hashes of {counted(len(images), 'image')}")
