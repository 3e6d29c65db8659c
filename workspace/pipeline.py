"""The stages of a workspace in order (match, download, embed, vectors, samples, report), and their runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..core.errors import CaptionIndexError, ModelError, WorkspaceError
from ..core.records import Progress, silent
from ..indexer import match_stage
from ..indexer.download.stage import DOWNLOAD_STAGE
from ..indexer.embed.faiss_index import VECTORS_STAGE
from ..indexer.embed.stage import EMBED_STAGE, embed_part
from ..indexer.published.rank import Ranking
from ..indexer.published.register import vectors_root
from ..sampling.rank_queries import RankQueries
from ..sampling.report.stage import REPORT_STAGE
from ..sampling.sample import sample_stage
from ..sampling.task import sample_facts, takes_any, task_of
from ..search.vectors.loading import find_weights
from ..search.vectors.models import model_of
from . import checksums
from .checksums import FileChange
from .parts import StagePart
from .stages import Counts, Stage
from .workspace import StageStatus, State, Workspace


def match(workspace: Workspace, *, progress: Progress = silent) -> dict[str, int]:
    """Fill matches.parquet, in rank order where [match] rank says so; see indexer.match_stage.match."""
    return match_stage.match(workspace, ranking=ranking_of(workspace), progress=progress)


def match_share(workspace: Workspace, part: StagePart, *, progress: Progress = silent) -> dict[str, int]:
    """Match the classes of one part; :func:`match` joins the parts, and ranks."""
    return match_stage.match_part(workspace, part, ranking=ranking_of(workspace), progress=progress)


def ranking_of(workspace: Workspace) -> Ranking | None:
    """How [match] ranks pools before any image is fetched; None where it doesn't."""
    settings = workspace.settings().match
    if not settings.rank:
        return None
    to = str(workspace.root / settings.vectors) if settings.vectors else ""
    root = vectors_root(match_stage.index_location(workspace), to)
    return Ranking(settings.rank, settings.top, RankQueries(workspace, settings.rank), root)


MATCH_STAGE = Stage(
    match_stage.MATCH,
    lambda workspace: match_stage.match_status(workspace, ranking_of(workspace)),
    lambda workspace, progress: match(workspace, progress=progress),
)

STAGES = {stage.name: stage for stage in (MATCH_STAGE, DOWNLOAD_STAGE, EMBED_STAGE, VECTORS_STAGE)}
"""The stages that every workspace has before its samples, in the order they need one another."""


def stages(workspace: Workspace) -> list[Stage]:
    """Every stage of the workspace, in the order they need one another."""
    samples = [sample_stage(spec) for spec in workspace.settings().sample]
    return [*STAGES.values(), *samples, REPORT_STAGE]


def status(workspace: Workspace) -> list[StageStatus]:
    """How every stage stands, in order.

    A stage that can't be told (its files are damaged, the index is away) is stale, for the reason that
    running it would give.
    """
    return [_standing(stage, workspace) for stage in stages(workspace)]


def _standing(stage: Stage, workspace: Workspace) -> StageStatus:
    try:
        return stage.status(_seen_by(stage, workspace))
    except (CaptionIndexError, ModelError, WorkspaceError) as error:
        recorded = workspace.recorded(stage.name)
        state = State.STALE if recorded else State.MISSING
        return StageStatus(stage.name, state, recorded.counts if recorded else {}, str(error))


def check(workspace: Workspace) -> None:
    """Raise before a download of days what would end a run after it.

    ModelError: a model or weights that are nowhere, unless everything is embedded.
    InputError, WorkspaceError: a sample that can't be drawn as it is asked for (shots that aren't there).
    """
    for spec in workspace.settings().sample:
        task_of(workspace, spec)
    if EMBED_STAGE.status(workspace).state is not State.DONE:
        find_weights(model_of(workspace))


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
        serving = _seen_by(stage, workspace)
        state = stage.status(serving)
        if state.state is not State.DONE:
            stage.run(serving, progress)
            state = stage.status(serving)
        yield state


def _seen_by(stage: Stage, workspace: Workspace) -> Workspace:
    return downloading(workspace) if stage is DOWNLOAD_STAGE else workspace


def downloading(workspace: Workspace) -> Workspace:
    """``workspace`` as :func:`run` downloads it: until n images a class, where no sample ranks any."""
    settings = workspace.settings()
    if settings.download.until or not settings.sample:
        return workspace
    if not all(takes_any(workspace, spec) for spec in settings.sample):
        return workspace
    return workspace.overriding({"download": {"until": max(spec.n for spec in settings.sample)}})


def embed_all(workspace: Workspace, progress: Progress) -> dict[str, Counts]:
    """Embed what is missing or stale and bring the FAISS indices up to it; counts by stage."""
    return {stage.name: stage.run(workspace, progress) for stage in (EMBED_STAGE, VECTORS_STAGE)}


def embed_share(workspace: Workspace, part: StagePart, progress: Progress) -> dict[str, Counts]:
    """Embed the rows of one part; :func:`embed_all` merges the parts."""
    return {EMBED_STAGE.name: embed_part(workspace, part, progress=progress)}


def verify(workspace: Workspace, progress: Progress = silent) -> list[FileChange]:
    """The artefacts that aren't what their stages left, every byte read; [] where nothing changed."""
    recorded = workspace.recorded_hashes()
    facts = {stage.name: stage.facts for stage in stages(workspace)}
    for name in recorded:  # a sample that the settings don't have any more
        if name not in facts and name.startswith("sample:"):
            facts[name] = sample_facts(name.removeprefix("sample:"))
    return checksums.verify(
        workspace.root, recorded, {name: one.files for name, one in facts.items()}, progress=progress
    )
