"""captrawl run: every stage that isn't done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .. import options
from ..enough import enough_json, enough_lines
from ..results import StageLines, status_json
from .plan import show_plan
from .shapes import RunJson, RunSampleJson

if TYPE_CHECKING:
    from ...sampling.outcome import SampleOutcome

app = typer.Typer()


@app.command("run")
def run(
    context: typer.Context,
    allow_private: options.AllowPrivate = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would fetch and embed, as plan does.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Do every stage that isn't done: match, download, embed, vectors, samples, report.

    A model that isn't there, or a sample that needs shots and has none, ends it before any work. Ends with
    the lists, the report and the classes short of n; the exit code is 1 where no sample kept an image.
    """
    from ...core.terminal import emit, emit_json, progress_bars, say
    from ...library.samples import store_auto
    from ...library.stored import allowing_private
    from ...sampling.outcome import outcomes, short_text, why_nothing
    from ...sampling.report.stage import page_path
    from ...workspace import pipeline

    workspace = options.workspace_of(context)
    if allow_private:
        workspace = allowing_private(workspace)
    if dry_run:
        return show_plan(workspace, json=json)
    pipeline.check(workspace)
    options.caution(workspace)
    if auto := store_auto(workspace):
        say(f"stored in captrawl.toml: [[sample]] {auto}, chosen by the shots, beside the default one")

    lines = StageLines(emit if not json else None)
    with progress_bars() as progress:
        ended = pipeline.run(workspace, progress=progress, done=lines.add)
    samples = outcomes(workspace)
    if json:
        answer = RunJson(
            stages=[status_json(stage) for stage in ended],
            samples=[_sample_json(one) for one in samples],
            report=str(page_path(workspace)),
        )
        if until_json := enough_json(workspace):
            answer["until"] = until_json
        emit_json(answer)
    else:
        for line in enough_lines(workspace):
            emit(line)
        for sample in samples:
            emit(
                "; ".join(filter(None, [f"{sample.name}: {sample.listing}", sample.auto, short_text(sample)]))
            )
        emit(f"report: {page_path(workspace)}")
    empty = [sample.name for sample in samples if not sample.kept and sample.n]
    for name in empty:
        say(f"warning: {name} kept nothing: {why_nothing(workspace, name)}")
    if empty and len(empty) == len(samples):
        raise typer.Exit(1)
    return None


def _sample_json(sample: SampleOutcome) -> RunSampleJson:
    short = [entry.id for entry in sample.short]
    return RunSampleJson(name=sample.name, kept=sample.kept, short=short, list=str(sample.listing))
