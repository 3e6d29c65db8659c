"""Commands on a workspace: init, match, sample, run, status; and class lists: classes convert."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ClassListError, InputError, UsageError
from . import options

if TYPE_CHECKING:
    from ..artefacts import Verdict
    from ..classes import ClassList
    from ..workspace import StageStatus, Workspace

app = typer.Typer()
classes_app = typer.Typer(help="Class lists.", no_args_is_help=True)
app.add_typer(classes_app, name="classes")


@app.command("init", short_help="Make a workspace: class list, index, settings.")
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
    profile: Annotated[str, typer.Option(metavar="swat", help="Choose as SWAT's scripts do.")] = "",
) -> None:
    """Make a workspace: a class list, a caption index and settings to edit."""
    from ..search.captions import open_captions
    from ..search.query import CaptionQuery
    from ..terminal import emit, number, say
    from ..workspace import Workspace

    settings, entries, warnings = _task_of(directory, index, classes, dataset=dataset, profile=profile)
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
    _check_thresholds(settings.task.dataset)
    if phrases := (*filter(None, [settings.task.prefix]), *settings.task.exclude):
        CaptionQuery(phrases)
    if shots:
        warnings += _shot_warnings(shots, root or directory, entries)
    with open_captions(settings.captions.index) as captions:
        rows = captions.rows()
    workspace = Workspace.create(directory, settings, entries)
    for warning in warnings:
        say(f"warning: {warning}")
    synonyms = sum(len(entry.match_phrases()) for entry in entries)
    emit(
        f"{workspace.root}: {number(len(entries))} classes with {number(synonyms)} synonyms over "
        f"{number(rows)} captions; settings in captrawl.toml, next: captrawl -C {directory} run"
    )


def _check_thresholds(dataset: str) -> None:
    """InputError where the data set has a threshold of no method: told here, not after a download."""
    if dataset:
        from ..sampling.task import thresholds_of

        thresholds_of(dataset)


def _shot_warnings(shots: Path, root: Path, entries: ClassList) -> list[str]:
    """What is wrong with the few-shot list; the images may come to this machine later."""
    from ..sampling.shots import read_labelled

    try:
        read_labelled(shots, root, entries)
    except InputError as error:
        return [f"{error}; --shots and --root are [task] shots and root in captrawl.toml"]
    return []


def _task_of(
    directory: Path, index: str, classes: Path | None, *, dataset: str, profile: str
) -> tuple[Any, Any, list[str]]:
    """Settings, class list and warnings, from the class list, the preset, or both (the list's synonyms)."""
    from ..classes import check_classes, load_classes
    from ..search.elastic_address import is_address
    from ..settings import parse_settings
    from ..swat.profile import CAUTIONS, with_profile

    if not classes and not dataset:
        raise UsageError(
            "give --classes FILE or --dataset NAME (or both: the file's synonyms for the data set)"
        )
    location = index if is_address(index) else str(Path(index).expanduser().resolve())
    named: dict[str, Any] = {"task": {"name": directory.resolve().name}, "captions": {"index": location}}
    data = with_profile(named, profile)
    if dataset:
        from ..datasets import load_dataset

        preset = load_dataset(dataset)
        settings = parse_settings(preset.settings(data), f"the preset {dataset}")
        entries = preset.classes_from(classes) if classes else preset.classes()
    else:
        settings = parse_settings(data, f"{directory}/captrawl.toml")
        entries = load_classes(classes or Path())
    return settings, entries, [*CAUTIONS.get(profile, ()), *check_classes(entries)]


@app.command("match", short_help="Find the rows whose captions name a class.")
def match(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every matching row.")] = False,
    sample: Annotated[int | None, typer.Option(help="Rows a class, uniformly.", min=1)] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="METRICS.json", help="Only show our totals beside the file's actual_freq."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Find the rows whose captions hold a class's synonyms → matches.parquet."""
    from ..search.matches import match as run
    from ..terminal import emit, emit_json, progress_bars

    workspace = options.workspace_of(context)
    if compare:
        return _compare(workspace, compare, json)
    if everything and sample is not None:
        raise UsageError(f"--all and --sample {sample} contradict each other; give one of them")
    if everything or sample is not None:
        options.change_settings(workspace, "match", {"sample": "all" if everything else sample})
    with progress_bars() as progress:
        counts = run(workspace, progress=progress)
    if json:
        return emit_json({"counts": counts})
    return emit(f"match: {counts_text(counts)}")


def _compare(workspace: Workspace, metrics: Path, json: bool) -> None:
    from ..swat.comparing import compare
    from ..terminal import emit, emit_json, number, out, table

    lines = compare(workspace, metrics)
    if json:
        emit_json(
            {
                "classes": [
                    {"id": x.id, "name": x.name, "total": x.total, "actual_freq": x.theirs} for x in lines
                ]
            }
        )
        return
    columns = [
        ("id", "right"),
        ("class", "left"),
        ("total", "right"),
        ("actual_freq", "right"),
        ("ratio", "right"),
    ]
    cells = [(x.id, x.name, x.total, x.theirs, x.ratio_text) for x in lines]
    out().print(table("our total against the file's actual_freq", columns, cells))
    equal = sum(line.total == line.theirs for line in lines)
    emit(f"{number(equal)} of {number(len(lines))} classes are equal")


@app.command("run", short_help="Do every stage that isn't done.")
def run(
    context: typer.Context,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch from private and loopback addresses too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Do every stage that isn't done: match, download, embed, vectors, samples, report."""
    from .. import pipeline
    from ..terminal import emit, emit_json, progress_bars

    workspace = options.workspace_of(context)
    if allow_private:
        options.allow_private(workspace)

    options.caution(workspace)

    def done(stage: StageStatus) -> None:
        if not json:
            emit(f"{stage.stage}: {counts_text(stage.counts)}")

    with progress_bars() as progress:
        ended = pipeline.run(workspace, progress=progress, done=done)
    if json:
        emit_json({"stages": [_status_json(stage) for stage in ended]})


@app.command("status")
def status(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every artefact again and say what changed since.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show how every stage stands."""
    from .. import pipeline
    from ..terminal import emit_json, out, table

    workspace = options.workspace_of(context)
    states = pipeline.status(workspace)
    verdicts = _verified(workspace) if verify else []
    if json:
        lines = [_status_json(state) for state in states]
        changes = [{"stage": v.stage, "path": v.path, "change": v.change.value} for v in verdicts]
        emit_json({"stages": lines, **({"changes": changes} if verify else {})})
        raise typer.Exit(1 if verdicts else 0)
    cells = [(s.stage, s.state.value, counts_text(s.counts), s.reason) for s in states]
    columns = [("stage", "left"), ("state", "left"), ("counts", "left"), ("reason", "left")]
    out().print(table("", columns, cells))
    if verify:
        _show(workspace, verdicts)


def _status_json(stage: StageStatus) -> dict[str, object]:
    return {
        "stage": stage.stage,
        "state": stage.state.value,
        "counts": dict(stage.counts),
        "reason": stage.reason,
    }


def _verified(workspace: Workspace) -> list[Verdict]:
    from ..artefacts import verify
    from ..terminal import progress_bars

    with progress_bars() as progress:
        return verify(workspace.root, workspace.recorded_hashes(), progress=progress)


def _show(workspace: Workspace, verdicts: list[Verdict]) -> None:
    """The changes, or that there are none; exit code 1 where there are."""
    from ..terminal import emit, number, out, table

    recorded = sum(len(paths) for paths in workspace.recorded_hashes().values())
    if not verdicts:
        emit(f"verified: {number(recorded)} artefacts are as their stages left them")
        return
    cells = [(v.stage, v.change.value, v.path) for v in verdicts]
    out().print(table("changed since", [("stage", "left"), ("", "left"), ("artefact", "left")], cells))
    raise typer.Exit(1)


@classes_app.callback()
def classes() -> None:
    """Class lists."""


@classes_app.command("convert", short_help="Write a class list in another format.")
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A class list of any format, or an ImageFolder.")
    ],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="json, metrics, txt, csv, tsv and others.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead of stdout.")
    ] = None,
) -> None:
    """Write a class list in another format, saying what that can't hold."""
    from .. import class_formats
    from ..classes import load_classes
    from ..terminal import say

    try:
        class_formats.check_format(to, output)
    except ClassListError as error:
        raise UsageError(str(error)) from error
    if output is None:
        typer.echo(class_formats.render(load_classes(source), to), nl=False)
        return
    for loss in class_formats.convert(source, output, to):
        say(f"warning: {output} doesn't hold the {loss}")


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts in a line: ``packed 1,843, no url 24, failed 86 (http_404 35, timeout 51)``.

    A name ``a:b`` is a part of the count ``a``, and ``b`` a reason as files and report have it; zeros are
    left out but for the first.
    """
    parts: dict[str, list[str]] = {}
    for name, value in counts.items():
        whole, colon, part = name.partition(":")
        if colon and value:
            parts.setdefault(whole, []).append(f"{part} {value:,}")
    shown = [(name, value) for name, value in counts.items() if ":" not in name]
    texts: list[str] = []
    for place, (name, value) in enumerate(shown):
        if value or not place:
            inside = f" ({', '.join(parts[name])})" if name in parts else ""
            texts.append(f"{_words(name)} {value:,}{inside}")
    return ", ".join(texts)


def _words(name: str) -> str:
    return name.replace("_", " ")
