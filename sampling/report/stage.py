"""The report of a workspace: one self-contained HTML page, its plots as PNG files, its numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...classes.files import load_classes
from ...core.errors import WorkspaceError
from ...core.files import atomic, digest, write_json
from ...core.records import Progress, silent
from ...core.version import __version__
from ...search.synonyms.review import NAME as REVIEW
from ...search.synonyms.review import load_review
from ...workspace.settings import Settings
from ...workspace.stages import Stage, StageFacts
from ...workspace.workspace import StageStatus, Workspace
from ..evaluate import evaluation_path, read_evaluation
from ..task import file_digest, paths_of
from .counts import Numbers, count
from .examples import EXAMPLES, Picks, pick
from .page import Story, render
from .plots import save_plots
from .sample_counts import SampleNumbers, count_samples
from .thumbnails import BUDGET, Size, Thumbnails, size_for

REPORT = StageFacts("report", ("report/[!.]*",))
FORMAT = 1


def page_path(workspace: Workspace) -> Path:
    """The report's page."""
    return workspace.report_folder / "index.html"


def numbers_path(workspace: Workspace) -> Path:
    """The report's numbers."""
    return workspace.report_folder / "numbers.json"


def report(workspace: Workspace, *, budget: int = BUDGET, progress: Progress = silent) -> dict[str, int]:
    """Write report/: index.html, numbers.json and PNG plots, from whatever the workspace holds so far.

    ``budget``: characters of all the page's pictures together. Counts: classes, samples, pictures, bytes of
    the page. WorkspaceError without matches.
    """
    with workspace.locked(REPORT.name):
        inputs = inputs_of(workspace)
        classes = load_classes(workspace.classes_path())
        samples = count_samples(workspace)
        numbers = count(workspace, classes, samples)
        size = size_for(sum(len(sample.kept_of) for sample in samples), _examples(samples), budget)
        picks: list[Picks] = []
        for done, sample in enumerate(samples, start=1):
            picks.append(pick(workspace, sample, each=size.each))
            progress("report: samples", done, len(samples))
        pictures = sum(map(_pictures, picks))
        thumbnails = Thumbnails(workspace.root, size, expected=pictures, budget=budget)
        story = Story(
            title=workspace.settings().task.name,
            facts=facts_of(workspace),
            numbers=numbers,
            picks=tuple(picks),
            evaluation=read_evaluation(workspace),
            review=load_review(workspace.root / REVIEW),
        )
        text = render(story, thumbnails, cell=_cell(size), each=size.each)
        save_plots(numbers, workspace.report_folder)
        write_json(numbers_path(workspace), to_json(numbers))
        with atomic(page_path(workspace)) as temporary:
            temporary.write_text(text, encoding="utf-8")
        counts = {
            "classes": len(classes),
            "samples": len(samples),
            "pictures": pictures - thumbnails.lost,
            "pictures:lost": thumbnails.lost,
            "bytes": page_path(workspace).stat().st_size,
        }
        REPORT.record(workspace, inputs, counts)
    return counts


def _examples(samples: tuple[SampleNumbers, ...]) -> int:
    """Pictures that examples of drops take, at most."""
    return EXAMPLES * sum(len(sample.reasons) for sample in samples)


def _pictures(picks: Picks) -> int:
    """Pictures that the page asks for."""
    sheets = [row for sheet in picks.sheets.values() for row in (*sheet.most, *sheet.least)]
    examples = [row for rows in picks.examples.values() for row in rows]
    return sum(row.path is not None for row in [*sheets, *examples])


def _cell(size: Size) -> int:
    """The width of a picture's place: eight in a wide row, and room for a caption below small ones."""
    return 118 if size.side > 100 else 96


def report_status(workspace: Workspace) -> StageStatus:
    """How the report stands: stale where what it shows has changed, which the reason names."""
    record = workspace.recorded(REPORT.name)
    if record is None or not page_path(workspace).exists():
        return REPORT.missing()
    return REPORT.compare(record, inputs_of(workspace))


REPORT_STAGE = Stage(REPORT, report_status, lambda workspace, progress: report(workspace, progress=progress))


def inputs_of(workspace: Workspace) -> dict[str, str]:
    """Hashes of what the report shows, by the name that `status` says."""
    settings = workspace.settings()
    tables = {spec.name: file_digest(paths_of(workspace, spec.name).table) for spec in settings.sample}
    return {
        "task name": digest(settings.task.name),
        "classes": file_digest(workspace.classes_path()),
        "matches": file_digest(workspace.matches_path),
        "images": file_digest(workspace.images_path),
        "samples": digest({name: held for name, held in tables.items() if held}),
        "evaluation": file_digest(evaluation_path(workspace)),
        "synonym review": file_digest(workspace.root / REVIEW),
    }


def to_json(numbers: Numbers) -> dict[str, Any]:
    """The numbers as plain values."""
    plain = asdict(numbers)
    for sample in plain["samples"]:
        sample["kept_of"] = {str(class_id): kept for class_id, kept in sample["kept_of"].items()}
        sample["reasons"] = dict(sample["reasons"])
    return {"format": FORMAT, **plain}


def read_numbers(workspace: Workspace) -> dict[str, Any]:
    """What numbers.json holds; WorkspaceError where there is no report."""
    path = numbers_path(workspace)
    if not path.exists():
        raise WorkspaceError(f"{path} isn't there; run captrawl report")
    return json.loads(path.read_text(encoding="utf-8"))


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
        ("model", f"{settings.model.name} {settings.model.pretrained}".strip()),
        ("prompts", f"by {settings.model.names}"),
        ("samples", ", ".join(f"{spec.name} (n {spec.n}, seed {spec.seed})" for spec in settings.sample)),
        ("captrawl", __version__),
    ]
    return tuple((name, value) for name, value in facts if value)


def _match_text(settings: Settings) -> str:
    """Prefix, exclusions, filters and sample of the match, in a line."""
    asked = settings.match.filters.model_dump(exclude_defaults=True)
    parts = [f"{settings.match.sample} rows a class, seed {settings.match.seed}"]
    parts += [f"prefix {settings.task.prefix!r}"] if settings.task.prefix else []
    parts += [f"without {phrase!r}" for phrase in settings.task.exclude]
    parts += [f"{name} {value}" for name, value in asked.items()]
    return ", ".join(parts)
