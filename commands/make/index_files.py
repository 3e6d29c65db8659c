"""captrawl index files and index remove: what a caption index contains, and taking some of it out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ...core.wording import counted
from .. import options
from .shapes import IndexedCorpusJson, IndexedFileJson, IndexFilesJson, IndexRemoveJson

app = typer.Typer()
_DATES = (("first in", "left"), ("last in", "left"))


@app.command("files", short_help="List the corpora and files of an index.")
def index_files(
    index: Annotated[str, typer.Argument(metavar="INDEX", help=f"{options.INDEX_HELP}.")],
    limit: Annotated[int, typer.Option(help="Files to list; 0 = all.", min=0)] = 50,
    json: options.Json = False,
) -> None:
    """List what is in a caption index: corpora, files, rows, and when they came in."""
    from ...core.terminal import emit, emit_json, number, out, table
    from ...indexer.opening import open_index
    from ...search.inventory import corpus_totals

    with open_index(index) as captions:
        files = captions.inventory()
    totals = corpus_totals(files)
    if json:
        emit_json(
            IndexFilesJson(
                rows=sum(file.rows for file in files),
                corpora=[IndexedCorpusJson(corpus=c.corpus, files=c.files, rows=c.rows) for c in totals],
                files=[
                    IndexedFileJson(file=one.file, rows=one.rows, added=_iso(one.added) or None)
                    for one in files
                ],
            )
        )
        return
    columns = (*(("corpus", "left"), ("files", "right"), ("rows", "right")), *_DATES)
    lines = [(c.corpus, number(c.files), number(c.rows), _iso(c.first), _iso(c.last)) for c in totals]
    out().print(table("", columns, lines))
    first_files = files[: limit or None]
    columns = (("file", "left"), ("rows", "right"), ("in since", "left"))
    out().print(
        table("", columns, [(file.file, number(file.rows), _iso(file.added)) for file in first_files])
    )
    if len(first_files) < len(files):
        emit(f"and {counted(len(files) - len(first_files), 'file')} more (--limit 0 lists all)")


@app.command("remove", short_help="Take a corpus or a file out of an index.")
def index_remove(
    name: Annotated[
        str,
        typer.Argument(metavar="CORPUS|FILE", help="A corpus, a folder of it, or a file."),
    ],
    index: Annotated[str, typer.Option("--from", metavar="INDEX", help=f"{options.INDEX_HELP}.")],
    json: options.Json = False,
) -> None:
    """Take a corpus, or one of its files, out of a caption index: file by file, resumable."""
    from ...core.terminal import emit, emit_json, progress_bars
    from ...indexer.captions import remove_files

    with progress_bars() as progress:
        removed = remove_files(index, name, progress=progress)
    rows = sum(file.rows for file in removed)
    if json:
        emit_json(IndexRemoveJson(files=[file.file for file in removed], rows=rows))
        return
    emit(f"{counted(rows, 'row')} of {counted(len(removed), 'file')} removed")


def _iso(moment: datetime | None) -> str:
    return moment.astimezone().isoformat(" ", "seconds")[:19] if moment else ""
