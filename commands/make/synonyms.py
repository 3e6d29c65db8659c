"""captrawl synonyms: ask a language model, filter, review."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import InputError, LanguageModelError, MissingExtraError, UsageError
from ...core.wording import counted
from .. import options
from .more_names import add_taxa, show_forms
from .shapes import SynonymsJson
from .synonym_asking import ask_senses, ask_synonyms
from .synonym_costs import price_of, show_questions
from .synonym_review import reviewed, show_review

if TYPE_CHECKING:
    from ...search.synonyms.llm import ModelServer
    from ...search.vectors.encoder import Encoder
    from ...workspace.workspace import Workspace

app = typer.Typer()

_BaseUrl = Annotated[
    str, typer.Option(help="An OpenAI-compatible server of your own, such as http://localhost:11434/v1.")
]
_FilterAll = Annotated[bool, typer.Option("--filter-all", help="Filter the list's own synonyms too.")]
_Classes = Annotated[
    list[str] | None, typer.Option("--class", metavar="NAME", help="Review this class only; repeatable.")
]


@app.command("synonyms")
def synonyms(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="The language model to ask.")] = "gpt-4o-mini",
    base_url: _BaseUrl = "",
    domain: Annotated[str, typer.Option(help="What the classes are, such as 'a flower'.")] = "",
    languages: Annotated[
        str, typer.Option(metavar="de,ja", help="Ask for names in these languages; English else.")
    ] = "",
    concurrency: Annotated[int, typer.Option(help="Questions under way at once.", min=1, max=256)] = 8,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 60.0,
    retries: Annotated[int, typer.Option(help="Further attempts after a passing failure.", min=0)] = 6,
    price: Annotated[str, typer.Option(metavar="IN/OUT", help="US dollars a million tokens.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the questions and their cost.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask classes that have an answer too.")] = False,
    no_filter: Annotated[bool, typer.Option("--no-filter", help="Leave out the CLIP text filter.")] = False,
    filter_only: Annotated[bool, typer.Option("--filter-only", help="Ask nothing, only filter.")] = False,
    filter_all: _FilterAll = False,
    shared: Annotated[str, typer.Option(metavar="keep|drop", help="Synonyms of several classes.")] = "keep",
    senses: Annotated[
        bool, typer.Option("--senses", help="Ask what else the names mean, for `not` of each class.")
    ] = False,
    review: Annotated[bool, typer.Option("--review", help="Show what the index says of each one.")] = False,
    classes: _Classes = None,
    taxa: Annotated[
        Path | None, typer.Option(help="Add the names of a local taxon table, or of a folder of GBIF's.")
    ] = None,
    forms: Annotated[
        str, typer.Option(metavar="plural", help="Propose plurals and singulars that the index has.")
    ] = "",
    take: Annotated[bool, typer.Option("--take", help="Put the --forms into the class list.")] = False,
    limit: Annotated[int, typer.Option(help="Synonyms to show in a review.", min=1)] = 20,
    min_rows: Annotated[int, typer.Option(help="Rows a synonym must have to be shown.", min=1)] = 20,
    json: options.Json = False,
) -> None:
    """Ask a language model for synonyms, filter them with CLIP, and review them by their captions."""
    from ...core.terminal import emit_json
    from ...search.synonyms.ask import pending_questions
    from ...search.synonyms.languages import languages_of
    from ...search.synonyms.llm import ModelServer
    from ...search.synonyms.review import to_json
    from ...search.synonyms.text_filter import unfiltered

    workspace = options.workspace_of(context)
    if shared not in {"keep", "drop"}:
        raise UsageError(f"--shared {shared}: choose keep or drop")
    if no_filter and (filter_only or filter_all):
        raise UsageError("--no-filter contradicts --filter-only and --filter-all; give one of them")
    asking = {"--dry-run": dry_run, "--again": again}
    others = {**asking, "--filter-only": filter_only, "--filter-all": filter_all, "--no-filter": no_filter}
    if review:
        _refuse_beside("--review", {**others, "--shared drop": shared == "drop"})
    elif filter_only:
        _refuse_beside("--filter-only", {**asking, "--senses": senses})
    if senses:
        _refuse_beside(
            "--senses", {"--review": review, "--filter-all": filter_all, "--languages": bool(languages)}
        )
    if classes and not review:
        raise UsageError(f"--class {classes[0]} goes with --review only; without it every class is asked")
    if taxa:
        return add_taxa(workspace, taxa, json=json)
    if forms or take:
        return show_forms(workspace, forms, take=take, json=json)
    if review:
        result = reviewed(workspace, classes or [], lambda: _encoder(workspace))
        if json:
            emit_json(to_json(result))
        else:
            show_review(result, limit, min_rows)
        return None
    server = ModelServer(model, base_url, concurrency, timeout, retries)
    _check(server)
    rate = price_of(price, server)
    question: dict[str, Any] = {
        "domain": domain or _domain(workspace),
        "languages": languages_of(languages),
        "again": again,
    }
    if senses:
        return ask_senses(workspace, server, question, rate, dry_run=dry_run, json=json)
    if dry_run:
        show_questions(pending_questions(workspace, server, **question), server, rate, json=json)
        return None
    problem = None if filter_only else ask_synonyms(workspace, server, question, rate)
    if problem and not unfiltered(workspace):
        raise problem
    if not no_filter:  # what was answered, before the exit code says that some wasn't
        _filter(workspace, everything=filter_all)
    _finish(workspace, drop=shared == "drop", json=json)
    if problem:
        raise problem
    return None


def _refuse_beside(flag: str, others: Mapping[str, bool]) -> None:
    """UsageError where an option is given that says nothing beside ``flag``."""
    for option, present in others.items():
        if present:
            raise UsageError(f"{flag} and {option} contradict each other; give one of them")


def _check(server: ModelServer) -> None:
    """UsageError where the options name no model, or an address that is none."""
    if not server.model.strip():
        raise UsageError("--model is empty; name the language model to ask")
    try:
        server.check_address()
    except LanguageModelError as error:
        raise UsageError(str(error)) from error


def _domain(workspace: Workspace) -> str:
    """The domain wording of the task's data set."""
    name = workspace.settings().task.dataset
    if not name:
        return ""
    from ...datasets import load_dataset

    return load_dataset(name).domain


def _filter(workspace: Workspace, *, everything: bool) -> None:
    from ...core.terminal import progress_bars, say
    from ...search.synonyms.text_filter import filter_synonyms

    with progress_bars() as progress:
        verdicts = filter_synonyms(workspace, _encoder(workspace), everything=everything, progress=progress)
    unfit = [verdict for verdict in verdicts if not verdict.kept]
    say(f"{counted(len(verdicts), 'synonym')} filtered, {len(unfit)} removed (reasons in classes.json)")


def _encoder(workspace: Workspace) -> Encoder:
    from ...search.vectors.loading import load_encoder
    from ...search.vectors.models import model_of

    settings = workspace.settings().model
    try:
        return load_encoder(model_of(workspace), device=settings.device, batch=settings.batch)
    except MissingExtraError as error:
        raise InputError(f"{error}; or leave the text filter out with --no-filter") from error


def _finish(workspace: Workspace, *, drop: bool, json: bool) -> None:
    from ...classes.checks import check_classes, drop_shared
    from ...classes.files import load_classes, save_classes
    from ...core.terminal import emit, emit_json, number, say
    from ...search.synonyms.names import too_common

    path = workspace.classes_path()
    classes = load_classes(path)
    if drop:
        classes = drop_shared(classes)
        save_classes(classes, path)
    for entry in classes:
        for synonym in entry.synonyms:
            if synonym.kept and (reason := too_common(synonym.text)):
                say(f"warning: class {entry.id} ({entry.name}): the synonym {synonym.text!r} is {reason}")
    for warning in check_classes(classes):
        say(f"warning: {warning}")
    in_use = sum(synonym.kept for entry in classes for synonym in entry.synonyms)
    total = sum(len(entry.synonyms) for entry in classes)
    if json:
        emit_json(SynonymsJson(classes=len(classes), kept=in_use, removed=total - in_use))
        return
    counts = f"{counted(in_use, 'synonym')} kept, {number(total - in_use)} removed"
    emit(f"{path}: {counted(len(classes), 'class')}, {counts}")
