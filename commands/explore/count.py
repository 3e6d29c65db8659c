"""captrawl count: the rows of phrases, or of a class list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.errors import UsageError
from ...core.startup import settle_without_pandas
from ...core.wording import counted
from .. import options
from ..hints import looks_like_a_list
from ..results import safety_json, say_safety
from .shapes import ClassTotalJson, CountJson

if TYPE_CHECKING:
    from ...search.match import ClassCount

CREDIT = "credited: each row once, to its phrase with most matches"

app = typer.Typer()


@app.command("count")
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
    from ...core.terminal import emit, emit_json
    from ...indexer.opening import open_index
    from ...search.match import Scope, class_counts, count_safety, credited_counts

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
    with open_index(options.index_of(context, index)) as captions:
        rows = captions.rows()
        counts = class_counts(captions, entries, scope)
        scopes = [scope.of(entry) for entry in entries]
        credited = credited_counts(captions, counts, scopes) if json or len(counts) == 1 else []
        queries = [
            own.query(names) for own, e in zip(scopes, entries, strict=True) if (names := e.match_phrases())
        ]
        safety = count_safety(captions, queries, sum(c.total for c in counts))
    if json:
        lines = [
            ClassTotalJson(id=c.id, name=c.name, total=c.total, synonyms=dict(c.synonyms)) for c in counts
        ]
        by_id = {str(c.id): shares for c, shares in zip(counts, credited, strict=True)}
        emit_json(CountJson(rows=rows, classes=lines, credited=by_id, safety=safety_json(safety)))
        return
    if len(counts) == 1:
        _show_phrases(counts[0], credited[0])
    else:
        _show_classes(counts)
    emit(f"{counted(rows, 'row')} in the index")
    say_safety(safety, scope.filters)


def _show_phrases(count: ClassCount, credited: Mapping[str, int]) -> None:
    """The rows of each phrase: all that match it, and those that are credited to it."""
    from ...core.terminal import bar, bar_room, emit, number, out, table

    lines = [(phrase, rows, credited[phrase]) for phrase, rows in count.synonyms.items()]
    several = len(lines) > 1
    lines += [("any of them", count.total, count.total)] if several else []
    most = max((rows for _, rows, _ in lines), default=0)
    names, matches = [name for name, _, _ in lines], [number(rows) for _, rows, _ in lines]
    shares = [number(rows) for _, _, rows in lines]
    room = bar_room(("phrase", *names), ("matches", *matches), *([("credited", *shares)] if several else []))
    bars = [bar(rows, most, width=room) for _, rows, _ in lines]
    columns = [("phrase", "left"), ("matches", "right"), *([("credited", "right")] if several else [])]
    texts = (names, matches, shares, bars) if several else (names, matches, bars)
    out().print(table("", [*columns, ("", "left")], list(zip(*texts, strict=True))))
    if several:
        emit(CREDIT)


def _show_classes(counts: Sequence[ClassCount]) -> None:
    from ...core.terminal import bar, bar_room, emit, number, out, table

    pairs = [(f"{c.id} {c.name}", c.total) for c in counts]
    most = max((value for _, value in pairs), default=0)
    room = bar_room(("class", *(name for name, _ in pairs)), ("rows", *(number(value) for _, value in pairs)))
    cells = [(name, number(value), bar(value, most, width=room)) for name, value in pairs]
    out().print(table("", [("class", "left"), ("rows", "right"), ("", "left")], cells))
    emit(f"{counted(sum(c.total for c in counts), '(class, row) pair')} in {counted(len(counts), 'class')}")
    empty = [c.name for c in counts if not c.total]
    if empty:
        more = f" and {number(len(empty) - 10)} more" if len(empty) > 10 else ""
        emit(f"without a match: {', '.join(empty[:10])}{more}")
