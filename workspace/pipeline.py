"""The stages of a workspace in order (match, download, embed, vectors, samples, report), and their runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..core.errors import CaptionIndexError, ModelError, WorkspaceError
from ..core.records import Progress, silent
from .settings import SampleSettings
from .workspace import StageStatus, State, Workspace

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the pipeline: how it stands, and how it is done."""

    name: str
    status: Callable[[Workspace], StageStatus]
    run: Callable[[Workspace, Progress], Counts]


def stages(workspace: Workspace) -> list[Stage]:
    """Every stage of the workspace, in the order they need one another."""
    named = [sample_stage(spec) for spec in workspace.settings().sample]
    return [*STAGES.values(), *named, REPORT]


def status(workspace: Workspace) -> list[StageStatus]:
    """How every stage stands, in order.

    A stage that can't be told (its files are damaged, the index is away) is stale, for the reason that
    running it would give.
    """
    return [_told(stage, workspace) for stage in stages(workspace)]


def _told(stage: Stage, workspace: Workspace) -> StageStatus:
    try:
        return stage.status(workspace)
    except (CaptionIndexError, ModelError, WorkspaceError) as error:
        recorded = workspace.recorded(stage.name)
        state = State.STALE if recorded else State.MISSING
        return StageStatus(stage.name, state, recorded.counts if recorded else {}, str(error))


def check(workspace: Workspace) -> None:
    """Raise before a download of days what would end a run after it.

    ModelError: a model or weights that are nowhere, unless everything is embedded.
    InputError, WorkspaceError: a sample that can't be drawn as it is asked for (shots that aren't there).
    """
    from ..sampling.task import task_of
    from ..search.vectors.loading import find_weights

    settings = workspace.settings()
    for spec in settings.sample:
        task_of(workspace, spec)
    if STAGES["embed"].status(workspace).state is not State.DONE:
        find_weights(settings.model.name, settings.model.pretrained)


def run(
    workspace: Workspace, *, progress: Progress = silent, done: Callable[[StageStatus], None] | None = None
) -> list[StageStatus]:
    """Do every stage that isn't done, in order; ``done`` is told of each as it ends. Returns all of them."""
    ended: list[StageStatus] = []
    for state in _each(workspace, progress):
        ended.append(state)
        if done:
            done(state)
    return ended


def _each(workspace: Workspace, progress: Progress) -> Iterator[StageStatus]:
    for stage in stages(workspace):
        state = stage.status(workspace)
        if state.state is not State.DONE:
            stage.run(workspace, progress)
            state = stage.status(workspace)
        yield state


def _match_status(workspace: Workspace) -> StageStatus:
    from ..indexer.match_stage import match_status

    return match_status(workspace)


def _match(workspace: Workspace, progress: Progress) -> Counts:
    from ..indexer.match_stage import match

    return match(workspace, progress=progress)


def _download_status(workspace: Workspace) -> StageStatus:
    from ..indexer.download.stage import download_status

    return download_status(workspace)


def _download(workspace: Workspace, progress: Progress) -> Counts:
    from ..indexer.download.stage import download

    return download(workspace, progress=progress)


def _embed_status(workspace: Workspace) -> StageStatus:
    from ..indexer.embed.stage import embed_status

    return embed_status(workspace)


def _embed(workspace: Workspace, progress: Progress) -> Counts:
    from ..indexer.embed.stage import embed, embed_status

    # Vectors of other weights or another precision are made anew beside the old ones, then swapped.
    return embed(workspace, replace=embed_status(workspace).state is State.STALE, progress=progress)


def embed_all(workspace: Workspace, progress: Progress) -> dict[str, Counts]:
    """Embed what is missing or stale and bring the FAISS indices up to it; counts by stage."""
    return {name: STAGES[name].run(workspace, progress) for name in ("embed", "vectors")}


def _vectors_status(workspace: Workspace) -> StageStatus:
    from ..indexer.embed.faiss_index import vectors_status

    return vectors_status(workspace)


def _vectors(workspace: Workspace, progress: Progress) -> Counts:
    from ..indexer.embed.faiss_index import build_vectors

    return build_vectors(workspace, progress=progress)


STAGES: dict[str, Stage] = {
    "match": Stage("match", _match_status, _match),
    "download": Stage("download", _download_status, _download),
    "embed": Stage("embed", _embed_status, _embed),
    "vectors": Stage("vectors", _vectors_status, _vectors),
}
"""The stages that every workspace has; the functions import their part when they are called."""


def _report_status(workspace: Workspace) -> StageStatus:
    from ..sampling.report.stage import report_status

    return report_status(workspace)


def _report(workspace: Workspace, progress: Progress) -> Counts:
    from ..sampling.report.stage import report

    return report(workspace, progress=progress)


REPORT = Stage("report", _report_status, _report)
"""The last stage: a page on all the others."""


def sample_stage(spec: SampleSettings) -> Stage:
    """The stage of one [[sample]]."""

    def sample_state(workspace: Workspace) -> StageStatus:
        from ..sampling.sample import sample_status

        return sample_status(workspace, spec)

    def draw_sample(workspace: Workspace, progress: Progress) -> Counts:
        from ..sampling.sample import draw

        return draw(workspace, spec, progress=progress)

    return Stage(f"sample:{spec.name}", sample_state, draw_sample)
