"""Commands that ask a caption index: query and count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import UsageError
from ..core.startup import settle_without_pandas
from . import options

if TYPE_CHECKING:
    import pyarrow as pa

    from ..search.api import Totals
    from ..search.match import SafetyCount
    from ..search.query import CaptionQuery, Filters

app = typer.Typer()


@app.command("query")
def query(
    context: typer.Context,
    phrases: Annotated[list[str], typer.Argument(metavar="PHRASE...", help="Synonyms of one class.")],
    index: options.Index,
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
    """Show captions that hold any of the phrases, and count them."""
    from ..core.terminal import emit, emit_csv, emit_json, number, progress_bars
    from ..search import api as explore
    from ..search.captions import open_captions
    from ..search.query import CaptionQuery

    settle_without_pandas()
    if json and csv:
        raise UsageError("--json and --csv contradict each other; give one of them")
    page = explore.Page(limit, explore.order_of(order), seed)
    asked = CaptionQuery(tuple(phrases), prefix, tuple(exclude or ()), options.filters_of(context))
    with open_captions(index) as captions:
        counted = explore.totals(captions, asked)
        if output:
            with progress_bars() as progress:
                written = explore.save_every(captions, asked, counted, output, progress)
            if json:
                return emit_json(
                    {"rows": written, "output": str(output), "safety": _safety_json(counted.safety)}
                )
            return emit(f"{number(written)} rows written to {output}")
        rows = explore.found(captions, asked, counted, page)
    if json:
        shown = [row_json(row) for row in rows.to_pylist()]
        return emit_json({"total": counted.total, "rows": shown, "safety": _safety_json(counted.safety)})
    if csv:
        return emit_csv(rows)
    _show_rows(rows, asked, counted)
    return _say_safety(counted.safety, asked.filters)


def row_json(row: dict[str, Any]) -> dict[str, Any]:
    """A matching row as --json prints it; the uid as text, since JSON numbers lose 64 bits."""
    return {
        "uid": str(row["uid"]),
        "url": row["url"],
        "caption": row["caption"],
        "synonym": row["synonym"],
        "width": row["width"],
        "height": row["height"],
        "similarity": row["similarity"],
        "nsfw": row["nsfw"],
        "licence": row["licence"],
        "source": f"{row['file']}:{row['row']}",
    }


def _safety_json(safety: SafetyCount) -> dict[str, int]:
    return {"left_out": safety.left_out, "unknown": safety.unknown}


def _say_safety(safety: SafetyCount, filters: Filters) -> None:
    from ..core.terminal import number, say
    from ..search.query import Safety

    def rows(count: int, kind: str) -> str:
        return f"{number(count)} {kind}{'row' if count == 1 else 'rows'}"

    if safety.left_out:
        bound = filters.max_punsafe
        hint = "--no-safety shows them" if bound is None else f"tagged NSFW, or punsafe above {bound:g}"
        kind = "unsafe or unjudged " if filters.safety is Safety.STRICT else "unsafe "
        say(f"{rows(safety.left_out, kind)} left out ({hint})")
    if safety.unknown:
        say(f"{rows(safety.unknown, '')} without a safety value kept (--strict-safety drops them)")


def _show_rows(rows: pa.Table, asked: CaptionQuery, counted: Totals) -> None:
    from ..core.terminal import NARROW, emit, highlighted, number, one_line, out, table
    from ..core.text import matching_spans

    emit(f"{number(counted.total)} rows match")
    several = len(counted.synonyms) > 1
    if several:
        for phrase, count in sorted(counted.synonyms.items(), key=lambda item: -item[1]):
            emit(f"  {number(count):>12}  {phrase}")
    if not rows.num_rows:
        return
    phrases = [*asked.synonyms, *([asked.prefix] if asked.prefix else [])]
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
        # the caption is what one reads; whole URLs are in --json and --csv
        url = shown.columns[-1]
        url.no_wrap, url.overflow, url.max_width = True, "ellipsis", max(16, console.width // 4)
    console.print(shown)


@app.command("count", short_help="Count the rows of phrases, or of a class list.")
def count(
    context: typer.Context,
    index: options.Index,
    phrases: Annotated[
        list[str] | None, typer.Argument(metavar="PHRASE...", help="Synonyms of one class.")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="A class list instead of phrases.")] = None,
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
    json: options.Json = False,
) -> None:
    """Count the rows of phrases, or of every class and synonym of a class list."""
    from ..classes.files import load_classes
    from ..classes.model import ClassEntry, Synonym
    from ..core.terminal import emit_json
    from ..search.captions import open_captions
    from ..search.match import Scope, count_classes, count_safety

    settle_without_pandas()
    if bool(phrases) == (classes is not None):
        raise UsageError("give either phrases or --classes FILE")
    entries = (
        load_classes(classes)
        if classes is not None
        else (ClassEntry(0, (phrases or [""])[0], tuple(Synonym(phrase) for phrase in phrases or ())),)
    )
    scope = Scope(prefix, tuple(exclude or ()), options.filters_of(context))
    with open_captions(index) as captions:
        rows = captions.rows()
        counts = count_classes(captions, entries, scope)
        asked = [scope.query(found) for entry in entries if (found := entry.match_phrases())]
        safety = count_safety(captions, asked, sum(c.total for c in counts))
    if json:
        shown = [{"id": c.id, "name": c.name, "total": c.total, "synonyms": dict(c.synonyms)} for c in counts]
        emit_json({"rows": rows, "classes": shown, "safety": _safety_json(safety)})
        return
    _show_counts(counts, rows)
    _say_safety(safety, scope.filters)


def _show_counts(counts: list[Any], rows: int) -> None:
    from ..core.terminal import bar, bar_room, emit, number, out, table

    one = len(counts) == 1
    pairs: list[tuple[str, int]] = (
        [
            *counts[0].synonyms.items(),
            *([("any of them", counts[0].total)] if len(counts[0].synonyms) > 1 else []),
        ]
        if one
        else [(f"{c.id} {c.name}", c.total) for c in counts]
    )
    most = max((value for _, value in pairs), default=0)
    head = "phrase" if one else "class"
    room = bar_room((head, *(name for name, _ in pairs)), ("rows", *(number(value) for _, value in pairs)))
    cells = [(name, number(value), bar(value, most, width=room)) for name, value in pairs]
    out().print(table("", [(head, "left"), ("rows", "right"), ("", "left")], cells))
    if not one:
        emit(f"{number(sum(c.total for c in counts))} (class, row) pairs in {number(len(counts))} classes")
    emit(f"{number(rows)} rows in the index")
