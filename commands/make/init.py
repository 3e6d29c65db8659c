"""captrawl init: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import InputError, MissingExtraError, ModelError, UsageError
from ...core.wording import counted
from .. import options
from ..results import first_classes

if TYPE_CHECKING:
    from ...classes.model import ClassList
    from ...search.captions import CaptionIndex
    from ...workspace.settings import Settings

app = typer.Typer()


@app.command("init")
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace to make.")],
    index: options.Index,
    classes: Annotated[Path | None, typer.Option(help="The class list: TXT, CSV, TSV or JSON.")] = None,
    dataset: Annotated[
        str,
        typer.Option(
            help="A preset data set, or the TOML file of your own.", autocompletion=options.datasets
        ),
    ] = "",
    prefix: options.Prefix = "",
    shots: Annotated[Path | None, typer.Option(help="Few labelled images: 'path label flag' lines.")] = None,
    root: Annotated[Path | None, typer.Option(help="The folder that the shots' paths start from.")] = None,
    model: Annotated[str, typer.Option(help="An open_clip model, local-dir:PATH or hf-hub:NAME.")] = "",
    pretrained: Annotated[str, typer.Option(help="The model's weights, by open_clip's tag.")] = "",
    names: Annotated[
        str, typer.Option(metavar="list|all", help="Match by the list's synonyms, or by all its names.")
    ] = "list",
    forms: Annotated[
        str, typer.Option(metavar="plural", help="Match by the plurals and singulars that the index has.")
    ] = "",
    profile: Annotated[str, typer.Option(metavar="swat", help="Choose as SWAT's scripts do.")] = "",
) -> None:
    """Make a workspace: a class list, a caption index and settings to edit."""
    from ...classes.checks import with_all_names
    from ...core.terminal import emit, say
    from ...indexer.opening import open_index
    from ...search.query import CaptionQuery
    from ...workspace.workspace import Workspace

    if forms not in {"", "plural"}:
        raise UsageError(f"--forms {forms}: choose plural")
    if names not in {"list", "all"}:
        raise UsageError(f"--names {names}: choose list or all")
    if not dataset.endswith(".toml"):
        options.check_choice("--dataset", dataset, options.datasets())
    settings, entries, warnings = _task_of(directory, index, classes, dataset=dataset, profile=profile)
    if names == "all":
        entries = tuple(with_all_names(entry) for entry in entries)
    warnings += _unmatched(entries)
    task: dict[str, Any] = {
        "shots": str(shots.resolve()) if shots else "",
        "root": str(root.resolve()) if root else "",
    }
    if prefix:
        task["prefix"] = prefix
    settings = settings.model_copy(update={"task": settings.task.model_copy(update=task)})
    if shots and not shots.is_file() and not shots.is_dir():
        raise InputError(f"--shots {shots}: no such file or folder")
    if values := options.model_values(model, pretrained):
        settings = settings.model_copy(update={"model": settings.model.model_copy(update=values)})
        warnings += _model_warnings(values)
    _check_thresholds(settings.task.dataset)
    if phrases := (*filter(None, [settings.task.prefix]), *settings.task.exclude):
        CaptionQuery(phrases)
    if shots:
        warnings += _shot_warnings(shots, root or directory, entries)
    with open_index(settings.captions.index) as captions:
        rows = captions.rows()
        if forms:
            entries, note = _with_forms(captions, entries, settings)
            say(f"note: {note}")
    workspace = Workspace.create(directory, settings, entries)
    for warning in warnings:
        say(f"warning: {warning}")
    options.warn_of_blank(directory)
    synonyms = sum(len(entry.match_phrases()) for entry in entries)
    emit(
        f"{workspace.root}: {counted(len(entries), 'class')} with {counted(synonyms, 'synonym')} over "
        f"{counted(rows, 'caption')}; settings in captrawl.toml, next: captrawl -C {directory} run"
    )
    for line in first_classes(entries):
        emit(line)


def _with_forms(index: CaptionIndex, classes: ClassList, settings: Settings) -> tuple[ClassList, str]:
    """``classes`` with the plurals and singulars that ``index`` has, and what to say of them."""
    from ...indexer.match_stage import scope_of
    from ...search.synonyms.forms import proposals, with_forms

    fresh = proposals(index, classes, scope_of(settings))
    some = ", ".join(f"{one.form} ({one.rows:,})" for one in fresh[:5])
    return with_forms(classes, fresh), f"{len(fresh):,} plurals and singulars added: {some or 'none'}"


def _unmatched(classes: ClassList) -> list[str]:
    """A warning that names the classes with names in their file that aren't matched."""
    from ...classes.checks import unmatched_names

    names = {entry.id: texts for entry in classes if (texts := unmatched_names(entry))}
    if not names:
        return []
    some = "; ".join(f"{class_id}: {', '.join(texts)}" for class_id, texts in list(names.items())[:5])
    some += f"; {len(names) - 5:,} more" if len(names) > 5 else ""
    return [f"names of {counted(len(names), 'class')} in the file aren't matched ({some}); --names all does"]


def _check_thresholds(dataset: str) -> None:
    """InputError where the data set has a threshold of no method: told here, not after a download."""
    if dataset:
        from ...sampling.task import thresholds_of

        thresholds_of(dataset)


def _shot_warnings(shots: Path, root: Path, entries: ClassList) -> list[str]:
    """What is wrong with the few-shot list; the images may come to this machine later."""
    from ...sampling.shots import read_labelled

    try:
        read_labelled(shots, root, entries)
    except InputError as error:
        return [f"{error}; --shots and --root are [task] shots and root in captrawl.toml"]
    return []


def _model_warnings(model: dict[str, Any]) -> list[str]:
    """What is wrong with the model: told here, not after a download; it may come to this machine later."""
    from ...search.vectors.loading import check
    from ...search.vectors.models import ModelId

    try:
        check(ModelId(**model))
    except ModelError as error:
        return [f"{error}; --model and --pretrained are [model] name and pretrained in captrawl.toml"]
    except MissingExtraError:  # the text side alone: another machine embeds
        return []
    return []


def _task_of(
    directory: Path, index: str, classes: Path | None, *, dataset: str, profile: str
) -> tuple[Any, Any, list[str]]:
    """Settings, class list and warnings, from the class list, the preset, or both (the list's synonyms)."""
    from ...classes.checks import check_classes
    from ...classes.files import load_classes
    from ...core.terminal import say
    from ...search.captions import absolute_location
    from ...swat.profile import CAUTIONS, with_profile
    from ...workspace.settings import parse_settings

    if not classes and not dataset:
        raise UsageError(
            "give --classes FILE or --dataset NAME (or both: the file's synonyms for the data set)"
        )
    named: dict[str, Any] = {
        "task": {"name": directory.resolve().name},
        "captions": {"index": absolute_location(index)},
    }
    data = with_profile(named, profile)
    if dataset:
        from ...datasets import load_dataset

        preset = load_dataset(dataset)
        settings = parse_settings(preset.settings(data), f"the preset {dataset}")
        entries = preset.classes_from(classes) if classes else preset.classes()
        if note := preset.two_lists(classes):
            say(f"note: {note}")
    else:
        settings = parse_settings(data, f"{directory}/captrawl.toml")
        entries = load_classes(classes or Path())
    return settings, entries, [*CAUTIONS.get(profile, ()), *check_classes(entries)]
