"""What a report tells, gathered from a workspace: counts, pictures to show, evaluation, what made it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from ...classes.files import load_classes
from ...core.version import __version__
from ...search.synonyms.review import NAME as REVIEW
from ...search.synonyms.review import Review, load_review
from ...workspace.plan_record import PlanRecord, load_plan
from ...workspace.settings import Settings
from ...workspace.workspace import Workspace
from ..evaluate import Evaluation, read_evaluation
from ..judge.answers import JudgeAnswers
from .counts import ReportCounts
from .examples import Examples


@dataclass(frozen=True, slots=True)
class ReportData:
    """What the page tells. ``facts``: what made this, by name; ``examples`` are aligned with the samples."""

    title: str
    facts: tuple[tuple[str, str], ...]
    counts: ReportCounts
    examples: tuple[Examples, ...]
    evaluation: Evaluation | None
    review: Review | None
    plan: PlanRecord | None = None
    """What the last `captrawl plan` expected."""
    judge: str = ""
    """What a vision model said of the pictures in doubt, in a line."""


def gather(workspace: Workspace, counts: ReportCounts, examples: tuple[Examples, ...]) -> ReportData:
    """``counts`` and ``examples`` with the rest that the workspace has."""
    judged = JudgeAnswers(workspace, load_classes(workspace.classes_path())).counts()
    return ReportData(
        title=workspace.settings().task.name,
        facts=facts_of(workspace),
        counts=counts,
        examples=examples,
        evaluation=read_evaluation(workspace),
        review=load_review(workspace.root / REVIEW),
        plan=load_plan(workspace),
        judge=judged.text() if judged else "",
    )


def facts_of(workspace: Workspace) -> tuple[tuple[str, str], ...]:
    """What made the artefacts, by name, from settings and lock file; nothing that is empty."""
    settings = workspace.settings()
    matched = workspace.recorded("match")
    corpus: Mapping[str, str] = matched.details.get("corpus", {}) if matched else {}
    facts = [
        ("task", settings.task.name),
        ("data set", settings.task.dataset),
        ("classes", settings.task.classes),
        ("few shots", settings.task.shots),
        ("caption index", settings.captions.index),
        ("corpus files", f"{len(corpus):,}: {', '.join(list(corpus)[:6])}" if corpus else ""),
        ("match", _match_text(settings)),
        ("opt-outs", _opt_outs_text(workspace)),
        ("model", f"{settings.model.name} {settings.model.pretrained}".strip()),
        ("prompts", f"by {settings.model.names}"),
        ("samples", ", ".join(f"{spec.name} (n {spec.n}, seed {spec.seed})" for spec in settings.sample)),
        ("captrawl", __version__),
        ("date", datetime.datetime.now(datetime.UTC).date().isoformat()),
    ]
    return tuple((name, value) for name, value in facts if value)


def _opt_outs_text(workspace: Workspace) -> str:
    """The signals that the last download listened to, and those that its settings turned off."""
    record = workspace.recorded("download")
    signals: Mapping[str, list[str]] = record.details.get("opt-outs", {}) if record else {}
    return "; ".join(f"{name}: {', '.join(signals[name])}" for name in signals if signals[name])


def _match_text(settings: Settings) -> str:
    """Prefix, exclusions, filters and sample of the match, in a line."""
    filters = settings.match.filters.model_dump(exclude_defaults=True)
    parts = [f"{settings.match.sample} rows per class, seed {settings.match.seed}"]
    parts += [f"prefix {settings.task.prefix!r}"] if settings.task.prefix else []
    parts += [f"without {phrase!r}" for phrase in settings.task.exclude]
    parts += [f"{name} {value}" for name, value in filters.items()]
    return ", ".join(parts)
