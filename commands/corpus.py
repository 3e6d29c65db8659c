"""Commands that build an index: index captions."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options

app = typer.Typer()
index_app = typer.Typer(help="Build an index.", no_args_is_help=True)
app.add_typer(index_app, name="index")


@index_app.callback()
def index() -> None:
    """Build an index."""


@index_app.command("captions")
def index_captions(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE_OR_FOLDER...", help="Corpus files, folders or globs.")
    ],
    to: Annotated[str, typer.Option(metavar="INDEX", help="The caption index to fill.")],
    preset: Annotated[str, typer.Option(help="The corpus's columns; detected where not given.")] = "",
    corpus: Annotated[str, typer.Option(help="The corpus's name; the folder's where not given.")] = "",
    url: Annotated[
        str, typer.Option("--url-column", help="The URL's column, for a Parquet of your own.")
    ] = "",
    caption: Annotated[str, typer.Option("--caption-column", help="The caption's column.")] = "",
    part: Annotated[str, typer.Option(metavar="3/16", help="Only this share of the files, by name.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Index changed files anew.")] = False,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 = one a core.", min=0)] = 0,
    json: options.Json = False,
) -> None:
    """Make captions searchable: corpus files into a caption index, resumable by file."""
    from ..indexer.captions import index_captions as run
    from ..indexer.corpora import find_files
    from ..terminal import emit, emit_json, number, progress_bars

    columns = {name: column for name, column in (("url", url), ("caption", caption)) if column}
    files = find_files(sources, preset=preset, corpus=corpus, columns=columns)
    with progress_bars() as progress:
        counts = run(
            to, files, part=options.part_of(part), replace=replace, workers=workers, progress=progress
        )
    if json:
        emit_json(
            {
                "files_added": counts.files_added,
                "files_skipped": counts.files_skipped,
                "rows_added": counts.rows_added,
                "rows": counts.rows,
            }
        )
        return
    emit(
        f"{number(counts.rows_added)} rows added from {counts.files_added} files, "
        f"{counts.files_skipped} files already in; the index holds {number(counts.rows)} rows"
    )
