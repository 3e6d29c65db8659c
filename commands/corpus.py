"""Commands on a corpus: index captions, query, count."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from . import options

if TYPE_CHECKING:
    import pyarrow as pa

    from ..search.match import SafetyCount
    from ..search.query import CaptionQuery


class Order(StrEnum):
    """Which matching rows `query` shows first."""

    RELEVANCE = "relevance"
    RANDOM = "random"
    CORPUS = "corpus"


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
    order: Annotated[Order, typer.Option(help="Which rows come first.")] = Order.RELEVANCE,
    seed: Annotated[int, typer.Option(help="Of --order random.")] = 0,
    json: options.Json = False,
) -> None:
    """Show captions that hold any of the phrases, and how many there are."""
    from ..search.captions import open_captions
    from ..search.match import Credit, count_safety
    from ..search.query import CaptionQuery
    from ..terminal import emit_json

    asked = CaptionQuery(tuple(phrases), prefix, tuple(exclude or ()), options.filters_of(context))
    with open_captions(index) as captions:
        singles = [replace(asked, synonyms=(phrase,)) for phrase in phrases]
        total, *frequencies = captions.count([asked, *singles])
        if order is Order.RELEVANCE:
            rows = captions.relevant(asked, limit)
        elif order is Order.RANDOM:
            rows = captions.sample(asked, limit, seed)
        else:
            rows = captions.first(asked, limit, None)
        safety = count_safety(captions, [asked], total)
    frequency = dict(zip(phrases, frequencies, strict=True))
    synonyms = [str(s) for s in Credit(frequency)(rows.column("caption")).to_pylist()]
    if json:
        shown = [_row_json(row, synonym) for row, synonym in zip(rows.to_pylist(), synonyms, strict=True)]
        emit_json({"total": total, "rows": shown, "safety": _safety_json(safety)})
        return
    _show_rows(rows, synonyms, asked, total=total, frequency=frequency)
    _say_safety(safety)


def _row_json(row: dict[str, Any], synonym: str) -> dict[str, Any]:
    return {
        "uid": str(row["uid"]),
        "url": row["url"],
        "caption": row["caption"],
        "synonym": synonym,
        "width": row["width"],
        "height": row["height"],
        "similarity": row["similarity"],
        "nsfw": row["nsfw"],
        "licence": row["licence"],
        "source": f"{row['file']}:{row['row']}",
    }


def _safety_json(safety: SafetyCount) -> dict[str, int]:
    return {"left_out": safety.left_out, "unknown": safety.unknown}


def _say_safety(safety: SafetyCount) -> None:
    from ..terminal import number, say

    if safety.left_out:
        say(f"{number(safety.left_out)} unsafe rows left out (--no-safety shows them)")
    if safety.unknown:
        say(f"{number(safety.unknown)} rows have no safety value and stay (--strict-safety drops them)")


def _show_rows(
    rows: pa.Table, synonyms: list[str], asked: CaptionQuery, *, total: int, frequency: dict[str, int]
) -> None:
    from ..search.text import matching_spans
    from ..terminal import emit, highlighted, number, one_line, out, table

    emit(f"{number(total)} rows match")
    if len(frequency) > 1:
        for phrase, count in sorted(frequency.items(), key=lambda item: -item[1]):
            emit(f"  {number(count):>12}  {phrase}")
    if not rows.num_rows:
        return
    phrases = [*asked.synonyms, *([asked.prefix] if asked.prefix else [])]
    cells: list[list[object]] = []
    for row, synonym in zip(rows.to_pylist(), synonyms, strict=True):
        caption = row["caption"] or ""
        size = f"{row['width']}×{row['height']}" if row["width"] and row["height"] else ""
        line: list[object] = [
            highlighted(caption, matching_spans(caption, phrases)),
            size,
            one_line(row["url"] or ""),
        ]
        cells.append([synonym, *line] if len(frequency) > 1 else line)
    columns = [("caption", "left"), ("size", "right"), ("url", "left")]
    out().print(table("", [("synonym", "left"), *columns] if len(frequency) > 1 else columns, cells))


@app.command("count")
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
    from ..classes import ClassEntry, Synonym, load_classes
    from ..search.captions import open_captions
    from ..search.match import Scope, count_classes, count_safety
    from ..terminal import emit_json

    if bool(phrases) == (classes is not None):
        raise InputError("give either phrases or --classes FILE")
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
    _say_safety(safety)


def _show_counts(counts: list[Any], rows: int) -> None:
    from ..terminal import bar, emit, number, out, table

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
    cells = [(name, number(value), bar(value, most)) for name, value in pairs]
    out().print(table("", [("phrase" if one else "class", "left"), ("rows", "right"), ("", "left")], cells))
    if not one:
        emit(f"{number(sum(c.total for c in counts))} (class, row) pairs in {number(len(counts))} classes")
    emit(f"{number(rows)} rows in the index")
