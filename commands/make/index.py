"""captrawl index: fill a caption index."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Annotated

import typer

from ...core.wording import counted
from .. import options
from . import index_copies, index_files, index_vectors
from .shapes import IndexBackJson, IndexJson


class Store(StrEnum):
    """Where an index keeps its rows' values."""

    ROWS = "rows"
    NONE = "none"


app = typer.Typer()
index_app = typer.Typer(help="Fill an index, list it, take some of it out.", no_args_is_help=True)
app.add_typer(index_app, name="index")
index_app.add_typer(index_files.app)
index_app.add_typer(index_vectors.app)
index_app.add_typer(index_copies.app)


@index_app.callback()
def index() -> None:
    """Fill an index, list it, take some of it out."""


@index_app.command("captions", short_help="Make captions searchable.")
def index_captions(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_FOLDER...", help="Corpus files, folders, globs; hf:// or s3:// ones too."
        ),
    ],
    to: Annotated[str, typer.Option(metavar="INDEX", help="The caption index to fill.")],
    preset: Annotated[
        str,
        typer.Option(help="The corpus's columns; detected where not given.", autocompletion=options.presets),
    ] = "",
    corpus: Annotated[str, typer.Option(help="The corpus's name; the folder's where not given.")] = "",
    url: Annotated[
        str, typer.Option("--url-column", help="The URL's column, for a Parquet of your own.")
    ] = "",
    caption: Annotated[
        list[str] | None,
        typer.Option(
            "--caption-column",
            metavar="NAME",
            help="The caption's column, or a template of several ('{common}, {genus}'); repeatable.",
        ),
    ] = None,
    detect: Annotated[
        bool,
        typer.Option("--detect-language", help="Detect languages where the corpus has no column of them."),
    ] = False,
    max_row_group: Annotated[
        int,
        typer.Option(metavar="GIB", help="The largest row group of a Parquet that is read, unpacked.", min=1),
    ] = 4,
    part: Annotated[str, typer.Option(metavar="3/16", help="Only this share of the files, by name.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Index changed files anew.")] = False,
    swap: Annotated[
        bool,
        typer.Option("--swap", help="Elasticsearch: build a new index, then put it in the old one's place."),
    ] = False,
    drop_others: Annotated[
        bool, typer.Option("--drop-others", help="With --swap: what only the old index contains may go.")
    ] = False,
    keep: Annotated[
        int, typer.Option(help="With --swap: how many replaced indices stay, to go back to.", min=0)
    ] = 1,
    store: Annotated[
        Store,
        typer.Option(
            help="A new folder's rows: in the index, or none and read back from the corpus's Parquet."
        ),
    ] = Store.ROWS,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 = one a core.", min=0)] = 0,
    json: options.Json = False,
) -> None:
    """Make captions searchable: corpus files into a caption index, resumable by file."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.captions import index_captions as run
    from ...indexer.captions import remove_others
    from ...indexer.corpora.files import expected_rows, find_files, with_captions
    from ...indexer.corpora.languages import detecting_language
    from ...search.captions import create_without_rows, rebuilding

    first, *others = dict.fromkeys(caption or [""])
    columns = {name: column for name, column in (("url", url), ("caption", first)) if column}
    most = max_row_group << 30
    files = find_files(sources, preset=preset, corpus=corpus, columns=columns, max_row_group=most)
    files = with_captions(files, others, max_row_group=most)
    if detect:
        files = detecting_language(files)
    share = options.part_of(part)
    if store is Store.NONE:
        create_without_rows(to)
    with contextlib.ExitStack() as stack:
        names = [file.file for file in files]
        rows = expected_rows(files) if swap else None
        new_index = (
            rebuilding(to, names, part=share, drop_others=drop_others, keep=keep, rows=rows) if swap else None
        )
        build = stack.enter_context(new_index) if new_index else None
        with progress_bars() as progress:
            target = build.location if build else to
            if build:  # what a build that failed may have left
                remove_others(target, files, share)
                replace = True
            counts = run(target, files, part=share, replace=replace, workers=workers, progress=progress)
    if json:
        answer = IndexJson(
            files_added=counts.files_added,
            files_skipped=counts.files_skipped,
            rows_added=counts.rows_added,
            rows=counts.rows,
        )
        if build:
            answer["swapped"] = build.swapped
        emit_json(answer)
        return
    emit(
        f"{counted(counts.rows_added, 'row')} added from {counted(counts.files_added, 'file')}, "
        f"{counted(counts.files_skipped, 'file')} already in; "
        f"the index contains {counted(counts.rows, 'row')}"
    )
    if build:
        waiting = ", ".join(map(str, build.missing))
        parts = f"part {waiting} is" if len(build.missing) == 1 else f"parts {waiting} are"
        emit("readers see it now" if build.swapped else f"readers see it once {parts} in too")
        if build.replaced:
            emit(f"{build.replaced} stays until the next swap; captrawl index back {to} returns to it")


@index_app.command("back", short_help="Return to the index before the last swap.")
def index_back(
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The address of a swapped index.")],
    json: options.Json = False,
) -> None:
    """Elasticsearch: let readers see the index again that stood there before the last --swap."""
    from ...core.terminal import emit, emit_json
    from ...indexer.opening import open_index
    from ...search.captions import go_back

    now, before = go_back(index)
    with open_index(index) as captions:
        rows = captions.rows()
    if json:
        emit_json(IndexBackJson(index=now, replaced=before, rows=rows))
        return
    emit(f"readers see {now} again, {counted(rows, 'row')}; {before} stays until the next swap")
