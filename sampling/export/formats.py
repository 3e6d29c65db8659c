"""The formats of an export: ImageFolder, WebDataset, Hugging Face, and by name SWAT's and the URL lists."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...classes.files import load_classes
from ...core.errors import InputError, WorkspaceError
from ...core.files import link, new_folder, write_json
from ...core.records import Progress, silent
from ...workspace.workspace import Workspace
from ..files import read_sample
from ..filters import shuffle_keys
from ..task import paths_of
from .sample import Exporter, Sample, described

SHARD_IMAGES = 1000


def export(
    workspace: Workspace, name: str, to: str, folder: Path, *, progress: Progress = silent
) -> dict[str, int]:
    """Write the sample ``name`` as ``to`` (a key of FORMATS) into the new or empty ``folder``; its counts.

    InputError for an unknown format or a folder that holds something: nothing there is touched.
    """
    exporter = FORMATS.get(to)
    if exporter is None:
        raise InputError(f"there is no export format {to!r}; choose one of {', '.join(FORMATS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} isn't empty; export into a new folder, or move what is there")
    paths = paths_of(workspace, name)
    classes = load_classes(workspace.classes_path())
    sample = Sample(workspace, paths, classes, read_sample(paths, kept=True), folder.absolute())
    stray = set(sample.class_ids) - {entry.id for entry in classes}
    if stray:
        raise WorkspaceError(
            f"sample {name} holds class {min(stray)}, which isn't in the class list any more; draw it again"
        )
    with new_folder(folder) as temporary:
        return exporter(sample, temporary, progress)


def to_imagefolder(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """``0007_golden_retriever/00001.jpg`` by rank; classes.json says which folder is which class.

    A class without images has no folder: torchvision refuses empty ones.
    """
    done = 0
    for row, file in sample.images():
        link(file, folder / sample.folders[row["class_id"]] / f"{row['rank']:05d}{file.suffix}")
        done += 1
        progress("export", done, sample.rows.num_rows)
    _write_classes(sample, folder)
    return {"images": done}


def to_webdataset(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """``000000.tar`` …, 1,000 images each, shuffled once: KEY.jpg, KEY.cls (class id), KEY.txt, KEY.json."""
    rows = sample.rows
    order = np.argsort(shuffle_keys(rows.column("uid").to_numpy(), 0), kind="stable")
    shuffled = replace(sample, rows=rows.take(order))
    archive: tarfile.TarFile | None = None
    shards = done = 0
    with contextlib.ExitStack() as stack:
        for row, file in shuffled.images():
            if done % SHARD_IMAGES == 0:
                if archive:
                    archive.close()
                archive = stack.enter_context(tarfile.open(folder / f"{shards:06d}.tar", "w"))
                shards += 1
            if archive:
                _add_to_shard(archive, f"{done:09d}", row, file, described(row, sample.names))
            done += 1
            progress("export", done, rows.num_rows)
    _write_classes(sample, folder)
    return {"images": done, "shards": shards}


def _add_to_shard(
    archive: tarfile.TarFile, key: str, row: dict[str, Any], file: Path, text: dict[str, Any]
) -> None:
    for suffix, content in (
        (file.suffix, file.read_bytes()),
        (".cls", str(row["class_id"]).encode()),
        (".txt", (row["caption"] or "").encode()),
        (".json", json.dumps(text, ensure_ascii=False).encode()),
    ):
        entry = tarfile.TarInfo(key + suffix)
        entry.size, entry.mode = len(content), 0o644  # no times, no owners: equal samples, equal shards
        archive.addfile(entry, io.BytesIO(content))


def to_huggingface(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """Hugging Face's ``imagefolder``: train/CLASS/RANK.jpg, and train/metadata.jsonl with everything else."""
    train = folder / "train"
    train.mkdir()
    done = 0
    with (train / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for row, file in sample.images():
            name = f"{sample.folders[row['class_id']]}/{row['rank']:05d}{file.suffix}"
            link(file, train / name)
            line = {"file_name": name, **described(row, sample.names)}
            metadata.write(json.dumps(line, ensure_ascii=False) + "\n")
            done += 1
            progress("export", done, sample.rows.num_rows)
    _write_classes(sample, folder)
    return {"images": done}


def _write_classes(sample: Sample, folder: Path) -> None:
    entries = [
        {"id": entry.id, "name": entry.name, "folder": sample.folders[entry.id]} for entry in sample.classes
    ]
    write_json(folder / "classes.json", entries)


def to_urls(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """URLs with licences and Croissant metadata, see sampling.export_urls."""
    from .urls import write_urls

    return write_urls(sample, folder, progress)


def to_swat(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """SWAT's folders and files, see sampling.export_swat."""
    from .swat import write_swat

    return write_swat(sample, folder, progress)


FORMATS: dict[str, Exporter] = {
    "swat": to_swat,
    "imagefolder": to_imagefolder,
    "webdataset": to_webdataset,
    "huggingface": to_huggingface,
    "urls": to_urls,
}
