"""The report of a workspace: one self-contained HTML page, its charts as PNG files, its numbers as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...classes.files import load_classes
from ...core.errors import WorkspaceError
from ...core.files import atomic, digest, sweep, write_json
from ...core.records import Progress, silent
from ...search.synonyms.review import NAME as REVIEW
from ...workspace.plan_record import NAME as PLAN
from ...workspace.stages import Stage, StageFacts
from ...workspace.workspace import StageStatus, Workspace, read_document
from ..evaluate import evaluation_path
from ..judge.answers import NAME as JUDGE
from ..task import file_digest, paths_of
from .charts import save_charts
from .counts import ReportCounts, count
from .data import gather
from .examples import EXAMPLES, Examples, pick
from .page import render
from .sample_counts import SampleCounts, count_samples
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
    """Write report/: index.html, numbers.json and PNG charts, from whatever the workspace holds so far.

    ``budget``: characters of all the page's pictures together. Counts: classes, samples, pictures, bytes of
    the page. WorkspaceError without matches.
    """
    with workspace.locked(REPORT.name):
        sweep(workspace.report_folder)
        inputs = inputs_of(workspace)
        classes = load_classes(workspace.classes_path())
        samples = count_samples(workspace)
        counted = count(workspace, classes, samples)
        size = size_for(sum(len(sample.kept_of) for sample in samples), _examples(samples), budget)
        examples: list[Examples] = []
        for done, sample in enumerate(samples, start=1):
            examples.append(pick(workspace, sample, each=size.each))
            progress("report: samples", done, len(samples))
        pictures = sum(map(_pictures, examples))
        thumbnails = Thumbnails(workspace.root, size, expected=pictures, budget=budget)
        data = gather(workspace, counted, tuple(examples))
        text = render(data, thumbnails, cell=_cell(size), each=size.each)
        save_charts(counted, workspace.report_folder)
        write_json(numbers_path(workspace), to_json(counted))
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


def _examples(samples: tuple[SampleCounts, ...]) -> int:
    """Pictures that examples of drops take, at most."""
    return EXAMPLES * sum(len(sample.reasons) for sample in samples)


def _pictures(examples: Examples) -> int:
    """Pictures that the page asks for."""
    sheets = [row for sheet in examples.sheets.values() for row in (*sheet.most, *sheet.least)]
    dropped = [row for rows in examples.dropped.values() for row in rows]
    return sum(row.path is not None for row in [*sheets, *dropped])


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
    others = {"plan": file_digest(workspace.root / PLAN), "judge": file_digest(workspace.root / JUDGE)}
    return {
        **{name: value for name, value in others.items() if value},
        "task name": digest(settings.task.name),
        "classes": file_digest(workspace.classes_path()),
        "matches": file_digest(workspace.matches_path),
        "images": file_digest(workspace.images_path),
        "samples": digest({name: table for name, table in tables.items() if table}),
        "evaluation": file_digest(evaluation_path(workspace)),
        "synonym review": file_digest(workspace.root / REVIEW),
    }


def to_json(counts: ReportCounts) -> dict[str, Any]:
    """The counts as plain values."""
    plain = asdict(counts)
    for sample in plain["samples"]:
        sample["kept_of"] = {str(class_id): kept for class_id, kept in sample["kept_of"].items()}
        if sample["auto"]:
            numbers = sample["auto"]["numbers"]
            sample["auto"]["numbers"] = {str(class_id): n for class_id, n in numbers.items()}
    return {"format": FORMAT, **plain}


def read_numbers(workspace: Workspace) -> dict[str, Any]:
    """What numbers.json holds; WorkspaceError where there is no report."""
    path = numbers_path(workspace)
    if not path.exists():
        raise WorkspaceError(f"{path} isn't there; run captrawl report")
    return read_document(path, "report", dict[str, Any])
