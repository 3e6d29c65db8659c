"""A FiftyOne data set: every image of the sample's pools, kept or not, with scores, caption and reason.

The layout is FiftyOne's JSON of samples, which every release reads as a ``FiftyOneDataset``: samples.json,
whose paths start from the folder, and a metadata.json without a ``version`` (with one it would be a dump of
that version's database). Fields of samples are inferred from their values.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.arrow import pc
from ...core.files import write_json
from ...core.records import Progress
from ..files import read_sample
from .image_files import place
from .sample import Sample, described

KEPT, DROPPED = "kept", "dropped"
"""The tag of a sample."""
LABEL = "ground_truth"
"""The field that FiftyOne's own examples keep a label in."""


def write_fiftyone(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """samples.json, metadata.json and the images below data/; the kept ones come first in each class."""
    rows = read_sample(sample.paths)
    pools = replace(sample, rows=rows.filter(pc.is_valid(rows["path"])))
    numbers: Counter[int] = Counter()
    tags: Counter[str] = Counter()
    separator = ""
    with (folder / "samples.json").open("w", encoding="utf-8") as handle:
        handle.write('{"samples": [')
        for done, (row, file) in enumerate(pools.images(), start=1):
            numbers[row["class_id"]] += 1
            name = f"data/{sample.folders[row['class_id']]}/{numbers[row['class_id']]:05d}{file.suffix}"
            place(file, folder / name)
            entry = as_sample(row, name, sample.names)
            tags.update(entry["tags"])
            handle.write(separator + json.dumps(entry, ensure_ascii=False))
            separator = ",\n"
            progress("export", done, pools.rows.num_rows)
        handle.write("]}\n")
    info = {"sample": sample.paths.name, "classes": [sample.names[entry.id] for entry in sample.classes]}
    write_json(folder / "metadata.json", {"name": sample.paths.name, "media_type": "image", "info": info})
    return {"images": tags.total(), KEPT: tags[KEPT], DROPPED: tags[DROPPED]}


def as_sample(row: dict[str, Any], path: str, names: dict[int, str]) -> dict[str, Any]:
    """A row of NAME.parquet as a FiftyOne sample; a missing value is null."""
    values = described(row, names)
    label = values.pop("class")
    return {
        "filepath": path,
        "tags": [KEPT if row["kept"] else DROPPED],
        "metadata": None,
        LABEL: {"_cls": "Classification", "tags": [], "label": label, "confidence": None, "logits": None},
        "reason": row["reason"] or None,
        **values,
    }
