"""The formats of an export by name, and the export. Light to import: the command's help is made of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError, WorkspaceError
from ...core.files import read_json

if TYPE_CHECKING:
    from ...core.records import Progress
    from ...workspace.workspace import Workspace
    from .sample import Exporter

FORMAT = 1
EXPORTED = "export.json"
"""Written last: which sample of which table a folder is the finished export of."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """What an export holds, in a line, and what imports its writer."""

    about: str
    writer: Callable[[], Exporter]
    labels_by_folder: bool = False
    """Whether its readers number the classes by their folders, not by the class ids."""


def _imagefolder() -> Exporter:
    from .layouts import write_imagefolder

    return write_imagefolder


def _webdataset() -> Exporter:
    from .layouts import write_webdataset

    return write_webdataset


def _huggingface() -> Exporter:
    from .layouts import write_huggingface

    return write_huggingface


def _csv() -> Exporter:
    from .clip_csv import write_csv

    return write_csv


def _fiftyone() -> Exporter:
    from .fiftyone_json import write_fiftyone

    return write_fiftyone


def _urls() -> Exporter:
    from .urls import write_urls

    return write_urls


def _swat() -> Exporter:
    from .swat import write_swat

    return write_swat


FORMATS: dict[str, ExportFormat] = {
    "swat": ExportFormat("the folders, pickles, lists and features of SWAT's scripts", _swat),
    "imagefolder": ExportFormat(
        "`0007_golden_retriever/00001.jpg` by rank, classes.json", _imagefolder, labels_by_folder=True
    ),
    "webdataset": ExportFormat(
        "shuffled shards of 1,000: KEY.jpg, KEY.cls (the class id), KEY.txt, KEY.json", _webdataset
    ),
    "huggingface": ExportFormat(
        '`train/` with metadata.jsonl, for `load_dataset("imagefolder", …)`', _huggingface
    ),
    "csv": ExportFormat("train.csv (filepath, title, class) for open_clip's training; images", _csv),
    "fiftyone": ExportFormat(
        "a FiftyOne data set of the whole pools: scores, caption and reason as fields, tags kept and dropped",
        _fiftyone,
    ),
    "urls": ExportFormat(
        "images.parquet with licences and scores, croissant.json (Croissant 1.0); no image", _urls
    ),
}
"""The formats; the table of docs/sampling.md and `export --help` follow them."""


def export(
    workspace: Workspace, name: str, to: str, folder: Path, *, progress: Progress | None = None
) -> dict[str, int]:
    """Write the sample ``name`` as ``to`` (a key of FORMATS) into the new or empty ``folder``; its counts.

    A finished export has EXPORTED; where ``folder`` is this very export, nothing is done. InputError for an
    unknown format or a folder that holds something else: nothing there is touched.
    """
    from ...classes.files import load_classes
    from ...core.files import new_folder, vacant, write_json
    from ...core.records import silent
    from ..files import read_sample
    from ..task import file_digest, paths_of
    from .sample import Sample

    form = FORMATS.get(to)
    if form is None:
        raise InputError(f"there is no export format {to!r}; choose one of {', '.join(FORMATS)}")
    paths = paths_of(workspace, name)
    rows = read_sample(paths, kept=True)
    description = {"format": FORMAT, "to": to, "sample": name, "table": file_digest(paths.table)}
    if not vacant(folder):
        finished = read_export(folder)
        if finished and finished.items() >= description.items():
            return finished["counts"]
        of = f": it has sample {finished['sample']} as {finished['to']}" if finished else ""
        raise InputError(f"{folder} isn't empty{of}; export into a new folder, or move what is there")
    classes = load_classes(workspace.classes_path())
    sample = Sample(workspace, paths, classes, rows, folder.absolute())
    stray = set(sample.class_ids) - {entry.id for entry in classes}
    if stray:
        raise WorkspaceError(
            f"sample {name} contains class {min(stray)}, which isn't in the class list any more; "
            "draw it again"
        )
    with new_folder(folder) as temporary:
        counts = form.writer()(sample, temporary, progress or silent)
        notes = sample.label_notes() if form.labels_by_folder else []
        write_json(temporary / EXPORTED, {**description, "counts": counts, "notes": notes})
        with contextlib.suppress(OSError):  # a workspace that may only be read
            workspace.note_export(folder.resolve())
    return counts


def read_export(folder: Path) -> dict[str, Any] | None:
    """What a finished export says of itself, its counts and notes among it; None for another folder."""
    try:
        document = read_json(folder / EXPORTED)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None
