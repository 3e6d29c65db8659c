"""captrawl query: the captions that contain any of the phrases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import UsageError
from ...core.startup import settle_without_pandas
from ...core.wording import counted
from .. import options
from ..results import row_json, safety_json, say_safety
from .shapes import QueryFileJson, QueryJson

if TYPE_CHECKING:
    import pyarrow as pa

    from ...search.api import Totals
    from ...search.query import CaptionQuery

READABLE = 40
"""Cells in which a caption reads well."""

app = typer.Typer()


@app.command("query")
def query(
    context: typer.Context,
    phrases: Annotated[list[str], typer.Argument(metavar="PHRASE...", help="Synonyms of one class.")],
    index: options.WorkspaceIndex = "",
    prefix: options.Prefix = "",
    exclude: options.Exclude = None,
    min_side: options.MinSide = 0,
    max_punsafe: options.MaxPunsafe = None,
    nsfw: options.Nsfw = None,
    min_similarity: options.MinSimilarity = None,
    licence: options.Licence = "",
    language: options.Language = "",
    keep_unknown: options.KeepUnknown = False,
    strict_safety: options.StrictSafety = False,
    no_safety: options.NoSafety = False,
    limit: Annotated[int, typer.Option(help="Rows to show.", min=0)] = 20,
    order: Annotated[
        str,
        typer.Option(
            metavar="relevance|random|corpus", help="Which rows come first.", autocompletion=options.orders
        ),
    ] = "relevance",
    seed: Annotated[int, typer.Option(help="Of --order random.")] = 0,
    json: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Stream every match into this .parquet or .csv file.")
    ] = None,
) -> None:
    """Show captions that contain any of the phrases, and count them."""
    from ...core.terminal import emit, emit_csv, emit_json, progress_bars
    from ...indexer.opening import open_index
    from ...search import api
    from ...search.query import CaptionQuery

    settle_without_pandas()
    if json and csv:
        raise UsageError("--json and --csv contradict each other; give one of them")
    page = api.PageOfRows(limit, api.order_of(order), seed)
    caption_query = CaptionQuery(tuple(phrases), prefix, tuple(exclude or ()), options.filters_of(context))
    with open_index(options.index_of(context, index)) as captions:
        totals = api.count(captions, caption_query)
        if output:
            with progress_bars() as progress:
                written = api.save_rows(captions, caption_query, totals, output, progress)
            if json:
                safety = safety_json(totals.safety)
                return emit_json(QueryFileJson(rows=written, output=str(output), safety=safety))
            return emit(f"{counted(written, 'row')} written to {output}")
        rows = api.rows_of_page(captions, caption_query, totals, page)
    if json:
        shown = [row_json(row) for row in rows.to_pylist()]
        return emit_json(QueryJson(total=totals.total, rows=shown, safety=safety_json(totals.safety)))
    if csv:
        return emit_csv(rows)
    _show_rows(rows, caption_query, totals)
    return say_safety(totals.safety, caption_query.filters)


def _show_rows(rows: pa.Table, caption_query: CaptionQuery, totals: Totals) -> None:
    from ...core.terminal import NARROW, emit, highlighted, number, one_line, out, table
    from ...core.text import matching_spans

    emit(f"{counted(totals.total, 'row')} {'matches' if totals.total == 1 else 'match'}")
    several = len(totals.synonyms) > 1
    if several:
        for phrase, count in sorted(totals.synonyms.items(), key=lambda item: -item[1]):
            emit(f"  {number(count):>12}  {phrase}")
    if not rows.num_rows:
        return
    phrases = [*caption_query.synonyms, *([caption_query.prefix] if caption_query.prefix else [])]
    console = out()
    columns = [("caption", "left"), ("size", "right"), ("url", "left")]
    if console.is_terminal and console.width < NARROW:
        columns = columns[:-1]
    cells: list[list[object]] = []
    for row in rows.to_pylist():
        caption = row["caption"] or ""
        spans = matching_spans(caption, phrases)
        marked = highlighted(caption, spans)
        size = f"{row['width']}×{row['height']}" if row["width"] and row["height"] else ""
        line: list[object] = [marked, size]
        if columns[-1][0] == "url":
            line.append(one_line(row["url"] or ""))
        cells.append([row["synonym"], *line] if several else line)
    shown = table("", [("synonym", "left"), *columns] if several else columns, cells)
    if console.is_terminal and columns[-1][0] == "url":
        url = shown.columns[-1]
        url.no_wrap, url.overflow, url.max_width = True, "ellipsis", _url_width(cells, console.width)
    console.print(shown)


def _url_width(cells: Sequence[Sequence[object]], width: int) -> int:
    """How many of ``width`` cells URLs may take: what the captions beside them leave, or up to two thirds.

    The caption is what one reads, and wraps; a URL doesn't, and is whole in --json and --csv.
    """
    from rich.cells import cell_len

    *others, captions, size, _ = [
        max(cell_len(str(cell)) for cell in column) for column in zip(*cells, strict=True)
    ]
    room = width - sum(others) - max(size, len("size")) - 2 * (len(others) + 2)
    return room - min(max(captions, len("caption")), max(READABLE, room // 3))
