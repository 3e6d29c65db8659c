"""The review of synonyms in the terminal: made, and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...core.wording import counted

if TYPE_CHECKING:
    from ...classes.model import ClassList
    from ...search.synonyms.review import ClassProposals, Review, SynonymReview
    from ...search.synonyms.text_filter import TextEncoder
    from ...workspace.workspace import Workspace


def reviewed(workspace: Workspace, names: list[str], encoder: Callable[[], TextEncoder]) -> Review:
    """The review of the classes with these names or ids (none: all), saved in the workspace."""
    from ...classes.files import load_classes
    from ...core.terminal import progress_bars
    from ...indexer.match_stage import index_location, task_of
    from ...indexer.opening import open_index
    from ...search.synonyms.review import NAME, Plan, review, save_review

    classes = load_classes(workspace.classes_path())
    plan = Plan(only=_chosen(classes, names))
    scope = task_of(workspace).scope
    judge = encoder()
    with open_index(index_location(workspace)) as index, progress_bars() as progress:
        result = review(index, classes, judge, scope=scope, plan=plan, progress=progress)
    save_review(result, workspace.root / NAME)
    return result


def _chosen(classes: ClassList, names: list[str]) -> frozenset[int] | None:
    from ...classes.checks import meant

    if not names:
        return None
    ids: set[int] = set()
    for name in names:
        matches = [entry.id for entry in classes if name in {entry.name, str(entry.id)}]
        if not matches:
            raise InputError(f"--class {name}: no class has this name or id{meant(classes, name)}")
        ids.update(matches)
    return frozenset(ids)


def show_review(result: Review, limit: int, min_rows: int) -> None:
    """The most doubtful synonyms with their captions, then the proposals."""
    from ...core.terminal import emit, number, out, table
    from ...search.synonyms.review import NAME

    frequent = [one for one in result.synonyms if one.frequency >= min_rows]
    for one in frequent[:limit]:
        _show_synonym(one)
    few = number(sum(0 < one.frequency < min_rows for one in result.synonyms))
    none = number(sum(not one.frequency for one in result.synonyms))
    emit(
        f"{counted(len(frequent), 'synonym')}, the lowest agreement first; {few} with fewer than {min_rows} "
        f"rows and {none} without any are in {NAME}"
    )
    cells = [_proposal_cells(one) for one in result.proposals[:limit]]
    if cells:
        emit(
            "Proposals, none of them applied (prefix and exclude are in captrawl.toml); in brackets the "
            "captions near : far from the class prompt that contain the word"
        )
        columns = [("class", "left"), ("prefix", "left"), ("exclude", "left")]
        out().print(table("", columns, cells))


def _show_synonym(one: SynonymReview) -> None:
    from ...core.terminal import emit, highlighted, out, table
    from ...core.text import matching_spans

    emit(
        f"{one.synonym}  (class {one.class_id} {one.class_name}): {counted(one.frequency, 'row')}, "
        f"agreement {one.agreement:.2f}, own class nearest in {one.own_share or 0:.0%}, else {one.other_name}"
    )
    cells: list[list[Any]] = [
        [f"{example.score:.2f}", highlighted(example.caption, matching_spans(example.caption, [one.synonym]))]
        for example in one.captions
    ]
    out().print(table("", [("T2T", "right"), ("caption", "left")], cells))


def _proposal_cells(one: ClassProposals) -> tuple[str, str, str]:
    from ...search.synonyms.proposals import listed

    name = "all classes" if one.class_id is None else f"{one.class_id} {one.class_name}"
    return name, listed(one.prefixes), listed(one.exclusions)
