"""captrawl count: the rows of phrases, or of a class list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.startup import settle_without_pandas
from .. import options
from ..hints import looks_like_a_list
from ..results import safety_json, say_safety

app = typer.Typer()


@app.command("count", short_help="Count the rows of phrases, or of a class list.")
def count(
    context: typer.Context,
    phrases: Annotated[
        list[str] | None, typer.Argument(metavar="PHRASE...", help="Synonyms of one class.")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="A class list instead of phrases.")] = None,
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
    json: options.Json = False,
) -> None:
    """Count the rows of phrases, or of every class and synonym of a class list."""
    from ...classes.files import load_classes
    from ...classes.model import ClassEntry, Synonym
    from ...core.terminal import emit_json
    from ...search.captions import open_captions
    from ...search.match import Scope, class_counts, count_safety

    settle_without_pandas()
    if classes is None and phrases and looks_like_a_list(phrases[0]):
        raise UsageError(f"{phrases[0]} is a file: captrawl count --classes {phrases[0]} counts a class list")
    if bool(phrases) == (classes is not None):
        raise UsageError("give either phrases or --classes FILE")
    entries = (
        load_classes(classes)
        if classes is not None
        else (ClassEntry(0, (phrases or [""])[0], tuple(Synonym(phrase) for phrase in phrases or ())),)
    )
    scope = Scope(prefix, tuple(exclude or ()), options.filters_of(context))
    with open_captions(options.index_of(context, index)) as captions:
        rows = captions.rows()
        counts = class_counts(captions, entries, scope)
        queries = [scope.query(names) for entry in entries if (names := entry.match_phrases())]
        safety = count_safety(captions, queries, sum(c.total for c in counts))
    if json:
        lines = [{"id": c.id, "name": c.name, "total": c.total, "synonyms": dict(c.synonyms)} for c in counts]
        emit_json({"rows": rows, "classes": lines, "safety": safety_json(safety)})
        return
    _show_counts(counts, rows)
    say_safety(safety, scope.filters)


def _show_counts(counts: list[Any], rows: int) -> None:
    from ...core.terminal import bar, bar_room, emit, number, out, table

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
