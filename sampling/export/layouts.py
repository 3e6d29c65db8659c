"""Images in the layouts that loaders read: ImageFolder, WebDataset, Hugging Face."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.files import write_json
from ...core.records import Progress
from ..filters import shuffle_keys
from .image_files import place
from .sample import Sample, described

SHARD_IMAGES = 1000


def write_imagefolder(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """``0007_golden_retriever/00001.jpg`` by rank; classes.json says which folder is which class.

    Every class has its folder, an empty one where it has no images: loaders number classes by folders.
    """
    for name in sample.folders.values():
        (folder / name).mkdir()
    done = 0
    for row, file in sample.images():
        place(file, folder / sample.folders[row["class_id"]] / f"{row['rank']:05d}{file.suffix}")
        done += 1
        progress("export", done, sample.rows.num_rows)
    _write_classes(sample, folder)
    return {"images": done}


def write_webdataset(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
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


def write_huggingface(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """Hugging Face's ``imagefolder``: train/CLASS/RANK.jpg, and train/metadata.jsonl with everything else."""
    train = folder / "train"
    train.mkdir()
    done = 0
    with (train / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for row, file in sample.images():
            name = f"{sample.folders[row['class_id']]}/{row['rank']:05d}{file.suffix}"
            place(file, train / name)
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
