"""A sample in the forms that others read: SWAT's folder, ImageFolder, WebDataset, Hugging Face, URLs.

An export is a new folder, made under a temporary name and renamed at the end. Images are hard links where
the file system allows, else copies. Class names never become paths as they are.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from ..classes import ClassList, load_classes
from ..errors import InputError, WorkspaceError
from ..records import Progress, silent
from ..workspace import Workspace, write_json
from .class_folders import folder_names
from .filters import shuffle_keys
from .lists import SamplePaths, read_sample
from .task import paths_of

SHARD_IMAGES = 1000


@dataclass(frozen=True)
class Sample:
    """A sample to export: ``rows`` are its kept rows (SAMPLE_SCHEMA), by class and rank.

    ``target`` is the folder's name in the end; exporters write into a temporary one.
    """

    workspace: Workspace
    paths: SamplePaths
    classes: ClassList
    rows: pa.Table
    target: Path

    @property
    def class_ids(self) -> list[int]:
        """The class of each row."""
        return cast("list[int]", list[Any](self.rows.column("class_id").to_pylist()))

    @cached_property
    def folders(self) -> dict[int, str]:
        """Each class's folder name."""
        return folder_names(self.classes)

    @cached_property
    def names(self) -> dict[int, str]:
        """Each class's name."""
        return {entry.id: entry.name for entry in self.classes}

    def images(self) -> Iterator[tuple[dict[str, Any], Path]]:
        """(row, its image file), in order; WorkspaceError where a file is gone."""
        for batch in self.rows.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                yield row, self.image(row["path"])

    def image(self, path: str) -> Path:
        """The image file at ``path`` in the workspace; WorkspaceError where it is gone."""
        file = self.workspace.root / path
        if not file.is_file():
            raise WorkspaceError(f"image {file} of sample {self.paths.name} is gone; download it again")
        return file


Exporter = Callable[[Sample, Path, Progress], dict[str, int]]
"""(sample, a new empty folder, progress) → counts."""


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


@contextlib.contextmanager
def new_folder(folder: Path) -> Generator[Path]:
    """A temporary folder beside ``folder``, renamed to it when the block ends well.

    An empty ``folder`` that is there stays the folder it is, since it may be a shell's own or a mounted disk:
    the temporary one is made inside it, and what it holds is moved up.
    """
    folder = folder.resolve()
    there = folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = (folder if there else folder.parent) / f".{folder.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if there:
            for made in temporary.iterdir():
                made.rename(folder / made.name)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``: a hard link, or a copy where that can't be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def described(row: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    """What travels with an image: its class, source and scores; missing values are null."""
    scores = {key: row[key] for key in ("T2T", "T2I", "I2I_mean", "I2I_max", "I2T_mean", "I2T_max")}
    return {
        "class_id": row["class_id"],
        "class": names[row["class_id"]],
        "rank": row["rank"],
        "url": row["url"],
        "caption": row["caption"],
        "synonym": row["synonym"],
        "uid": str(row["uid"]),  # JSON numbers lose 64 bits
        "sha256": row["sha256"],
        **scores,
    }


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
    from .export_urls import write_urls

    return write_urls(sample, folder, progress)


def to_swat(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """SWAT's folders and files, see sampling.export_swat."""
    from .export_swat import write_swat

    return write_swat(sample, folder, progress)


FORMATS: dict[str, Exporter] = {
    "swat": to_swat,
    "imagefolder": to_imagefolder,
    "webdataset": to_webdataset,
    "huggingface": to_huggingface,
    "urls": to_urls,
}
